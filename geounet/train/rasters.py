"""A labelled scene as rasters that a run and an evaluation can open: parts joined, labels with class names."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from geounet.grid.window import Window
from geounet.io.gdal import open_own
from geounet.io.whole import checksum, created, verify_mask
from geounet.model.spec import NODATA, rgb
from geounet.train.open_source import EMPTY, strips
from geounet.train.scenes import TrainScene

_LAYOUT = {
    "driver": "GTiff",
    "tiled": True,
    "blockxsize": 512,
    "blockysize": 512,
    "compress": "deflate",
    "zlevel": 1,
}


def write_image(path: Path, scene: TrainScene, names: Sequence[str]) -> Path:
    """The scene's pixels as one raster, placed where the scene lies if it says so; a mask says where data is.

    Raises OSError (ENOSPC) where the disk did not take it.
    """
    height, width, bands = scene.image.shape
    box = scene.geobox
    place = {} if box is None else {"crs": box.crs, "transform": box.affine}
    profile = {**_LAYOUT, **place, "count": bands, "dtype": str(scene.image.dtype), "predictor": 2}
    masks = []
    with _created(path, height=height, width=width, bigtiff="if_safer", **profile) as file:
        for number, name in enumerate(names, 1):
            file.set_band_description(number, name)
        for window in strips(scene.shape):
            at, where = window.slices(), _raster_window(window)
            file.write(np.ascontiguousarray(scene.image[at].transpose(2, 0, 1)), window=where)
            shown = scene.labels[at] != EMPTY
            file.write_mask(shown, window=where)
            masks.append((where, checksum(shown)))
    verify_mask(path, masks)
    return path


def write_truth(path: Path, scene: TrainScene, classes: Mapping[str, str], *, like: Path) -> int:
    """The scene's labels as a raster of classes, on the grid of the raster ``like``; how many pixels have one.

    ``classes``: colour of every class by its name, in the order of their values. Unknown is nodata.
    """
    known = 0
    height, width = scene.shape
    profile = {**_LAYOUT, "count": 1, "dtype": "uint8", "nodata": NODATA, **_place(like)}
    with _created(path, height=height, width=width, **profile) as file:
        file.write_colormap(1, {value: (*rgb(color), 255) for value, color in enumerate(classes.values())})
        file.update_tags(
            **{f"CLASS_{value}": f"{name} {color}" for value, (name, color) in enumerate(classes.items())}
        )
        for window in strips(scene.shape):
            labels = np.array(scene.labels[window.slices()])
            labels[labels == EMPTY] = NODATA
            file.write(labels, 1, window=_raster_window(window))
            known += int((labels != NODATA).sum())
    return known


def _raster_window(window: Window) -> tuple[tuple[int, int], tuple[int, int]]:
    """Rows and columns, as rasterio takes them."""
    return (window.row_off, window.bottom), (window.col_off, window.right)


def _place(path: Path) -> dict[str, Any]:
    """Where a raster lies."""
    with _quiet(), open_own(path) as file:
        return {"crs": file.crs, "transform": file.transform}


@contextmanager
def _created(path: Path, **profile: Any) -> Iterator[Any]:
    """A raster to write. Raises OSError (ENOSPC) where the disk did not take it."""
    with _quiet(), created(path, **profile) as file:
        yield file


@contextmanager
def _quiet() -> Iterator[None]:
    from rasterio.errors import NotGeoreferencedWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        yield
