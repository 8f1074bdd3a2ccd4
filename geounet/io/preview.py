"""``preview.png``: the scene, each head's map, and the map over the scene, side by side, with a legend.

Reads only as many pixels as it shows where the file has overviews; of a large file without them, the middle.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from rasterio.enums import Resampling
from rasterio.windows import Window as RioWindow

from geounet.grid.window import Window
from geounet.io.atomic import publish_bytes
from geounet.io.gdal import open_own
from geounet.model.spec import NODATA, Head

WIDTH = 1200
"""Largest width of the picture, in pixels."""
_READ_LIMIT = 12_000 * 12_000  # pixels of a band that are read where there are no overviews: about two seconds
_FINE = 3  # pixels of a mask that are read per pixel shown, in each direction
_GAP, _MARGIN, _TITLE, _LINE = 12, 16, 30, 22  # pixels
_PAPER, _INK, _QUIET = (255, 255, 255), (34, 38, 46), (110, 116, 128)
EMPTY = (236, 238, 241)
"""Where there is no data."""


@dataclass(frozen=True, kw_only=True)
class HeadMap:
    """Labels of one head, as many pixels as are shown."""

    head: Head
    labels: NDArray[np.uint8]
    """``(height, width)``, nodata 255."""


def view_window(path: str | Path) -> Window:
    """What of a raster the preview shows: all of it, or the middle where all would take too long to read."""
    with open_own(path) as file:
        height, width = file.shape
        if height * width <= _READ_LIMIT or file.overviews(1):
            return Window(0, 0, height, width)
    side = 4096
    high, wide = min(side, height), min(side, width)
    return Window((height - high) // 2, (width - wide) // 2, high, wide)


def columns_of(panels: int) -> int:
    """Pictures side by side: all up to four, else in two rows or more."""
    return panels if panels <= 4 else -(-panels // -(-panels // 4))


def panel_shape(window: Window, *, panels: int) -> tuple[int, int]:
    """``(height, width)`` in pixels of each of ``panels`` pictures of ``window``."""
    across = columns_of(panels)
    room = (WIDTH - 2 * _MARGIN - (across - 1) * _GAP) // across
    scale = min(room / window.width, 2 * room / window.height)
    return max(1, round(window.height * scale)), max(1, round(window.width * scale))


def read_labels(
    path: str | Path, *, head: Head, window: Window, shape: tuple[int, int], fine: int = _FINE
) -> NDArray[np.uint8]:
    """Labels ``(height, width)`` of ``window`` of a label COG, in ``shape``, out of its overviews.

    What a mask marks is drawn at least one pixel wide, as maps draw roads: ``fine``² pixels are read for each.
    """
    fine = fine if head.kind == "mask" else 1
    part = RioWindow(window.col_off, window.row_off, window.width, window.height)
    with open_own(path) as file:
        size = (shape[0] * fine, shape[1] * fine)
        labels: NDArray[np.uint8] = file.read(1, window=part, out_shape=size, resampling=Resampling.nearest)
    if fine == 1:
        return labels
    places = [labels[row::fine, col::fine] for row in range(fine) for col in range(fine)]
    marked = np.logical_or.reduce([place == 1 for place in places])
    return np.where(marked, np.uint8(1), places[len(places) // 2])


def stretch(data: NDArray[np.float32], valid: NDArray[np.bool_], *, every: int = 1) -> NDArray[np.uint8]:
    """``(height, width, 3)`` colours: from the 2nd to the 98th percentile of ``every`` so many-th valid pixel.

    Three bands or more show the first three as red, green and blue, stretched alike so that colours stay what they
    are; fewer show the first as grey.
    """
    chosen = data[:3] if len(data) >= 3 else data[[0, 0, 0]]
    valid = valid & np.isfinite(chosen).all(0)  # one band may lack what another has
    out = np.empty((*valid.shape, 3), np.uint8)
    sample = chosen[:, valid][:, ::every]
    low, high = np.percentile(sample, [2, 98]) if sample.size else (0.0, 1.0)
    for channel, band in enumerate(chosen):
        span = high - low if high > low else 1.0
        scaled = np.clip((np.where(valid, band, low) - low) / span, 0, 1)
        out[..., channel] = np.round(255 * scaled).astype(np.uint8)
    out[~valid] = EMPTY
    return out


def smaller(image: NDArray[np.uint8], shape: tuple[int, int]) -> NDArray[np.uint8]:
    """``image`` ``(h, w, 3)`` in another shape, by the nearest pixel."""
    rows, cols = (
        ((np.arange(new) + 0.5) * old / new).astype(int) for new, old in zip(shape, image.shape, strict=False)
    )
    return image[rows][:, cols]


def paint(head: Head, labels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """``(height, width, 3)`` colours of the classes; of a mask, only what it marks."""
    table = np.full((NODATA + 1, 3), EMPTY, np.uint8)
    for label in head.classes:
        table[label.value] = label.rgb if label.value in head.vector_values else (250, 250, 250)
    return table[labels]


def overlay(image: NDArray[np.uint8], maps: Sequence[HeadMap], *, opacity: float = 0.55) -> NDArray[np.uint8]:
    """The maps' colours over the image, later ones on top."""
    out = image.astype(np.float32)
    for layer in maps:
        shown = np.isin(layer.labels, layer.head.vector_values)
        strength = opacity if layer.head.kind == "classes" else 0.9
        out[shown] += strength * (paint(layer.head, layer.labels)[shown] - out[shown])
    return np.round(out).astype(np.uint8)


