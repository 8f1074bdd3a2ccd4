"""A tiny model, a scene and its truth; the fakes of ``tests/packages.py`` are importable here."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import rasterio

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import packages

NAMES = ("land", "water", "vegetation")
COLOURS = ((200, 10, 10), (10, 10, 200), (10, 200, 10))


@pytest.fixture(scope="session")
def model(tmp_path_factory):
    spec = packages.tiny_spec(hyperparameters={"depth": 1, "width": 4}, divisor=2)
    return packages.save(tmp_path_factory.mktemp("model") / "tiny", packages.unet(spec), spec)


@pytest.fixture
def scene(tmp_path):
    return packages.write_scene(tmp_path / "scene.tif", packages.texture((150, 170)))


@pytest.fixture
def truth(tmp_path):
    """Classes in another order than the model's, with a road."""
    rng = np.random.default_rng(3)
    labels = np.kron(rng.integers(0, 3, (10, 12)), np.ones((16, 16)))[:150, :170].astype(np.uint8)
    labels[70:78] = 3
    labels[:9, :9] = 255
    path = tmp_path / "truth.tif"
    with rasterio.open(
        path, "w", driver="GTiff", count=1, height=150, width=170, dtype="uint8", nodata=255, crs="EPSG:32640",
        transform=packages.UTM,
    ) as file:  # fmt: skip
        file.write(labels, 1)
        file.update_tags(CLASS_0="water", CLASS_1="vegetation", CLASS_2="land", CLASS_3="road")
    return path
