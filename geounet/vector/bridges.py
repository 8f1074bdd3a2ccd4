"""Gaps in a road: where an end points at another end, or at another line, and what lies between may be road.

A bridge is a straight row of pixels that is added to the skeleton; the graph is then made anew. So a bridge may
meet a line in its middle, and cross another one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray

from geounet.vector.network import IntArray, Network, network

FloatArray = NDArray[np.float64]
Bytes = NDArray[np.uint8]
Likelihood = Callable[[IntArray], FloatArray]
"""The likelihood 0..1 that the pixels at the places ``(n,)`` are marked; NaN where nobody knows."""

_AHEAD = np.cos(np.radians(40.0))
"""A bridge turns by no more than this at an end."""
_LIKELY = 0.2
"""Least mean likelihood of the pixels of a bridge that are not marked."""
_CHUNK = 2048


@dataclass(frozen=True, kw_only=True)
class _Ends:
    """Dead ends of a graph."""

    pixel: IntArray
    """``(m,)``."""
    edge: IntArray
    direction: FloatArray
    """``(m, 2)`` unit vectors on the ground (along rows, along columns) in which the line leaves its end."""


def bridged(
    place: IntArray,
    reach: FloatArray,
    confidence: Bytes | None,
    *,
    width: int,
    sides: Callable[[IntArray], FloatArray],
    longest: float,
    likelihood: Likelihood | None,
) -> tuple[IntArray, FloatArray, Bytes | None]:
    """Places, reaches and confidences of a skeleton with bridges over gaps up to ``longest``.

    The length of a gap is that between the discs around its two sides, so about what is not marked. The best
    bridges are taken first, by length, turn and order; each end gets one at most. The pixels of a bridge have the
    reach of what they join, and as confidence the likelihood.
    """
    net = network(place, width=width)
    scale = sides(place // width)
    ends = _dead_ends(net, place, reach, width, scale)
    source, target, cost = _candidates(net, place, reach, width, scale, ends, longest)
    rows = [_between(place[a], place[b], width) for a, b in zip(ends.pixel[source], target, strict=True)]
    odds = None
    if likelihood is not None and rows:
        odds = np.split(likelihood(np.concatenate(rows)), np.cumsum([r.size for r in rows])[:-1])
        open_ = [
            _outside(row, (ends.pixel[a], b), place, reach, width, scale)
            for row, a, b in zip(rows, source, target, strict=True)
        ]
        likely = np.array([_mean(o[there]) >= _LIKELY for o, there in zip(odds, open_, strict=True)])
    else:
        likely = np.ones(len(rows), np.bool_)
    taken = _best(ends.pixel[source], target, cost, ends.pixel, likely)
    if not taken:
        return place, reach, confidence
    new = np.concatenate([rows[k] for k in taken])
    size = np.concatenate(
        [np.full(rows[k].size, min(reach[ends.pixel[source[k]]], reach[target[k]])) for k in taken]
    )
    sure = None
    if confidence is not None:
        known = np.concatenate([odds[k] for k in taken]) if odds is not None else np.full(new.size, np.nan)
        sure = np.where(np.isnan(known), 255, np.rint(np.nan_to_num(known) * 250)).astype(np.uint8)
    return merged((place, reach, confidence), (new, size, sure))


def _dead_ends(net: Network, place: IntArray, reach: FloatArray, width: int, scale: FloatArray) -> _Ends:
    pixels, edges, tails = [], [], []
    dead = net.degree[net.ends] == 1
    xy = np.stack([place % width, place // width], axis=1).astype(np.float64)
    for edge, end in zip(*np.nonzero(dead), strict=True):
        path = net.path[net.starts[edge] : net.starts[edge + 1]]
        path = path if end == 0 else path[::-1]
        away = np.hypot(*((xy[path] - xy[path[0]]) * scale[path[0]]).T)
        back = min(int(np.searchsorted(away >= 3 * reach[path[0]], True)), path.size - 1)
        pixels.append(path[0])
        edges.append(edge)
        tails.append(path[back])
    pixel, tail = np.array(pixels, np.int64), np.array(tails, np.int64)
    vector = ((xy[pixel] - xy[tail]) * scale[pixel]).reshape(-1, 2)
    length = np.hypot(vector[:, 0], vector[:, 1])
    return _Ends(
        pixel=pixel,
        edge=np.array(edges, np.int64),
        direction=vector / np.maximum(length, 1e-12)[:, None],
    )


def _candidates(  # noqa: PLR0917
    net: Network,
    place: IntArray,
    reach: FloatArray,
    width: int,
    scale: FloatArray,
    ends: _Ends,
    longest: float,
) -> tuple[IntArray, IntArray, FloatArray]:
    """For each end its best bridge to another end, and to a line: which end, the pixel on the other side, cost."""
    nothing = np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0)
    if not ends.pixel.size:
        return nothing
    xy = np.stack([place % width, place // width], axis=1).astype(np.float64)
    tree = shapely.STRtree(np.asarray(shapely.points(xy)))
    end_at = np.full(place.size, -1, np.int64)
    end_at[ends.pixel] = np.arange(ends.pixel.size)
    edge_at = np.full(place.size, -1, np.int64)
    edge_at[net.path] = net.edge_of_path
    # of the two ends of a bridge the second may be wider than the first
    widest = float(np.max(reach))
    found: list[tuple[IntArray, IntArray, FloatArray]] = []
    for begin in range(0, ends.pixel.size, _CHUNK):
        own = np.arange(begin, min(begin + _CHUNK, ends.pixel.size))
        pixel = ends.pixel[own]
        far = (longest + reach[pixel] + widest) / scale[pixel].min(axis=1)
        k, other = tree.query(shapely.points(xy[pixel]), predicate="dwithin", distance=far)
        k = own[k]
        found += _of_ends(k, other.astype(np.int64), xy, reach, scale, ends, end_at, edge_at, longest)
    return tuple(np.concatenate(column) for column in zip(*found, strict=True))  # type: ignore[return-value]


def _of_ends(  # noqa: PLR0917
    k: IntArray,
    other: IntArray,
    xy: FloatArray,
    reach: FloatArray,
    scale: FloatArray,
    ends: _Ends,
    end_at: IntArray,
    edge_at: IntArray,
    longest: float,
) -> list[tuple[IntArray, IntArray, FloatArray]]:
    pixel = ends.pixel[k]
    vector = (xy[other] - xy[pixel]) * scale[pixel]
    length = np.hypot(vector[:, 0], vector[:, 1])
    gap = np.maximum(length - reach[pixel] - reach[other], 0.0)
    ahead = (vector * ends.direction[k]).sum(axis=1) / np.maximum(length, 1e-12)
    facing = -(vector * ends.direction[end_at[other]]).sum(axis=1) / np.maximum(length, 1e-12)
    good = (length > 0) & (gap <= longest) & (ahead >= _AHEAD)
    is_end = end_at[other] >= 0
    to_end = good & is_end & (facing >= _AHEAD)
    # not to the line that ends here: only its other end may be met
    to_line = good & ~is_end & (edge_at[other] != ends.edge[k])
    out = []
    for kind, turn in ((to_end, 2 - ahead - facing), (to_line, 2 - 2 * ahead)):
        who, what = k[kind], other[kind]
        cost = length[kind] * (1 + turn[kind])
        order = np.lexsort([what, cost, who])
        first = np.ones(order.size, np.bool_)
        first[1:] = who[order][1:] != who[order][:-1]
        best = order[first]
        out.append((who[best], what[best], cost[best]))
    return out


def _best(
    source: IntArray, target: IntArray, cost: FloatArray, ends: IntArray, likely: NDArray[np.bool_]
) -> list[int]:
    """The bridges to build: cheapest first, one for each end."""
    open_ends = set(ends.tolist())
    met = set(ends.tolist())
    out = []
    for k in np.lexsort([target, source, cost]):
        a, b = int(source[k]), int(target[k])
        if not likely[k] or a not in open_ends or (b in met and b not in open_ends):
            continue
        open_ends -= {a, b}
        out.append(int(k))
    return out


def _between(a: int, b: int, width: int) -> IntArray:
    """The places of the pixels on the straight way from ``a`` to ``b``, without these; the same from both sides."""
    a, b = min(a, b), max(a, b)
    (row, column), (to_row, to_column) = divmod(int(a), width), divmod(int(b), width)
    n = max(abs(to_row - row), abs(to_column - column))
    t = np.arange(1, n)
    # halves are rounded up, in whole numbers
    rows = row + (2 * t * (to_row - row) + n) // (2 * max(n, 1))
    columns = column + (2 * t * (to_column - column) + n) // (2 * max(n, 1))
    return np.asarray(rows * width + columns, np.int64)


def _outside(  # noqa: PLR0917
    row: IntArray, ends: tuple[int, int], place: IntArray, reach: FloatArray, width: int, scale: FloatArray
) -> NDArray[np.bool_]:
    """Which pixels of a bridge lie outside of the discs around its ends, in which everything is marked."""
    out = np.ones(row.size, np.bool_)
    for end in ends:
        across, down = row % width - place[end] % width, row // width - place[end] // width
        out &= np.hypot(across * scale[end, 0], down * scale[end, 1]) >= reach[end]
    return out


def _mean(odds: FloatArray) -> float:
    """Mean of what is known; 0 where nothing is, 1 where there is nothing between."""
    known = odds[~np.isnan(odds)]
    return float(known.mean()) if known.size else float(odds.size == 0)


def merged(
    old: tuple[IntArray, FloatArray, Bytes | None], new: tuple[IntArray, FloatArray, Bytes | None]
) -> tuple[IntArray, FloatArray, Bytes | None]:
    """Places, reaches and confidences of both, in row-major order; what was there already stays as it is."""
    place, first = np.unique(np.concatenate([old[0], new[0]]), return_index=True)
    reach = np.concatenate([old[1], new[1]])[first]
    if old[2] is None or new[2] is None:
        return place, reach, None
    return place, reach, np.concatenate([old[2], new[2]])[first]
