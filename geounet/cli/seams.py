"""``geounet seams``."""

from __future__ import annotations

from typing import Any

import click

from geounet.cli import show
from geounet.cli.options import output_options


@click.command(short_help="Check whether the borders of tiles show in a map.")
@click.argument("target", metavar="RUN|LABELS.tif")
@click.option("--limit", type=float, default=1.05, show_default=True, metavar="RATIO", help="Exit code 1 above it.")
@click.option("--tile", type=int, metavar="PX", help="Side of a tile, for rasters that do not say so.")
@click.option("--overlap", type=int, metavar="PX", help="Pixels that neighbouring tiles share, likewise.")
@click.option("--draws", type=int, default=1000, show_default=True, metavar="N", help="Bootstrap draws; 0: none.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of the draws.")
@output_options
def seams(target: str, as_json: bool, quiet: bool, **given: Any) -> int:
    """Check whether the borders of tiles show in a map: how often labels change across them, against elsewhere.

    \b
    geounet seams town_geounet
    geounet seams other_tool.tif --tile 512 --overlap 0

    1.00 means that the borders look like any other line. The exit code is 1 where the ratio of any map is above the
    limit and its 95 % interval does not reach down to 1.
    """
    from geounet.score.seams import check_seams

    found = check_seams(target, **given)
    for name, seam in found.items():
        if as_json:
            show.json_line("seams", name=name, **seam.to_dict())
        elif not quiet:
            _tell(name, seam)
    return int(any(seam.exceeded for seam in found.values()))


def _tell(name: str, seam: Any) -> None:
    from geounet.score.tell import number, percent

    if not seam.lines:
        click.echo(f"{name}: one tile of {seam.tile} px holds the whole map; there are no borders")
        return
    verdict = f"above {seam.limit:g}: seams show" if seam.exceeded else "no seams"
    click.echo(f"{name}: {_told(seam.ratio)}  {verdict}")
    worst = ", ".join(f"{w.axis} {w.at} ({number(w.ratio)})" for w in seam.worst)
    show.table(
        [
            ("tiles", f"{seam.tile} px, overlap {seam.overlap} px, {seam.lines} lines"),
            ("changes inside", f"{percent(seam.changes)} of the neighbouring pixels"),
            *((kind, _told(score)) for kind, score in seam.kinds.items()),
            ("highest", worst or "none"),
        ]
    )


def _told(score: Any) -> str:
    from geounet.score.tell import number

    limits = "" if score.low != score.low else f" ({number(score.low)} to {number(score.high)})"
    return number(score.value) + limits
