"""How far it is from a pixel of the skeleton to the nearest one that is not marked: the exact distance transform.

Along columns first, then along the row, as in A. Meijster, J. Roerdink and W. Hesselink, A general algorithm for
computing distance transforms in linear time, 2000; the second pass only where it is asked for. What lies beyond
the raster's rim counts as marked: a road that leaves the scene is as wide there as before.
"""

# ruff: noqa: PLR0917 - compiled functions are called with positions

from __future__ import annotations

from typing import Any

import numpy as np

from geounet.kernels import inlined_kernel, kernel

_ONE = np.uint64(1)
_FAR = np.int32(2**29)


@kernel
def height_after(mask: Any, above: Any) -> Any:
    """``(columns,)`` int32 pixels up from the last row to the nearest that is not marked.

    ``mask`` ``(h, columns / 64)``: uint64, the lowest bit leftmost; ``above``: the same of the row before.
    """
    out = above.copy()
    for y in range(mask.shape[0]):
        _count_on(mask[y], out, out)
    return out


@kernel
def _count_on(mask: Any, before: Any, out: Any) -> None:
    """One more than in the row ``before`` where the row is marked, else 0."""
    for word in range(mask.size):
        left, bits = 64 * word, mask[word]
        if bits == 0:
            out[left : left + 64] = 0
            continue
        for k in range(64):
            out[left + k] = (before[left + k] + np.int32(1)) * np.int32(bits >> np.uint64(k) & _ONE)


@kernel
def _in_columns(mask: Any, above: Any) -> Any:
    """``(h, columns)`` pixels up or down to the nearest that is not marked."""
    h = mask.shape[0]
    out = np.empty((h, above.size), np.int32)
    for y in range(h):
        _count_on(mask[y], out[y - 1] if y else above, out[y])
    down = np.full(above.size, _FAR)
    for y in range(h - 1, -1, -1):
        _count_on(mask[y], down, down)
        np.minimum(out[y], down, out[y])
    return out


@kernel
def reaches(wanted: Any, mask: Any, above: Any, sides: Any, width: int, last: bool) -> tuple[Any, Any, Any]:
    """Places ``row * width + column`` of the ``wanted`` pixels, in row-major order, their distances, and by row
    whether those below cannot change them.

    ``wanted`` are the first rows of ``mask``, as words; ``above`` as of `height_after`; ``sides`` ``(h, 2)``
    lengths of a pixel along rows and along columns; ``last``: whether nothing but the rim lies below.
    """
    nearest, count = _in_columns(mask, above), _count(wanted)
    place, out, sure = np.empty(count, np.int64), np.empty(count), np.ones(wanted.shape[0], np.bool_)
    n = 0
    for y in range(wanted.shape[0]):
        across, along = sides[y, 0] ** 2, sides[y, 1] ** 2
        below = along * (mask.shape[0] - y) ** 2
        for word in range(wanted.shape[1]):
            bits, x = wanted[y, word], 64 * word
            while bits:
                if bits & _ONE:
                    best = _square(nearest[y], x, width, across, along)
                    place[n], out[n] = y * width + x, np.sqrt(best)
                    n += 1
                    sure[y] &= best <= below or last
                bits >>= _ONE
                x += 1
    return place, out, sure


@kernel
def _count(words: Any) -> int:
    """How many bits are set."""
    n = 0
    for word in words.flat:
        rest = word
        while rest:
            rest &= rest - _ONE
            n += 1
    return n


@inlined_kernel
def _square(nearest: Any, x: int, width: int, across: float, along: float) -> float:
    """Of the distance from column ``x`` of a row; ``across`` and ``along``: squares of a pixel's sides."""
    best = min(along * float(nearest[x]) ** 2, across * float(width) ** 2)
    k = 1
    while across * k * k < best:
        steps = min(nearest[x - k] if x >= k else _FAR, nearest[x + k] if x + k < width else _FAR)
        best = min(best, across * k * k + along * float(steps) ** 2)
        k += 1
    return best
