"""Which pixels lie near a border of their own class: the pixels of boundary IoU, for all classes at once.

Cheng et al., Boundary IoU: Improving Object-Centric Image Segmentation Evaluation, CVPR 2021: the pixels of a mask
that erosion by ``distance`` steps of a 3 × 3 square takes away, so distances are those of chess. Two things differ
from the authors' code (https://github.com/bowenc0221/boundary-iou-api). Their distance is a share of the image's
diagonal, which a scene of any size does not have; ours is given in pixels. And they count the image's rim as a
border; here the rim and nodata are no borders, because nobody drew them.

A pixel of class c is taken away where some pixel within the distance is of another class, so where the smallest or
the largest label around it differs from its own: two sliding windows do for all classes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

UNKNOWN = 255
"""Class index of pixels that do not count."""

_Labels = NDArray[np.uint8]


def near_border(labels: _Labels, distance: int) -> NDArray[np.bool_]:
    """True where a pixel ``(h, w)`` of a known class has another known class within ``distance`` pixels.

    Rows within ``distance`` of a cut through a larger raster must be seen from both sides: give them as a halo.
    """
    unknown = labels == UNKNOWN
    lowest = _window(labels, distance, np.minimum, fill=UNKNOWN)
    highest = _window(np.where(unknown, 0, labels), distance, np.maximum, fill=0)
    return np.asarray(((lowest < labels) | (highest > labels)) & ~unknown)


def _window(labels: _Labels, distance: int, pick: Callable[..., Any], *, fill: int) -> _Labels:
    """The smallest or largest label of the square of ``2 * distance + 1`` around every pixel."""
    out = labels
    for axis in (0, 1):
        pad = [(0, 0), (0, 0)]
        pad[axis] = (distance, distance)
        out = _slide(np.pad(out, pad, constant_values=fill), 2 * distance + 1, pick, axis)
    return out


def _slide(padded: _Labels, size: int, pick: Callable[..., Any], axis: int) -> _Labels:
    """``pick`` over windows of ``size``: windows double until two of them, shifted, make one of ``size``."""
    out, reach = padded, 1
    while 2 * reach <= size:
        out = _pick_shifted(out, reach, pick, axis)
        reach *= 2
    return out if reach == size else _pick_shifted(out, size - reach, pick, axis)


def _pick_shifted(values: _Labels, shift: int, pick: Callable[..., Any], axis: int) -> _Labels:
    length = values.shape[axis] - shift
    return np.asarray(pick(_cut(values, 0, length, axis), _cut(values, shift, shift + length, axis)))


def _cut(values: _Labels, start: int, stop: int, axis: int) -> _Labels:
    return values[start:stop] if axis == 0 else values[:, start:stop]
