"""Scenes on two sides of a split must not show the same ground."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geounet.errors import ConfigError
from geounet.grid.geobox import GeoBox
from geounet.train.scenes import TrainScene

_TOUCH = 1.0
"""Pixels; scenes that share less than this along an edge are neighbours, not the same ground."""
_PER_SIDE = 16


def check_apart(one: Sequence[TrainScene], other: Sequence[TrainScene], *, allow: bool) -> None:
    """Refuse scenes on two sides that are one file, copies of one image, or overlap on the ground."""
    if allow:
        return
    paths = {path.resolve(): scene for scene in one for path in scene.files}
    contents = {scene.content: scene for scene in one if scene.content}
    for scene in other:
        for path in scene.files:
            if path.resolve() in paths:
                _refuse(paths[path.resolve()], scene, f"both read {path.name}")
        if scene.content in contents:
            _refuse(contents[scene.content], scene, "their images are copies of one")
    for left, right in _near(one, other):
        if overlap(*(box for box in (left.geobox, right.geobox) if box is not None)):
            _refuse(left, right, "they show common ground")


def _near(one: Sequence[TrainScene], other: Sequence[TrainScene]) -> Iterator[tuple[TrainScene, TrainScene]]:
    """Pairs whose boxes of longitudes and latitudes meet; drawn scenes lie nowhere."""
    from shapely import STRtree

    left, right = ([s for s in side if s.geobox is not None and not s.synthetic] for side in (one, other))
    if left and right:
        boxes = [np.array([_box(scene.geobox) for scene in side]) for side in (left, right)]
        for second, first in STRtree(boxes[0]).query(boxes[1], predicate="intersects").T.tolist():
            yield left[first], right[second]


def _box(grid: GeoBox | None) -> Any:
    """Longitudes and latitudes that a scene reaches; the whole world where that is not known."""
    from shapely import box

    assert grid is not None
    assert grid.crs is not None
    rim = _moved(grid, _rim(grid))
    lonlat = np.stack(_transformer(grid.crs, "OGC:CRS84").transform(rim[:, 0], rim[:, 1]), axis=1)
    (west, south), (east, north) = lonlat.min(0).tolist(), lonlat.max(0).tolist()
    if not np.isfinite(lonlat).all() or east - west > 180:
        return box(-180, -90, 180, 90)
    return box(west, south, east, north)


@lru_cache(maxsize=64)
def _transformer(source: str, target: str) -> Any:
    from pyproj import Transformer

    return Transformer.from_crs(source, target, always_xy=True)


def _refuse(left: TrainScene, right: TrainScene, why: str) -> None:
    raise ConfigError(
        f"scenes {left.name!r} and {right.name!r} stand on two sides of the split, but {why}; put them into one "
        "group (or set data.allow_overlap, and trust no score)"
    )


def overlap(left: GeoBox, right: GeoBox) -> bool:
    """Whether two scenes share more ground than a pixel's width along their edges."""
    from shapely import Polygon

    if left.crs is None or right.crs is None:
        return False
    points = _moved(right, _rim(right))
    if left.crs != right.crs:
        points = np.stack(_transformer(right.crs, left.crs).transform(points[:, 0], points[:, 1]), axis=1)
    points = points[np.isfinite(points).all(1)]
    if len(points) < 3:  # on another side of the world
        return False
    back = ~left.affine
    pixels = points @ np.array([[back.a, back.d], [back.b, back.e]]) + (back.c, back.f)
    own = Polygon([(0, 0), (left.width, 0), (left.width, left.height), (0, left.height)])
    return bool(own.buffer(-_TOUCH / 2).intersection(Polygon(pixels).buffer(0).buffer(-_TOUCH / 2)).area > 0)


def _moved(grid: GeoBox, pixels: NDArray[np.float64]) -> NDArray[np.float64]:
    """CRS coordinates of ``(n, 2)`` pixel corners."""
    a, b, c, d, e, f = grid.transform
    return np.asarray(pixels @ np.array([[a, d], [b, e]]) + (c, f))


def _rim(box: GeoBox) -> NDArray[np.float64]:
    """Points around a grid, in its pixels."""
    t = np.linspace(0, 1, _PER_SIDE, endpoint=False)
    z, o = np.zeros(_PER_SIDE), np.ones(_PER_SIDE)
    square = np.concatenate([np.stack(p, 1) for p in ((t, z), (o, t), (1 - t, o), (z, 1 - t))])
    return np.asarray(square * (box.width, box.height), np.float64)
