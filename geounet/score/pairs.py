"""A map and its truth as files, opened only while they are read: hundreds of chips are scored as one map."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from geounet.errors import ConfigError
from geounet.grid.window import Window
from geounet.score.classes import Matching
from geounet.score.pictures import Look
from geounet.score.rasters import ConfidenceFile, LabelFile, RasterRows, aligned


@dataclass(frozen=True, kw_only=True)
class RasterPair:
    """A scene's map and its truth."""

    name: str
    prediction: str | Path
    truth: str | Path
    confidence: str | Path | None = None
    """How sure the map is, as a run leaves it: bytes, 0 to 250."""
    image: str | Path | None = None
    """The scene, for the pictures of the worst places."""
    bands: tuple[str, ...] | None = None
    """Of the scene, as a run reads them."""
    origin: str = ""
    """Pairs of one origin are told of as one scene: the chips of a folder."""

    @property
    def told_as(self) -> str:
        """The scene that its scores stand under."""
        return self.origin or self.name


@dataclass(frozen=True, kw_only=True)
class OpenPair:
    """A pair, open."""

    truth: LabelFile
    predicted: LabelFile
    sure: ConfidenceFile | None
    nearest: tuple[NDArray[np.intp], NDArray[np.intp]] | None

    def rows(self, matching: Matching) -> RasterRows:
        """Both on one list of classes."""
        return RasterRows(
            truth=self.truth,
            predicted=self.predicted,
            matching=matching,
            nearest=self.nearest,
            confidence=self.sure,
        )


@contextmanager
def opened(pair: RasterPair, *, resample: bool) -> Iterator[OpenPair]:
    """The files of a pair. Raises SceneError and RequestError where they cannot be compared."""
    with ExitStack() as stack:
        truth = stack.enter_context(LabelFile(pair.truth))
        predicted = stack.enter_context(LabelFile(pair.prediction))
        sure = None
        if pair.confidence is not None:
            sure = stack.enter_context(ConfidenceFile(pair.confidence, like=predicted))
        nearest = aligned(truth.geobox, predicted.geobox, resample=resample)
        yield OpenPair(truth=truth, predicted=predicted, sure=sure, nearest=nearest)


@contextmanager
def looking_at(image: str | Path, like: str | Path, *, bands: Sequence[str] | None = None) -> Iterator[Look]:
    """How the scene ``image`` looks, window by window, in pixels of the raster ``like``.

    Raises SceneError where it cannot be read, ConfigError where it lies on another grid.
    """
    from geounet.io.preview import stretch
    from geounet.io.scene import open_scene
    from geounet.io.thumbnail import scene_thumbnail

    with LabelFile(like) as labels, open_scene(image, bands=bands) as scene:
        if scene.geobox.shape != labels.geobox.shape:
            sizes = [f"{box.width} x {box.height} px" for box in (scene.geobox, labels.geobox)]
            raise ConfigError(f"--image {image} has {sizes[0]}, {like} has {sizes[1]}; expected one grid")

        def look(window: Window) -> NDArray[np.uint8]:
            return stretch(*scene_thumbnail(scene, window=window, shape=window.shape))

        yield look
