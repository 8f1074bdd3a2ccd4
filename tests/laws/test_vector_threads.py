"""Law of the vector files: nothing shows how many threads made them, nor where their chunks end."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any
from unittest import mock

import geopandas
import numpy as np
import pytest
import rasterio
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from geounet.errors import ConfigError
from geounet.io import spool
from geounet.run.vectorize import vectorize
from tests.run.test_regularize import village

FORMATS = ("geojson", "geojsons", "fgb")
rasters = arrays(
    np.uint8, st.tuples(st.integers(1, 24), st.integers(1, 24)), elements=st.sampled_from([0, 1, 2, 255])
)


def written(labels: Path, folder: Path, *, chunk: int, **options: object) -> list[bytes]:
    """What is in files of several formats, for which features are made in order, after the sweep.

    FlatGeobuf alone takes them during the sweep, and is the same.
    """
    given: Any = {**options, "overwrite": True}
    (folder / "alone").mkdir(exist_ok=True)
    with mock.patch.object(spool, "_CHUNK_CORNERS", chunk):
        result = vectorize(labels, output=folder / "a.geojson", formats=FORMATS, **given)
        alone = vectorize(labels, output=folder / "alone" / "a.fgb", formats=("fgb",), **given)
    found = [path.read_bytes() for path in result.paths]
    assert alone.paths[0].read_bytes() == found[-1]
    assert (alone.feature_count, alone.area_by_class) == (result.feature_count, result.area_by_class)
    return found


@settings(max_examples=25, deadline=None)
@given(
    pixels=rasters,
    threads=st.integers(2, 5),
    rows=st.integers(1, 9),
    chunk=st.sampled_from([1, 30, 100_000]),
    simplify=st.sampled_from([0.0, 15.0]),
)
def test_files_do_not_know_the_threads(
    pixels: np.ndarray, threads: int, rows: int, chunk: int, simplify: float
) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        profile = {"driver": "GTiff", "count": 1, "dtype": "uint8", "nodata": 255, "crs": "EPSG:32633"}
        height, width = pixels.shape
        place = rasterio.Affine(10, 0, 500000, 0, -10, 5500000)
        with rasterio.open(folder / "l.tif", "w", height=height, width=width, transform=place, **profile) as file:
            file.write(pixels, 1)
        one = written(folder / "l.tif", folder, chunk=100_000, threads=1, simplify=simplify)
        many = written(folder / "l.tif", folder, chunk=chunk, threads=threads, block_rows=rows, simplify=simplify)
    assert one == many


def area(path: Path) -> Path:
    """Of the village."""
    shape = shapely.Point(500060, 5499950).buffer(45) - shapely.box(500050, 5499900, 500055, 5499960)
    geopandas.GeoDataFrame(geometry=[shape], crs="EPSG:32633").to_file(path)
    return path


def test_nothing_does_during_the_sweep(tmp_path: Path) -> None:
    """Small areas absorbed, statistics, centre-lines, and an area that cuts them all, but no outline drawn anew."""
    labels, found = village(tmp_path / "l.tif"), []
    sizes = {"min_area": 3.0, "min_hole": 2.0, "lines": 1, "aoi": area(tmp_path / "aoi.gpkg"), "stats": labels}
    for threads, chunk, rows in ((1, 100_000, None), (2, 1, 7), (4, 30, 16)):
        found.append(written(labels, tmp_path, chunk=chunk, threads=threads, block_rows=rows, **sizes))
    assert found[0] == found[1] == found[2]


def test_nothing_does_when_all_is_asked_for(tmp_path: Path) -> None:
    """Squares, smoothing, centre-lines, and an area that cuts them all."""
    labels, found = village(tmp_path / "l.tif"), []
    area(tmp_path / "aoi.gpkg")
    everything = {"regularize": "house,2", "lines": 1, "smooth": True, "simplify": 1.0, "min_area": 3.0}
    for threads, chunk in ((1, 100_000), (4, 1), (4, 100)):
        rows = None if threads == 1 else 16
        written(
            labels, tmp_path, chunk=chunk, threads=threads, block_rows=rows, aoi=tmp_path / "aoi.gpkg", **everything
        )
        files = sorted(path for path in tmp_path.glob("a*.*") if path.suffix not in (".gpkg", ".tif"))
        found.append({path.name: path.read_bytes() for path in files})
    assert len(found[0]) == 4 * len(FORMATS) + 4
    assert found[0] == found[1] == found[2]


CUT_BY_MANY = """
import threading
from concurrent.futures import ThreadPoolExecutor
import numpy as np, shapely
from geounet.run.layers import cut_shapes
turn = np.linspace(0, 2 * np.pi, 20000, endpoint=False)
ring = (50 + np.sin(400 * turn))[:, None] * np.stack([np.cos(turn), np.sin(turn)], axis=1)
xy = np.random.default_rng(0).uniform(-60, 60, (400, 2))
boxes = shapely.box(*xy.T, *(xy + 1).T)
for _ in range(5):
    area, start = shapely.Polygon(ring), threading.Barrier(8)
    shapely.prepare(area)
    def parts(_):
        start.wait()
        return cut_shapes(boxes.copy(), area).part_counts.tolist()
    with ThreadPoolExecutor(8) as pool:
        first, *others = pool.map(parts, range(8))
    assert all(other == first for other in others)
"""


def test_threads_share_an_area_of_interest() -> None:
    """GEOS completes a prepared geometry while it is used; two threads that do so at once crash the process."""
    assert subprocess.run([sys.executable, "-c", CUT_BY_MANY], check=False).returncode == 0


def test_no_thread_is_too_few(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--threads 0"):
        vectorize(tmp_path / "l.tif", threads=0)
