"""The compiled rules of thinning are those of the paper as amended, for every neighbourhood, known or not."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from numpy.typing import NDArray

from geounet.vector.thinning_diagrams import even_step, odd_step
from geounet.vector.thinning_rules import goes
from tests.vector.thinning_diagrams import PAGE, render

NONE, ALL = np.uint64(0), np.uint64(2**64 - 1)
CODES = list(product((0, 1, 2), repeat=8))
"""Of the eight neighbours: clear, set, not known."""


def packed(flags: NDArray[np.bool_]) -> NDArray[np.uint64]:
    return np.packbits(np.pad(flags, (0, -flags.size % 64)), bitorder="little").view(np.uint64)


def unpacked(words: NDArray[np.uint64]) -> NDArray[np.bool_]:
    return np.unpackbits(words.view(np.uint8), count=len(CODES), bitorder="little").view(np.bool_)


def may_lead_to(bit: int) -> NDArray[np.bool_]:
    """``(3**8, 2)``: whether a pixel may stay, and may go, by trying all neighbourhoods that it may have."""
    out = []
    for code in CODES:
        sets = product(*((0, 1) if state == 2 else (state,) for state in code))
        found = {goes(sum(one << k for k, one in enumerate(set_))) >> bit & 1 for set_ in sets}
        out.append((0 in found, 1 in found))
    return np.array(out)


@pytest.mark.parametrize(("bit", "step"), [(0, odd_step), (1, even_step)])
def test_the_diagrams_are_the_rules(bit, step):
    states = np.array(CODES)
    pairs = [(packed(states[:, k] != 0), packed(states[:, k] != 1)) for k in range(8)]
    found = [step.py_func(*pairs, *leaves) for leaves in ((NONE, ALL), (ALL, NONE))]
    np.testing.assert_array_equal(np.stack([unpacked(f) for f in found], axis=1), may_lead_to(bit))


def test_the_diagrams_are_written_from_the_rules():
    assert PAGE.read_text(encoding="utf-8") == render(), "python tests/vector/thinning_diagrams.py"
