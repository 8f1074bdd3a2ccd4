"""Where unfinished corners lie does not show: in memory or on disk, walked at once or in pieces."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from label_rasters import LUT, SHAPES, Labels

from geounet.errors import WorkError
from geounet.io.mapped import MappedRoom
from geounet.vector import keeping, rings
from geounet.vector.polygons import Polygons, in_order, join
from geounet.vector.tracer import Tracer, trace
from tests.laws.test_vector_tracing import rasters, same
from tests.memory import memory_taken


def on_disk(labels: Labels, rows: int, folder: Path) -> Polygons:
    """Traced with every corner in a mapped file."""
    with MappedRoom(folder, in_memory=0, recent=100) as room:
        tracer = Tracer(width=labels.shape[1], lut=LUT, room=room)
        found = [tracer.feed(labels[top : top + rows]) for top in range(0, labels.shape[0], rows)]
        return in_order(join([*found, tracer.close()]))


@pytest.fixture
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeping, "_PIECE", 64)
    monkeypatch.setattr(rings, "_STEPS", 3)


@pytest.mark.usefixtures("small_pieces")
@pytest.mark.parametrize("name", SHAPES)
def test_known_shapes(name: str, tmp_path: Path) -> None:
    for rows in (1, 4, SHAPES[name].shape[0]):
        assert same(trace(SHAPES[name], lut=LUT), on_disk(SHAPES[name], rows, tmp_path))


@pytest.mark.usefixtures("small_pieces")
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rasters, st.integers(1, 5))
def test_any_raster(tmp_path: Path, labels: Labels, rows: int) -> None:
    assert same(trace(labels, lut=LUT), on_disk(labels, rows, tmp_path))


def test_memory_does_not_grow_with_what_is_unfinished(tmp_path: Path) -> None:
    labels = np.zeros((64, 2001), np.uint8)
    labels[1::2, 1::2] = 1  # holes of a component that ends with the raster: 2,000 corners in each row
    with MappedRoom(tmp_path, in_memory=2**20, recent=2**16) as room:
        tracer = Tracer(width=labels.shape[1], lut=LUT, room=room)
        tracer.feed(labels)
        with memory_taken() as taken:
            for _ in range(20):
                tracer.feed(labels)
            assert tracer.unfinished > 2_000_000  # 24 bytes each
            assert taken() < 30 * 2**20


def test_more_corners_than_can_be_told_apart_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("geounet.vector.tracer._MOST_VERTICES", 5000)
    labels = np.zeros((400, 101), np.uint8)
    labels[1::2, 1::2] = 1
    with pytest.raises(WorkError, match=r"not closed at row \d+ have .* corners, which is too many"):
        Tracer(width=labels.shape[1], lut=LUT).feed(labels)
