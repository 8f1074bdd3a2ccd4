"""Two label rasters as aligned rows of class indices."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geounet.errors import RequestError
from geounet.grid.geobox import GeoBox, parse_crs
from geounet.grid.window import Window
from geounet.io import access
from geounet.io.checks import check_raster
from geounet.io.labels import LabelRaster
from geounet.io.raster import Raster
from geounet.score.boundary import UNKNOWN
from geounet.score.classes import MOST_CLASSES, Legend, Matching
from geounet.score.counts import Labels, Pair, both_known

_STRIP_PIXELS = 2**21
_SHIFT = 1e-3  # of a pixel: grids that differ by less are one grid, written with other digits
_CENTRE = 1e-6


class LabelFile:
    """An open raster of classes: its values, what they are called, its pixels on another grid."""

    def __init__(self, path: str | Path) -> None:
        """Raises SceneError for what is no raster of classes."""
        with LabelRaster(path) as labels:  # refuses floats and several bands
            self.names = labels.class_names()
        self.raster = Raster(access.resolve(path), bands=[0])
        try:
            check_raster(self.raster)
        except BaseException:
            self.raster.close()
            raise

    @property
    def geobox(self) -> GeoBox:
        """The file's grid."""
        return self.raster.geobox

    def legend(self) -> Legend:
        """The values that occur where there is data; reads the whole raster once, strip by strip."""
        found: set[int] = set()
        box = self.geobox
        for top in range(0, box.height, self.step):
            piece = self.raster.read(Window(top, 0, min(self.step, box.height - top), box.width))
            found.update(_values(piece.data[0][piece.valid]))
            if len(found) > MOST_CLASSES:
                raise RequestError(
                    f"{self.raster.source.label} has more than {MOST_CLASSES} different values; "
                    "expected a raster of classes"
                )
        if not found:
            raise RequestError(f"{self.raster.source.label} has no pixel with data; there is nothing to compare")
        return Legend(values=tuple(sorted(found)), names=self.names)

    @property
    def step(self) -> int:
        """Rows to read at once: whole compressed blocks, about two million pixels."""
        block = self.raster.block_shape[0]
        return max(1, round(_STRIP_PIXELS / self.geobox.width / block)) * block

    def colours(self) -> dict[int, str]:
        """``#rrggbb`` by value, of the file's colour table; empty without one."""
        try:
            table = self.raster.dataset.colormap(self.raster.indexes[0])
        except ValueError:
            return {}
        return {value: "#{:02x}{:02x}{:02x}".format(*rgba[:3]) for value, rgba in table.items()}

    def __enter__(self) -> LabelFile:
        return self

    def __exit__(self, *_: object) -> None:
        self.raster.close()

    def read(self, window: Window, index: Mapping[int, int]) -> Labels:
        """Class indices of ``window``; `UNKNOWN` without data."""
        piece = self.raster.read(window)
        out = _translate(piece.data[0], index)
        out[~piece.valid] = UNKNOWN
        return out


class ConfidenceFile:
    """An open raster of confidences, on the grid of the labels that they belong to."""

    def __init__(self, path: str | Path, *, like: LabelFile) -> None:
        """Raises SceneError where it cannot be read, RequestError where it does not belong to ``like``."""
        self.raster = Raster(access.resolve(path), bands=[0])
        box = self.raster.geobox
        if self.raster.dtype != np.uint8 or not one_grid(like.geobox, box):
            self.raster.close()
            raise RequestError(
                f"--confidence {path}: {self.raster.dtype}, {_grid(box)}; expected uint8 (0 to 250) on the grid of "
                f"the prediction, {_grid(like.geobox)}"
            )

    def __enter__(self) -> ConfidenceFile:
        return self

    def __exit__(self, *_: object) -> None:
        self.raster.close()

    def read(self, window: Window) -> Labels:
        """Bytes of ``window``; `UNKNOWN` without data."""
        piece = self.raster.read(window)
        return np.where(piece.valid, piece.data[0], np.uint8(UNKNOWN))


