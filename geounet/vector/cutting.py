"""Centre-lines cut at the border of an area, and still a graph: where a line is cut, a node ends it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import shapely
from numpy.typing import NDArray

from geounet.vector.centrelines import CentreLines

FloatArray = NDArray[np.float64]
_NOTHING = 1e-9
"""Pixels; shorter pieces are those of lines that only touch the border."""


def cut_lines(lines: CentreLines, area: shapely.Geometry) -> CentreLines:
    """What of ``lines`` lies in ``area``, in the same pixel coordinates.

    Pieces are in the order of the lines, and along them; the nodes at cuts come after all others and have degree 1.
    Widths and confidences are those of the whole lines.
    """
    count = lines.starts.size - 1
    if not count:
        return replace(lines, cut=np.zeros(len(lines.node_xy), np.bool_))
    shapely.prepare(area)
    owner = np.repeat(np.arange(count), np.diff(lines.starts))
    shapes = shapely.linestrings(lines.xy, indices=owner)
    whole = np.asarray(shapely.covers(area, shapes))
    meets = whole | np.asarray(shapely.intersects(area, shapes))
    known = len(lines.node_xy)
    parts: list[FloatArray] = []
    source: list[int] = []
    ends: list[tuple[int, int]] = []
    new: list[FloatArray] = []
    for e in np.flatnonzero(meets).tolist():
        xy = lines.xy[lines.starts[e] : lines.starts[e + 1]]
        a, b = lines.ends[e].tolist()
        for part, first, last in [(xy, True, True)] if whole[e] else _pieces(xy, area):
            ends.append((a if first else known + len(new), b if last else known + len(new) + (not first)))
            new += [*([] if first else [part[0]]), *([] if last else [part[-1]])]
            parts.append(part)
            source.append(e)
    sizes = np.array([len(part) for part in parts], np.int64)
    pieces = replace(
        lines,
        xy=np.concatenate([*parts, np.zeros((0, 2))]),
        starts=np.concatenate([[0], np.cumsum(sizes)]),
        ends=np.array(ends, np.int32).reshape(-1, 2),
        width=lines.width[source],
        width_sd=lines.width_sd[source],
        confidence=None if lines.confidence is None else lines.confidence[source],
        node_xy=np.concatenate([lines.node_xy, np.array(new).reshape(-1, 2)]),
    )
    used = np.unique(pieces.ends)
    return replace(pieces.take(np.ones(len(parts), np.bool_)), cut=used >= known)


def _pieces(xy: FloatArray, area: shapely.Geometry) -> Iterator[tuple[FloatArray, bool, bool]]:
    """The pieces of a line inside of ``area``, and whether they begin and end where the line does."""
    at = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(xy, axis=0).T))])
    marks = _crossings(xy, at, shapely.boundary(area))
    middles = _along(xy, at, (marks[1:] + marks[:-1]) / 2)
    inside = shapely.covers(area, shapely.points(middles))
    steps = np.diff(np.concatenate([[0], inside.astype(np.int8), [0]]))
    for i, j in zip(np.flatnonzero(steps == 1).tolist(), np.flatnonzero(steps == -1).tolist(), strict=True):
        a, b = marks[i], marks[j]
        if b - a <= _NOTHING:
            continue
        between = xy[(at > a + _NOTHING) & (at < b - _NOTHING)]
        first, last = _along(xy, at, np.array([a, b]))
        yield np.concatenate([first[None], between, last[None]]), a == 0.0, b == at[-1]


def _crossings(xy: FloatArray, at: FloatArray, border: shapely.Geometry) -> FloatArray:
    """Places along a line, from 0 to its length, at which it meets ``border``; both ends besides."""
    segments = shapely.linestrings(np.stack([xy[:-1], xy[1:]], axis=1))
    points, which = shapely.get_coordinates(shapely.intersection(segments, border), return_index=True)
    found = np.sort(at[which] + np.hypot(*(points - xy[which]).T))
    found = found[(found > _NOTHING) & (found < at[-1] - _NOTHING)]
    return np.unique(np.concatenate([[0.0], found, [at[-1]]]))


def _along(xy: FloatArray, at: FloatArray, places: FloatArray) -> FloatArray:
    """``(n, 2)`` the points at ``places`` along a line."""
    return np.stack([np.interp(places, at, xy[:, k]) for k in range(2)], axis=1)
