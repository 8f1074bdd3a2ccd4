"""A mask cut anew from its probabilities: at another threshold, or at two with hysteresis.

What is left is a label raster and a confidence raster, as a run leaves them, so that everything after goes on
as ever. Probabilities are those that labels and confidences hold together, in steps of 1/250, or those of a raster:
values from 0 to 1, or numbers that become such by the band's scale and offset. Two passes, rows at a time.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rasterio.windows import Window as RasterioWindow

from geounet.errors import ConfigError, SceneError
from geounet.grid.geobox import GeoBox
from geounet.grid.window import Window
from geounet.io import access
from geounet.io.aoi import AreaMask
from geounet.io.class_names import names_of
from geounet.io.confidence import check_scale, read_confidence
from geounet.io.gdal import open_own
from geounet.io.layers import lies_on
from geounet.io.levels import gdal
from geounet.io.nodata import either
from geounet.io.raster import Raster
from geounet.io.whole import CheckedRows
from geounet.model.canvas import CONFIDENCE_SCALE, THRESHOLD_SLACK
from geounet.model.spec import NODATA

_ROWS = 512
_SCALE_SLACK = 1e-3
"""By how much a scale that was rounded may carry a probability over 0 or 1."""
_STRIP = 16


@dataclass(frozen=True)
class Threshold:
    """Pixels of at least ``strong`` are marks, and those of at least ``weak`` that hang together with one."""

    strong: float
    weak: float

    @classmethod
    def parse(cls, text: str | float) -> Threshold:
        """From ``0.6``, or ``0.5:0.3``. ConfigError for anything else."""
        try:
            numbers = [float(part) for part in str(text).split(":")]
        except ValueError:
            numbers = []
        strong, weak = (numbers * 2)[:2] if len(numbers) in (1, 2) else (0.0, 0.0)
        if not 0 < weak <= strong < 1:
            raise ConfigError(
                f"--threshold {text}: expected a probability between 0 and 1, such as 0.6, or a strong one and a "
                "weaker, such as 0.5:0.3"
            )
        return cls(strong, weak)

    def __str__(self) -> str:
        return f"{self.strong:g}" if self.strong == self.weak else f"{self.strong:g}:{self.weak:g}"


class Probabilities:
    """Open rasters that say how probable a mark is: floats, numbers with a scale, or a mask and its confidence."""

    def __init__(self, labels: str | Path, confidence: str | Path | None, *, own: float | None = None) -> None:
        """``own``: the threshold at which ``labels`` were cut, where that is known.

        Raises SceneError where the files do not hold probabilities.
        """
        self._own = own
        self._stack = ExitStack()
        self._confidence: Raster | None = None
        try:
            self._raster = self._open(labels)
            self._scale, self._offset = self._scaling()
            if confidence is None and (self._scale, self._offset) != (1.0, 0.0):
                self._refuse_confidence(labels)
            elif self._raster.dtype.kind != "f":
                self._confidence = self._with_confidence(labels, confidence)
        except BaseException:
            self.close()
            raise

    def _open(self, path: str | Path) -> Raster:
        raster = Raster(access.resolve(path), bands=[0])
        self._stack.callback(raster.close)
        return raster

    def _scaling(self) -> tuple[float, float]:
        """By which probabilities are ``value * scale + offset``: https://gdal.org/user/raster_data_model.html"""
        band = self._raster.indexes[0] - 1
        return float(self._raster.dataset.scales[band]), float(self._raster.dataset.offsets[band])

    def _refuse_confidence(self, path: str | Path) -> None:
        """SceneError for a run's confidences, which have a scale too: of no, where the label is no."""
        described = self._raster.descriptions[0] or ""
        if "GEOUNET_MODEL" in self._raster.dataset.tags() and described.endswith(" confidence"):
            raise SceneError(
                f"--threshold: {path} says how sure the labels are, not how probable a mark is; give the mask, and "
                f"--confidence {path}"
            )

    def _with_confidence(self, labels: str | Path, path: str | Path | None) -> Raster:
        if path is None:
            full = np.iinfo(self._raster.dtype).max
            raise SceneError(
                f"--threshold: {labels} has {self._raster.dtype} pixels and no scale: labels, not probabilities; "
                f"beside a mask give --confidence FILE.tif; if {full} stands for a probability of 1, say so with: "
                f"gdal_translate -a_scale {1 / full:.9g} {labels} scaled.tif"
            )
        found = self._open(path)
        bytes_both = self._raster.dtype == found.dtype == np.uint8
        if not bytes_both or not lies_on(found.geobox, self._raster.geobox):
            raise SceneError(
                f"--threshold: {labels} and {path} are not a mask and its confidence, uint8 on one grid"
            )
        check_scale(found)
        return found

    @property
    def geobox(self) -> GeoBox:
        """The grid."""
        return self._raster.geobox

    def class_names(self) -> dict[int, str]:
        """What the file calls its values; of probabilities nothing."""
        return {} if self._confidence is None else names_of(self._raster)

    def rows(self) -> Iterator[tuple[int, NDArray[np.float32], NDArray[np.bool_]]]:
        """First row, probabilities ``(h, width)`` and where there are any, from the top to the bottom."""
        for top in range(0, self.geobox.height, _ROWS):
            window = Window(top, 0, min(_ROWS, self.geobox.height - top), self.geobox.width)
            piece = self._raster.read(window)
            nothing = either(piece.bad, piece.blank)
            valid = np.ones(window.shape, bool) if nothing is None else ~nothing
            if self._confidence is None:
                yield top, *self._floats(piece.data[0], valid)
            else:
                yield top, *self._bytes(piece.data[0], valid, read_confidence(self._confidence, window))

    def _floats(
        self, data: NDArray[Any], valid: NDArray[np.bool_]
    ) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        told, slack = "", 0.0
        if (self._scale, self._offset) != (1.0, 0.0):
            data = data * self._scale + self._offset
            told, slack = f", with its scale of {self._scale:g} and its offset of {self._offset:g}", _SCALE_SLACK
        p = np.where(valid, data, 0).astype(np.float32)
        if p.size and not (p.min() >= -slack and p.max() <= 1 + slack):
            raise SceneError(
                f"--threshold: {self._raster.source.label} holds values from {p.min():g} to {p.max():g}{told}; "
                "expected probabilities from 0 to 1"
            )
        return np.clip(p, 0, 1), valid

    def _bytes(
        self, labels: NDArray[Any], valid: NDArray[np.bool_], sure: NDArray[Any]
    ) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        if (labels[valid] > 1).any():
            raise SceneError(f"--threshold: {self._raster.source.label} is no mask; expected 0 and 1 only")
        valid = valid & (sure <= CONFIDENCE_SCALE)
        byte = np.where(labels == 1, sure, CONFIDENCE_SCALE - sure.astype(np.int16))
        p = np.where(valid, byte, 0).astype(np.float32) / np.float32(CONFIDENCE_SCALE)
        if self._own is not None:
            # bytes are rounded, labels are not: at the threshold itself the label knows better
            at, below = np.float32(self._own), np.float32(self._own - 3 * THRESHOLD_SLACK)
            p = np.where(labels == 1, np.maximum(p, at), np.minimum(p, below))
        return p, valid

    def close(self) -> None:
        """Close the files."""
        self._stack.close()

    def __enter__(self) -> Probabilities:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def write_cut(source: Probabilities, threshold: Threshold, *, labels: Path, confidence: Path) -> None:
    """Write the mask (uint8: 0, 1, nodata 255) and its confidence (uint8: 0..250, nodata 255) on the source's grid.

    Confidences are the probability of yes where the mask says yes, and of no where it says no.
    Raises SceneError where the source is damaged, WorkError or OSError where the files cannot be written.
    """
    choose = _chooser(source, threshold)
    with ExitStack() as stack:
        stack.enter_context(gdal())
        files = [_create(path, source.geobox, stack) for path in (labels, confidence)]
        for top, p, valid in source.rows():
            chosen = choose(p, valid)
            sure = np.rint(np.where(chosen, p, 1 - p) * np.float32(CONFIDENCE_SCALE)).astype(np.uint8)
            for file, band in zip(files, (chosen.astype(np.uint8), sure), strict=True):
                file.write(top, np.where(valid, band, np.uint8(NODATA))[None])
    for path, file in zip((labels, confidence), files, strict=True):
        file.verify(path)


