"""``geounet vectorize``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from geounet.cli import show
from geounet.cli.options import output_options
from geounet.io import human

if TYPE_CHECKING:
    from geounet.run.vector_result import VectorResult

_MOST_CLASSES = 30
"""Lines of areas that are printed."""


@click.command(short_help="Turn a categorical raster into polygons.")
@click.argument("labels", metavar="LABELS.tif")
@click.option("--output", "-o", metavar="FILE", help="Vector file [default: beside the raster].")
@click.option(
    "--format", "formats", metavar="NAME[,NAME]", help="geojson, geojsonseq, geojsons, gpkg, fgb, parquet, shp."
)
@click.option("--confidence", metavar="FILE.tif", help="Confidence raster on the same grid: adds confidence_mean.")
@click.option("--min-area", type=float, default=0.0, metavar="M2", help="Smaller polygons join their neighbours.")
@click.option(
    "--min-hole", type=float, default=0.0, metavar="M2", help="Smaller holes are filled by what they lie in."
)
@click.option("--simplify", type=float, default=0.0, metavar="METRES", help="Simplify; no gaps, no overlaps.")
@click.option("--smooth", is_flag=True, help="Round the corners of outlines, to look at.")
@click.option(
    "--threshold",
    metavar="P[:WEAK]",
    help="Cut a mask (0 and 1 with --confidence, or a raster of probabilities) at this probability; 0.5:0.3 also "
    "keeps what is at least 0.3 and hangs together with 0.5.",
)
@click.option(
    "--regularize",
    metavar="CLASS[,CLASS]",
    help="Also write the outlines of these classes, by name or value, with right angles, as a layer of their own.",
)
@click.option("--stats", metavar="FILE.tif", help="Raster on the same grid: adds mean, min and max of its bands.")
@click.option("--cleaned", metavar="FILE.tif", help="Also write the labels after --min-area and --min-hole.")
@click.option("--aoi", metavar="FILE", help="Polygons of a vector file: keep only what lies inside.")
@click.option(
    "--lines",
    is_flag=False,
    flag_value="",
    metavar="[CLASS]",
    help="Also write centre-lines and their nodes, of a class by value or name [default: road, else 1].",
)
@click.option("--bridge", type=float, default=0.0, metavar="METRES", help="Close gaps in centre-lines up to this.")
@click.option("--spur", type=float, metavar="METRES", help="Prune dead ends below this [default: road width].")
@click.option("--threads", type=int, metavar="N", help="Threads to work with [default: all cores].")
@click.option("--overwrite", is_flag=True, help="Replace files that are there.")
@output_options
def vectorize(labels: str, formats: str | None, lines: str | None, as_json: bool, quiet: bool, **given: Any) -> int:
    """Turn a raster of class values into polygons: one per connected area, exact, without a trace of tiles.

    \b
    geounet vectorize landuse.tif                          # → landuse.geojson
    geounet vectorize labels.tif -o map.gpkg --min-area 50
    geounet vectorize road.tif --lines                     # → road_lines.geojson, road_nodes.geojson too
    geounet vectorize landuse.tif --regularize building    # → landuse_regularized.geojson too
    geounet vectorize landuse.tif --lines --regularize building -o town.gpkg    # → one file with all layers
    """
    from geounet.cli.progress import BarProgress, choose_progress
    from geounet.io.vectors import format_of
    from geounet.run.vectorize import vectorize as run_vectorize

    names = formats.split(",") if formats else [format_of(given["output"])]
    progress = choose_progress(as_json=as_json, quiet=quiet)
    done = 0

    def on_rows(rows: int, total: int) -> None:
        nonlocal done
        if done == 0:
            progress.start("vectors", total=total, unit="rows")
        progress.advance(rows - done)
        done = rows

    try:
        result = run_vectorize(
            labels, formats=names, progress=on_rows, lines=False if lines is None else lines, **given
        )
        progress.finish()
    finally:
        if isinstance(progress, BarProgress):
            progress.close()
    for warning in result.warnings:
        progress.warn(warning)
    if as_json:
        facts = {"features": result.feature_count, "area_by_class": dict(result.area_by_class)}
        if result.line_paths:
            facts |= {"lines": result.line_count, "nodes": result.node_count, "length": result.length}
        if result.regularized_paths:
            facts |= {"regularized": result.regularized_count, "squared": result.squared_count}
        show.json_line("done", paths=_files(result), **facts)
    elif not quiet:
        click.echo(human.count(result.feature_count, "polygon"))
        if result.line_paths:
            click.echo(human.lines(result.line_count, result.length, result.area_unit))
        if result.regularized_paths:
            click.echo(human.squared(result.squared_count, result.regularized_count))
        files = [*_files(result), *([] if result.cleaned is None else [result.cleaned])]
        show.table([(str(path), human.size(path.stat().st_size)) for path in files])
        _show_classes(result)
    return 0


def _show_classes(result: VectorResult) -> None:
    """The area of every class; of very many only of the largest."""
    areas = result.area_by_class
    kept = areas if len(areas) <= _MOST_CLASSES else sorted(areas, key=lambda v: -areas[v])[:_MOST_CLASSES]
    names = [result.class_names.get(value, f"class {value}") for value in kept]
    show.table([(n, human.area(areas[v], result.area_unit)) for n, v in zip(names, kept, strict=True)])
    if len(areas) > len(names):
        click.echo(f"  and {len(areas) - len(names):,} classes more")


def _files(result: VectorResult) -> list[Path]:
    """The vector files, each once: a GeoPackage holds several layers."""
    return list(dict.fromkeys([*result.paths, *result.line_paths, *result.regularized_paths]))
