"""A scene of many blocks, a model for it, and the files that an undisturbed run leaves."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path[:0] = [str(Path(__file__).resolve().parents[1]), str(Path(__file__).resolve().parent)]
from packages import hashes, save, slanted, texture, tiny_spec, unet, write_scene  # noqa: E402
from processes import Case  # noqa: E402

SHAPE = (300, 260)


@pytest.fixture(scope="session")
def case(tmp_path_factory: pytest.TempPathFactory) -> Case:
    import geounet

    folder = tmp_path_factory.mktemp("case")
    spec = tiny_spec(hyperparameters={"depth": 2, "width": 4}, divisor=4)
    model = save(folder / "model", unet(spec, seed=1), spec)
    pixels = np.where(slanted(SHAPE), texture(SHAPE, seed=6), np.uint8(0))
    scene = write_scene(folder / "scene.tif", pixels, nodata=0)
    geounet.infer(scene, model=str(model), output=folder / "out", device="cpu", block=1000, threads=1)
    found = hashes(folder / "out")
    assert set(found) == {"landuse.tif", "landuse.geojson", "road.tif", "road.geojson"}
    return Case(scene=scene, model=model, undisturbed=found)
