"""Two vector files as lines or polygons in one local CRS, in metres."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from geounet.errors import ConfigError, RequestError
from geounet.io.features import read_layers
from geounet.score.classes import MOST_CLASSES

if TYPE_CHECKING:
    from geopandas import GeoDataFrame

KINDS = {1: "lines", 2: "polygons"}
_ALONE = "polygon"
_NO_CLASS = "(none)"


@dataclass(frozen=True, kw_only=True)
class VectorPair:
    """Truth and prediction in a CRS around their middle: true to length for lines, to area for polygons."""

    kind: str
    """``lines`` or ``polygons``."""
    truth: NDArray[Any]
    """``(n,)`` LineStrings, or valid polygons, in metres."""
    predicted: NDArray[Any]
    crs: Any
    """The local CRS, a pyproj one."""
    classes: tuple[str, ...] = ()
    """Names, by class index; polygons only."""
    truth_classes: NDArray[np.intp]
    """``(n,)``"""
    predicted_classes: NDArray[np.intp]
    warnings: tuple[str, ...] = ()


def read_pair(prediction: str | Path, truth: str | Path, *, kind: str = "auto") -> VectorPair:
    """Read two vector files; ``kind``: ``auto``, ``lines`` or ``polygons``.

    Raises ConfigError where a file cannot be read, has no CRS, or has nothing of that kind; RequestError where one
    has lines and the other polygons, or no class is in both.
    """
    layers = {"truth": read_layers(truth), "prediction": read_layers(prediction)}
    paths = {"truth": truth, "prediction": prediction}
    dimension = _dimension(layers, paths, kind)
    frames, warnings = [], []
    for what, found in layers.items():
        frame, warning = _pick(found, dimension, paths[what])
        frames.append(frame)
        warnings += warning
    crs = _local_crs(frames, dimension)
    shapes = [_project(frame, crs, dimension, paths[what]) for what, frame in zip(layers, frames, strict=True)]
    columns, more = _class_columns(frames) if dimension == 2 else ([[_ALONE] * len(s) for s in shapes], [])
    names = tuple(dict.fromkeys(name for column in columns for name in column))
    places = {name: i for i, name in enumerate(names)}
    indices = [np.array([places[n] for n in column], np.intp) for column in columns]
    both = [_explode(s, i, dimension) for s, i in zip(shapes, indices, strict=True)]
    for what, frame, (parts, _) in zip(layers, frames, both, strict=True):
        if len(frame) and not len(parts):
            raise ConfigError(f"{paths[what]} has only {KINDS[dimension]} of no size; expected some to compare")
    warnings += _apart(both[0][0], both[1][0])
    return VectorPair(
        kind=KINDS[dimension],
        truth=both[0][0],
        predicted=both[1][0],
        crs=crs,
        classes=names,
        truth_classes=both[0][1],
        predicted_classes=both[1][1],
        warnings=(*warnings, *more),
    )


def _dimensions(layers: Iterable[GeoDataFrame]) -> list[int]:
    """1 for lines, 2 for polygons, in the order in which they come."""
    import shapely

    found: dict[int, None] = {}
    for frame in layers:
        here = shapely.get_dimensions(frame.geometry.to_numpy())
        found |= dict.fromkeys(d for d in (1, 2) if (here == d).any())
    return list(found)


def _dimension(layers: dict[str, dict[str, GeoDataFrame]], paths: dict[str, Any], kind: str) -> int:
    there = {what: _dimensions(found.values()) for what, found in layers.items()}
    wanted = [d for d, name in KINDS.items() if kind in ("auto", name)]
    for what, found in there.items():
        if what == "prediction" and not found:
            there[what] = there["truth"]  # a map that found nothing is scored as one
        elif not set(found) & set(wanted):
            expected = " or ".join(KINDS[d] for d in wanted)
            raise ConfigError(f"{paths[what]} has no {expected}; expected at least one to compare")
    common = [d for d in there["truth"] if d in there["prediction"] and d in wanted]
    if not common:
        raise RequestError(
            f"{paths['truth']} has {KINDS[there['truth'][0]]}, {paths['prediction']} "
            f"{KINDS[there['prediction'][0]]}; expected the same kind in both"
        )
    return common[0]


def _pick(layers: dict[str, GeoDataFrame], dimension: int, path: str | Path) -> tuple[GeoDataFrame, list[str]]:
    """The first layer with features of that dimension, and those features alone."""
    import shapely

    kept = {}
    for name, frame in layers.items():
        shapes = frame.geometry.to_numpy()
        here = (shapely.get_dimensions(shapes) == dimension) & ~shapely.is_empty(shapes)
        if here.any():
            kept[name] = frame[here]
    if not kept:
        name = next(iter(layers))
        return layers[name][:0], [f"{path} has no {KINDS[dimension]}: nothing was found"]
    name = next(iter(kept))
    several = [f"{path} has several layers of {KINDS[dimension]}; {name} is compared"] if len(kept) > 1 else []
    return kept[name], several


def _local_crs(frames: list[GeoDataFrame], dimension: int) -> Any:
    """A projection around the middle of the truth, on WGS 84.

    Lengths by a transverse Mercator (0.05 % too long 200 km from the middle), areas by Lambert's equal-area.
    """
    from pyproj import CRS

    west, south, east, north = (np.deg2rad(v) for v in frames[0].to_crs("OGC:CRS84").total_bounds)
    if not np.isfinite([west, south, east, north]).all():
        raise ConfigError("the truth's coordinates do not fit its CRS; check both")
    lon = np.arctan2(np.sin(west) + np.sin(east), np.cos(west) + np.cos(east))  # also across 180°
    middle = f"+lat_0={np.rad2deg((south + north) / 2):.6f} +lon_0={np.rad2deg(lon):.6f}"
    return CRS.from_proj4(f"+proj={'tmerc' if dimension == 1 else 'laea'} {middle} +ellps=WGS84 +units=m +type=crs")


def _project(frame: GeoDataFrame, crs: Any, dimension: int, path: str | Path) -> NDArray[Any]:
    import shapely

    shapes = shapely.force_2d(frame.to_crs(crs).geometry.to_numpy())
    if len(shapes) and not np.isfinite(shapely.total_bounds(shapes)).all():
        raise ConfigError(f"{path} has coordinates that do not fit its CRS, or lies far from the truth; check both")
    if dimension == 2 and not shapely.is_valid(shapes).all():
        shapes = shapely.make_valid(shapes)
    return np.asarray(shapes)


def _apart(truth: NDArray[Any], predicted: NDArray[Any]) -> list[str]:
    """A line where the boxes around both have no ground in common: often a wrong CRS, or another scene's truth."""
    import shapely

    if not len(truth) or not len(predicted):
        return []
    own, other = (shapely.box(*shapely.total_bounds(shapes)) for shapes in (truth, predicted))
    distance = shapely.distance(own, other)
    if distance <= 0:
        return []
    return [f"the prediction lies {_told(distance)} from the truth: they have no ground in common; check both CRSs"]


