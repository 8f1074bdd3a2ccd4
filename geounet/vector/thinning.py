"""The compiled thinning: 64 pixels in a word, 8 words at a time, where something changed and some may be unknown.

A step decides about all pixels from the state before it, so a pixel's state after ``s`` steps hangs on pixels at
most ``s`` away. That alone would ask for a halo as wide as there are steps. But a pixel is often decided whatever
an unknown neighbour is (see ``thinning_rules``): unknown is carried along as a third state, and where it has not
come, the state after every step is that of the whole raster:

- at the beginning that is so: what is known is the raster itself;
- if after ``s`` steps every pixel's state is among those that its bits allow, then so it is after ``s + 1``: the
  diagrams allow what any neighbourhood among the allowed ones leads to, and what is gone stays gone.

It spreads along a cut only as far as the cut itself can matter, about half the width of what is cut.

A row is words of uint64, the lowest bit leftmost, in two planes: pixels that ``may`` be there, and those that are
there for ``sure``; may and not sure is unknown. The neighbours of 64 pixels are the words around, shifted by a bit;
the rules are decision diagrams over these (``thinning_diagrams``), some forty operations, which vector instructions
do for 8 words at once. Words come in groups; a group is looked at in the two steps after one that changed it or a
group beside it.
"""

# ruff: noqa: PLR0917 - compiled functions are called with positions

from __future__ import annotations

from typing import Any

import numpy as np

from geounet.kernels import inlined_kernel, kernel
from geounet.vector.thinning_diagrams import even_step, odd_step

GROUP = 8
"""Words that are looked at together."""
NEVER = np.int32(2**31 - 1)
"""Instead of the step in which a pixel went: it never did."""

_BITS = 8
"""Of the steps' numbers, to begin with."""
_ONE, _TOP, _NONE, _ALL = (np.uint64(n) for n in (1, 63, 0, 2**64 - 1))


@kernel
def thin(may: Any, sure: Any, places: Any, steps: Any) -> tuple[Any, Any]:
    """Thin ``h`` rows in place, until nothing changes; when pixels went, and ``(h,)`` of which rows that is known.

    ``may`` and ``sure`` are ``(h + 2, groups * GROUP + 2)``, their first and last words empty. The first row holds
    the pixels above as they were at first; ``places`` are the columns of those that go, in the order of the
    ``steps`` in which they do. The last row holds what lies below: nothing, or unknown. The step in which a pixel
    went is written across planes ``(bits, h + 2, …)``, the lowest bit first, and 0 where none did.
    """
    h, groups = may.shape[0] - 2, (may.shape[1] - 2) // GROUP
    due, hazy = np.zeros((h + 2, groups + 2), np.int32), np.zeros((h + 2, groups + 2), np.bool_)
    hazy[h:] = (may[h + 1] != sure[h + 1]).any()
    goes, doubt = np.zeros_like(may), np.zeros_like(may)
    stretches, known = np.empty((h * groups, 3), np.int64), np.ones(h, np.bool_)
    went = np.zeros((_BITS, *may.shape), np.uint64)
    step, latest, told = 0, 0, 0
    while latest >= step - 1 or told < places.size:
        step += 1
        if step >> went.shape[0]:
            went = np.concatenate((went, np.zeros_like(went)))
        n = _look(may, sure, due, hazy, step, goes, doubt, stretches)
        if _carry_out(may, sure, goes, doubt, stretches[:n], due, hazy, went, known, step):
            latest = step
        while told < places.size and steps[told] == step:
            _take_from_above(may, sure, places[told], due, step)
            latest, told = step, told + 1
    for y in range(h):
        known[y] &= (may[y + 1] == sure[y + 1]).all()
    return went, known


@kernel
def _look(may: Any, sure: Any, due: Any, hazy: Any, step: int, goes: Any, doubt: Any, stretches: Any) -> int:
    """Decide wherever something changed in the two steps before; number of ``stretches``: row, first group, end."""
    n, groups = 0, due.shape[1] - 2
    for y in range(1, may.shape[0] - 1):
        end = 0
        while end < groups:
            begin, end = end, end + 1
            if due[y, end] < step - 2:
                continue
            while end < groups and due[y, end + 1] >= step - 2 and hazy[y, end + 1] == hazy[y, end]:
                end += 1
            first, after = begin * GROUP, end * GROUP + 2
            a, c, b = may[y - 1, first:after], may[y, first:after], may[y + 1, first:after]
            out = goes[y, first + 1 : after - 1]
            if hazy[y, end]:
                sures = sure[y - 1, first:after], sure[y, first:after], sure[y + 1, first:after]
                doubts = doubt[y, first + 1 : after - 1]
                if step % 2:
                    _doubt_odd(a, c, b, sures, out, doubts)
                else:
                    _doubt_even(a, c, b, sures, out, doubts)
            elif step % 2:
                _decide_odd(a, c, b, out)
            else:
                _decide_even(a, c, b, out)
            stretches[n, 0], stretches[n, 1], stretches[n, 2] = y, begin, end
            n += 1
    return n


