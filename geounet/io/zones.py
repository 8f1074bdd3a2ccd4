"""Another raster on the grid of the labels, of which every polygon gets mean, least and greatest value."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from geounet.errors import SceneError
from geounet.grid.geobox import GeoBox
from geounet.grid.window import Window
from geounet.io import access
from geounet.io.layers import lies_on
from geounet.io.nodata import equals
from geounet.io.raster import Raster

_DIGITS = 7
_TAKEN = frozenset({"confidence"})


class Zones:
    """An open raster of measurements: its bands by name, and its rows."""

    def __init__(self, path: str | Path, grid: GeoBox) -> None:
        """Raises SceneError where the file cannot be read, or lies on another grid than the labels."""
        source = access.resolve(path)
        listing = Raster(source)
        listing.close()
        self._raster = Raster(source, bands=range(len(listing.image_bands)))
        try:
            self._check(grid)
        except BaseException:
            self.close()
            raise
        self.names = _names(self._raster, Path(str(path)).stem)
        """Of the bands, as they begin the names of attributes."""

    def _check(self, grid: GeoBox) -> None:
        own = self._raster.geobox
        if not lies_on(own, grid):
            name, size = self._raster.source.label, f"{own.width} x {own.height} pixels"
            raise SceneError(
                f"--stats {name} ({size}): another grid than the labels have ({grid.width} x {grid.height}); "
                "warp it onto theirs first (gdalwarp -t_srs -te -ts)"
            )

    def rows(self, top: int, height: int) -> NDArray[np.float64]:
        """``(bands, height, width)``, NaN where a band has no data. Raises SceneError where the file is damaged."""
        window = Window(top, 0, height, self._raster.geobox.width)
        data, shut = self._raster.pixels(window)
        out = data.astype(np.float64)
        for band, values, nodata in zip(out, data, self._raster.nodata, strict=True):
            if nodata is not None:
                band[equals(values, nodata)] = np.nan
        out[np.isinf(out)] = np.nan
        if shut is not None:
            out[:, shut] = np.nan
        return out

    def columns(self, stats: NDArray[np.float64]) -> Mapping[str, NDArray[np.float64]]:
        """Attributes ``(n,)`` of ``stats`` ``(n, bands, 4)``: sum, number, least, greatest. NaN without a value."""
        out = {}
        for k, name in enumerate(self.names):
            total, count, least, greatest = stats[:, k].T
            known = count > 0
            mean = np.where(known, total / np.maximum(count, 1), np.nan)
            # a mean lies between both ends, whatever rounding says
            mean = np.where(known, np.clip(_significant(mean), least, greatest), np.nan)
            out[f"{name}_mean"] = mean
            out[f"{name}_min"] = np.where(known, least, np.nan)
            out[f"{name}_max"] = np.where(known, greatest, np.nan)
        return out

    def close(self) -> None:
        """Close the file."""
        self._raster.close()

    def __enter__(self) -> Zones:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _names(raster: Raster, stem: str) -> tuple[str, ...]:
    """Names of the bands: what the file calls them, else b1, b2, …; of a single band the file's own name."""
    count = len(raster.image_bands)
    named = [_plain(d or "") for d in raster.descriptions]
    default = [f"b{i}" for i in range(1, count + 1)] if count > 1 else [_plain(stem) or "b1"]
    names = [n or d for n, d in zip(named, default, strict=True)]
    if len(set(names)) < count or _TAKEN & set(names):
        names = [f"b{i}" for i in range(1, count + 1)]
    return tuple(names)


def _plain(text: str) -> str:
    """A name that every format takes: letters, digits and underscores."""
    return re.sub(r"\W+", "_", text.strip().lower(), flags=re.ASCII).strip("_")[:40]


def _significant(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Values to seven digits."""
    size = np.abs(np.where(np.isfinite(values) & (values != 0), values, 1.0))
    scale = 10.0 ** (_DIGITS - 1 - np.floor(np.log10(size)))
    return np.asarray(np.rint(values * scale) / scale)


def statistics_key(path: str | Path) -> list[str]:
    """Changes whenever the file may have."""
    from geounet.io.fingerprint import fingerprint

    raster = Raster(access.resolve(path), bands=[0])
    try:
        return [str(Path(str(path)).name), fingerprint([raster], None)]
    finally:
        raster.close()
