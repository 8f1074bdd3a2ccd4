"""How scores are said."""

from __future__ import annotations

import pytest

from geounet.score.tell import fact


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("truth_m", 63047.2, "truth 63,047 m"),
        ("prediction_m", 4.26, "prediction 4.3 m"),
        ("truth_objects", 12, "truth 12 objects"),
        ("pixels", 1234567, "1,234,567 pixels"),
    ],
)
def test_what_was_compared_is_a_whole_phrase(name: str, value: float, said: str) -> None:
    assert fact(name, value) == said
