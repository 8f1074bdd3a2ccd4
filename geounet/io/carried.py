"""Polygons from one CRS into that of a scene, with their edges: what is straight in theirs is a curve in its."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.affinity import translate

from geounet.grid.geobox import GeoBox, parse_crs

if TYPE_CHECKING:
    from pyproj import CRS, Transformer
    from shapely import Geometry

Points = NDArray[np.float64]

_CLOSE = 0.01
"""Pixels between an edge of the result and the curve for which it stands."""
_ROUNDS = 30
"""Halvings of an edge; what lies apart by then is torn, not bent."""
_MOST_POINTS = 2**24
_LEAST_REACH = 128
"""Pixels around the scene that are kept in any case: masks look 64 beyond its border."""
_ALONG = 129
"""Points along a side: as seen from a pole that is far enough away, 15 degrees apart, or less."""
_HOLE = 30 / 360
"""Of a turn; a scene that leaves less of all longitudes free goes around the globe."""
_WIDE = 300 / 360
"""Of a turn; the longitudes of a narrower scene can be told from those a turn away."""


class Torn(ValueError):
    """An edge leads to where the scene's CRS has no place, or jumps there: over a pole, or where the map is cut."""


def near(area: Geometry, own: CRS, geobox: GeoBox) -> Geometry:
    """What of a valid area lies near the scene; in the area's CRS ``own``, with longitudes of one turn.

    All of it, where the scene cannot be told in that CRS. What is far away may have no place in the scene's CRS.
    """
    bounds = _bounds(own, geobox)
    if bounds is None:
        return area
    west, south, east, north = bounds
    turn = _turn(own)
    if turn is None:
        return shapely.intersection(area, shapely.box(*bounds))
    left, _, right, _ = shapely.bounds(area)
    back = 0.0 if _is_cut(_mover(own, geobox), turn) else turn  # a cut map has two places for what meets there
    pieces = [
        translate(
            shapely.intersection(area, shapely.box(west + k * turn, south, east + k * turn, north)), -k * back
        )
        for k in (-2, -1, 0, 1, 2)
        if left < east + k * turn and right > west + k * turn
    ]
    return shapely.union_all(pieces)


def carried(polygons: NDArray[Any], own: CRS, geobox: GeoBox) -> NDArray[Any]:
    """``(n,)`` polygons or multipolygons, none of them empty, of the CRS ``own`` in that of the scene.

    Edges get as many corners as they need to lie within a hundredth of a pixel of where they lie in their own CRS.
    They may become invalid. Raises Torn, and pyproj's ProjError where no way leads from one CRS to the other.
    """
    kind, xy, (ring_ends, *others) = shapely.to_ragged_array(polygons)
    move = _mover(own, geobox)
    to_pixels = ~geobox.affine
    linear = np.array([[to_pixels.a, to_pixels.d], [to_pixels.b, to_pixels.e]])

    def bend(a: Points, b: Points) -> NDArray[np.float64]:
        """Pixels by which edges from ``a`` to ``b`` miss their curve, at a quarter, half and three quarters."""
        with np.errstate(invalid="ignore"):
            start, end = move(a), move(b)
            there = [(move(a * (1 - t) + b * t) - (start * (1 - t) + end * t)) @ linear for t in (0.25, 0.5, 0.75)]
            return np.hypot(*np.max(np.abs(there), axis=0).T)

    xy, ring_starts = _refined(xy[:, :2], np.asarray(ring_ends), bend, gross=max(geobox.shape) / 8)
    out = move(xy)
    if not np.isfinite(out).all():
        raise Torn("a corner has no place in the CRS of the scene")
    offsets: Any = (ring_starts, *others)
    return np.asarray(shapely.from_ragged_array(kind, out, offsets))


def _refined(
    xy: Points, ring_starts: NDArray[Any], bend: Callable[[Points, Points], NDArray[np.float64]], *, gross: float
) -> tuple[Points, NDArray[np.int64]]:
    """Rings with their bent edges halved until none is."""
    ring = np.repeat(np.arange(ring_starts.size - 1), np.diff(ring_starts))
    asked = np.ones(xy.shape[0] - 1, bool)
    for turn in range(_ROUNDS + 1):
        at = np.flatnonzero(asked & (ring[1:] == ring[:-1]))
        miss = bend(xy[at], xy[at + 1])
        if not np.isfinite(miss).all() or (turn == _ROUNDS and (miss > gross).any()):
            raise Torn("an edge cannot be followed")
        at = at[miss > _CLOSE]
        if not at.size or turn == _ROUNDS:
            break
        if xy.shape[0] + at.size > _MOST_POINTS:
            raise Torn(f"an outline needs more than {_MOST_POINTS} corners")
        middle = (xy[at] + xy[at + 1]) / 2
        asked = np.zeros(xy.shape[0] - 1, bool)
        asked[at] = True
        asked = np.insert(asked, at + 1, True)
        xy, ring = np.insert(xy, at + 1, middle, axis=0), np.insert(ring, at + 1, ring[at])
    return xy, np.searchsorted(ring, np.arange(ring_starts.size))


@lru_cache(maxsize=8)  # seconds, where many ways lead from one datum to another
def _transformer(own: CRS, crs: CRS) -> Transformer:
    from pyproj import Transformer

    return Transformer.from_crs(own, crs, always_xy=True)


