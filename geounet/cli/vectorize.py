"""``geounet vectorize``."""

from __future__ import annotations

from typing import Any

import click

from geounet.cli import show
from geounet.cli.options import output_options
from geounet.io import human


@click.command(short_help="Turn a categorical raster into polygons.")
@click.argument("labels", metavar="LABELS.tif")
@click.option("--output", "-o", metavar="FILE", help="Vector file [default: beside the raster].")
@click.option(
    "--format", "formats", metavar="NAME[,NAME]", help="geojson, geojsonseq, geojsons, gpkg, fgb, parquet, shp."
)
@click.option("--confidence", metavar="FILE.tif", help="Confidence raster on the same grid: adds confidence_mean.")
@click.option("--min-area", type=float, default=0.0, metavar="M2", help="Smaller polygons join their neighbours.")
@click.option("--simplify", type=float, default=0.0, metavar="METRES", help="Simplify; no gaps, no overlaps.")
@click.option("--aoi", metavar="FILE", help="Polygons of a vector file: keep only what lies inside.")
@click.option("--overwrite", is_flag=True, help="Replace files that are there.")
@output_options
def vectorize(labels: str, formats: str | None, as_json: bool, quiet: bool, **given: Any) -> int:
    """Turn a raster of class values into polygons: one per connected area, exact, without a trace of tiles.

    \b
    geounet vectorize landuse.tif                          # → landuse.geojson
    geounet vectorize labels.tif -o map.gpkg --min-area 50
    """
    from geounet.cli.progress import BarProgress, choose_progress
    from geounet.io.vectors import SUFFIXES
    from geounet.run.vectorize import vectorize as run_vectorize

    names = formats.split(",") if formats else [_format_of(given["output"], SUFFIXES)]
    progress = choose_progress(as_json=as_json, quiet=quiet)
    done = 0

    def on_rows(rows: int, total: int) -> None:
        nonlocal done
        if done == 0:
            progress.start("vectors", total=total, unit="rows")
        progress.advance(rows - done)
        done = rows

    try:
        result = run_vectorize(labels, formats=names, progress=on_rows, **given)
        progress.finish()
    finally:
        if isinstance(progress, BarProgress):
            progress.close()
    for warning in result.warnings:
        progress.warn(warning)
    if as_json:
        show.json_line(
            "done", paths=result.paths, features=result.feature_count, area_by_class=dict(result.area_by_class)
        )
    elif not quiet:
        click.echo(human.count(result.feature_count, "polygon"))
        show.table([(str(path), human.size(path.stat().st_size)) for path in result.paths])
        show.table(
            [
                (result.class_names.get(value, f"class {value}"), human.area(area, result.area_unit))
                for value, area in result.area_by_class.items()
            ]
        )
    return 0


def _format_of(output: str | None, suffixes: Any) -> str:
    """The format that a file name asks for; GeoJSON where it says nothing."""
    for name, suffix in suffixes.items():
        if output is not None and output.lower().endswith(suffix):
            return str(name)
    return "geojson"
