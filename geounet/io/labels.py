"""Label rasters in: rows, and the confidence beside them."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geounet.errors import SceneError
from geounet.grid.geobox import GeoBox
from geounet.grid.window import Window
from geounet.io import access
from geounet.io.checks import check_edges, check_georeference
from geounet.io.class_names import colours_of, names_of
from geounet.io.confidence import check_scale, read_confidence
from geounet.io.gdal import CACHE_BYTES
from geounet.io.ground import Ground
from geounet.io.layers import lies_on
from geounet.io.nodata import either
from geounet.io.raster import Raster
from geounet.model.spec import Head
from geounet.vector.runs import OUTSIDE

_STRIP_PIXELS = 2**21
_MOST_STRIP_PIXELS = 2**23
_LEAST_CACHE = 2**24
_BAND = 512
"""Rows."""


@dataclass(frozen=True, kw_only=True)
class Rows:
    """Rows of labels, as the sweep takes them."""

    labels: NDArray[Any]
    """``(h, width)`` uint8 as in the file (with a look-up table), else int32 labels."""
    outside: NDArray[np.bool_] | None
    """``(h, width)`` True where there is nothing to vectorise; None: nowhere."""
    confidence: NDArray[np.uint8] | None
    """``(h, width)`` 0..250, 255 where unknown."""
    rim: NDArray[np.bool_] | None
    """``(h, width)`` True where there is no data; None: wherever nothing is vectorised."""


class LabelRaster:
    """An open categorical raster: what its values mean, and its rows from top to bottom."""

    def __init__(self, path: str | Path, *, head: Head | None = None, confidence: str | Path | None = None) -> None:
        """Raises SceneError for a raster that is not one of labels, or a confidence on another grid."""
        source = access.resolve(path)
        self._raster = Raster(source, bands=[0])
        self._confidence: Raster | None = None
        self._head = head
        try:
            self._check()
            if confidence is not None:
                self._confidence = self._open_confidence(confidence)
        except BaseException:
            self.close()
            raise

    def _check(self) -> None:
        label = self._raster.source.label
        if self._raster.dtype.kind not in "iu":
            raise SceneError(
                f"{label} has {self._raster.dtype} pixels; expected whole numbers (uint8 to int32), one per class: "
                "convert it (gdal_translate -ot Int32), or cut probabilities with --threshold"
            )
        if len(self._raster.image_bands) > 1:
            raise SceneError(
                f"{label} has {len(self._raster.image_bands)} bands; expected one band of class values: "
                "take one out (gdal_translate -b N)"
            )
        check_georeference(self._raster, resampling="near")
        check_edges(label, Ground(self.geobox))
        if self.geobox.width * self.geobox.height >= 2**62:
            raise SceneError(f"{label} has {self.geobox.width} x {self.geobox.height} pixels, which is too many")

    def _open_confidence(self, path: str | Path) -> Raster:
        raster = Raster(access.resolve(path), bands=[0])
        if raster.dtype != np.uint8 or raster.geobox.shape != self.geobox.shape:
            found = f"{raster.dtype}, {raster.geobox.width} x {raster.geobox.height}"
            raster.close()
            raise SceneError(
                f"confidence raster {path} is {found}; expected uint8, {self.geobox.width} x {self.geobox.height}"
            )
        if not lies_on(raster.geobox, self.geobox):
            raster.close()
            raise SceneError(
                f"confidence raster {path} lies elsewhere than {self._raster.source.label}; expected the same grid"
            )
        try:
            check_scale(raster)
        except BaseException:
            raster.close()
            raise
        return raster

    @property
    def geobox(self) -> GeoBox:
        """The raster's grid."""
        return self._raster.geobox

    @property
    def _has_background(self) -> bool:
        """Whether some class does not become polygons."""
        return self._head is not None and len(self._head.vector_values) < len(self._head.classes)

    @property
    def has_confidence(self) -> bool:
        """Whether rows carry confidences."""
        return self._confidence is not None

    @property
    def strip_rows(self) -> int:
        """Rows to read at once: whole compressed blocks, about two million pixels; fewer rows where the raster is
        so wide that one row of blocks is more than eight million: GDAL's cache holds what of them comes next."""
        block, width = self._raster.block_shape[0], self.geobox.width
        if block * width > _MOST_STRIP_PIXELS:
            return max(1, _MOST_STRIP_PIXELS // width)
        return max(1, round(_STRIP_PIXELS / width / block)) * block

    @property
    def cache_bytes(self) -> int:
        """What GDAL's cache is good for here: a row of blocks, of which `rows` takes a stretch at a time; all that
        there may be for a raster that is no larger than the cache."""
        if self.geobox.width * self.geobox.height <= CACHE_BYTES:
            return CACHE_BYTES
        row = 2 * self._raster.block_shape[0] * self.geobox.width * self._raster.dtype.itemsize
        return max(_LEAST_CACHE, row if self._confidence is None else 2 * row)

    def lut(self, *, whole: bool = False) -> NDArray[np.int32] | None:
        """int32[256] from pixel value to label for uint8 rasters; None for others.

        Values that do not become polygons are outside, unless the ``whole`` raster is asked for.
        """
        if self._raster.dtype != np.uint8:
            return None
        out = np.arange(256, dtype=np.int32)
        nodata = self._raster.nodata[0]
        if nodata is not None:
            out[int(nodata)] = OUTSIDE
        if self._head is not None:
            out[~np.isin(np.arange(256), self._wanted(whole=whole))] = OUTSIDE
        return out

    def _wanted(self, *, whole: bool) -> tuple[int, ...]:
        assert self._head is not None
        return tuple(c.value for c in self._head.classes) if whole else self._head.vector_values

    def rows(self, step: int, *, whole: bool = False, rim: bool = False, ahead: bool = True) -> Iterator[Rows]:
        """All rows, ``step`` at a time; the next ones are read ``ahead``, while the caller works on these.

        ``whole``: as in `lut`. With ``rim`` rows have one in any case. Raises SceneError where the file is damaged.
        """
        tops, how = range(0, self.geobox.height, step), (step, whole, rim or self._has_background)
        if not ahead:
            yield from (self._read(top, *how) for top in tops)
            return
        with ThreadPoolExecutor(1, thread_name_prefix="geounet-rows") as reader:
            following = reader.submit(self._read, tops[0], *how)
            for top in tops[1:]:
                rows = following.result()
                following = reader.submit(self._read, top, *how)
                yield rows
            yield following.result()

    def _read(self, top: int, step: int, whole: bool, with_rim: bool) -> Rows:
        window = Window(top, 0, min(step, self.geobox.height - top), self.geobox.width)
        piece = self._raster.read(window)
        labels, outside = piece.data[0], piece.bad
        rim = either(either(piece.bad, piece.blank), np.zeros(labels.shape, bool)) if with_rim else None
        if labels.dtype != np.uint8:
            outside = either(outside, piece.blank)
            if self._head is not None:
                outside = either(outside, ~np.isin(labels, self._wanted(whole=whole)))
            labels = self._as_labels(labels, outside)
        confidence = None
        if self._confidence is not None:
            confidence = read_confidence(self._confidence, window)
        return Rows(labels=labels, outside=outside, confidence=confidence, rim=rim)

    def at(self, rows: NDArray[np.int64], columns: NDArray[np.int64]) -> tuple[NDArray[Any], NDArray[np.uint8]]:
        """``(n,)`` pixel values and confidences at some pixels, read in bands of rows."""
        labels, confidence = np.zeros(rows.size, self._raster.dtype), np.full(rows.size, 255, np.uint8)
        band = rows // _BAND
        for number in np.unique(band).tolist():
            here = np.flatnonzero(band == number)
            top, left = int(rows[here].min()), int(columns[here].min())
            height, width = int(rows[here].max()) - top + 1, int(columns[here].max()) - left + 1
            window = Window(top, left, height, width)
            labels[here] = self._raster.read(window).data[0][rows[here] - top, columns[here] - left]
            if self._confidence is not None:
                sure = read_confidence(self._confidence, window)
                confidence[here] = sure[rows[here] - top, columns[here] - left]
        return labels, confidence

    def values(self, window: Window) -> NDArray[Any]:
        """``(h, w)`` pixel values, as the file has them."""
        return self._raster.read(window).data[0]

    def _as_labels(self, data: NDArray[Any], outside: NDArray[np.bool_] | None) -> NDArray[np.int32]:
        """Pixel values as int32; uint32 keep their bits (`value_of` turns them back)."""
        out = data.view(np.int32) if data.dtype == np.uint32 else data.astype(np.int32)
        clash = out == OUTSIDE
        if clash.any() and (outside is None or (clash & ~outside).any()):
            raise SceneError(
                f"{self._raster.source.label} holds the class value {self.value_of(out[clash][:1])[0]}, which "
                "geounet uses for itself; declare it as nodata, or give that class another value"
            )
        return out

    def value_of(self, labels: NDArray[np.int32]) -> NDArray[np.int64]:
        """Pixel values of labels."""
        values = labels.view(np.uint32) if self._raster.dtype == np.uint32 else labels
        return np.asarray(values, np.int64)

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of the pixels."""
        return self._raster.dtype

    @property
    def fill(self) -> int | None:
        """The nodata value, declared or, where a mask says what is valid, chosen; None: every pixel is valid."""
        nodata = self._raster.nodata[0]
        if nodata is not None:
            return int(nodata)
        if not (self._raster.has_mask or self._raster.has_alpha):
            return None
        limits = np.iinfo(self._raster.dtype)
        return int(limits.max if limits.min == 0 else limits.min)

    def pixels_of(
        self, labels: NDArray[Any], *, outside: NDArray[np.bool_] | None, rim: NDArray[np.bool_] | None
    ) -> NDArray[Any]:
        """Rows as pixels of the raster's own type: `fill` where there is nothing.

        ``labels`` as in `Rows`, or int32 after cleaning; ``rim`` as there: where that is not, what became of
        no class is the background of a mask, 0.
        """
        nothing = outside if rim is None else rim
        if labels.dtype == np.int32:
            gone = labels == OUTSIDE
            values = self.value_of(np.where(gone, 0, labels)).astype(self.dtype)
            nothing = either(gone if rim is None else gone & rim, nothing)
        else:
            values = labels.copy()
        if nothing is None or not nothing.any():
            return values
        if self.fill is None:
            raise SceneError(
                f"{self._raster.source.label} has pixels without data but no nodata value; declare one"
            )
        if self._raster.nodata[0] is None and (values[~nothing] == self.fill).any():
            raise SceneError(
                f"{self._raster.source.label} uses {self.fill}, which is needed for its pixels without data; "
                "declare a nodata value"
            )
        values[nothing] = self.fill
        return values

    def tags(self) -> dict[str, str]:
        """The file's own tags."""
        return {k: v for k, v in self._raster.dataset.tags().items() if k != "AREA_OR_POINT"}

    def colours(self) -> dict[int, tuple[int, int, int, int]]:
        """The colour table, empty where there is none."""
        try:
            found = self._raster.dataset.colormap(self._raster.indexes[0])
        except ValueError:
            return {}
        return dict(found)

    def class_names(self) -> dict[int, str]:
        """Names by pixel value: of the head, else of the file's ``CLASS_<value>`` tags or category names."""
        if self._head is not None:
            return {c.value: c.name for c in self._head.classes}
        return names_of(self._raster)

    def class_colours(self) -> dict[int, str]:
        """``#rrggbb`` by pixel value: of the ``CLASS_<value>`` tags, else of the colour table; empty without."""
        return colours_of(self._raster)

    def close(self) -> None:
        """Close the files."""
        self._raster.close()
        if self._confidence is not None:
            self._confidence.close()

    def __enter__(self) -> LabelRaster:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
