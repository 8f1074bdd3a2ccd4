"""The eight symmetries of the square, for test-time augmentation. Each transform has its inverse beside it."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from geounet.errors import ConfigError


class Symmetry(NamedTuple):
    """First mirror left-right, then turn by ``quarters`` × 90° counter-clockwise."""

    mirror: bool
    quarters: int


def symmetries(augmentation: str) -> tuple[Symmetry, ...]:
    """Those that ``--tta`` names: ``none``, ``flips`` (identity, both mirrors, half turn) or ``d4`` (all eight)."""
    named = {
        "none": (Symmetry(mirror=False, quarters=0),),
        "flips": tuple(Symmetry(mirror=m, quarters=q) for m in (False, True) for q in (0, 2)),
        "d4": tuple(Symmetry(mirror=m, quarters=q) for m in (False, True) for q in range(4)),
    }
    if augmentation not in named:
        raise ConfigError(f"--tta {augmentation}: expected none, flips or d4")
    return named[augmentation]


def transform(images: NDArray[Any], symmetry: Symmetry) -> NDArray[Any]:
    """``images`` ``(…, side, side)`` moved by the symmetry (a view)."""
    if symmetry.mirror:
        images = images[..., ::-1]
    return np.rot90(images, symmetry.quarters, axes=(-2, -1))


def undo(images: NDArray[Any], symmetry: Symmetry) -> NDArray[Any]:
    """Inverse of :func:`transform`."""
    images = np.rot90(images, -symmetry.quarters, axes=(-2, -1))
    return images[..., ::-1] if symmetry.mirror else images