def _told(metres: float) -> str:
    return f"{metres / 1000:,.0f} km" if metres >= 10_000 else f"{metres:,.0f} m"


def _explode(
    shapes: NDArray[Any], classes: NDArray[np.intp], dimension: int
) -> tuple[NDArray[Any], NDArray[np.intp]]:
    """Parts of multi-geometries, those of the dimension, each with the class of its whole."""
    import shapely

    parts, of = shapely.get_parts(shapes, return_index=True)
    kept = (shapely.get_dimensions(parts) == dimension) & (shapely.length(parts) > 0)
    return parts[kept], classes[of[kept]]


def _class_columns(frames: list[GeoDataFrame]) -> tuple[list[list[str]], list[str]]:
    """The class of every polygon of both files: their ``name``, else their ``class``, else one for all."""
    frames = [frame if len(frame) else frames[0][:0] for frame in frames]
    shared = [c for c in ("name", "class") if all(_is_class_column(frame, c) for frame in frames)]
    if not shared:
        return [[_ALONE] * len(frame) for frame in frames], ["no column name or class in both: all are one class"]
    for column in shared:
        texts = [[_text(v) for v in frame[column]] for frame in frames]
        if set(texts[0]) & set(texts[1]) or not texts[1]:
            moved = "" if column == shared[0] else "classes are matched by number; the names differ"
            return texts, [moved] if moved else _moved(frames, shared)
    told = [", ".join(sorted({_text(v) for v in frame[shared[0]]})[:8]) for frame in frames]
    raise RequestError(f"no class is in both: the truth has {told[0]}, the prediction {told[1]}")


def _moved(frames: list[GeoDataFrame], shared: list[str]) -> list[str]:
    """A line for names whose numbers differ."""
    if shared != ["name", "class"]:
        return []
    tables = [dict(zip(map(_text, f["name"]), map(_text, f["class"]), strict=True)) for f in frames]
    told = [
        f"{name} is {tables[1][name]} in the prediction, {number} in the truth"
        for name, number in sorted(tables[0].items())
        if tables[1].get(name, number) != number
    ]
    return [f"classes are matched by name; their numbers differ: {'; '.join(told)}"] if told else []


def _is_class_column(frame: GeoDataFrame, column: str) -> bool:
    return column in frame.columns and frame[column].nunique() <= MOST_CLASSES


def _text(value: Any) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return _NO_CLASS
    return str(int(value)) if isinstance(value, float) and value == int(value) else str(value)