def compose(
    image: NDArray[np.uint8],
    maps: Sequence[HeadMap],
    *,
    more: Sequence[tuple[str, NDArray[np.uint8]]] = (),
    caption: str = "",
) -> Image.Image:
    """The whole picture: image, every map, overlay, ``more`` panels with their titles, legend and caption."""
    panels = [("scene", image)]
    panels += [(m.head.name, paint(m.head, m.labels)) for m in maps]
    panels += [("overlay", overlay(image, maps)), *more]
    height, width = image.shape[:2]
    entries = [(c.name, c.rgb) for m in maps for c in m.head.classes if c.value in m.head.vector_values]
    caption = caption.replace("×", "x")  # which Pillow's font lacks
    across = columns_of(len(panels))
    down = -(-len(panels) // across) * (_TITLE + height)
    total = max(2 * _MARGIN + across * (width + _GAP) - _GAP, 480)
    legend = _legend_rows(entries, total - 2 * _MARGIN)
    below = _MARGIN + len(legend) * _LINE + (_LINE if caption else 0)
    sheet = Image.new("RGB", (total, down + below + _MARGIN), _PAPER)
    draw = ImageDraw.Draw(sheet)
    for number, (title, pixels) in enumerate(panels):
        row, col = divmod(number, across)
        left, top = _MARGIN + col * (width + _GAP), row * (_TITLE + height)
        draw.text((left, top + 8), title, fill=_INK, font=_font(14))
        sheet.paste(Image.fromarray(pixels), (left, top + _TITLE))
    _draw_legend(draw, legend, top=down + _MARGIN)
    if caption:
        draw.text((_MARGIN, sheet.height - _MARGIN - 14), caption, fill=_QUIET, font=_font(12))
    return sheet


def write_preview(
    path: str | Path,
    image: NDArray[np.uint8],
    maps: Sequence[HeadMap],
    *,
    more: Sequence[tuple[str, NDArray[np.uint8]]] = (),
    caption: str = "",
) -> Path:
    """Write the picture as PNG to ``path``; returns the path. Equal input gives equal bytes."""
    content = io.BytesIO()
    compose(image, maps, more=more, caption=caption).save(content, format="PNG", optimize=False, compress_level=6)
    return publish_bytes(path, content.getvalue())


_Entry = tuple[str, tuple[int, int, int]]


def _legend_rows(entries: Sequence[_Entry], room: int) -> list[list[tuple[int, _Entry]]]:
    """Entries with their left edge, in rows that fit into ``room`` pixels."""
    rows: list[list[tuple[int, _Entry]]] = []
    left = room
    for entry in dict.fromkeys(entries):
        width = 22 + int(_font(13).getlength(entry[0])) + 18
        if not rows or left + width > room:
            rows.append([])
            left = 0
        rows[-1].append((left, entry))
        left += width
    return rows


def _draw_legend(draw: ImageDraw.ImageDraw, rows: list[list[tuple[int, _Entry]]], *, top: int) -> None:
    for number, row in enumerate(rows):
        y = top + number * _LINE
        for left, (name, colour) in row:
            x = _MARGIN + left
            draw.rectangle((x, y, x + 14, y + 14), fill=colour, outline=_QUIET)
            draw.text((x + 22, y - 1), name, fill=_INK, font=_font(13))


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Pillow's own font: no file of the machine is needed."""
    return ImageFont.load_default(size)
