"""From the skeleton of a mask to its centre-lines: pruned, bridged, drawn as lines, measured."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from geounet.kernels import kernel
from geounet.vector.bridges import Likelihood, bridged, merged
from geounet.vector.diagonals import Marks, with_diagonals
from geounet.vector.network import IntArray, Network, network
from geounet.vector.skeleton import Skeleton
from geounet.vector.spurs import glued, lengths, node_reaches, without_spurs
from geounet.vector.straightened import straightened

FloatArray = NDArray[np.float64]
Sides = Callable[[IntArray], FloatArray]
"""Lengths ``(n, 2)`` of a pixel along rows and along columns in the rows ``(n,)``."""

_LEAST_SMOOTHING, _MOST_SMOOTHING = 8, 200
"""Rounds of averaging with both neighbours; ``2 k²`` rounds are a Gaussian of ``k`` pixels."""
_FINEST = 0.5
"""Pixels; lines are never kept finer than this."""
UNKNOWN = 255
"""Confidence that is not known."""


@dataclass(frozen=True, kw_only=True)
class CentreLines:
    """A graph of lines, numbered from 0; coordinates are grid corners of the raster: column, row."""

    xy: FloatArray
    """``(points, 2)``."""
    starts: IntArray
    """``(edges + 1,)`` where each edge begins in ``xy``."""
    ends: NDArray[np.int32]
    """``(edges, 2)`` nodes at which edges begin and end."""
    width: FloatArray
    """``(edges,)`` mean width of the mark along the edge, in the unit of the sides."""
    width_sd: FloatArray
    """``(edges,)`` and its standard deviation."""
    confidence: FloatArray | None
    """``(edges,)`` mean of the confidence bytes under the line, NaN where none is known."""
    node_xy: FloatArray
    """``(nodes, 2)``."""
    degree: IntArray
    """``(nodes,)`` ends of edges at each node."""
    cut: NDArray[np.bool_] | None = None
    """``(nodes,)`` whether the border of an area of interest cut a line there; None without such an area."""

    def take(self, kept: NDArray[np.bool_]) -> CentreLines:
        """The edges that are ``kept`` ``(edges,)``, with the nodes at which they end; degrees are those here."""
        used = np.unique(self.ends[kept])
        sizes = np.diff(self.starts)
        return CentreLines(
            xy=self.xy[np.repeat(kept, sizes)],
            starts=np.concatenate([[0], np.cumsum(sizes[kept])]),
            ends=np.searchsorted(used, self.ends[kept]).astype(np.int32),
            width=self.width[kept],
            width_sd=self.width_sd[kept],
            confidence=None if self.confidence is None else self.confidence[kept],
            node_xy=self.node_xy[used],
            degree=np.bincount(np.searchsorted(used, self.ends[kept]).reshape(-1), minlength=used.size),
        )


def centre_lines(
    skeleton: Skeleton,
    *,
    shape: tuple[int, int],
    sides: Sides,
    spur: float | None = None,
    bridge: float = 0.0,
    likelihood: Likelihood | None = None,
    simplify: float = 0.0,
    marks: Marks | None = None,
) -> CentreLines:
    """The graph of a mask's centre-lines.

    Args:
        skeleton: of the whole mask, its ``reach`` in the unit of ``sides``.
        shape: height and width of the raster.
        sides: of pixels, by row.
        spur: dead ends shorter than this are pruned; None: shorter than the mark is wide.
        bridge: gaps up to this are closed where ends point at each other, or at another line.
        likelihood: of being marked, for pixels in a gap; None: geometry alone decides.
        simplify: tolerance of the lines; at least half a pixel.
        marks: tells what is marked, so that straight roads at 45 degrees get back what thinning takes from them.
    """
    width = shape[1]
    skeleton = skeleton if marks is None else _mended(skeleton, shape, sides, marks)
    place, reach = skeleton.place, skeleton.reach
    scale = sides(place // width)
    stays = without_spurs(place, reach, width=width, sides=scale, spur=spur, lone=bridge <= 0)
    place, reach = place[stays], reach[stays]
    confidence = None if skeleton.confidence is None else skeleton.confidence[stays]
    if bridge > 0:
        place, reach, confidence = bridged(
            place, reach, confidence, width=width, sides=sides, longest=bridge, likelihood=likelihood
        )
        scale = sides(place // width)
        stays = without_spurs(place, reach, width=width, sides=scale, spur=spur)
        place, reach = place[stays], reach[stays]
        confidence = None if confidence is None else confidence[stays]
    net = network(place, width=width)
    length = lengths(net, place, width, sides(place // width))
    net = network(place, width=width, glued=glued(net, length, node_reaches(net, reach)))
    return _drawn(net, place, reach, confidence, shape, sides, simplify)


def _mended(skeleton: Skeleton, shape: tuple[int, int], sides: Sides, marks: Marks) -> Skeleton:
    """With the diagonals that thinning took."""
    place, reach, confidence = skeleton.place, skeleton.reach, skeleton.confidence
    pixel = np.sqrt(np.prod(sides(place // shape[1]), axis=1))
    new, size = with_diagonals(place, reach, shape=shape, pixel=pixel, marks=marks)
    if not new.size:
        return skeleton
    place, reach, confidence = merged((place, reach, confidence), (new, size, np.full(new.size, UNKNOWN, np.uint8)))
    return Skeleton(place=place, reach=reach, confidence=confidence)


def _drawn(  # noqa: PLR0917
    net: Network,
    place: IntArray,
    reach: FloatArray,
    confidence: NDArray[np.uint8] | None,
    shape: tuple[int, int],
    sides: Sides,
    simplify: float,
) -> CentreLines:
    scale = sides(place // shape[1])
    centre = np.stack([place % shape[1], place // shape[1]], axis=1).astype(np.float64) + 0.5
    node_xy = _node_centres(net, centre)
    xy = centre[net.path]
    xy[net.starts[:-1]], xy[net.starts[1:] - 1] = node_xy[net.ends[:, 0]], node_xy[net.ends[:, 1]]
    _reach_out(
        xy, net.starts, net.ends, net.degree, reach[net.path], scale[net.path], np.array(shape[::-1]), node_xy
    )
    mean, spread = _widths(net, reach, scale, place, shape[1])
    _smooth(xy, net.starts, _rounds(mean, net, scale))
    xy, starts = _simplified(xy, net.starts, sides, simplify)
    drawn = CentreLines(
        xy=xy,
        starts=starts,
        ends=net.ends,
        width=mean,
        width_sd=spread,
        confidence=None if confidence is None else _confidences(net, confidence),
        node_xy=node_xy,
        degree=net.degree,
    )
    kept = np.diff(starts) > 0
    return drawn if kept.all() else drawn.take(kept)


def _node_centres(net: Network, centre: FloatArray) -> FloatArray:
    """``(nodes, 2)`` the middle of each node's pixels."""
    held = net.node_of >= 0
    node = net.node_of[held]
    count = np.bincount(node, minlength=net.node_count)
    sums = [np.bincount(node, weights=centre[held, k], minlength=net.node_count) for k in range(2)]
    return np.asarray((np.stack(sums, axis=1) / np.maximum(count, 1)[:, None]).reshape(-1, 2))


