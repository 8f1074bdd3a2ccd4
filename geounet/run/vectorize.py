"""From a label raster to vector files: the vector half of a run, and a command of its own."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from geounet.errors import ConfigError
from geounet.grid.geobox import GeoBox
from geounet.heap import freed_memory_kept
from geounet.io.aoi import read_area
from geounet.io.ground import Ground
from geounet.io.labels import LabelRaster
from geounet.io.shapes import Features
from geounet.io.spool import Spool
from geounet.io.styles import polygon_style, shown_classes, write_style_beside
from geounet.io.vectors import SUFFIXES, check_formats, open_writers
from geounet.model.spec import Head, LabelClass
from geounet.run.layers import FeatureMaker, OnRows, sweep_raster
from geounet.run.result import area_unit

if TYPE_CHECKING:
    from shapely import Geometry

_FOREIGN = frozenset(
    [".shp", ".kml", ".kmz", ".gml", ".gdb", ".dxf", ".csv", ".tab", ".mif", ".sqlite", ".svg", ".pdf", ".zip"]
)
"""Suffixes of other formats: GeoJSON under such a name would be read by nobody."""


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


@dataclass(kw_only=True)
class _Totals:
    features: int = 0
    area: dict[int, float] = field(default_factory=dict)

    def add(self, features: Features) -> None:
        self.features += features.id.size
        for value in np.unique(features.value).tolist():
            known = features.area[(features.value == value) & np.isfinite(features.area)]
            self.area[value] = self.area.get(value, 0.0) + float(known.sum())


@freed_memory_kept()
def vectorize(
    labels: str | Path,
    *,
    output: str | Path | None = None,
    head: Head | None = None,
    confidence: str | Path | None = None,
    min_area: float = 0.0,
    simplify: float = 0.0,
    formats: Sequence[str] = ("geojson",),
    aoi: str | Path | None = None,
    overwrite: bool = False,
    block_rows: int | None = None,
    container: Path | None = None,
    progress: OnRows | None = None,
) -> VectorResult:
    """Turn a label raster into polygons, one per 4-connected component, in the order of their first pixels.

    Args:
        labels: a raster of whole numbers, one band; its nodata and mask are left out.
        output: the file to write; with several formats each gets its own suffix. None: beside the raster.
        head: classes, and which of them become polygons (of a mask only value 1). None: as the raster says.
        confidence: uint8 raster on the same grid, 0..250, 255 unknown: gives ``confidence_mean``.
        min_area: components smaller than this many m² are absorbed by their neighbours.
        simplify: metres; outlines are simplified as a coverage: no gaps, no overlaps.
        formats: of ``geojson``, ``geojsonseq`` (a feature in each line), ``geojsons`` (the same with record
            separators, RFC 8142), ``gpkg``, ``fgb``, ``parquet``, ``shp``.
        aoi: a vector file of polygons; only what lies inside is kept, cut exactly.
        overwrite: replace files that are there.
        block_rows: rows to work on at once; the result does not depend on it.
        container: a GeoPackage in the making that takes the layer instead of a file of its own.
        progress: called with the rows done and the rows in all.

    Raises:
        SceneError: the raster cannot be read as labels.
        ConfigError: an option is wrong, or an output file is there already.
        MissingExtraError: GeoParquet without pyarrow.
    """
    _check_options(min_area, simplify, block_rows)
    with LabelRaster(labels, head=head, confidence=confidence) as raster:
        paths = _output_paths(Path(labels), output, check_formats(formats), overwrite=overwrite)
        _keep_inputs(paths.values(), {"labels": labels, "confidence": confidence, "--aoi": aoi})
        ground = Ground(raster.geobox)
        maker = FeatureMaker(
            raster=raster, ground=ground, simplify=simplify, area=_area_of_interest(aoi, raster.geobox)
        )
        names = raster.class_names()
        first = next(iter(paths.values()))
        totals = _Totals()
        with Spool(first.parent) as spool:
            sweep_raster(
                raster,
                spool,
                head=head,
                min_area=min_area,
                step=block_rows or raster.strip_rows,
                progress=progress,
            )
            name = first.stem if head is None else head.name
            style = partial(_style, raster, head, totals.area)
            with open_writers(paths, layer=name, ground=ground, style=style, container=container) as writers:
                for features in _ahead(maker.features(spool)):
                    totals.add(features)
                    for writer in writers.values():
                        writer.write(features)
        if (qml := style()) is not None:
            write_style_beside(paths.values(), qml)
    return VectorResult(
        paths=tuple(paths.values()),
        feature_count=totals.features,
        area_by_class=dict(sorted(totals.area.items())),
        class_names=names,
        area_unit=area_unit(ground.geobox),
        warnings=(*_ground_warnings(ground), *_format_warnings(writers)),
    )


def _style(raster: LabelRaster, head: Head | None, found: Iterable[int]) -> str | None:
    """QML of a head's classes, else of the pixel values that were ``found`` and have a colour in the raster."""
    if head is not None:
        return polygon_style(shown_classes(head))
    names, colours = raster.class_names(), raster.class_colours()
    classes = [
        LabelClass(value=value, name=names.get(value) or str(value), color=colours[value])
        for value in sorted(found)
        if value in colours
    ]
    return polygon_style(classes) if classes else None


