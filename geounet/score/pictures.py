"""Small pictures of the worst blocks: truth, prediction, and where they differ."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from geounet.grid.window import Window
from geounet.score.boundary import UNKNOWN
from geounet.score.classes import Matching
from geounet.score.counts import Pair

Look = Callable[[Window], NDArray[np.uint8]]
"""Colours ``(h, w, 3)`` of a window of the scene."""
SIDE = 160
"""Pixels of one picture, at most."""
_GAP = 6
_EMPTY = (225, 225, 225)
_WRONG, _RIGHT = (200, 40, 40), (235, 238, 235)
# Okabe and Ito's colours for the colour-blind, https://jfly.uni-koeln.de/color/
_SPARE = ("#e69f00", "#56b4e9", "#009e73", "#f0e442", "#0072b2", "#d55e00", "#cc79a7", "#999999")


def palette(matching: Matching, truth: Mapping[int, str], predicted: Mapping[int, str]) -> NDArray[np.uint8]:
    """Red, green and blue of every class index, ``(256, 3)``: from the files' colour tables, else spare ones."""
    out = np.zeros((256, 3), np.uint8)
    for i in range(len(matching.names)):
        out[i] = _rgb(_SPARE[i % len(_SPARE)])
    for index, colours in ((matching.predicted, predicted), (matching.truth, truth)):
        for value, place in index.items():
            if value in colours and matching.names[place] != "other":
                out[place] = _rgb(colours[value])
    out[UNKNOWN] = _EMPTY
    return out


def side_by_side(pair: Pair, colours: NDArray[np.uint8], *, image: NDArray[np.uint8] | None = None) -> bytes:
    """PNG of the scene (``image``, ``(h, w, 3)``), truth, prediction and errors (red), at most `SIDE` px each."""
    from PIL import Image

    step = max(1, -(-max(pair[0].shape) // SIDE))
    truth, predicted = (labels[::step, ::step] for labels in pair)
    differs = np.array([_RIGHT, _WRONG], np.uint8)[(truth != predicted).astype(np.intp)]
    differs[truth == UNKNOWN] = _EMPTY
    gap = np.full((truth.shape[0], _GAP, 3), 255, np.uint8)
    panels = [colours[truth], gap, colours[predicted], gap, differs]
    if image is not None:
        panels = [image[::step, ::step], gap, *panels]
    picture = np.concatenate(panels, axis=1)
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "PNG", optimize=True)
    return file.getvalue()


def _rgb(colour: str) -> tuple[int, int, int]:
    red, green, blue = bytes.fromhex(colour.removeprefix("#"))
    return red, green, blue
