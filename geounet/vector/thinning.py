"""The compiled thinning: steps over the pixels whose neighbours changed, some of which are not known.

A step decides about all pixels from the state before it, so a pixel's state after ``s`` steps hangs on pixels at
most ``s`` away. That alone would ask for a halo as wide as there are steps. But a pixel is often decided whatever
an unknown neighbour is (see ``thinning_rules``): `UNKNOWN` is carried along as a third state, and where it has not
come, the state after every step is that of the whole raster:

- at the beginning that is so: what is known is the raster itself;
- if after ``s`` steps every pixel's state is among those that its byte allows, then so it is after ``s + 1``: the
  table allows what any neighbourhood among the allowed ones leads to, and what is gone stays gone.

It spreads along a cut only as far as the cut itself can matter, about half the width of what is cut.
"""

# ruff: noqa: PLR0917 - compiled functions are called with positions

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

GONE, THERE, UNKNOWN = 0, 1, 2
"""States of a pixel, in the two low bits of its byte."""
NEVER = np.int32(2**31 - 1)
UNSURE = np.int32(-1)
"""Instead of the step in which a pixel went: it never did; it went, but nobody knows when."""

_ODD, _EVEN, _BOTH = np.uint8(4), np.uint8(8), np.uint8(12)
"""Whether a pixel waits to be looked at in the next odd, the next even step: two further bits."""


@njit(cache=True, nogil=True, inline="always")
def _code(state: Any, i: int, width: int) -> Any:
    """The eight neighbours as a number in base three."""
    a, b = i - width, i + width
    return (
        np.int64(state[a - 1] & 3)
        + 3 * np.int64(state[a] & 3)
        + 9 * np.int64(state[a + 1] & 3)
        + 27 * np.int64(state[i + 1] & 3)
        + 81 * np.int64(state[b + 1] & 3)
        + 243 * np.int64(state[b] & 3)
        + 729 * np.int64(state[b - 1] & 3)
        + 2187 * np.int64(state[i - 1] & 3)
    )


@njit(cache=True, nogil=True, inline="always")
def _queue(state: Any, i: int, queues: Any, counts: Any) -> None:
    """Have a pixel that is not gone looked at in the next odd and the next even step."""
    s = state[i]
    if s & 3 and s & _BOTH != _BOTH:
        if not s & _ODD:
            queues[0, counts[0]] = i
            counts[0] += 1
        if not s & _EVEN:
            queues[1, counts[1]] = i
            counts[1] += 1
        state[i] = s | _BOTH


@njit(cache=True, nogil=True)
def _queue_around(state: Any, i: int, width: int, queues: Any, counts: Any) -> None:
    """Queue the neighbours of a pixel that changed, if they lie between the first row and the last."""
    if i >= 2 * width:
        for j in range(i - width - 1, i - width + 2):
            _queue(state, j, queues, counts)
    if i >= width:
        _queue(state, i - 1, queues, counts)
        _queue(state, i + 1, queues, counts)
    if i < state.size - 2 * width:
        for j in range(i + width - 1, i + width + 2):
            _queue(state, j, queues, counts)


@njit(cache=True, nogil=True)
def _queue_borders(state: Any, width: int, queues: Any, counts: Any) -> None:
    """At first all pixels that are not surrounded by others."""
    for i in range(width + 1, state.size - width - 1):
        if state[i] & 3 == THERE:
            a, b = i - width, i + width
            every = state[a - 1] & state[a] & state[a + 1] & state[b - 1] & state[b] & state[b + 1]
            if not every & state[i - 1] & state[i + 1] & THERE:
                _queue(state, i, queues, counts)


@njit(cache=True, nogil=True)
def thin(state: Any, went: Any, width: int, history: Any, table: Any, room: int) -> None:
    """Thin ``h`` rows of ``state`` in place, until nothing changes.

    ``state`` is a flat array of ``h + 2`` rows of ``width``. The first row holds the pixels above as they were
    at first; ``history`` are the places of those that go, in the order in which they do, with the steps in the
    first row of ``went``. The last row holds what lies below: nothing, or `UNKNOWN`. The first and the last
    column are empty. ``went`` int32 of the same shape gets the step in which each pixel went, or `UNSURE`.
    ``table``: `decisions`. ``room``: pixels that are there between the first row and the last.
    """
    queues = np.empty((2, room), np.int64)
    changed = np.empty(room, np.int64)
    counts = np.zeros(2, np.int64)
    _queue_borders(state, width, queues, counts)
    step, told = 0, 0
    while counts[0] or counts[1] or told < history.size:
        step += 1
        which = (step - 1) & 1
        n = _look(state, width, queues[which], counts[which], ~(_EVEN if which else _ODD), table[which], changed)
        counts[which] = 0
        for k in range(n):
            # what is not known, and goes all the same, may have gone before
            i = abs(changed[k])
            if changed[k] > 0:
                went[i] = step if state[i] & 3 == THERE else UNSURE
                state[i] &= _BOTH
            else:
                state[i] = (state[i] & _BOTH) | UNKNOWN
            _queue_around(state, i, width, queues, counts)
        while told < history.size and went[history[told]] == step:
            state[history[told]] = GONE
            _queue_around(state, history[told], width, queues, counts)
            told += 1


@njit(cache=True, nogil=True)
def _look(state: Any, width: int, queue: Any, waiting: int, flag: int, table: Any, changed: Any) -> int:
    """Decide about all pixels that wait: into ``changed`` come those that go, and with a minus those that may."""
    n = 0
    for k in range(waiting):
        i = queue[k]
        state[i] &= flag
        own = state[i] & 3
        if own == GONE:
            continue
        result = table[_code(state, i, width)]
        if result == 1:
            changed[n] = i
            n += 1
        elif result == 2 and own == THERE:
            changed[n] = -i
            n += 1
    return n