@kernel
def _reach_out(  # noqa: PLR0917
    xy: Any, starts: Any, ends: Any, degree: Any, reach: Any, scale: Any, shape: Any, node_xy: Any
) -> None:
    """Lead dead ends on to where the mark ends.

    Thinning shortens a line by about its reach, which is the radius of a disc inside of the mark: a line that is
    made longer by that stays inside, too. At the rim of the raster it ends.
    """
    for e in range(ends.shape[0]):
        for side in range(2):
            if degree[ends[e, side]] != 1:
                continue
            a, step = (starts[e], 1) if side == 0 else (starts[e + 1] - 1, -1)
            last = starts[e + 1] - 1 if side == 0 else starts[e]
            sx, sy = scale[a, 0], scale[a, 1]
            far = max(reach[a] - 0.5 * min(sx, sy), 0.0)
            i = a
            while i != last and np.hypot((xy[i, 0] - xy[a, 0]) * sx, (xy[i, 1] - xy[a, 1]) * sy) < 2 * reach[a]:
                i += step
            dx, dy = (xy[a, 0] - xy[i, 0]) * sx, (xy[a, 1] - xy[i, 1]) * sy
            length = np.hypot(dx, dy)
            if length == 0:
                continue
            u, v = dx / length * far / sx, dy / length * far / sy
            t = 1.0
            if u != 0:
                t = min(t, ((shape[0] if u > 0 else 0.0) - xy[a, 0]) / u)
            if v != 0:
                t = min(t, ((shape[1] if v > 0 else 0.0) - xy[a, 1]) / v)
            # rounding must not lead it over the rim
            xy[a, 0] = min(max(xy[a, 0] + t * u, 0.0), float(shape[0]))
            xy[a, 1] = min(max(xy[a, 1] + t * v, 0.0), float(shape[1]))
            node_xy[ends[e, side], 0], node_xy[ends[e, side], 1] = xy[a, 0], xy[a, 1]


