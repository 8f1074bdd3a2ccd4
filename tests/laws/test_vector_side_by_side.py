"""Stretches of rows that are traced side by side join to what one tracer makes of the whole."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from label_rasters import LUT, NODATA, SHAPES, Labels

from geounet.vector.polygons import Polygons, in_order, join
from geounet.vector.side_by_side import SideBySide
from geounet.vector.tracer import OnVertices, trace
from tests.laws.test_vector_tracing import rasters, same

Told = list[tuple[int, int, bool]]


def teller(told: Told) -> OnVertices:
    """Writes down what it is told."""
    return lambda xy, nodes: told.extend((x, y, bool(n)) for (x, y), n in zip(xy.tolist(), nodes, strict=True))


def stretches(labels: Labels, heights: list[int], *, threads: int = 3, **beside: Any) -> tuple[Polygons, Told]:
    """Traced in stretches of these heights, over and over; and the vertices in the order in which they are told."""
    told: Told = []
    found: list[Polygons] = []
    with ThreadPoolExecutor(threads) as pool:
        tracer = SideBySide(
            width=labels.shape[1],
            lut=beside.pop("lut"),
            on_vertices=lambda xy, nodes: told.extend(
                (*p, bool(n)) for p, n in zip(xy.tolist(), nodes, strict=True)
            ),
            threads=threads,
            submit=pool.submit,
        )
        turn = 0
        while tracer.row < labels.shape[0]:
            part = slice(tracer.row, tracer.row + heights[turn % len(heights)])
            found += tracer.feed(labels[part], **{name: values[part] for name, values in beside.items()})
            turn += 1
        found += tracer.close()
    return in_order(join(found)), told


def check(labels: Labels, heights: list[int], **beside: Any) -> None:
    expected: Told = []
    whole = trace(
        labels,
        on_vertices=lambda xy, nodes: expected.extend(
            (*p, bool(n)) for p, n in zip(xy.tolist(), nodes, strict=True)
        ),
        **beside,
    )
    found, told = stretches(labels, heights, **beside)
    assert same(whole, found)
    assert told == expected


@pytest.mark.parametrize("name", SHAPES)
def test_known_shapes(name: str) -> None:
    labels = SHAPES[name]
    for heights in ([1], [2], [5, 1], [labels.shape[0] - 1, 1]):
        check(labels, [max(1, h) for h in heights], lut=LUT)


@settings(max_examples=200, deadline=None)
@given(rasters, st.lists(st.integers(1, 6), min_size=1, max_size=4))
def test_any_raster_and_any_stretches(labels: Labels, heights: list[int]) -> None:
    confidence = (np.arange(labels.size) * 37 % 256).astype(np.uint8).reshape(labels.shape)
    check(labels, heights, lut=LUT, confidence=confidence)
    lut = LUT.copy()
    lut[0] = -(2**31)  # not wanted, yet no rim
    check(labels, heights, lut=lut, rim=labels == NODATA)
    check(labels.astype(np.int32), heights, lut=None, outside=labels == NODATA, confidence=confidence)