@kernel
def _carry_out(
    may: Any,
    sure: Any,
    goes: Any,
    doubt: Any,
    stretches: Any,
    due: Any,
    hazy: Any,
    went: Any,
    known: Any,
    step: int,
) -> bool:
    """Change what was decided about ``stretches``, and tell the groups around; whether anything changed."""
    changed = False
    for k in range(stretches.shape[0]):
        y, begin, end = stretches[k]
        for g in range(begin, end):
            if _changes(goes, doubt, y, g):
                known[y - 1] &= _record(goes, sure, y, g, went, step)
                if _clear(may, sure, goes, doubt, y, g):
                    _spread(hazy, y, g, True)
                _spread(due, y, g, step)
                changed = True
    return changed


@kernel
def _take_from_above(may: Any, sure: Any, place: int, due: Any, step: int) -> None:
    """Take the pixel in column ``place`` away from the row above those in hand."""
    word = place // 64
    may[0, word + 1] &= ~(_ONE << np.uint64(place % 64))
    sure[0, word + 1] = may[0, word + 1]
    _spread(due, 0, word // GROUP, step)


@inlined_kernel
def _around(a: Any, c: Any, b: Any, k: int) -> Any:
    """The neighbours of the pixels in word ``k + 1`` of the row ``c``, as words, in the order of ``NAMES``."""
    return (
        a[k + 1] << _ONE | a[k] >> _TOP,
        a[k + 1],
        a[k + 1] >> _ONE | a[k + 2] << _TOP,
        c[k + 1] >> _ONE | c[k + 2] << _TOP,
        b[k + 1] >> _ONE | b[k + 2] << _TOP,
        b[k + 1],
        b[k + 1] << _ONE | b[k] >> _TOP,
        c[k + 1] << _ONE | c[k] >> _TOP,
    )


@inlined_kernel
def _pairs(may: Any, sure: Any) -> Any:
    """Of each neighbour where it may be set, and where it may be clear."""
    return (
        (may[0], ~sure[0]),
        (may[1], ~sure[1]),
        (may[2], ~sure[2]),
        (may[3], ~sure[3]),
        (may[4], ~sure[4]),
        (may[5], ~sure[5]),
        (may[6], ~sure[6]),
        (may[7], ~sure[7]),
    )


@kernel
def _decide_odd(a: Any, c: Any, b: Any, goes: Any) -> None:
    """Which pixels of the row ``c`` go in an odd step, where everything around is known."""
    for k in range(goes.size):
        near = _around(a, c, b, k)
        goes[k] = c[k + 1] & odd_step(*_pairs(near, near), _ALL, _NONE)


@kernel
def _decide_even(a: Any, c: Any, b: Any, goes: Any) -> None:
    """As `_decide_odd` in an even step."""
    for k in range(goes.size):
        near = _around(a, c, b, k)
        goes[k] = c[k + 1] & even_step(*_pairs(near, near), _ALL, _NONE)


@kernel
def _doubt_odd(a: Any, c: Any, b: Any, sures: Any, goes: Any, doubt: Any) -> None:
    """Which pixels of the row ``c`` go in an odd step, and which that are there may go, where not all is known."""
    sure_a, sure_c, sure_b = sures
    for k in range(goes.size):
        near = _pairs(_around(a, c, b, k), _around(sure_a, sure_c, sure_b, k))
        stays = odd_step(*near, _NONE, _ALL)
        goes[k] = c[k + 1] & ~stays
        doubt[k] = sure_c[k + 1] & stays & odd_step(*near, _ALL, _NONE)


@kernel
def _doubt_even(a: Any, c: Any, b: Any, sures: Any, goes: Any, doubt: Any) -> None:
    """As `_doubt_odd` in an even step."""
    sure_a, sure_c, sure_b = sures
    for k in range(goes.size):
        near = _pairs(_around(a, c, b, k), _around(sure_a, sure_c, sure_b, k))
        stays = even_step(*near, _NONE, _ALL)
        goes[k] = c[k + 1] & ~stays
        doubt[k] = sure_c[k + 1] & stays & even_step(*near, _ALL, _NONE)


@inlined_kernel
def _changes(goes: Any, doubt: Any, y: int, group: int) -> bool:
    """Whether any pixel of a group changes."""
    some = _NONE
    for x in range(group * GROUP + 1, (group + 1) * GROUP + 1):
        some |= goes[y, x] | doubt[y, x]
    return some != _NONE


@inlined_kernel
def _record(goes: Any, sure: Any, y: int, group: int, went: Any, step: int) -> bool:
    """Note the step of the pixels that go; False where one goes that may have gone before."""
    lost = _NONE
    for bit in range(went.shape[0]):
        if step >> bit & 1:
            for x in range(group * GROUP + 1, (group + 1) * GROUP + 1):
                went[bit, y, x] |= goes[y, x]
    for x in range(group * GROUP + 1, (group + 1) * GROUP + 1):
        lost |= goes[y, x] & ~sure[y, x]
    return lost == _NONE


@inlined_kernel
def _clear(may: Any, sure: Any, goes: Any, doubt: Any, y: int, group: int) -> bool:
    """Take the pixels away that go, and from those that are sure what is in doubt; whether anything is."""
    some = _NONE
    for x in range(group * GROUP + 1, (group + 1) * GROUP + 1):
        may[y, x] &= ~goes[y, x]
        sure[y, x] &= ~(goes[y, x] | doubt[y, x])
        some |= doubt[y, x]
    return some != _NONE


@inlined_kernel
def _spread(groups: Any, y: int, group: int, value: Any) -> None:
    """Tell a group, and those around it."""
    for i in range(max(y - 1, 0), y + 2):
        for j in range(group, group + 3):
            groups[i, j] = value
