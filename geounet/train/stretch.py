"""The stretch of whole training scenes, as a run finds it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geounet.grid.spread import spread_windows
from geounet.model.spec import ModelSpec
from geounet.model.stretch import Limits, find_limits, stretch_of
from geounet.train.open_source import EMPTY
from geounet.train.planes import SidedPlane
from geounet.train.scenes import TrainScene


def limits_of(scene: TrainScene, spec: ModelSpec) -> Limits | None:
    """Raw values at the percentiles of a scene, in the very windows that a run looks at.

    Squares of it that are held out count too: a run sees the whole scene, and what is learned and what is validated
    are to be stretched alike.
    """
    return None if spec.stretch is None else find_limits(_pieces(scene))


def stretch_for(scene: TrainScene, spec: ModelSpec) -> tuple[float, float]:
    """Gain and offset of a scene (`geounet.model.stretch.stretch_of`)."""
    return stretch_of(spec, limits_of(scene, spec), dtype=str(scene.image.dtype))


def _pieces(scene: TrainScene) -> Iterator[tuple[NDArray[Any], NDArray[np.bool_]]]:
    labels = scene.labels.all if isinstance(scene.labels, SidedPlane) else scene.labels
    for window in spread_windows(*scene.shape):
        at = window.slices()
        yield np.moveaxis(np.asarray(scene.image[at]), -1, 0), np.asarray(labels[at]) != EMPTY
