"""Files and servers that the tests of io/ read."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from affine import Affine

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from range_server import RangeServer, serving

UTM = {"crs": "EPSG:32633", "transform": Affine(10, 0, 5e5, 0, -10, 5e6)}
WriteTif = Callable[..., Path]


def _write(folder: Path, name: str, data: np.ndarray, **profile: Any) -> Path:
    """``data`` ``(bands, h, w)`` as a GTiff in UTM 33N at 10 m, with descriptions, colorinterp and mask."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    after = {k: profile.pop(k) for k in ("descriptions", "colorinterp", "mask") if k in profile}
    count, height, width = data.shape
    shape = {"width": width, "height": height, "count": count, "dtype": data.dtype}
    with rasterio.open(path, "w", **({"driver": "GTiff", **UTM, **shape} | profile)) as out:
        if "descriptions" in after:
            out.descriptions = after["descriptions"]
        if "colorinterp" in after:
            out.colorinterp = after["colorinterp"]
        out.write(data)
        if "mask" in after:
            out.write_mask(after["mask"])
    return path


@pytest.fixture
def write_tif(tmp_path: Path) -> WriteTif:
    """Writes a GTiff into the test's folder: ``write_tif(name, data, **profile)``."""
    return partial(_write, tmp_path)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(7)


@pytest.fixture
def range_server(tmp_path: Path) -> Iterator[RangeServer]:
    """Serves the test's folder."""
    state = RangeServer(tmp_path)
    with serving(state):
        yield state
