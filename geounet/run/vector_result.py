"""What `geounet.run.vectorize` made, and what it has to say of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from geounet.io import human
from geounet.run.features import Totals
from geounet.run.line_options import no_such_class
from geounet.run.vector_paths import Targets

if TYPE_CHECKING:  # what not every call needs is not loaded by every one
    from geounet.io.ground import Ground
    from geounet.run.lines import LineTotals

NO_CRS = "the raster has no CRS: coordinates are pixels (column, row), and areas are in square pixels"
"""The warning that says so."""


@dataclass(frozen=True, kw_only=True)
class VectorResult:
    """What `vectorize` made."""

    paths: tuple[Path, ...]
    """One file per format, in the order of ``formats``."""
    feature_count: int
    area_by_class: Mapping[int, float]
    """m² by class value (square pixels without a CRS)."""
    class_names: Mapping[int, str] = field(default_factory=dict)
    """By class value, as far as the raster or the head says."""
    area_unit: str = "m²"
    """``m²``, or ``px`` where the raster has no CRS."""
    warnings: tuple[str, ...] = ()
    """One line each."""
    line_paths: tuple[Path, ...] = ()
    """The files of the centre-lines and of their nodes, format by format; the GeoPackage of the polygons twice."""
    line_count: int = 0
    node_count: int = 0
    length: float = 0.0
    """Of all centre-lines, in metres (pixels without a CRS)."""
    cleaned: Path | None = None
    """The cleaned label raster, where one was asked for."""
    regularized_paths: tuple[Path, ...] = ()
    """The files of the squared outlines, by format; of GeoPackage that of the polygons."""
    regularized_count: int = 0
    """Features in them,"""
    squared_count: int = 0
    """and how many of these could be squared."""


def vector_result(
    to: Targets,
    totals: Totals,
    *,
    names: Mapping[int, str],
    unit: str,
    done: LineTotals | None,
    warnings: tuple[str, ...],
) -> VectorResult:
    """The result of a call that wrote ``to``; ``done``: its centre-lines, where it was asked for some."""
    return VectorResult(
        paths=tuple(to.polygons.values()),
        feature_count=totals.features,
        area_by_class=dict(sorted(totals.area.items())),
        class_names=names,
        area_unit=unit,
        warnings=warnings,
        cleaned=to.cleaned,
        regularized_paths=tuple(to.squares.values()),
        regularized_count=totals.regularized,
        squared_count=totals.squared,
        line_paths=to.line_files,
        line_count=0 if done is None else done.lines,
        node_count=0 if done is None else done.nodes,
        length=0.0 if done is None else done.length,
    )


def result_warnings(
    ground: Ground,
    *,
    writers: Mapping[str, object],
    beside: Mapping[str, object],
    done: LineTotals | None,
    chosen: int | None,
    totals: Totals,
) -> tuple[str, ...]:
    """What the user should know of the ground, the formats and the lines; ``chosen``: the class of these."""
    return (*_of_ground(ground), *_of_formats(writers, beside), *_of_lines(done, chosen, totals))


def _of_ground(ground: Ground) -> list[str]:
    if ground.geodetic is None:
        return [NO_CRS]
    if not ground.is_earth:
        return [f"{ground.geodetic.name} is not on the Earth: GeoJSON has longitudes and latitudes of that body"]
    return []


def _of_formats(writers: Mapping[str, object], beside: Mapping[str, object]) -> list[str]:
    """What the formats could not hold; those ``beside`` hold some of the same features, with a field more.

    So the Shapefile with more fields speaks for both, and of features left out the layer that has them all.
    """
    telling = {name: beside.get(name, writer) if name == "shp" else writer for name, writer in writers.items()}
    return [line for writer in telling.values() for line in getattr(writer, "warnings", [])]


def _of_lines(done: LineTotals | None, value: int | None, totals: Totals) -> list[str]:
    """What became of the lines; ``value``: of the class, where the user chose it."""
    if value is not None and value not in totals.area:
        return [no_such_class(value, totals.area)]
    if done is None or not done.dropped:
        return []
    return [f"{human.count(done.dropped, 'centre-line')} beyond what the CRS can show of the globe; left out"]
