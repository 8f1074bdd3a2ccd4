"""A labelled scene as rasters that a run and an evaluation can open: parts joined, labels with class names."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from geounet.model.spec import NODATA
from geounet.train.scenes import EMPTY, STRIP, TrainScene, rgb

_LAYOUT = {
    "driver": "GTiff",
    "tiled": True,
    "blockxsize": 512,
    "blockysize": 512,
    "compress": "deflate",
    "zlevel": 1,
}


def write_image(path: Path, scene: TrainScene, names: Sequence[str]) -> Path:
    """The scene's pixels as one raster without georeference; where it has no data a mask says so."""
    height, width, bands = scene.image.shape
    profile = {**_LAYOUT, "count": bands, "dtype": str(scene.image.dtype), "predictor": 2, "bigtiff": "if_safer"}
    with _created(path, height=height, width=width, **profile) as file:
        for number, name in enumerate(names, 1):
            file.set_band_description(number, name)
        masked = bool((scene.labels == EMPTY).any())
        for top in range(0, height, STRIP):
            rows = slice(top, min(height, top + STRIP))
            window = ((rows.start, rows.stop), (0, width))
            file.write(np.ascontiguousarray(scene.image[rows].transpose(2, 0, 1)), window=window)
            if masked:
                file.write_mask(scene.labels[rows] != EMPTY, window=window)
    return path


def write_truth(path: Path, scene: TrainScene, classes: Mapping[str, str], *, like: Path | None = None) -> Path:
    """The scene's labels as a raster of classes, on the grid of the raster ``like``.

    ``classes``: colour of every class by its name, in the order of their values. Unknown is nodata.
    """
    height, width = scene.labels.shape
    profile = {**_LAYOUT, "count": 1, "dtype": "uint8", "nodata": NODATA, **({} if like is None else _place(like))}
    with _created(path, height=height, width=width, **profile) as file:
        file.write_colormap(1, {value: (*rgb(color), 255) for value, color in enumerate(classes.values())})
        file.update_tags(
            **{f"CLASS_{value}": f"{name} {color}" for value, (name, color) in enumerate(classes.items())}
        )
        for top in range(0, height, STRIP):
            labels = np.array(scene.labels[top : top + STRIP])
            labels[labels == EMPTY] = NODATA
            file.write(labels, 1, window=((top, top + len(labels)), (0, width)))
    return path


def _place(path: Path) -> dict[str, Any]:
    """Where a raster lies."""
    with _quiet_open(path) as file:
        return {"crs": file.crs, "transform": file.transform}


def _created(path: Path, **profile: Any) -> Any:
    return _quiet_open(path, "w", **profile)


def _quiet_open(path: Path, mode: str = "r", **profile: Any) -> Any:
    import rasterio
    from rasterio.errors import NotGeoreferencedWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        return rasterio.open(path, mode, **profile)
