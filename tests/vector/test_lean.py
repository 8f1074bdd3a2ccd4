"""Kernels come out of numba's cache alone; what only a compiler or another format needs is not loaded."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import rasterio

PROGRAM = """
import sys
from geounet.cli.main import run
code = run(["vectorize", sys.argv[1], "-o", sys.argv[2]])
heavy = {"numba.np.arrayobj", "numba.np.linalg", "numba.cpython.unicode", "geopandas", "scipy.linalg", "torch"}
print("loaded", sorted((heavy | ({"shapely"} if sys.argv[2].endswith("fgb") else set())) & set(sys.modules)))
sys.exit(code)
"""


def test_a_second_run_compiles_nothing_and_draws_the_same(tmp_path: Path) -> None:
    scene = tmp_path / "labels.tif"
    pixels = np.random.default_rng(3).integers(0, 3, (60, 70)).astype(np.uint8)
    place = rasterio.Affine(10, 0, 500000, 0, -10, 5500000)
    profile = {"driver": "GTiff", "height": 60, "width": 70, "count": 1, "dtype": "uint8", "crs": "EPSG:32633"}
    with rasterio.open(scene, "w", transform=place, **profile) as file:
        file.write(pixels, 1)
    for suffix in ("fgb", "geojson"):
        found = []
        for turn in ("first", "second"):
            out = tmp_path / turn / f"labels.{suffix}"
            out.parent.mkdir(exist_ok=True)
            call = [sys.executable, "-c", PROGRAM, str(scene), str(out)]
            done = subprocess.run(call, capture_output=True, text=True, check=True)
            found.append(out.read_bytes())
        assert done.stdout.splitlines()[-1] == "loaded []"
        assert found[0] == found[1]
