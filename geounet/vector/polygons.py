"""Polygons of components, as flat arrays: the form in which they travel from the sweep to the formats."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

IntArray = NDArray[np.integer[Any]]


@dataclass(frozen=True, kw_only=True)
class Polygons:
    """``n`` components with their rings, in integer pixel coordinates.

    Rings are not closed; the first ring of a component is its shell. On the screen (rows downwards) shells
    run clockwise and holes anticlockwise.
    """

    identity: NDArray[np.int64]
    """``(n,)`` first pixel of the component in row-major order, as ``row * width + column``."""
    label: NDArray[np.int32]
    """``(n,)`` pixel value."""
    pixels: NDArray[np.int64]
    """``(n,)`` number of pixels."""
    confidence_sum: NDArray[np.int64]
    """``(n,)`` sum of the confidence bytes of the pixels that have one."""
    confidence_count: NDArray[np.int64]
    """``(n,)`` number of pixels that have one."""
    touches: NDArray[np.bool_]
    """``(n,)`` whether the component meets the raster's rim or what is not vectorised."""
    stats: NDArray[np.float64]
    """``(n, bands, 4)`` sum, number, least and greatest of another raster's values under the component."""
    ring_counts: NDArray[np.int32]
    """``(n,)`` rings of each component."""
    corner_counts: NDArray[np.int32]
    """``(rings,)`` corners of each ring."""
    corners: NDArray[np.int32]
    """``(corners, 2)`` as (column, row) of the pixel grid."""

    def __len__(self) -> int:
        return int(self.identity.size)

    @property
    def ring_starts(self) -> NDArray[np.int64]:
        """``(rings + 1,)`` where each ring begins in ``corners``."""
        return starts(self.corner_counts)

    @property
    def polygon_starts(self) -> NDArray[np.int64]:
        """``(n + 1,)`` where each component begins in ``corner_counts``."""
        return starts(self.ring_counts)

    @property
    def sizes(self) -> NDArray[np.int64]:
        """``(n,)`` corners of each component."""
        return np.diff(self.ring_starts[self.polygon_starts])

    def part(self, begin: int, end: int) -> Polygons:
        """The components ``begin`` to ``end - 1``; not a copy."""
        rings = slice(*self.polygon_starts[[begin, end]].tolist())
        corners = slice(*self.ring_starts[[rings.start, rings.stop]].tolist())
        which = {"corners": corners, "corner_counts": rings}
        return Polygons(
            **{f.name: getattr(self, f.name)[which.get(f.name, slice(begin, end))] for f in fields(self)}
        )

    def take(self, which: NDArray[Any]) -> Polygons:
        """The components at the places ``which`` (numbers, or a mask)."""
        order = np.flatnonzero(which) if which.dtype == bool else which
        rings = ranges(self.polygon_starts[order], self.ring_counts[order])
        corners = ranges(self.ring_starts[rings], self.corner_counts[rings])
        picks = {"corners": corners, "corner_counts": rings}
        return Polygons(**{f.name: getattr(self, f.name)[picks.get(f.name, order)] for f in fields(self)})

    def to_shapely(self, coordinates: NDArray[np.float64] | None = None) -> NDArray[np.object_]:
        """``(n,)`` shapely polygons; ``coordinates`` ``(corners, 2)`` replace the pixel coordinates."""
        import shapely

        xy = self.corners.astype(float) if coordinates is None else coordinates
        closed, ring_starts = close_rings(xy, self.ring_starts)
        out = shapely.from_ragged_array(shapely.GeometryType.POLYGON, closed, (ring_starts, self.polygon_starts))
        return np.asarray(out)


def none_at_all(bands: int = 0) -> Polygons:
    """No component; ``bands`` of another raster."""
    whole, small = np.zeros(0, np.int64), np.zeros(0, np.int32)
    return Polygons(
        identity=whole,
        label=small,
        pixels=whole,
        confidence_sum=whole,
        confidence_count=whole,
        touches=np.zeros(0, np.bool_),
        stats=np.zeros((0, bands, 4)),
        ring_counts=small,
        corner_counts=small,
        corners=np.zeros((0, 2), np.int32),
    )


def starts(counts: IntArray) -> NDArray[np.int64]:
    """``(n + 1,)`` running sums of ``(n,)`` counts, from 0."""
    out = np.zeros(counts.size + 1, np.int64)
    np.cumsum(counts, out=out[1:])
    return out


def close_rings(
    xy: NDArray[np.float64], ring_starts: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Repeat the first corner of every ring at its end; returns coordinates and ring starts."""
    rings = ring_starts.size - 1
    closed_starts = ring_starts + np.arange(rings + 1)
    source = np.arange(closed_starts[-1]) - np.repeat(np.arange(rings), np.diff(closed_starts))
    source[closed_starts[1:] - 1] = ring_starts[:-1]
    return xy[source], closed_starts


def join(parts: Sequence[Polygons]) -> Polygons:
    """All components of ``parts``, one after another."""
    return Polygons(**{f.name: np.concatenate([getattr(p, f.name) for p in parts]) for f in fields(Polygons)})


def in_order(polygons: Polygons) -> Polygons:
    """The same components, sorted by identity."""
    order = np.argsort(polygons.identity, kind="stable")
    if np.array_equal(order, np.arange(order.size)):
        return polygons
    return polygons.take(order)


def ranges(begin: IntArray, counts: IntArray) -> NDArray[np.int64]:
    """``begin[0], begin[0] + 1, …, begin[1], …``: ``counts[i]`` numbers from each ``begin[i]``."""
    ends = np.cumsum(counts, dtype=np.int64)
    total = int(ends[-1]) if ends.size else 0
    return np.arange(total) + np.repeat(begin - (ends - counts), counts)
