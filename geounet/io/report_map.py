"""The map in ``report.html``: outlines of the classes over the scene, as SVG with a switch for every layer.

In pixels of the picture, without scripts and without anything from elsewhere. What is drawn are the borders in the
label raster at the picture's own resolution: as simple as can be seen there, and as few as a browser takes at once.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator, Sequence
from html import escape

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from geounet.grid.window import Window
from geounet.io.preview import HeadMap
from geounet.model.spec import Head
from geounet.vector.polygons import Polygons, join
from geounet.vector.runs import OUTSIDE
from geounet.vector.tracer import Tracer

_WIDTH, _HEIGHT = 960, 600
_LEAST = 8  # pixels of the picture: what is smaller is a speck
_MOST_CORNERS = 100_000  # of a head, some 300 kB: a browser draws them at once
_QUALITY = 80

STYLE = """
.map { position: relative; }
.map input { margin: 0 6px 0 0; vertical-align: -1px; accent-color: var(--accent); }
.map label { margin-right: 18px; white-space: nowrap; }
.map svg { display: block; width: 100%; height: auto; margin: 12px 0 8px; border: 1px solid var(--line);
  border-radius: 10px; background: #eceef1; }
.map path { fill-rule: evenodd; stroke-width: .7; vector-effect: non-scaling-stroke; }
.map p { margin: 0; color: var(--quiet); font-size: 13px; }
"""


def map_shape(window: Window) -> tuple[int, int]:
    """``(height, width)`` of the picture of a window; no larger than the window."""
    scale = min(_WIDTH / window.width, _HEIGHT / window.height, 1.0)
    return max(1, round(window.height * scale)), max(1, round(window.width * scale))


def render_map(image: NDArray[np.uint8], maps: Sequence[HeadMap], *, window: Window) -> str:
    """A section of HTML: ``image`` ``(h, w, 3)`` of a scene's window, and ``maps`` of the same shape over it."""
    height, width = image.shape[:2]
    layers = [("scene", f'<image width="{width}" height="{height}" href="{_jpeg(image)}"/>')]
    coarsest = 1
    for one in maps:
        step, polygons = _trace(one)
        coarsest = max(coarsest, step)
        layers += _layers(one.head, polygons, step)
    boxes = "".join(
        f'<input type="checkbox" id="map{n}" checked><label for="map{n}">{label}</label>'
        for n, (label, _) in enumerate(layers)
    )
    groups = "".join(f'<g class="map{n}">{content}</g>' for n, (_, content) in enumerate(layers))
    rules = "".join(f"#map{n}:not(:checked)~svg .map{n}{{display:none}}" for n in range(len(layers)))
    return (
        f'<section class="map"><style>{rules}</style>{boxes}<svg viewBox="0 0 {width} {height}" role="img" '
        f'aria-label="map">{groups}</svg><p>{_remark(window, width, coarsest)}</p></section>'
    )


def _remark(window: Window, width: int, step: int) -> str:
    ratio = window.width / width * step
    where = "" if (window.row_off, window.col_off) == (0, 0) else "The middle of the scene. "
    coarse = f"Outlines are drawn at 1/{ratio:.3g} of the resolution" if ratio > 1.01 else "Outlines are drawn"
    return f"{where}{coarse}, without areas of fewer than {_LEAST} pixels of this picture; the files hold them all."


def _trace(one: HeadMap) -> tuple[int, Polygons]:
    """Polygons of the classes that are shown, and the pixels of the picture that one of theirs is wide."""
    labels, step = one.labels, 1
    while True:
        found = _polygons(labels, one.head)
        if len(found.corners) <= _MOST_CORNERS:
            return step, found
        labels, step = labels[::2, ::2], 2 * step


def _polygons(labels: NDArray[np.uint8], head: Head) -> Polygons:
    lut = np.full(256, OUTSIDE, np.int32)
    lut[list(head.vector_values)] = head.vector_values
    tracer = Tracer(width=labels.shape[1], lut=lut)
    found = join([tracer.feed(labels), tracer.close()])
    return found.take(np.flatnonzero(found.pixels >= _LEAST))


def _layers(head: Head, polygons: Polygons, step: int) -> Iterator[tuple[str, str]]:
    """Label and drawing, as HTML, of every class that is there."""
    opacity = 0.5 if head.kind == "classes" else 0.85
    for label in head.classes:
        chosen = polygons.take(np.flatnonzero(polygons.label == label.value))
        if label.value in head.vector_values and len(chosen):
            color, drawn = escape(label.color), path_of(chosen, step)
            name = escape(label.name if label.name == head.name else f"{head.name}: {label.name}")
            chip = f'<span class="chip" style="background:{color}"></span>'
            look = f'fill="{color}" stroke="{color}" fill-opacity="{opacity}"'
            yield chip + name, f'<path {look} d="{drawn}"><title>{name}</title></path>'


def path_of(polygons: Polygons, step: int = 1) -> str:
    """SVG path data of all rings; a pixel is ``step`` wide. Borders follow pixels, so that strokes are h and v."""
    corners, starts = polygons.corners * step, polygons.ring_starts
    if not len(corners):
        return ""
    strokes = np.diff(corners, axis=0, append=corners[-1:])
    far = int(np.abs(strokes).max()) + 1
    spelt = np.array([f"{letter}{length}" for letter in "hv" for length in range(-far, far + 1)], dtype=object)
    down = strokes[:, 1] != 0
    texts = spelt[np.where(down, 3 * far + 1 + strokes[:, 1], far + strokes[:, 0])]
    texts[starts[1:] - 1] = "z"
    for ring, (x, y) in zip(starts[:-1].tolist(), corners[starts[:-1]].tolist(), strict=True):
        texts[ring] = f"M{x} {y}{texts[ring]}"
    return "".join(texts.tolist())


def _jpeg(image: NDArray[np.uint8]) -> str:
    content = io.BytesIO()
    Image.fromarray(image).save(content, format="JPEG", quality=_QUALITY)
    return "data:image/jpeg;base64," + base64.b64encode(content.getvalue()).decode("ascii")
