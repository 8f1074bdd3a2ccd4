"""``geounet sample``."""

from __future__ import annotations

import click

from geounet.cli import show
from geounet.cli.options import output_options
from geounet.sample.climate import CLIMATES, Climate


@click.command(short_help="Write a synthetic sample scene with its truth.")
@click.argument("output", metavar="OUT.tif")
@click.option("--size", type=int, default=4096, show_default=True, metavar="PX", help="Width and height.")
@click.option("--seed", type=int, default=0, show_default=True, help="Another seed is another town.")
@click.option(
    "--climate",
    type=click.Choice(CLIMATES),
    default=CLIMATES[0],
    show_default=True,
    help="Sand and flat roofs, or lawns, woods and pitched roofs.",
)
@click.option("--overwrite", is_flag=True, help="Replace files that are there.")
@output_options
def sample(
    output: str, *, size: int, seed: int, climate: Climate, overwrite: bool, as_json: bool, quiet: bool
) -> int:
    """Write a synthetic town at 0.5 m per pixel, and beside it the truth of every pixel.

    The scene is not a photograph: it is drawn by geounet so that results can be compared with what is really
    there. The same size, seed and climate give the same bytes everywhere.
    """
    from geounet.cli.progress import BarProgress, choose_progress
    from geounet.sample.write import write_sample

    progress = choose_progress(as_json=as_json, quiet=quiet)
    done = 0

    def on_strips(strips: int, total: int) -> None:
        nonlocal done
        if done == 0:
            progress.start("drawing", total=total, unit="strips")
        progress.advance(strips - done)
        done = strips

    try:
        paths = write_sample(output, size=size, seed=seed, climate=climate, overwrite=overwrite, progress=on_strips)
        progress.finish()
    finally:
        if isinstance(progress, BarProgress):
            progress.close()
    if as_json:
        show.json_line("done", size=size, seed=seed, climate=climate, **vars(paths))
    elif not quiet:
        click.echo(f"a synthetic {climate} town of {size} × {size} px (seed {seed}), 0.5 m per pixel")
        show.table(
            [
                ("scene", str(paths.scene)),
                ("true land use", str(paths.truth_landuse)),
                ("true roads", str(paths.truth_road)),
                ("true road lines", str(paths.road_lines)),
                ("true polygons", str(paths.polygons)),
            ]
        )
    return 0
