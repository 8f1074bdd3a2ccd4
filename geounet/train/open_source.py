"""A labelled scene, open: parts side by side, stacked rasters, labels on the same grid."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from geounet.errors import SceneError
from geounet.grid.geobox import GeoBox
from geounet.grid.window import Window
from geounet.io.burn import Burner
from geounet.io.layers import aligned_axes, same_grid
from geounet.io.scene import Scene, open_scene
from geounet.train.labels import LabelFile
from geounet.train.source import Source

EMPTY = 254
"""Label of a pixel where the image has no data; scaled pixels there are 0. NODATA only says "label unknown"."""
STRIP, STRIP_COLUMNS = 1024, 16384
"""Rows and columns that are decoded at a time."""
Shape = tuple[int, int]


class _Closable(Protocol):
    def close(self) -> None: ...


T = TypeVar("T", bound=_Closable)
P = TypeVar("P")


@dataclass(frozen=True, kw_only=True)
class _Part(Generic[T]):
    """One open piece of a scene and where it lies."""

    at: Window
    file: T


class OpenSource:
    """A labelled scene, open. Belongs to the thread that opened it."""

    def __init__(self, source: Source) -> None:
        """Raises SceneError, in one line, for what is missing or does not fit together."""
        self.source = source
        self._where = f"scene {source.name!r}"
        self._files = ExitStack()
        try:
            self._images = self._lay(source.images, self._open_image, lambda scene: scene.geobox.shape)
            self._labels = self._lay(source.labels, self._open_labels, lambda file: file.raster.geobox.shape)
            self.shape = _extent(self._images)
            self._check()
            self._burner = (
                Burner(source.layers, self._images[0].file.geobox, label=self._where) if source.layers else None
            )
        except BaseException:
            self.close()
            raise

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of the image."""
        return np.result_type(*(np.dtype(part.file.dtype) for part in self._images))

    @property
    def geobox(self) -> GeoBox | None:
        """The grid of a scene that is one raster with a CRS."""
        box = self._images[0].file.geobox
        return box if len(self._images) == 1 and box.crs is not None else None

    def read(self, window: Window) -> tuple[NDArray[Any], NDArray[np.uint8]]:
        """Pixels ``(height, width, bands)`` and labels ``(height, width)``: class values, NODATA or EMPTY."""
        image = np.zeros((*window.shape, len(self.source.bands)), self.dtype)
        empty = np.ones(window.shape, bool)
        for part, inside, outside in _meeting(self._images, window):
            pixels = part.file.read(inside)
            image[outside] = pixels.data.transpose(1, 2, 0)
            empty[outside] = ~pixels.valid
        labels = np.full(window.shape, self.source.background, np.uint8)
        for known, inside, outside in _meeting(self._labels, window):
            labels[outside] = known.file.read(inside)
        if self._burner is not None:
            self._burner.burn(labels, window)
        labels[empty] = EMPTY
        image[empty] = 0  # so that neither what a file hides there nor NaN is ever seen
        return image, labels

    def close(self) -> None:
        """Close the files."""
        self._files.close()

    def _lay(self, pieces: Sequence[P], opened: Callable[[P], T], shape: Callable[[T], Shape]) -> list[_Part[T]]:
        """Open the parts and lay them row by row, ``columns`` in a row."""
        parts: list[_Part[T]] = []
        top, widths = 0, None
        for first in range(0, len(pieces), self.source.columns):
            row = [opened(piece) for piece in pieces[first : first + self.source.columns]]
            for file in row:
                self._files.callback(file.close)
            sizes = [shape(file) for file in row]
            found = [width for _, width in sizes]
            if len({height for height, _ in sizes}) > 1 or found != (widths or found):
                raise SceneError(f"{self._where}: its parts do not fit together: {sizes} (height, width) in a row")
            lefts = np.cumsum([0, *found[:-1]]).tolist()
            parts += [
                _Part(at=Window(top, left, *size), file=file)
                for file, left, size in zip(row, lefts, sizes, strict=True)
            ]
            top, widths = top + sizes[0][0], found
        return parts

    def _open_image(self, paths: tuple[Path, ...]) -> Scene:
        source = self.source
        options: dict[str, Any] = {"nodata": source.nodata, "mask": source.mask, "stack": len(paths) > 1}
        scene = open_scene(paths, bands=source.chosen, **options)
        if source.chosen is not None or scene.band_names == source.bands:
            return self._checked(scene, paths)
        names, wanted = scene.all_band_names, source.bands
        scene.close()
        by_name = set(wanted) <= set(names)
        first = wanted if by_name else [str(n + 1) for n in range(min(len(names), len(wanted)))]
        return self._checked(open_scene(paths, bands=first, **options), paths)

    def _checked(self, scene: Scene, paths: tuple[Path, ...]) -> Scene:
        if scene.count == len(self.source.bands):
            return scene
        scene.close()
        has, needs = scene.count, len(self.source.bands)
        raise SceneError(
            f"{self._where}: {paths[0].name} has {has} band{'s' * (has != 1)} "
            f"({', '.join(scene.band_names)}); expected {needs} ({', '.join(self.source.bands)})"
        )

    def _open_labels(self, path: Path) -> LabelFile:
        return LabelFile(path, self.source.table, where=self._where)

    def _check(self) -> None:
        """Labels lie on the image's grid."""
        if not self._labels:
            return
        if self.shape != _extent(self._labels):
            raise SceneError(
                f"{self._where}: image {self.shape} and labels {_extent(self._labels)} (height, width) differ; "
                "bring the labels onto the image's grid first"
            )
        if len(self._images) == len(self._labels):
            for image, labels in zip(self._images, self._labels, strict=True):
                _check_grids(image.file.geobox, labels.file.raster.geobox, self._where)


def _check_grids(image: GeoBox, labels: GeoBox, where: str) -> None:
    """Same place and CRS, where both files say theirs."""
    if image.crs is None or labels.crs is None:
        return
    axes = aligned_axes(labels, image)
    if axes is None:
        raise SceneError(
            f"{where}: image and labels have different CRSs or are turned against each other; "
            "bring the labels onto the image's grid first: gdalwarp -r near -t_srs …"
        )
    if not same_grid(labels, image, axes):
        rows, cols = axes
        raise SceneError(
            f"{where}: image and labels lie on different grids (the image's first pixel is at row "
            f"{rows.offset:.6g}, column {cols.offset:.6g} of the labels); bring the labels onto its grid first"
        )


def _extent(parts: Sequence[_Part[Any]]) -> Shape:
    return max((p.at.bottom for p in parts), default=0), max((p.at.right for p in parts), default=0)


def _meeting(parts: Sequence[_Part[T]], window: Window) -> Iterator[tuple[_Part[T], Window, tuple[slice, slice]]]:
    """Parts that ``window`` touches: the window within the part, and the slices of the result."""
    for part in parts:
        common = part.at.intersection(window)
        if common.area:
            yield part, common.relative_to(part.at), common.relative_to(window).slices()


def strips(shape: Shape) -> Iterator[Window]:
    """Windows that cover a scene once, row by row, each of bounded size."""
    height, width = shape
    for top in range(0, height, STRIP):
        for left in range(0, width, STRIP_COLUMNS):
            yield Window(top, left, min(STRIP, height - top), min(STRIP_COLUMNS, width - left))
