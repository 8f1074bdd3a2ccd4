"""``geounet preview``."""

from __future__ import annotations

from typing import Any

import click

from geounet.cli import show
from geounet.cli.options import output_options


@click.command(short_help="Pictures of a scene and its maps.")
@click.argument("scene", metavar="SCENE")
@click.argument("run", metavar="RUN")
@click.option("--truth", metavar="FILE", help="A raster of classes or a mask on the same grid: adds the errors.")
@click.option("--output", "-o", metavar="FOLDER", help="Where the PNGs go [default: RUN/previews].")
@click.option("--size", type=int, default=1600, show_default=True, metavar="PX", help="Longest side of a picture.")
@click.option("--bands", metavar="4,3,2|red,green,blue", help="Bands to show, by number or name.")
@click.option("--overwrite", is_flag=True, help="Replace pictures that are there.")
@output_options
def preview(scene: str, run: str, bands: str | None, as_json: bool, quiet: bool, **given: Any) -> int:
    """Write PNGs of a scene and of what geounet infer made of it: image, every map, overlay, confidence, errors.

    \b
    geounet preview town.tif town_geounet
    geounet preview town.tif town_geounet --truth town_landuse.tif -o pictures

    Pictures come out of overviews, so that a scene of any size takes seconds. Confidences are there where the run
    had --confidence: dark is unsure. Errors are red.
    """
    from geounet.judge.preview import preview_run

    names = [name.strip() for name in bands.split(",")] if bands else None
    files = preview_run(scene, run, bands=names, **given)
    if as_json:
        show.json_line("done", paths={name: str(path) for name, path in files.items()})
    elif not quiet:
        show.table([(name, str(path)) for name, path in files.items()], indent="")
    return 0