@dataclass(frozen=True, kw_only=True)
class RasterRows:
    """Truth and prediction on the truth's grid; see `geounet.score.counts.Rows`."""

    truth: LabelFile
    predicted: LabelFile
    matching: Matching
    nearest: tuple[NDArray[np.intp], NDArray[np.intp]] | None = None
    """Row of the prediction for every row of the truth, and column; -1 outside. None: one grid."""
    confidence: ConfidenceFile | None = None
    """Of the prediction."""

    @property
    def shape(self) -> tuple[int, int]:
        """``(height, width)`` of the truth."""
        return self.truth.geobox.shape

    def read(self, top: int, bottom: int) -> Pair:
        """Rows of both."""
        return self.window(Window(top, 0, bottom - top, self.shape[1]))

    def window(self, window: Window) -> Pair:
        """A window of both, in pixels of the truth."""
        if not window.area:
            return np.empty(window.shape, np.uint8), np.empty(window.shape, np.uint8)
        return both_known(self.truth.read(window, self.matching.truth), self._predicted(window))

    def sure(self, top: int, bottom: int) -> Labels:
        """Confidences of rows, in pixels of the truth; `UNKNOWN` where there are none."""
        window = Window(top, 0, bottom - top, self.shape[1])
        if self.confidence is None:
            return np.full(window.shape, UNKNOWN, np.uint8)
        return self._on_truth(window, self.confidence.read)

    def _predicted(self, window: Window) -> Labels:
        return self._on_truth(window, lambda source: self.predicted.read(source, self.matching.predicted))

    def _on_truth(self, window: Window, read: Callable[[Window], Labels]) -> Labels:
        """What ``read`` gives of the prediction's grid, for a window of the truth's; `UNKNOWN` outside."""
        if self.nearest is None:
            return read(window)
        rows, cols = (index[cut] for index, cut in zip(self.nearest, window.slices(), strict=True))
        out = np.full(window.shape, UNKNOWN, np.uint8)
        inside = np.ix_(rows >= 0, cols >= 0)
        rows, cols = rows[rows >= 0], cols[cols >= 0]
        if rows.size and cols.size:
            top, left = int(rows.min()), int(cols.min())
            source = Window(top, left, int(rows.max()) + 1 - top, int(cols.max()) + 1 - left)
            out[inside] = read(source)[np.ix_(rows - top, cols - left)]
        return out


def aligned(
    truth: GeoBox, predicted: GeoBox, *, resample: bool | None
) -> tuple[NDArray[np.intp], NDArray[np.intp]] | None:
    """None where both grids are one, else the prediction's row and column for each of the truth's (-1: outside).

    Raises RequestError for different grids without ``resample`` (None: nobody can ask for it there), and for those
    that no table of rows and columns can join: another CRS, turned, or elsewhere.
    """
    if not _same_crs(truth.crs, predicted.crs):
        raise RequestError(
            f"prediction and truth have different CRSs ({_crs(predicted)} and {_crs(truth)}); bring the prediction "
            "onto the truth's grid first: gdalwarp -r near -t_srs …"
        )
    across = ~predicted.affine @ truth.affine
    corners = np.array([across @ (x, y) for x in (0, truth.width) for y in (0, truth.height)])
    wanted = np.array([(x, y) for x in (0, truth.width) for y in (0, truth.height)])
    if truth.shape == predicted.shape and np.abs(corners - wanted).max() < _SHIFT:
        return None
    if not resample:
        remedy = "" if resample is None else "add --resample to take the prediction's nearest pixel, or "
        raise RequestError(
            f"prediction and truth lie on different grids ({_grid(predicted)}; {_grid(truth)}); "
            f"{remedy}align them first: gdalwarp -r near"
        )
    if max(abs(across.b) * truth.height, abs(across.d) * truth.width) > _SHIFT:
        raise RequestError("prediction and truth are turned against each other; align them first: gdalwarp -r near")
    rows = _nearest(truth.height, across.e, across.f, predicted.height)
    cols = _nearest(truth.width, across.a, across.c, predicted.width)
    if (rows < 0).all() or (cols < 0).all():
        raise RequestError("prediction and truth have no ground in common; check their coordinates")
    return rows, cols


def one_grid(first: GeoBox, second: GeoBox) -> bool:
    """Whether the pixels of two rasters lie at the same places."""
    try:
        return aligned(first, second, resample=False) is None
    except RequestError:
        return False


def _nearest(count: int, step: float, start: float, limit: int) -> NDArray[np.intp]:
    """The pixel in which each centre lies, -1 outside."""
    index = np.floor((np.arange(count) + 0.5) * step + start + _CENTRE)
    return np.where((index >= 0) & (index < limit), index, -1).astype(np.intp)


def _same_crs(first: str | None, second: str | None) -> bool:
    if first is None or second is None:
        return first == second
    return first == second or parse_crs(first).equals(parse_crs(second), ignore_axis_order=True)


def _crs(box: GeoBox) -> str:
    return "none" if box.crs is None else parse_crs(box.crs).name


def _grid(box: GeoBox) -> str:
    across, down = box.pixel_size
    x, y = box.transform[2], box.transform[5]
    return f"{box.width} x {box.height} px of {across:.6g} x {down:.6g} at {x:.8g}, {y:.8g}"


def _values(pixels: NDArray[Any]) -> list[int]:
    if pixels.dtype == np.uint8:
        return [int(v) for v in np.flatnonzero(np.bincount(pixels, minlength=256))]
    return [int(v) for v in np.unique(pixels)]


def _translate(pixels: NDArray[Any], index: Mapping[int, int]) -> Labels:
    """Class indices of pixel values; `UNKNOWN` for those without one."""
    known = np.array(sorted(index), np.int64)
    places = np.array([index[int(v)] for v in known], np.uint8)
    if pixels.dtype == np.uint8:
        table = np.full(256, UNKNOWN, np.uint8)
        table[known] = places
        return table[pixels]
    if not known.size:
        return np.full(pixels.shape, UNKNOWN, np.uint8)
    wide = pixels.astype(np.int64)
    at = np.searchsorted(known, wide).clip(0, known.size - 1)
    return np.where(known[at] == wide, places[at], np.uint8(UNKNOWN)).astype(np.uint8)
