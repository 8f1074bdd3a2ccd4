"""From a label raster to vector files: the vector half of a run, and a command of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from geounet.errors import ConfigError
from geounet.heap import freed_memory_kept, trim
from geounet.io.atomic import publish
from geounet.io.spool import Spool
from geounet.io.styles import write_style_beside
from geounet.io.vectors import SORTING, open_writers
from geounet.io.writing import ChunkWriter
from geounet.model.spec import Head
from geounet.run.cores import usable_cores
from geounet.run.features import Source, Totals, meanwhile, rehearse, write_features
from geounet.run.layers import FeatureMaker, decimals
from geounet.run.line_options import LineOptions, class_of
from geounet.run.result import area_unit
from geounet.run.squared_classes import Asked, classes_to_square, squared_layer
from geounet.run.sweeping import OnRows, Sweep
from geounet.run.vector_paths import targets
from geounet.run.vector_result import VectorResult, result_warnings, vector_result
from geounet.run.vector_sources import Sources, open_sources, threshold_of
from geounet.run.vector_styles import colours, style_of

if TYPE_CHECKING:  # what not every call needs is not loaded by every one
    from geounet.io.cleaned import CleanedRows
    from geounet.io.ground import Ground
    from geounet.io.labels import LabelRaster
    from geounet.io.vertex_file import VertexFile
    from geounet.run.lines import LineMaker
    from geounet.run.squaring import Squarer
    from geounet.vector.simplify import Outline, Vertices

Layers = tuple[Sequence[ChunkWriter], Sequence[ChunkWriter]]
"""Writers of the features, and of those that are squared besides."""


@freed_memory_kept(shared=True)
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
    around: int | None = None,
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
            probabilities (floats, or numbers with a scale); just the mask becomes polygons.
        stats: a raster on the same grid: mean, least and greatest value under each polygon, for every band.
        cleaned: a GeoTIFF to write: the labels after ``min_area`` and ``min_hole``.
        formats: of ``geojson``, ``geojsonseq`` (a feature in each line), ``geojsons`` (the same with record
            separators, RFC 8142), ``gpkg``, ``fgb``, ``parquet``, ``shp``.
        aoi: a vector file of polygons; only what lies inside is kept, cut exactly: the same as without it, and cut.
        around: pixels around that area beyond which ``labels`` does not know; the cleaned raster is then cut too.
        lines: also write the centre-lines of one class, and the nodes at which they end and meet, as
            ``<output>_lines`` and ``<output>_nodes`` (layers of the same GeoPackage, files in other formats): value
            or name of the class; True: ``road``, else 1.
        bridge: metres; gaps up to this in the centre-lines are closed.
        spur: metres; dead ends shorter than this are pruned. None: than the road is wide.
        regularize: also write the polygons of these classes (names or values) with right angles, as
            ``<output>_regularized``, a layer or a file likewise; the polygons themselves stay as they are.
        overwrite: replace files that are there.
        threads: to work with; None: as many as there are cores. The result does not depend on it.
        block_rows: rows to work on at once; the result does not depend on it.
        container: a GeoPackage in the making that takes the layers instead of a file of their own.
        progress: called with the rows done and the rows in all, now and then; what it raises ends the work.

    Raises:
        SceneError: the raster cannot be read as labels.
        ConfigError: an option is wrong, or an output file is there already.
        MissingExtraError: GeoParquet without pyarrow.
    """
    sizes = {"--min-area": min_area, "--min-hole": min_hole, "--simplify": simplify}
    _check_options(sizes, threads=threads, block_rows=block_rows)
    if head is None and lines is False and (bridge or spur is not None):
        raise ConfigError("--bridge and --spur are about centre-lines, which were not asked for; add --lines")
    cut = None if threshold is None else threshold_of(threshold)
    with ExitStack() as stack:
        to = targets(
            Path(labels), output, formats, cleaned=cleaned, lines=lines is not False, squares=regularize is not None
        )
        to.check({"labels": labels, "confidence": confidence, "--aoi": aoi, "--stats": stats}, overwrite=overwrite)
        first = next(iter(to.polygons.values()))
        name = first.stem if head is None else head.name
        sources = open_sources(
            stack,
            labels,
            head=head,
            confidence=confidence,
            threshold=cut,
            aoi=aoi,
            around=around,
            stats=stats,
            beside=first,
        )
        raster, ground, area = sources.raster, sources.ground, sources.area
        names = raster.class_names()
        square = None if regularize is None else _squarer(regularize, sources, names)
        line_maker = None
        if to.lines:
            how = LineOptions(value=class_of(lines, names), bridge=bridge, spur=spur, simplify=simplify)
            line_maker = stack.enter_context(_line_maker(sources, how))
        sweep = Sweep(
            sources=sources,
            min_area=min_area,
            min_hole=min_hole,
            step=block_rows or sources.rows_at_once,
            folder=first.parent,
            threads=threads or usable_cores(),
            progress=progress,
        )
        maker = FeatureMaker(
            raster=raster,
            ground=ground,
            outline=_outline(simplify, ground, smooth=smooth) if simplify or smooth else None,
            zones=sources.zones,
            area=None if area is None else area.on_map,
            square=square,
        )
        totals = Totals(decimals=decimals(2, ground))
        style = partial(style_of, raster, head, totals.area)
        of_squares = partial(style, only=() if square is None else square.values)
        if container is None and to.geopackage is not None:
            container = stack.enter_context(publish(to.geopackage))
        straight = maker.outline is None and square is None and SORTING.issuperset(to.polygons)
        with ExitStack() as writing:
            rows = None if to.cleaned is None else _cleaned_rows(to.cleaned, raster, writing)
            into = partial(open_writers, ground=ground, container=container, numbered=not straight)
            writers = writing.enter_context(into(to.polygons, layer=name, style=style))
            beside = writing.enter_context(into(to.squares, layer=squared_layer(name), style=of_squares))
            layers = list(writers.values()), list(beside.values())
            write = _straight if straight else _in_turn
            write(sweep, maker, layers, totals, partial(sweep.run, cleaned=rows, lines=line_maker))
        for files, qml in ((to.polygons, style()), (to.squares, of_squares())):
            if qml is not None:
                write_style_beside(files.values(), qml)
        done = None
        if line_maker is not None:
            from geounet.run.lines import write_lines

            color = colours(raster, head).get(line_maker.value)
            found = line_maker.finish(None if area is None else area.on_pixels)
            done = write_lines(found, ground, name=name, paths=to.lines, color=color, container=container)
    chosen = None if head is not None or line_maker is None else line_maker.value
    lost = result_warnings(ground, writers=writers, beside=beside, done=done, chosen=chosen, totals=totals)
    return vector_result(to, totals, names=names, unit=area_unit(ground.geobox), done=done, warnings=lost)


