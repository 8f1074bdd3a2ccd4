"""A tiny labelled scene and the training file that learns it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import yaml

COLORS = [(60, 16, 152), (132, 41, 246), (226, 169, 41)]
PIXELS = [(190, 60, 60), (120, 120, 110), (20, 40, 160)]


def tiny_labels(size: int = 64) -> np.ndarray:
    """Three classes: a ground, a block and a disc."""
    row, col = np.mgrid[:size, :size]
    labels = np.ones((size, size), np.uint8)
    labels[size // 8 : size // 2, size // 8 : size // 2] = 0
    labels[(row - 0.7 * size) ** 2 + (col - 0.65 * size) ** 2 < (0.22 * size) ** 2] = 2
    return labels


def tiny_image(labels: np.ndarray, seed: int = 0) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(0, 6, (3, *labels.shape))
    return np.clip(np.array(PIXELS)[labels].transpose(2, 0, 1) + noise, 0, 255).astype(np.uint8)


def write_raster(path: Path, pixels: np.ndarray, **profile: Any) -> None:
    profile = {
        "transform": rasterio.Affine.scale(0.5, -0.5),
        "driver": "PNG" if path.suffix == ".png" else "GTiff",
        **profile,
    }
    with rasterio.open(
        path, "w", count=len(pixels), height=pixels.shape[1], width=pixels.shape[2], dtype=pixels.dtype, **profile
    ) as dataset:
        dataset.write(pixels)


@pytest.fixture
def tiny(tmp_path: Path) -> Callable[..., Path]:
    """Writes the scene and the training file; keyword arguments replace whole sections of it."""
    labels = tiny_labels()
    write_raster(tmp_path / "scene.tif", tiny_image(labels))
    write_raster(tmp_path / "labels.tif", labels[None])

    def write(**sections: Any) -> Path:
        config = {
            "name": "tiny",
            "bands": [{"name": name} for name in ("red", "green", "blue")],
            "classes": [
                {"name": "building", "color": "#ff0000"},
                {"name": "land", "color": "#00ff00"},
                {"name": "water", "color": "#0000ff"},
            ],
            "heads": [{"name": "landuse"}, {"name": "building", "marks": "building"}],
            "network": {"hyperparameters": {"depth": 1, "width": 8}, "divisor": 2},
            "data": {
                "scenes": [
                    {"name": "one", "group": "a", "image": "scene.tif", "labels": "labels.tif"},
                    {"name": "same", "group": "b", "image": "scene.tif", "labels": "labels.tif"},
                ],
                "validate_groups": ["b"],
                "allow_overlap": True,
                "crop": 32,
            },
            "optimiser": {"steps": 6, "batch": 2, "lr": 0.01, "ema": 0.9},
            "schedule": {"validate_every": 3, "save_every": 2, "tile": 32, "overlap": 8},
            **sections,
        }
        file = tmp_path / "train.yaml"
        file.write_text(yaml.safe_dump(config))
        return file

    return write


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """Networks this small only wait for each other's threads."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
