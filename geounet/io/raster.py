"""One opened raster file: its bands, its rule for nodata, and its pixels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from rasterio.enums import ColorInterp, MaskFlags, WktVersion
from rasterio.windows import Window as RasterioWindow

from geounet.errors import SceneError
from geounet.grid.geobox import IDENTITY, GeoBox, parse_crs
from geounet.grid.window import Window
from geounet.io import nodata as rule
from geounet.io.access import Source
from geounet.io.gdal import GDAL_ERRORS, gdal_env, open_dataset, reason

DTYPES = ("uint8", "int8", "uint16", "int16", "uint32", "int32", "float32", "float64")
"""Pixel types that a scene may have."""


@dataclass(frozen=True, kw_only=True)
class Piece:
    """Pixels of one window, with both reasons for which they may not be valid (see ``nodata``)."""

    data: NDArray[Any]
    """``(bands, height, width)``."""
    blank: rule.BoolArray | None
    """``(height, width)``; None: no band of the piece is ever blank, so neither is the scene."""
    bad: rule.BoolArray | None
    """``(height, width)``; None: nowhere."""

    @property
    def valid(self) -> rule.BoolArray:
        """``(height, width)``, True where the piece alone would be valid."""
        invalid = rule.either(self.blank, self.bad)
        return np.ones(self.data.shape[1:], bool) if invalid is None else ~invalid


class Layer(Protocol):
    """Bands on the scene's native grid, wherever they come from."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of the pixels that ``read`` gives."""

    def read(self, window: Window) -> Piece:
        """The pixels of ``window``, in pixels of the native grid."""

    def close(self) -> None:
        """Let go of the file."""


