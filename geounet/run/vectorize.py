"""From a label raster to vector files: the vector half of a run, and a command of its own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from geounet.errors import ConfigError
from geounet.grid.geobox import GeoBox
from geounet.heap import freed_memory_kept
from geounet.io.aoi import read_area
from geounet.io.atomic import scratch_folder
from geounet.io.gdal import smaller_cache
from geounet.io.ground import Ground
from geounet.io.labels import LabelRaster
from geounet.io.spool import Spool
from geounet.io.styles import polygon_style, shown_classes, write_style_beside
from geounet.io.vectors import open_writers
from geounet.model.spec import Head, LabelClass
from geounet.run.cores import usable_cores
from geounet.run.features import Source, Totals, meanwhile, write_features
from geounet.run.layers import FeatureMaker
from geounet.run.lines import LineMaker, LineOptions, LineTotals, class_of, write_lines
from geounet.run.result import area_unit
from geounet.run.squared_classes import Asked, classes_to_square, squared_layer
from geounet.run.squaring import Squarer
from geounet.run.sweeping import OnRows, Sweep
from geounet.run.vector_paths import targets
from geounet.vector.lean import load_without_scipy

if TYPE_CHECKING:  # what not every call needs is not loaded by every one
    from shapely import Geometry

    from geounet.io.cleaned import CleanedRows
    from geounet.io.threshold import Threshold
    from geounet.io.vertex_file import VertexFile
    from geounet.io.zones import Zones
    from geounet.vector.inside import Inside
    from geounet.vector.simplify import Outline, Vertices


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
    """The files of the centre-lines and of their nodes, format by format."""
    line_count: int = 0
    node_count: int = 0
    length: float = 0.0
    """Of all centre-lines, in metres (pixels without a CRS)."""
    cleaned: Path | None = None
    """The cleaned label raster, where one was asked for."""
    regularized_paths: tuple[Path, ...] = ()
    """The files of the squared outlines, by format."""
    regularized_count: int = 0
    """Features in them,"""
    squared_count: int = 0
    """and how many of these could be squared."""


@freed_memory_kept()
def vectorize(
    labels: str | Path,
    *,
    output: str | Path | None = None,
    head: Head | None = None,
    confidence: str | Path | None = None,
    min_area: float = 0.0,
    min_hole: float = 0.0,
    simplify: float = 0.0,
    smooth: bool = False,
    threshold: str | float | None = None,
    stats: str | Path | None = None,
    cleaned: str | Path | None = None,
    formats: Sequence[str] = ("geojson",),
    aoi: str | Path | None = None,
    lines: bool | int | str = False,
    bridge: float = 0.0,
    spur: float | None = None,
    regularize: Asked | None = None,
    overwrite: bool = False,
    threads: int | None = None,
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
        min_hole: holes smaller than this many m² are filled by what they lie in; what holds nodata is none.
        simplify: metres; outlines are simplified as a coverage: no gaps, no overlaps.
        smooth: round the corners that are left, again without gaps and overlaps.
        threshold: cut a mask anew at this probability; ``0.5:0.3`` also keeps pixels of at least 0.3 that hang
            together with some of at least 0.5. ``labels`` is then 0 and 1 with its ``confidence``, or a raster of
            probabilities (floats); just the mask becomes polygons.
        stats: a raster on the same grid: mean, least and greatest value under each polygon, for every band.
        cleaned: a GeoTIFF to write: the labels after ``min_area`` and ``min_hole``.
        formats: of ``geojson``, ``geojsonseq`` (a feature in each line), ``geojsons`` (the same with record
            separators, RFC 8142), ``gpkg``, ``fgb``, ``parquet``, ``shp``.
        aoi: a vector file of polygons; only what lies inside is kept, cut exactly.
        lines: also write the centre-lines of one class, and the nodes at which they end and meet, as
            ``<output>_lines`` and ``<output>_nodes``: value or name of the class; True: ``road``, else 1.
        bridge: metres; gaps up to this in the centre-lines are closed.
        spur: metres; dead ends shorter than this are pruned. None: than the road is wide.
        regularize: also write the polygons of these classes (names or values) with right angles, as
            ``<output>_regularized``; the polygons themselves stay as they are.
        overwrite: replace files that are there.
        threads: to work with; None: as many as there are cores. The result does not depend on it.
        block_rows: rows to work on at once; the result does not depend on it.
        container: a GeoPackage in the making that takes the layer instead of a file of its own.
        progress: called with the rows done and the rows in all, now and then; what it raises ends the work.

    Raises:
        SceneError: the raster cannot be read as labels.
        ConfigError: an option is wrong, or an output file is there already.
        MissingExtraError: GeoParquet without pyarrow.
    """
    sizes = {"--min-area": min_area, "--min-hole": min_hole, "--simplify": simplify}
    _check_options(sizes, threads=threads, block_rows=block_rows)
    load_without_scipy()
    cut = None if threshold is None else _threshold(threshold)
    with ExitStack() as stack:
        to = targets(
            Path(labels), output, formats, cleaned=cleaned, lines=lines is not False, squares=regularize is not None
        )
        to.check({"labels": labels, "confidence": confidence, "--aoi": aoi, "--stats": stats}, overwrite=overwrite)
        paths, raster_path = to.polygons, to.cleaned
        name = next(iter(paths.values())).stem if head is None else head.name
        own = head
        if cut is not None:
            scratch = stack.enter_context(scratch_folder(next(iter(paths.values()))))
            labels, confidence, head = _cut_mask(labels, confidence, head, cut, scratch)
        raster = stack.enter_context(LabelRaster(labels, head=head, confidence=confidence))
        stack.enter_context(smaller_cache(raster.cache_bytes))
        ground = Ground(raster.geobox)
        area = _area_of_interest(aoi, raster.geobox)
        zones = _zones(stats, raster, stack)
        names = raster.class_names()
        line_maker = None
        if to.lines:
            how = LineOptions(value=class_of(lines, names), bridge=bridge, spur=spur, simplify=simplify)
            line_maker = stack.enter_context(LineMaker(raster, ground, how))
        sweep = Sweep(
            raster=raster,
            head=head,
            min_area=min_area,
            min_hole=min_hole,
            step=block_rows or _rows_at_once(raster, zones),
            ahead=threads != 1,
            zones=zones,
            inside=_inside(area, raster) if zones is not None or raster.has_confidence else None,
            progress=progress,
        )
        outline = _outline(simplify, ground, smooth=smooth)
        square = _squarer(regularize, ground, names, head)
        maker = FeatureMaker(raster=raster, ground=ground, outline=outline, zones=zones, area=area, square=square)
        spool = stack.enter_context(Spool(folder := next(iter(paths.values())).parent))
        totals = Totals()
        qml = partial(_style, raster, own, totals.area)
        of_squares = partial(_style, raster, own, totals.area, () if square is None else square.values)
        with ExitStack() as writing:
            rows = None if raster_path is None else _cleaned_rows(raster_path, raster, writing)
            file = _vertex_file(folder, raster, stack) if outline else None
            with meanwhile(ground.get_ready, wanted=threads != 1):
                vertices = _swept(sweep, spool, rows, file, line_maker)
            if line_maker is not None:
                line_maker.close()
            writers = writing.enter_context(
                open_writers(paths, layer=name, ground=ground, style=qml, container=container)
            )
            beside = writing.enter_context(
                open_writers(
                    to.squares, layer=squared_layer(name), ground=ground, style=of_squares, container=container
                )
            )
            write_features(
                maker,
                Source(spool=spool, vertices=vertices),
                (list(writers.values()), list(beside.values())),
                totals,
                threads=threads or usable_cores(),
                on_chunk=sweep.tell,
            )
        for files, style in ((paths, qml()), (to.squares, of_squares())):
            if style is not None:
                write_style_beside(files.values(), style)
        done = None
        if line_maker is not None:
            color = _colours(raster, own).get(line_maker.value)
            found = line_maker.finish(None if area is None else _on_pixels(area, raster.geobox))
            done = write_lines(found, ground, name=name, paths=to.lines, color=color, container=container)
    return VectorResult(
        paths=tuple(paths.values()),
        feature_count=totals.features,
        area_by_class=dict(sorted(totals.area.items())),
        class_names=names,
        area_unit=area_unit(ground.geobox),
        warnings=(*_ground_warnings(ground), *_format_warnings(writers, beside), *_lost_lines(done)),
        cleaned=raster_path,
        regularized_paths=tuple(to.squares.values()),
        regularized_count=totals.regularized,
        squared_count=totals.squared,
        line_paths=to.line_files,
        line_count=0 if done is None else done.lines,
        node_count=0 if done is None else done.nodes,
        length=0.0 if done is None else done.length,
    )


