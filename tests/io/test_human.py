"""Numbers as people read them."""

from __future__ import annotations

import pytest

from geounet.config import parse_size
from geounet.io import human

AREAS = [
    (0, "0.0 m²"),
    (12.34, "12.3 m²"),
    (9999.4, "9,999 m²"),
    (1e4, "1.00 ha"),
    (999_000, "99.90 ha"),
    (1e6, "1.00 km²"),
    (2.5e9, "2,500.00 km²"),
]
SIZES = [(1, "1 B"), (1023, "1023 B"), (1536, "1.5 KiB"), (2**20 - 1, "1.0 MiB"), (5 * 2**30, "5.0 GiB")]
DURATIONS = [(0.04, "0.0 s"), (59.94, "59.9 s"), (59.96, "1 min 00 s"), (185, "3 min 05 s"), (7625, "2 h 07 min")]


@pytest.mark.parametrize(("value", "text"), AREAS)
def test_areas(value, text):
    assert human.area(value) == text
    assert human.area(1234567.8, "px") == "1,234,568 px"


@pytest.mark.parametrize(("value", "text"), SIZES)
def test_sizes_are_what_the_memory_option_takes(value, text):
    assert human.size(value) == text
    assert parse_size(text) == pytest.approx(value, rel=0.05)


@pytest.mark.parametrize(("value", "text"), DURATIONS)
def test_durations(value, text):
    assert human.duration(value) == text


def test_counts():
    assert (human.count(1, "tile"), human.count(1733, "polygon")) == ("1 tile", "1,733 polygons")
