"""Windows spread over a scene: what stands for the whole of it where not all of it is looked at."""

from __future__ import annotations

from geounet.grid.window import Window

_SIDE = 64  # pixels; file blocks have sides of this and its multiples, so that a window lies in one of them
_ALONG = 10  # windows along a side


def spread_windows(height: int, width: int) -> list[Window]:
    """At most a hundred windows of 64 × 64 px, evenly spread; a side of up to 640 px is covered whole.

    They depend on the scene's size alone.
    """
    return [
        Window.from_bounds(top=top, left=left, bottom=bottom, right=right)
        for top, bottom in _pieces(height)
        for left, right in _pieces(width)
    ]


def _pieces(length: int) -> list[tuple[int, int]]:
    """First and last-plus-one pixel of every window along a side."""
    if length <= _ALONG * _SIDE:
        return [(0, length)]
    last = length // _SIDE - 1
    starts = [number * last // (_ALONG - 1) * _SIDE for number in range(_ALONG)]
    return [(start, start + _SIDE) for start in starts]