def _rounds(width: FloatArray, net: Network, scale: FloatArray) -> IntArray:
    """``(edges,)`` rounds of smoothing: a Gaussian of a quarter of the width, as wide roads waver more."""
    first = scale[net.path[net.starts[:-1]]]
    pixels = width / np.sqrt(first[:, 0] * first[:, 1])
    return np.clip(np.rint(pixels**2 / 8), _LEAST_SMOOTHING, _MOST_SMOOTHING).astype(np.int64)


@kernel
def _smooth(xy: Any, starts: Any, rounds: Any) -> None:
    """Average each point with its neighbours, for each line so many ``rounds``; the ends of lines stay."""
    flat = xy.reshape(-1)
    other = flat.copy()
    for e in range(starts.size - 1):
        old, new = flat[2 * starts[e] : 2 * starts[e + 1]], other[2 * starts[e] : 2 * starts[e + 1]]
        for _ in range(rounds[e]):
            _averaged(old[:-4], old[2:-2], old[4:], new[2:-2])
            old, new = new, old
        if rounds[e] % 2:
            new[:] = old


@kernel
def _averaged(before: Any, here: Any, after: Any, out: Any) -> None:
    for i in range(out.size):
        out[i] = (before[i] + 2 * here[i] + after[i]) / 4


def _simplified(xy: FloatArray, starts: IntArray, sides: Sides, tolerance: float) -> tuple[FloatArray, IntArray]:
    """Lines without the points that are nearer than ``tolerance`` to what is left; none of what is no line."""
    count = starts.size - 1
    if not count:
        return xy, starts
    which = np.repeat(np.arange(count), np.diff(starts))
    scale = sides(xy[starts[:-1], 1].astype(np.int64))
    lines = np.asarray(shapely.linestrings(xy * scale[which], indices=which), object)
    finest = _FINEST * scale.min(axis=1)
    out = straightened(lines, np.maximum(tolerance, finest))
    points, owner = shapely.get_coordinates(out, return_index=True)
    points, begin = points / scale[owner], np.searchsorted(owner, np.arange(count + 1))
    kept = np.diff(begin) > 0
    for new, old in ((begin[:-1], starts[:-1]), (begin[1:] - 1, starts[1:] - 1)):
        points[new[kept]] = xy[old[kept]]  # to the last bit where their nodes are
    return points, begin


def _widths(
    net: Network, reach: FloatArray, scale: FloatArray, place: IntArray, width: int
) -> tuple[FloatArray, FloatArray]:
    """Mean and spread of the mark's width along each edge.

    Pixels within the reach of a node that others share are left out, as the mark is wider there, unless that
    leaves none. A mark ``w`` pixels wide has a reach of ``(w + 1) / 2`` if ``w`` is odd, else of ``w / 2``.
    """
    row, column = place // width, place % width
    half = 0.5 * np.sqrt(scale[:, 0] * scale[:, 1])
    across = 2 * reach - half
    near = np.zeros(net.path.size, np.bool_)
    for end, first in ((0, net.starts[:-1]), (1, net.starts[1:] - 1)):
        pixel = net.path[first][net.edge_of_path]
        shared = net.degree[net.ends[:, end]] > 1
        away = np.hypot(
            (column[net.path] - column[pixel]) * scale[pixel, 0], (row[net.path] - row[pixel]) * scale[pixel, 1]
        )
        near |= shared[net.edge_of_path] & (away < reach[pixel])
    free = np.bincount(net.edge_of_path, weights=~near, minlength=net.edge_count) > 0
    used = ~near | ~free[net.edge_of_path]
    return _mean_and_spread(across[net.path[used]], net.edge_of_path[used], net.edge_count)


def _mean_and_spread(values: FloatArray, group: IntArray, count: int) -> tuple[FloatArray, FloatArray]:
    size = np.maximum(np.bincount(group, minlength=count), 1)
    mean = np.bincount(group, weights=values, minlength=count) / size
    square = np.bincount(group, weights=(values - mean[group]) ** 2, minlength=count) / size
    return mean, np.sqrt(square)


def _confidences(net: Network, confidence: NDArray[np.uint8]) -> FloatArray:
    """``(edges,)`` mean of the bytes that are known."""
    values = confidence[net.path].astype(np.float64)
    known = values != UNKNOWN
    count = np.bincount(net.edge_of_path, weights=known, minlength=net.edge_count)
    total = np.bincount(net.edge_of_path, weights=np.where(known, values, 0), minlength=net.edge_count)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)
