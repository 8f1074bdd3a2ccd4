"""Which pixels hold data: the rule, as pure functions on arrays.

A pixel of a scene is **valid** unless one of these holds:

- *blank*: every chosen band has its own nodata value there (a band without one is never blank, so a scene in
  which only some of the chosen bands declare nodata has no blank pixels). A dark pixel whose red alone equals
  the nodata value stays valid, as in GDAL's dataset mask;
- *bad*: some chosen band is NaN or infinite; the alpha band is 0; the mask (internal, or a ``.msk`` file)
  is 0; a file of a stack does not reach there; another raster marks it (``mask=``).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geounet.errors import SceneError

BoolArray = NDArray[np.bool_]


def usable_nodata(value: float | None, dtype: np.dtype[Any]) -> float | None:
    """``value`` as the pixels of ``dtype`` can have it; None where they never can (-9999 in uint8)."""
    if value is None:
        return None
    if dtype.kind == "f":
        if np.isfinite(value) and abs(value) > np.finfo(dtype).max:
            # rounding in text may push -3.4028235e38 past float32's range by an ulp; GDAL clamps as well
            limit = float(np.finfo(dtype).max)
            return float(np.copysign(limit, value)) if abs(value) <= limit * (1 + 1e-6) else None
        return float(value)
    limits = np.iinfo(dtype)
    if not np.isfinite(value) or value != int(value) or not limits.min <= value <= limits.max:
        return None
    return int(value)


def check_override(value: float | None, dtype: np.dtype[Any], *, label: str) -> None:
    """Refuse an explicit nodata that no pixel of ``dtype`` can have."""
    if value is not None and usable_nodata(value, dtype) is None:
        raise SceneError(f"{label}: nodata {value:g} cannot occur in {dtype} pixels; give a value that can")


def equals(data: NDArray[Any], value: float) -> BoolArray:
    """Where ``data`` has the nodata ``value``; NaN equals NaN.

    Floats that differ by rounding of the tag's decimal text are equal, as in GDAL's ``ARE_REAL_EQUAL``:
    https://github.com/OSGeo/gdal/blob/v3.10.3/gcore/gdal_priv_templates.hpp
    """
    if data.dtype.kind != "f":
        return np.asarray(data == data.dtype.type(value))
    if np.isnan(value):
        return np.isnan(data)
    target = data.dtype.type(value)
    tolerance = np.finfo(data.dtype).eps * 4 * abs(float(value))
    with np.errstate(invalid="ignore", over="ignore"):
        return np.asarray((data == target) | (np.abs(data - target) <= tolerance))


def blank(data: NDArray[Any], values: Sequence[float | None]) -> BoolArray | None:
    """Where all bands of ``data`` ``(bands, h, w)`` have their nodata; None where that cannot be."""
    out: BoolArray | None = None
    for band, value in zip(data, values, strict=True):
        if value is None:
            return None
        here = equals(band, value)
        out = here if out is None else np.logical_and(out, here, out=out)
    return out


def not_finite(data: NDArray[Any]) -> BoolArray | None:
    """Where some band of ``data`` is NaN or infinite; None for integers and where there is none."""
    if data.dtype.kind != "f" or np.isfinite(data).all():
        return None
    return np.asarray(~np.isfinite(data).all(axis=0))


def either(first: BoolArray | None, second: BoolArray | None) -> BoolArray | None:
    """The union of two masks of which each may be None (nowhere)."""
    if first is None or second is None:
        return second if first is None else first
    return first | second
