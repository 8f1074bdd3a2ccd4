"""Compiled kernels, made ready while the network works.

numba compiles a kernel when it is first called and keeps the result on disk. On a new machine that is up to a
minute of a core (61 s with every option, on a busy machine of two), later half a second to load; neither need
be waited for after the last tile.
"""

from __future__ import annotations

import tempfile
from contextlib import suppress
from pathlib import Path

import numpy as np


def warm_up_vectors(*, absorb: bool, draw: bool, lines: bool, square: bool = False) -> None:
    """Vectorize a few pixels: ``absorb`` small areas, ``draw`` outlines anew, with ``lines``, ``square``.

    What goes wrong is told when it does again.
    """
    import rasterio

    from geounet.io.gdal import gdal_env
    from geounet.run.vectorize import vectorize

    with suppress(Exception), tempfile.TemporaryDirectory(prefix="geounet-") as folder, gdal_env(remote=False):
        path = Path(folder) / "labels.tif"
        profile = {"driver": "GTiff", "width": 4, "height": 4, "count": 1, "dtype": "uint8", "nodata": 255}
        place = {"crs": "EPSG:32640", "transform": rasterio.Affine(1, 0, 333000, 0, -1, 2782000)}
        with rasterio.open(path, "w", **profile, **place) as file:
            file.write(np.array([[[0, 0, 0, 0], [0, 1, 1, 0], [0, 1, 0, 2], [0, 0, 2, 255]]], np.uint8))
        small, tolerance = 1.5 if absorb else 0.0, 1.0 if draw else 0.0
        squared = (1, 2) if square else None
        vectorize(path, confidence=path, min_area=small, simplify=tolerance, lines=lines, regularize=squared)
