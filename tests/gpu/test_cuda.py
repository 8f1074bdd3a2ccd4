"""The engine on a CUDA device, held to the engine on the CPU."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio
import torch
from packages import save, slanted_scene, tiny_spec, unet

import geounet

pytestmark = pytest.mark.gpu

SHAPE = (900, 1100)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    spec = tiny_spec(hyperparameters={"depth": 3, "width": 16}, divisor=8)
    return save(tmp_path_factory.mktemp("models") / "unet", unet(spec, seed=1), spec)


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return slanted_scene(tmp_path_factory.mktemp("scenes"), SHAPE)


def labels(scene: Path, model: Path, output: Path, **options: object) -> np.ndarray:
    """Labels of every head, of a whole run."""
    geounet.infer(scene, model=str(model), output=output, tile=256, overlap=64, **options)  # type: ignore[arg-type]
    return np.stack([rasterio.open(output / f"{head}.tif").read(1) for head in ("landuse", "road")])


@pytest.mark.parametrize(("precision", "equal"), [("fp32", 0.99999), ("fp16", 0.999), ("bf16", 0.99)])
def test_labels_are_those_of_the_cpu(
    scene: Path, model: Path, tmp_path: Path, precision: str, equal: float
) -> None:
    on_cpu = labels(scene, model, tmp_path / "cpu", device="cpu")
    on_cuda = labels(scene, model, tmp_path / "cuda", device="cuda", precision=precision)
    assert (on_cpu == on_cuda).mean() >= equal


def test_the_same_bytes_again_and_with_other_blocks(scene: Path, model: Path, tmp_path: Path) -> None:
    labels(scene, model, tmp_path / "one", device="cuda")
    labels(scene, model, tmp_path / "two", device="cuda", block=256)
    for name in ("landuse.tif", "road.tif", "landuse.geojson", "road.geojson"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes(), name


def test_memory_that_runs_out_halves_the_batch(scene: Path, model: Path, tmp_path: Path) -> None:
    whole = labels(scene, model, tmp_path / "whole", device="cuda", precision="fp32")
    torch.cuda.set_per_process_memory_fraction(0.02)
    try:
        small = labels(scene, model, tmp_path / "small", device="cuda", precision="fp32", batch=4096)
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    assert (whole == small).mean() >= 0.99999