def _check_options(sizes: Mapping[str, float], **counts: int | None) -> None:
    for name, value in sizes.items():
        if not (np.isfinite(value) and value >= 0):
            raise ConfigError(f"{name} {value}: expected a number of at least 0")
    for name, count in counts.items():
        if count is not None and count < 1:
            option = f"--{name}" if name == "threads" else name
            raise ConfigError(f"{option} {count}: expected at least 1")


def _squarer(asked: Asked, sources: Sources, names: Mapping[int, str]) -> Squarer:
    from geounet.run.squaring import Squarer

    values = classes_to_square(asked, names, strict=sources.head is not None)
    return Squarer(ground=sources.ground, values=values)


def _line_maker(sources: Sources, options: LineOptions) -> LineMaker:
    from geounet.run.lines import LineMaker

    return LineMaker(sources.raster, sources.ground, options)


def _outline(simplify: float, ground: Ground, *, smooth: bool) -> Outline:
    from geounet.vector.simplify import Outline

    return Outline(tolerance=simplify, smooth=smooth, pixel=ground.metres_per_pixel)


def _cleaned_rows(path: Path, raster: LabelRaster, stack: ExitStack) -> CleanedRows:
    from geounet.io.cleaned import write_cleaned

    return stack.enter_context(write_cleaned(path, raster))


def _vertex_file(folder: Path, raster: LabelRaster, stack: ExitStack) -> VertexFile:
    from geounet.io.vertex_file import VertexFile

    return stack.enter_context(VertexFile(folder, height=raster.geobox.height))


def _straight(sweep: Sweep, maker: FeatureMaker, layers: Layers, totals: Totals, run: Callable[..., None]) -> None:
    """Features are made while the sweep goes on."""
    from geounet.run.straight import straight_features

    ready = meanwhile(partial(rehearse, maker, layers[0]), wanted=sweep.threads > 1)
    with straight_features(maker, layers[0], totals, threads=sweep.threads, on_chunk=sweep.tell) as take, ready:
        run(take)


def _in_turn(sweep: Sweep, maker: FeatureMaker, layers: Layers, totals: Totals, run: Callable[..., None]) -> None:
    """Polygons wait on disk for the end of the sweep; then features are made in order."""
    with ExitStack() as stack:
        spool = stack.enter_context(Spool(sweep.folder))
        file = None if maker.outline is None else _vertex_file(sweep.folder, maker.raster, stack)
        with meanwhile(partial(rehearse, maker, layers[0]), wanted=sweep.threads > 1):
            run(spool.add, on_vertices=None if file is None else file.add)
            vertices = None if file is None else _pinned(file.vertices(), spool)
        trim()  # what the sweep leaves lies in pieces, too small for a feature of millions of corners
        source = Source(spool=spool, vertices=vertices)
        write_features(maker, source, layers, totals, threads=sweep.threads, on_chunk=sweep.tell)


def _pinned(vertices: Vertices, spool: Spool) -> Vertices:
    """All vertices, pinned where a ring could vanish."""
    for polygons in spool.chunks():
        vertices.pin(polygons)
    return vertices