def _ahead(chunks: Iterator[Features]) -> Iterator[Features]:
    """The same chunks, the next one being made while this one is written."""
    with ThreadPoolExecutor(1, thread_name_prefix="geounet-features") as maker:
        waiting = maker.submit(next, chunks, None)
        while (features := waiting.result()) is not None:
            waiting = maker.submit(next, chunks, None)
            yield features


def _check_options(min_area: float, simplify: float, block_rows: int | None) -> None:
    for name, value in (("--min-area", min_area), ("--simplify", simplify)):
        if not (np.isfinite(value) and value >= 0):
            raise ConfigError(f"{name} {value}: expected a number of at least 0")
    if block_rows is not None and block_rows < 1:
        raise ConfigError(f"block_rows {block_rows}: expected at least 1")


def _output_paths(
    labels: Path, output: str | Path | None, formats: Sequence[str], *, overwrite: bool
) -> dict[str, Path]:
    """The file of each format."""
    base = Path(output) if output is not None else labels.with_suffix(SUFFIXES[formats[0]])
    stem = base.with_suffix("") if base.suffix.lower() in SUFFIXES.values() else base
    paths = {f: stem.with_name(stem.name + SUFFIXES[f]) for f in formats}
    if len(formats) == 1 and output is not None and base.suffix:
        _check_suffix(base, formats[0])
        paths = {formats[0]: base}
    if not base.parent.is_dir():
        raise ConfigError(f"output folder {base.parent} is not there; make it, or name another one")
    for path in paths.values():
        if path.exists() and not overwrite:
            raise ConfigError(f"{path} is there already; add --overwrite (overwrite=True), or name another output")
    return paths


def _check_suffix(path: Path, only: str) -> None:
    """ConfigError where the file's name says another format than the only one that is asked for."""
    if path.suffix.lower() in _FOREIGN:
        raise ConfigError(
            f"{path} is called {path.suffix}, which geounet does not write; expected {', '.join(SUFFIXES.values())}"
        )
    said = [name for name, suffix in SUFFIXES.items() if suffix == path.suffix.lower()]
    if said and only not in said:
        raise ConfigError(
            f"{path} is called {path.suffix}, but the format is {only}: give --format {said[0]} "
            f"(formats=({said[0]!r},)), or an output that ends in {SUFFIXES[only]}"
        )


def _keep_inputs(outputs: Iterable[Path], inputs: Mapping[str, str | Path | None]) -> None:
    """ConfigError where a file that is read would be replaced, whatever the two are called."""
    for output in outputs:
        for name, given in inputs.items():
            if given is not None and output.exists() and Path(given).exists() and output.samefile(given):
                raise ConfigError(f"output {output} is the {name} file itself; name another output")


def _area_of_interest(path: str | Path | None, geobox: GeoBox) -> Geometry | None:
    """The polygons of a file in the scene's CRS, prepared; they must meet the scene."""
    if path is None:
        return None
    import shapely

    area = read_area(path, geobox)
    scene = shapely.transform(shapely.box(0, 0, geobox.width, geobox.height), Ground(geobox).coordinates)
    if not shapely.intersects(area, scene):
        raise ConfigError(f"--aoi {path}: the area lies outside the scene; check its coordinates and its CRS")
    shapely.prepare(area)
    return area


def _ground_warnings(ground: Ground) -> list[str]:
    if ground.geodetic is None:
        return ["the raster has no CRS: coordinates are pixels (column, row), and areas are in square pixels"]
    if not ground.is_earth:
        return [f"{ground.geodetic.name} is not on the Earth: GeoJSON has longitudes and latitudes of that body"]
    return []


def _format_warnings(writers: Mapping[str, object]) -> list[str]:
    """What the formats could not hold."""
    return [line for writer in writers.values() for line in getattr(writer, "warnings", [])]
