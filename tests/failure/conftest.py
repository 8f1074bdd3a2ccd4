"""A scene, a model, the bytes of an undisturbed run, and a cluster of processes to be disturbed."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

sys.path[:0] = [str(Path(__file__).resolve().parents[1]), str(Path(__file__).resolve().parent)]
from dask_processes import Case, Cluster, StartCluster  # noqa: E402
from packages import hashes, save, slanted, texture, tiny_spec, unet, write_scene  # noqa: E402

SHAPE = (300, 260)


@pytest.fixture(scope="session")
def case(tmp_path_factory: pytest.TempPathFactory) -> Case:
    import geounet

    folder = tmp_path_factory.mktemp("failure")
    spec = tiny_spec(hyperparameters={"depth": 2, "width": 4}, divisor=4)
    model = save(folder / "model", unet(spec, seed=1), spec)
    scene = write_scene(
        folder / "scene.tif", np.where(slanted(SHAPE), texture(SHAPE, seed=6), np.uint8(0)), nodata=0
    )
    geounet.infer(scene, model=str(model), output=folder / "out", device="cpu", block=1000, threads=1)
    found = hashes(folder / "out")
    assert set(found) == {"landuse.tif", "landuse.geojson", "road.tif", "road.geojson"}
    return Case(folder=folder, scene=scene, model=model, undisturbed=found)


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[StartCluster]:
    """Starts a scheduler and workers; all are gone afterwards, whatever happened to them."""
    started: list[Cluster] = []

    def start(*, workers: int = 1, worker: tuple[str, ...] = (), **more: Any) -> Cluster:
        folder = tmp_path / "cluster"
        folder.mkdir()
        made = Cluster(folder, **more)
        started.append(made)
        made.trouble(seconds=0.2)
        made.start_scheduler()
        for _ in range(workers):
            made.start_worker(*worker)
        return made

    yield start
    for made in started:
        made.close()