def _mover(own: CRS, geobox: GeoBox) -> Callable[[Points], Points]:
    """``(n, 2)`` points of ``own`` to the scene's CRS; longitudes of the turn in which the scene lies."""
    crs = parse_crs(geobox.crs or "")
    transformer = _transformer(own, crs)
    source, target = _turn(own), _turn(crs)
    xs = [(geobox.affine @ (x, y))[0] for x in (0, geobox.width) for y in (0, geobox.height)]
    narrow = target is not None and max(xs) - min(xs) < _WIDE * target

    def move(xy: Points) -> Points:
        x, y = transformer.transform(xy[:, 0], xy[:, 1])
        if target is not None and narrow:
            x = x - target * np.round((x - (min(xs) + max(xs)) / 2) / target)
        elif target is not None and source is not None:
            x = x - target * np.round(x / target - xy[:, 0] / source)
        return np.stack([x, y], axis=1)

    return move if source is None or _is_cut(move, source) else lambda xy: move(_one_turn(xy, source))


def _is_cut(move: Callable[[Points], Points], turn: float) -> bool:
    """Whether half a turn east is elsewhere than half a turn west."""
    lat = np.linspace(-0.2, 0.2, 9) * turn
    east, west = (move(np.stack([np.full(lat.size, side * turn / 2), lat], axis=1)) for side in (1, -1))
    known = np.isfinite(east) & np.isfinite(west)
    return not np.allclose(east[known], west[known], rtol=1e-9, atol=1e-6)


def _one_turn(xy: Points, turn: float) -> Points:
    """Half a turn east is half a turn west, so that what meets there meets to the last bit."""
    return np.stack([np.where(xy[:, 0] >= turn / 2, xy[:, 0] - turn, xy[:, 0]), xy[:, 1]], axis=1)


def _turn(crs: CRS) -> float | None:
    """A whole turn in the CRS's unit; None where it has no longitudes."""
    return 2 * math.pi / crs.axis_info[0].unit_conversion_factor if crs.is_geographic else None


@lru_cache(maxsize=8)  # a run asks for it many times
def _bounds(own: CRS, geobox: GeoBox) -> tuple[float, float, float, float] | None:
    """Of the scene and a good margin, in ``own``: west, south, east, north, where east may be beyond half a turn.

    None where a part of the scene has no place there.
    """
    reach = max(_LEAST_REACH, max(geobox.shape) / 32)
    there = _transformer(own, parse_crs(geobox.crs or ""))
    a, b, c, d, e, f = geobox.transform
    column, row = np.concatenate([_net(geobox, 0), _net(geobox, reach)]).T
    x, y = there.transform(a * column + b * row + c, d * column + e * row + f, direction="INVERSE")
    finite = np.isfinite(x) & np.isfinite(y)
    if not finite[: finite.size // 2].all():
        return None
    x, y = x[finite], y[finite]
    south, north, up = float(y.min()), float(y.max()), float(np.ptp(y)) / 16
    turn = _turn(own)
    if turn is None:
        side = float(np.ptp(x)) / 16
        return float(x.min()) - side, south - up, float(x.max()) + side, north + up
    pole = turn / 4
    south = -pole if _holds(there, geobox, -pole, 2 * reach) else south - min(up, (south + pole) / 2)
    north = pole if _holds(there, geobox, pole, 2 * reach) else north + min(up, (pole - north) / 2)
    west, east = (-turn / 2, turn / 2) if pole in (-south, north) else _around(x, turn)
    return west, south, east, north


def _net(geobox: GeoBox, reach: float) -> Points:
    """``(n, 2)`` pixels close to each other along the outline of a grid that is ``reach`` pixels wider."""
    fine, coarse = np.linspace(0, 1, _ALONG), np.linspace(0, 1, 9)
    pairs = [(fine, np.zeros(1)), (fine, np.ones(1)), (np.zeros(1), fine), (np.ones(1), fine), (coarse, coarse)]
    net = np.concatenate([np.stack(np.meshgrid(*pair), axis=-1).reshape(-1, 2) for pair in pairs])
    return np.asarray(net * (geobox.width + 2 * reach, geobox.height + 2 * reach) - reach)


def _around(lon: NDArray[np.float64], turn: float) -> tuple[float, float]:
    """West and east of the shortest stretch of longitudes that holds all of these, and a little more."""
    lon = np.sort((lon + turn / 2) % turn - turn / 2)
    gaps = np.diff(lon, append=lon[0] + turn)
    widest = int(gaps.argmax())
    if gaps[widest] < _HOLE * turn:
        return -turn / 2, turn / 2
    west, extent = float(lon[(widest + 1) % lon.size]), turn - float(gaps[widest])
    side = min(extent, float(gaps[widest])) / 16
    return west - side, west + extent + side


def _holds(there: Transformer, geobox: GeoBox, latitude: float, reach: float) -> bool:
    """Whether a pole lies on the scene, or at most ``reach`` pixels beside it."""
    x, y = there.transform(0.0, latitude)
    if not (math.isfinite(x) and math.isfinite(y)):
        return False
    column, row = ~geobox.affine @ (x, y)
    return -reach <= column <= geobox.width + reach and -reach <= row <= geobox.height + reach