class Raster:
    """An open file; every band but the alpha bands is an image band. Is itself a ``Layer`` of its own grid."""

    def __init__(
        self,
        source: Source,
        *,
        bands: Sequence[int] = (),
        nodata: float | None = None,
        fallback: float | None = None,
    ) -> None:
        """Open ``source``; ``bands`` are 0-based places among the image bands, none to list them only.

        ``nodata`` replaces what the file declares, ``fallback`` is for a file that declares none.
        """
        self._fallback = fallback
        self.source = source
        self.dataset = open_dataset(source)
        try:
            self.image_bands = self._image_bands()
            if bands:
                self._choose(bands, nodata)
        except BaseException:
            self.close()
            raise

    def _image_bands(self) -> tuple[int, ...]:
        found = tuple(i for i in self.dataset.indexes if not self._is_alpha(i))
        if not found:
            raise SceneError(f"{self.source.label} has no image band (bands: {self.dataset.count}, all alpha)")
        return found

    def _is_alpha(self, index: int) -> bool:
        """Whether a band is alpha; one with another description is not.

        GDAL calls the fourth of four uint8 bands alpha unless told otherwise, and many near-infrared bands
        are stored like that. https://gdal.org/drivers/raster/gtiff.html#creation-options (PHOTOMETRIC, ALPHA)
        """
        called = (self.dataset.descriptions[index - 1] or "alpha").lower()
        named_otherwise = not any(word in called for word in ("alpha", "mask", "band"))
        return bool(self.dataset.colorinterp[index - 1] == ColorInterp.alpha) and not named_otherwise

    def _choose(self, bands: Sequence[int], nodata: float | None) -> None:
        self.indexes = [self.image_bands[b] for b in bands]
        types = [self.dataset.dtypes[i - 1] for i in self.indexes]
        odd = [t for t in types if t not in DTYPES]
        if odd:
            hint = {"c": "its magnitude", "f": "float32"}.get(np.dtype(odd[0]).kind, "int32")
            raise SceneError(
                f"{self.source.label} has {odd[0]} pixels; expected one of {', '.join(DTYPES)}; "
                f"convert it to {hint} first"
            )
        self._dtype = np.result_type(*types)
        rule.check_override(nodata, self._dtype, label=self.source.label)
        self.nodata = tuple(self._nodata_of(i, nodata) for i in self.indexes)
        self._alpha = [i for i in self.dataset.indexes if i not in self.image_bands]
        self.has_mask: bool = self._mask_there()
        """Whether an internal mask, or a ``.msk`` file, says where there is data."""

    def _nodata_of(self, index: int, override: float | None) -> float | None:
        declared = self.dataset.nodatavals[index - 1]
        value = next((v for v in (override, declared, self._fallback) if v is not None), None)
        return rule.usable_nodata(value, np.dtype(self.dataset.dtypes[index - 1]))

    def _mask_there(self) -> bool:
        flags = self.dataset.mask_flag_enums[self.indexes[0] - 1]
        # a band that is called alpha but is not (see _is_alpha) masks nothing
        return MaskFlags.per_dataset in flags and MaskFlags.alpha not in flags

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of the pixels that ``read`` gives."""
        return self._dtype

    @cached_property
    def geobox(self) -> GeoBox:
        """The file's own grid; in pixel coordinates, without a CRS, where it has no georeference."""
        transform = tuple(self.dataset.transform)[:6]
        return GeoBox(
            width=self.dataset.width,
            height=self.dataset.height,
            transform=transform,
            crs=None if transform == IDENTITY else self._wkt(),
        )

    def _wkt(self) -> str | None:
        try:
            wkt = str(self.dataset.crs.to_wkt(version=WktVersion.WKT2_2019)) if self.dataset.crs else ""
            return wkt if wkt and parse_crs(wkt) else None
        except (*GDAL_ERRORS, RuntimeError):  # a CRS that PROJ cannot make sense of
            return None

    @property
    def block_shape(self) -> tuple[int, int]:
        """``(height, width)`` of the file's compressed blocks."""
        height, width = self.dataset.block_shapes[self.indexes[0] - 1]
        return int(height), int(width)

    @property
    def descriptions(self) -> tuple[str | None, ...]:
        """What the file calls its image bands."""
        return tuple(self.dataset.descriptions[i - 1] for i in self.image_bands)

    @property
    def colours(self) -> tuple[str, ...]:
        """Colour interpretations of the image bands, by GDAL's names."""
        return tuple(self.dataset.colorinterp[i - 1].name for i in self.image_bands)

    def block_place(self, row: int, col: int) -> str:
        """Offset and size in the file of one block of the first band, as text; empty where not known."""
        if self.dataset.driver != "GTiff":
            return ""
        with gdal_env(remote=self.source.remote):
            keys = (f"BLOCK_{what}_{col}_{row}" for what in ("OFFSET", "SIZE"))
            return "+".join(str(self.dataset.get_tag_item(k, "TIFF", bidx=self.indexes[0])) for k in keys)

    def read(self, window: Window) -> Piece:
        """The pixels of ``window``. Raises SceneError where the file is damaged there."""
        data, shut = self.pixels(window)
        bad = rule.either(shut, rule.not_finite(data))
        return Piece(data=data, blank=rule.blank(data, self.nodata), bad=bad)

    def pixels(self, window: Window) -> tuple[NDArray[Any], rule.BoolArray | None]:
        """``(bands, height, width)`` as the file has them, and where alpha or mask say that there is nothing."""
        box = RasterioWindow(window.col_off, window.row_off, window.width, window.height)
        data = np.empty((len(self.indexes), *window.shape), self._dtype)
        # what GDAL's own retries could not mend, a second try later may; on a disk it cannot
        for tries_left in (1, 0) if self.source.remote else (0,):
            try:
                with gdal_env(remote=self.source.remote):
                    self.dataset.read(self.indexes, window=box, out=data)
                    return data, self._shut(box)
            except GDAL_ERRORS as error:
                if not tries_left:
                    raise SceneError(self.damage(window, error)) from None
        raise AssertionError("the last try returns or raises")

    def _shut(self, box: RasterioWindow) -> rule.BoolArray | None:
        """Where the alpha bands or the mask say that there is nothing."""
        out: rule.BoolArray | None = None
        for index in self._alpha:
            out = rule.either(out, self.dataset.read(index, window=box) == 0)
        if self.has_mask:
            out = rule.either(out, self.dataset.read_masks(self.indexes[0], window=box) == 0)
        return out

    @property
    def has_alpha(self) -> bool:
        """Whether the file has an alpha band."""
        return bool(self._alpha)

    def damage(self, window: Window, error: Exception) -> str:
        """The message for a ``window`` that cannot be read."""
        return (
            f"{self.source.label} cannot be read at rows {window.row_off}..{window.bottom - 1}, "
            f"columns {window.col_off}..{window.right - 1}: {reason(error)}; the file is damaged or out of reach"
        )

    def close(self) -> None:
        """Close the file."""
        self.dataset.close()

    def __enter__(self) -> Raster:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
