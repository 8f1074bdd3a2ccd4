"""Small rasters and vector files to score; the fakes of ``tests/packages.py`` are importable here."""

from __future__ import annotations

import json
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from rasterio.errors import NotGeoreferencedWarning
from rasterio.transform import Affine

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

UTM = Affine(0.5, 0.0, 300000.0, 0.0, -0.5, 2800000.0)
Write = Callable[..., Path]


@pytest.fixture
def write_labels(tmp_path: Path) -> Write:
    """Write a label raster; ``names``: class names by value, as geounet tags them."""

    def write(
        name: str,
        pixels: Any,
        *,
        names: dict[int, str] | None = None,
        crs: str | None = "EPSG:32640",
        **profile: Any,
    ) -> Path:
        pixels = np.asarray(pixels)
        options = {"transform": UTM, "nodata": 255 if pixels.dtype == np.uint8 else None, **profile}
        height, width = pixels.shape
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NotGeoreferencedWarning)
            with rasterio.open(
                tmp_path / name, "w", driver="GTiff", height=height, width=width, count=1,
                dtype=pixels.dtype, crs=crs, **options,
            ) as file:  # fmt: skip
                file.write(pixels, 1)
                file.update_tags(**{f"CLASS_{value}": f"{text} #aabbcc" for value, text in (names or {}).items()})
        return tmp_path / name

    return write


@pytest.fixture
def write_features(tmp_path: Path) -> Write:
    """Write shapes in metres of UTM zone 40 north as GeoJSON in degrees; ``properties``: of each."""

    def write(name: str, shapes: list[Any], properties: list[dict[str, Any]] | None = None) -> Path:
        import geopandas

        frame = geopandas.GeoDataFrame(properties or [{} for _ in shapes], geometry=shapes, crs="EPSG:32640")
        degrees = json.loads(frame.to_crs(4326).to_json())
        degrees.pop("crs", None)
        (tmp_path / name).write_text(json.dumps(degrees), encoding="utf-8")
        return tmp_path / name

    return write