def _chooser(source: Probabilities, threshold: Threshold) -> Any:
    """A function from rows of probabilities, in order, to where the marks are."""
    strong, weak = (np.float32(t - THRESHOLD_SLACK) for t in (threshold.strong, threshold.weak))
    if threshold.strong == threshold.weak:
        return lambda p, valid: (p >= strong) & valid
    from geounet.vector.hysteresis import Hysteresis

    patches = Hysteresis(source.geobox.width)

    def marks(p: NDArray[np.float32], valid: NDArray[np.bool_]) -> NDArray[np.uint8]:
        return ((p >= weak) & valid).view(np.uint8) + ((p >= strong) & valid).view(np.uint8)

    for _, p, valid in source.rows():
        patches.feed(marks(p, valid))
    patches.decide()
    return lambda p, valid: patches.choose(marks(p, valid))


def count_values(
    parts: Iterable[tuple[Window, Path]], values: int, *, band: int = 1, shown: AreaMask | None = None
) -> list[int]:
    """Pixels of each value from 0 to ``values - 1`` in a band of parts, where they are ``shown``."""
    counts = np.zeros(256, np.int64)
    for place, path in parts:
        for window, pixels in _pixels(path, place, band):
            counts += np.bincount((pixels if shown is None else pixels[shown(window)]).ravel(), minlength=256)
    return [int(n) for n in counts[:values]]


def _pixels(path: Path, place: Window, band: int) -> Iterator[tuple[Window, NDArray[np.uint8]]]:
    """The pixels of a file, rows at a time, and where they lie on the grid on which the file has its ``place``."""
    with open_own(path) as file:
        for top in range(0, file.height, _ROWS):
            height = min(_ROWS, file.height - top)
            rows = file.read(band, window=RasterioWindow(0, top, file.width, height))
            yield Window(place.row_off + top, place.col_off, height, file.width), rows


def _create(path: Path, box: GeoBox, stack: ExitStack) -> CheckedRows:
    import warnings

    import rasterio
    from rasterio.errors import NotGeoreferencedWarning

    place = {} if box.crs is None else {"crs": box.crs, "transform": box.affine}
    stack.enter_context(warnings.catch_warnings())
    warnings.simplefilter("ignore", NotGeoreferencedWarning)
    file = rasterio.open(
        path, "w", driver="GTiff", width=box.width, height=box.height, count=1, dtype="uint8", nodata=NODATA,
        blockysize=_STRIP, compress="deflate", zlevel=1, bigtiff="if_safer", **place,
    )  # fmt: skip
    return CheckedRows(stack.enter_context(file))
