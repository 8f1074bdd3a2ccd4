"""The map of a report: it shows the labels, holds nothing that does harm, and does not grow without end."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from numpy.typing import NDArray

from geounet.grid.window import Window
from geounet.io.preview import HeadMap
from geounet.io.report_map import map_shape, path_of, render_map
from geounet.model.spec import Head, LabelClass
from geounet.vector.polygons import join
from geounet.vector.tracer import Tracer

sys.path.insert(0, str(Path(__file__).parent))
from test_report import parse

NASTY = '</title></svg><script>alert("1")</script>'
HEAD = Head(
    name="landuse",
    kind="classes",
    classes=tuple(LabelClass(value=n, name=name, color="#3060a0") for n, name in enumerate((NASTY, "b", "c"))),
)


def drawn(path: str, shape: tuple[int, int]) -> NDArray[np.bool_]:
    """The pixels that an even-odd path of horizontal and vertical strokes fills."""
    inside = np.zeros(shape, bool)
    for x0, y0, strokes in re.findall(r"M(\d+) (\d+)([^Mz]*)z", path):
        x, y = start = int(x0), int(y0)
        for letter, length in [*re.findall(r"([hv])(-?\d+)", strokes), ("v", None)]:
            to = start[1] if length is None else y + int(length) * (letter == "v")
            if letter == "v" and x < shape[1]:
                inside[min(y, to) : max(y, to), x:] ^= True
            x, y = x + int(length or 0) * (letter == "h"), to
    return inside


@given(arrays(np.uint8, array_shapes(min_dims=2, max_dims=2, max_side=12), elements=st.integers(0, 3)))
@settings(max_examples=60, deadline=None)
def test_paths_fill_their_classes(labels: NDArray[np.uint8]) -> None:
    lut = np.full(256, -(2**31), np.int32)
    lut[:3] = range(3)
    tracer = Tracer(width=labels.shape[1], lut=lut)
    polygons = join([tracer.feed(labels), tracer.close()])
    for value in range(3):
        path = path_of(polygons.take(np.flatnonzero(polygons.label == value)))
        assert np.array_equal(drawn(path, labels.shape), labels == value)


def test_a_map_of_noise_is_drawn_coarser_and_says_so() -> None:
    noise = np.random.default_rng(0).integers(0, 3, (600, 600)).astype(np.uint8)
    image = np.zeros((600, 600, 3), np.uint8)
    window = Window(0, 0, 6000, 6000)
    assert map_shape(window) == (600, 600)
    html = render_map(image, [HeadMap(head=HEAD, labels=noise)], window=window)
    assert len(html) < 1_000_000
    assert "drawn at 1/20 of the resolution" in html
    fine = render_map(image, [HeadMap(head=HEAD, labels=np.zeros_like(noise))], window=window)
    assert "drawn at 1/10 of the resolution" in fine


def test_names_do_no_harm_and_nothing_comes_from_elsewhere() -> None:
    labels = np.repeat(np.arange(3, dtype=np.uint8), 30).reshape(3, 30).repeat(10, axis=0)
    html = render_map(
        np.zeros((30, 30, 3), np.uint8), [HeadMap(head=HEAD, labels=labels)], window=Window(0, 0, 30, 30)
    )
    seen = parse(html)
    assert all(reference.startswith("data:image/jpeg;base64,") for reference in seen.references)
    assert "<script" not in html
    assert any(NASTY in word for word in seen.words)  # as text
    assert html.count("<path") == 3
    assert html.count('type="checkbox"') == 4
    assert "http" not in html
