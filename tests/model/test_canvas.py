"""What is not a number is an error, wherever it stands, and what is only extreme is not."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from packages import LANDUSE, ROAD, tiny_spec

from geounet.errors import WorkError
from geounet.model.canvas import decide, weigh

SIDE = 70
ONES = np.ones(SIDE, np.float32)


def decided(logits):
    spec = tiny_spec()
    out = np.zeros((2 * len(spec.heads), SIDE, SIDE), np.uint8)
    with np.errstate(invalid="ignore"):
        decide(weigh(logits, spec, ONES, ONES), spec, out=out)
    return out


@pytest.mark.parametrize("place", [(0, 0), (31, 69), (32, 0), (69, 69)])
@pytest.mark.parametrize(
    ("channel", "value", "head"), [(1, np.nan, LANDUSE), (0, np.inf, LANDUSE), (3, np.nan, ROAD)]
)
def test_one_logit_that_is_not_a_number(channel, value, head, place):
    logits = np.zeros((4, SIDE, SIDE), np.float32)
    logits[channel, *place] = value
    with pytest.raises(WorkError, match=f"head '{head.name}' is not a number at 1 of .*--precision fp32") as caught:
        decided(logits)
    assert "\n" not in str(caught.value)


def test_huge_logits_are_answers():
    logits = np.zeros((4, SIDE, SIDE), np.float32)
    logits[2], logits[3] = 3e38, -np.inf
    out = decided(logits)
    assert [set(np.unique(band).tolist()) for band in out] == [{2}, {250}, {0}, {250}]
