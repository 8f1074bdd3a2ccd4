"""Law of the vector files: nothing shows how many threads made them, nor where their chunks end."""

from __future__ import annotations

import tempfile
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
import rasterio
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from geounet.errors import ConfigError
from geounet.io import spool
from geounet.run.vectorize import vectorize

FORMATS = ("geojson", "geojsons", "fgb")
rasters = arrays(
    np.uint8, st.tuples(st.integers(1, 24), st.integers(1, 24)), elements=st.sampled_from([0, 1, 2, 255])
)


def written(labels: Path, folder: Path, *, chunk: int, **options: object) -> list[bytes]:
    with mock.patch.object(spool, "_CHUNK_CORNERS", chunk):
        result = vectorize(labels, output=folder / "a.geojson", formats=FORMATS, overwrite=True, **options)  # type: ignore[arg-type]
    return [path.read_bytes() for path in result.paths]


@settings(max_examples=25, deadline=None)
@given(
    pixels=rasters,
    threads=st.integers(2, 5),
    chunk=st.sampled_from([1, 30, 100_000]),
    simplify=st.sampled_from([0.0, 15.0]),
)
def test_files_do_not_know_the_threads(pixels: np.ndarray, threads: int, chunk: int, simplify: float) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        profile = {"driver": "GTiff", "count": 1, "dtype": "uint8", "nodata": 255, "crs": "EPSG:32633"}
        height, width = pixels.shape
        place = rasterio.Affine(10, 0, 500000, 0, -10, 5500000)
        with rasterio.open(folder / "l.tif", "w", height=height, width=width, transform=place, **profile) as file:
            file.write(pixels, 1)
        one = written(folder / "l.tif", folder, chunk=100_000, threads=1, simplify=simplify)
        many = written(folder / "l.tif", folder, chunk=chunk, threads=threads, simplify=simplify)
    assert one == many


def test_no_thread_is_too_few(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--threads 0"):
        vectorize(tmp_path / "l.tif", threads=0)
