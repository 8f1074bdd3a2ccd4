"""Attribute columns to bytes, compiled: numbers as text, and values put where each feature wants them."""

# ruff: noqa: PLR0917 - compiled functions are called with positions

from __future__ import annotations

from typing import Any

import numpy as np

from geounet.kernels import kernel

LONGEST_NUMBER = 24
DECIMALS = 4
_LIMIT = 10**11


@kernel
def put_integer(out: Any, k: int, value: int) -> int:
    """The digits of ``value`` ≥ 0 at ``out[k:]``; the place after them."""
    digits = 1
    rest = value
    while rest >= 10:
        rest //= 10
        digits += 1
    for i in range(digits):
        out[k + digits - 1 - i] = 48 + value % 10
        value //= 10
    return k + digits


@kernel
def integer_texts(values: Any, out: Any, ends: Any) -> int:
    """Whole numbers as text, one after another; ``ends`` ``(n,)`` is filled. The bytes written."""
    k = 0
    for i in range(values.size):
        value = np.int64(values[i])
        if value < 0:
            out[k] = 45
            k += 1
            value = -value
        k = put_integer(out, k, value)
        ends[i] = k
    return k


@kernel
def decimal_texts(values: Any, out: Any, ends: Any, hard: Any) -> int:
    """Numbers of at most four decimals as Python writes them (``12.0``, ``0.25``); ``null`` if not finite.

    Other numbers get no text, and ``hard`` ``(n,)`` says which these are.
    """
    k = 0
    for i in range(values.size):
        value = float(values[i])
        if not np.isfinite(value):
            out[k], out[k + 1], out[k + 2], out[k + 3] = 110, 117, 108, 108
            k += 4
        else:
            size = abs(value)
            scaled = np.rint(size * 10.0**DECIMALS) if size < _LIMIT else 0.0
            # a decimal of at most 15 digits is the shortest text of its double: what repr gives
            if scaled == 0.0 or scaled / 10.0**DECIMALS != size:
                hard[i] = True
            else:
                if value < 0:
                    out[k] = 45
                    k += 1
                whole = np.int64(scaled)
                k = put_integer(out, k, whole // 10**DECIMALS)
                rest, digits = whole % 10**DECIMALS, DECIMALS
                while digits > 1 and rest % 10 == 0:
                    rest //= 10
                    digits -= 1
                out[k] = 46
                for d in range(digits):
                    out[k + digits - d] = 48 + rest % 10
                    rest //= 10
                k += digits + 1
        ends[i] = k
    return k


@kernel
def put_values(out: Any, cursor: Any, before: Any, values: Any, starts: Any, which: Any, omit: bool) -> None:
    """Put ``before`` and its value at every feature's place in ``out``, and move the places ``cursor`` ``(n,)`` on.

    Feature ``i`` has the value ``values[starts[w] : starts[w + 1]]`` with ``w = which[i]``, or ``w = i`` where
    ``which`` is empty; with ``omit`` nothing is put for a value of no bytes.
    """
    for i in range(cursor.size):
        w = which[i] if which.size else i
        a, b = starts[w], starts[w + 1]
        if omit and a == b:
            continue
        k = cursor[i]
        for j in range(before.size):
            out[k + j] = before[j]
        k += before.size
        for j in range(a, b):
            out[k + j - a] = values[j]
        cursor[i] = k + b - a