def _lost_lines(done: LineTotals | None) -> list[str]:
    if done is None or not done.dropped:
        return []
    return [f"{done.dropped} centre-lines reach beyond what the CRS can show of the globe; left out"]


def _colours(raster: LabelRaster, head: Head | None) -> Mapping[int, str]:
    """By pixel value, of a head, else as the raster says."""
    return raster.class_colours() if head is None else {c.value: c.color for c in head.classes}


def _style(
    raster: LabelRaster, head: Head | None, found: Iterable[int], only: Sequence[int] | None = None
) -> str | None:
    """QML of a head's classes, else of the pixel values that were ``found`` and have a colour in the raster."""
    if head is not None:
        classes = shown_classes(head)
    else:
        names, colours = raster.class_names(), raster.class_colours()
        classes = [
            LabelClass(value=value, name=names.get(value) or str(value), color=colours[value])
            for value in sorted(found)
            if value in colours
        ]
    classes = [c for c in classes if only is None or c.value in only]
    return polygon_style(classes) if classes else None


def _check_options(sizes: Mapping[str, float], **counts: int | None) -> None:
    for name, value in sizes.items():
        if not (np.isfinite(value) and value >= 0):
            raise ConfigError(f"{name} {value}: expected a number of at least 0")
    for name, count in counts.items():
        if count is not None and count < 1:
            option = f"--{name}" if name == "threads" else name
            raise ConfigError(f"{option} {count}: expected at least 1")


