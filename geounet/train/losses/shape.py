"""Losses that know about borders and lines. Their maps are made on the CPU, from labels alone."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from geounet.errors import MissingExtraError
from geounet.train.losses.seen import Seen

Mask = NDArray[np.bool_]
Distances = NDArray[np.float64]
_REACH = 5.0
"""Sums of distances beyond so many sigma have no weight: exp(-12.5) is below 4e-6."""


def border_map(target: Tensor, *, value: int, w0: float, sigma: float) -> Tensor:
    """(N, H, W): ``w0 exp(-(d1 + d2)² / 2σ²)`` between objects, 0 on them.

    d1 and d2 are the distances in pixels to the nearest and the second nearest object, which are the 8-connected
    components of class ``value``: narrow gaps weigh most (Ronneberger et al. 2015, arXiv:1505.04597, equation 2).
    """
    maps = [_border_map(labels == value, w0, sigma) for labels in target.cpu().numpy()]
    return torch.from_numpy(np.stack(maps)).to(target.device)


def _border_map(objects: Mask, w0: float, sigma: float) -> Distances:
    from_scipy = _ndimage("the border map")
    components, count = from_scipy.label(objects, np.ones((3, 3)))
    near = np.full((2, *objects.shape), np.inf)
    reach = math.ceil(_REACH * sigma)
    for number, (rows, cols) in enumerate(from_scipy.find_objects(components, count), 1):
        at = np.s_[max(0, rows.start - reach) : rows.stop + reach, max(0, cols.start - reach) : cols.stop + reach]
        distance = from_scipy.distance_transform_edt(components[at] != number)
        first, second = near[0][at], near[1][at]
        np.minimum(second, np.maximum(first, distance), out=second)
        np.minimum(first, distance, out=first)
    weights = w0 * np.exp(-((near[0] + near[1]) ** 2) / (2 * sigma**2))
    return np.where(objects, 0.0, weights)


def boundary_loss(seen: Seen) -> Tensor:
    """Mean over known pixels and channels of ``p · φ``, φ from :func:`signed_distances` (Kervadec et al. 2019).

    arXiv:1812.07032, equation 5. In pixels: it wants a small weight, 0.01 for instance, beside an areal loss.
    """
    target, known = seen.target.cpu().numpy(), seen.known.cpu().numpy()
    values = [1] if seen.mask else range(seen.logits.shape[1])
    maps = [[signed_distances(t == v, k) for v in values] for t, k in zip(target, known, strict=True)]
    phi = torch.from_numpy(np.array(maps)).to(seen.logits)
    return (seen.probability * phi).sum() / (seen.known.sum().clamp(min=1) * len(values))


def signed_distances(inside: Mask, known: Mask) -> Distances:
    """(H, W): distance to the nearest pixel inside, and ``1 -`` that to the nearest one outside for those inside.

    As the authors' code has it; 0 where one of the two is nowhere, and where nothing is known.
    """
    edt = _ndimage("the boundary loss").distance_transform_edt
    outside = known & ~inside
    if not inside.any() or not outside.any():
        return np.zeros(inside.shape)
    return np.where(inside, 1 - edt(~outside), edt(~inside)) * known


def cldice_loss(seen: Seen, *, iterations: int) -> Tensor:
    """``1 - 2 P S / (P + S)`` of a mask's soft centre-lines (Shit et al. 2021, arXiv:2003.07311).

    P is the share of the predicted line that is truth, S that of the true line that is predicted; both smoothed by
    1. ``iterations`` is at least the largest half width of a line in pixels.
    """
    said, truth = seen.probability, seen.truth
    said_line, true_line = soft_skeleton(said, iterations), soft_skeleton(truth, iterations)
    precision = ((said_line * truth).sum() + 1) / (said_line.sum() + 1)
    sensitivity = ((true_line * said).sum() + 1) / (true_line.sum() + 1)
    return 1 - 2 * precision * sensitivity / (precision + sensitivity)


def soft_skeleton(image: Tensor, iterations: int) -> Tensor:
    """(N, C, H, W): what opening takes away at each erosion, gathered (algorithm 1 of the clDice paper)."""
    line = F.relu(image - _open(image))
    for _ in range(iterations):
        image = _erode(image)
        rest = F.relu(image - _open(image))
        line = line + F.relu(rest - line * rest)
    return line


def _erode(image: Tensor) -> Tensor:
    down = -F.max_pool2d(-image, (3, 1), 1, (1, 0))
    across = -F.max_pool2d(-image, (1, 3), 1, (0, 1))
    return torch.minimum(down, across)


def _open(image: Tensor) -> Tensor:
    return F.max_pool2d(_erode(image), 3, 1, 1)


def _ndimage(purpose: str) -> Any:
    try:
        from scipy import ndimage
    except ImportError as error:
        raise MissingExtraError("scipy", "train", purpose) from error
    return ndimage
