"""The blocks with the most wrong pixels: where, how many, which classes, and what it looks like there."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geounet.grid.geobox import GeoBox, parse_crs
from geounet.grid.window import Window
from geounet.score.bootstrap import BlockGrid
from geounet.score.classes import Matching
from geounet.score.counts import Counts
from geounet.score.pairs import RasterPair, looking_at, opened
from geounet.score.pictures import palette, side_by_side
from geounet.score.scores import Place, sorted_worst

_WORST = 6


@dataclass(frozen=True, kw_only=True)
class Compared:
    """A pair, counted."""

    pair: RasterPair
    matching: Matching
    counts: Counts
    sure: NDArray[np.int64] | None
    """``(n, BINS, 3)``: see `geounet.score.calibration`."""
    grid: BlockGrid


def worst_places(compared: Sequence[Compared], *, resample: bool) -> tuple[Place, ...]:
    """The worst blocks of all pairs together, with pictures."""
    found = [(c, block) for c in compared for block in range(len(c.grid))]
    wrong = np.concatenate([_wrong(c.counts.confusion) for c in compared])
    worst = [found[n] for n in sorted_worst(wrong, most=_WORST)]
    return tuple(_place(c, block, several=len(compared) > 1, resample=resample) for c, block in worst)


def _wrong(confusion: NDArray[np.int64]) -> NDArray[np.int64]:
    """``(n,)`` wrong pixels of every block."""
    return np.asarray(confusion.sum((1, 2)) - np.trace(confusion, axis1=1, axis2=2))


def _place(compared: Compared, block: int, *, several: bool, resample: bool) -> Place:
    window, confusion = compared.grid.window(block), compared.counts.confusion[block]
    off = confusion - np.diag(np.diag(confusion))
    was, called = np.unravel_index(int(off.argmax()), off.shape)
    names = compared.matching.names
    where = f"rows {window.row_off} to {window.bottom - 1}, columns {window.col_off} to {window.right - 1}"
    picture, (x, y) = _seen(compared, window, resample=resample)
    return Place(
        name=f"{compared.pair.name}: {where}" if several else where,
        x=x,
        y=y,
        errors=int(off.sum()),
        share=float(off.sum() / confusion.sum()),
        note=f"{names[was]} taken for {names[called]}: {int(off.max()):,} px",
        picture=picture,
        pictured=(*(() if compared.pair.image is None else ("scene",)), "truth", "prediction", "errors in red"),
    )


def _seen(compared: Compared, window: Window, *, resample: bool) -> tuple[bytes, tuple[float, float]]:
    """The picture of a window, and where its middle lies."""
    pair, matching = compared.pair, compared.matching
    with ExitStack() as stack:
        files = stack.enter_context(opened(pair, resample=resample))
        image = None
        if pair.image is not None:
            image = stack.enter_context(looking_at(pair.image, pair.truth, bands=pair.bands))(window)
        colours = palette(matching, files.truth.colours(), files.predicted.colours())
        picture = side_by_side(files.rows(matching).window(window), colours, image=image)
        return picture, centre(files.truth.geobox, window)


def centre(geobox: GeoBox, window: Window) -> tuple[float, float]:
    """Longitude and latitude of the middle of ``window``; the raster's own coordinates without a CRS."""
    x, y = geobox.affine @ (window.col_off + window.width / 2, window.row_off + window.height / 2)
    if geobox.crs is None:
        return float(x), float(y)
    from pyproj import Transformer

    lon, lat = Transformer.from_crs(parse_crs(geobox.crs), "OGC:CRS84", always_xy=True).transform(x, y)
    return float(lon), float(lat)