def _threshold(text: str | float) -> Threshold:
    from geounet.io.threshold import Threshold

    return Threshold.parse(text)


def _cut_mask(
    labels: str | Path, confidence: str | Path | None, head: Head | None, threshold: Threshold, folder: Path
) -> tuple[Path, Path, Head]:
    """The mask at another threshold, its confidence, and what its values mean."""
    from geounet.io.threshold import Probabilities, write_cut

    mask, sure = folder / "mask.tif", folder / "confidence.tif"
    with Probabilities(labels, confidence, own=None if head is None else head.threshold) as source:
        write_cut(source, threshold, labels=mask, confidence=sure)
        names = source.class_names()
    classes = (("no", "#ffffff"), ("yes", "#000000"))
    plain = tuple(LabelClass(value=v, name=names.get(v, n), color=c) for v, (n, c) in enumerate(classes))
    return mask, sure, head or Head(name="mask", kind="mask", classes=plain)


def _swept(
    sweep: Sweep, spool: Spool, cleaned: CleanedRows | None, file: VertexFile | None, lines: LineMaker | None
) -> Vertices | None:
    """Sweep; with a ``file`` for them, all vertices, pinned where a ring could vanish."""
    sweep.run(spool, cleaned=cleaned, on_vertices=None if file is None else file.add, lines=lines)
    if file is None:
        return None
    vertices = file.vertices()
    for polygons in spool.chunks():
        vertices.pin(polygons)
    return vertices


def _squarer(asked: Asked | None, ground: Ground, names: Mapping[int, str], head: Head | None) -> Squarer | None:
    if asked is None:
        return None
    return Squarer(ground=ground, values=classes_to_square(asked, names, strict=head is not None))


def _outline(simplify: float, ground: Ground, *, smooth: bool) -> Outline | None:
    if not simplify and not smooth:
        return None
    from geounet.vector.simplify import Outline

    return Outline(tolerance=simplify, smooth=smooth, pixel=ground.metres_per_pixel)


def _vertex_file(folder: Path, raster: LabelRaster, stack: ExitStack) -> VertexFile:
    from geounet.io.vertex_file import VertexFile

    return stack.enter_context(VertexFile(folder, height=raster.geobox.height))


def _zones(path: str | Path | None, raster: LabelRaster, stack: ExitStack) -> Zones | None:
    if path is None:
        return None
    from geounet.io.zones import Zones

    return stack.enter_context(Zones(path, raster.geobox))


def _rows_at_once(raster: LabelRaster, zones: Zones | None) -> int:
    """Fewer where many bands come along, each with eight bytes a pixel."""
    return raster.strip_rows if zones is None else max(1, raster.strip_rows // len(zones.names))


def _cleaned_rows(path: Path, raster: LabelRaster, stack: ExitStack) -> CleanedRows:
    from geounet.io.cleaned import write_cleaned

    return stack.enter_context(write_cleaned(path, raster))


def _inside(area: Geometry | None, raster: LabelRaster) -> Inside | None:
    """Which pixels lie in the area of interest."""
    if area is None:
        return None
    from geounet.vector.inside import Inside

    return Inside(_on_pixels(area, raster.geobox), width=raster.geobox.width)


def _on_pixels(area: Geometry, geobox: GeoBox) -> Geometry:
    """An area of the map in pixel coordinates."""
    import shapely

    a, b, c, d, e, f = tuple(~geobox.affine)[:6]

    def to_pixels(xy: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.stack([a * xy[:, 0] + b * xy[:, 1] + c, d * xy[:, 0] + e * xy[:, 1] + f], axis=1)

    return shapely.transform(area, to_pixels)


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
        return [NO_CRS]
    if not ground.is_earth:
        return [f"{ground.geodetic.name} is not on the Earth: GeoJSON has longitudes and latitudes of that body"]
    return []


def _format_warnings(writers: Mapping[str, object], beside: Mapping[str, object]) -> list[str]:
    """What the formats could not hold; those ``beside`` hold some of the same features, with a field more.

    So the Shapefile with more fields speaks for both, and of features left out the layer that has them all.
    """
    telling = {name: beside.get(name, writer) if name == "shp" else writer for name, writer in writers.items()}
    return [line for writer in telling.values() for line in getattr(writer, "warnings", [])]
