"""``geounet evaluate``."""

from __future__ import annotations

from typing import Any

import click

from geounet.cli import show


@click.command(short_help="Score a map against the truth.")
@click.argument("prediction", metavar="PREDICTION")
@click.argument("truth", metavar="TRUTH")
@click.option(
    "--kind", default="auto", show_default=True, metavar="NAME", help="auto, labels, mask, lines or polygons."
)
@click.option("--classes", metavar="A[,B]", help="Classes that count: NAME, NUMBER, or NUMBER=NAME for both files.")
@click.option(
    "--buffer", type=float, default=4.0, show_default=True, metavar="METRES", help="How far lines may lie apart."
)
@click.option(
    "--boundary", type=int, default=3, show_default=True, metavar="PX", help="Width for boundary IoU, in pixels."
)
@click.option("--resample", is_flag=True, help="Take the nearest pixel of a prediction on another grid.")
@click.option("--draws", type=int, default=1000, show_default=True, metavar="N", help="Bootstrap draws; 0: none.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of the draws and of the control points.")
@click.option("--output", "-o", metavar="FOLDER", help="Write metrics.json, metrics.csv and report.html there.")
@click.option("--overwrite", is_flag=True, help="Replace files that are there.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option("--quiet", "-q", is_flag=True, help="Print nothing but errors.")
@click.option("--verbose", "-v", is_flag=True, expose_value=False, help="Show tracebacks of unexpected errors.")
def evaluate(prediction: str, truth: str, classes: str | None, as_json: bool, quiet: bool, **given: Any) -> int:
    """Score a map against the truth: two class rasters, two masks, two files of road lines, or of polygons.

    \b
    geounet evaluate town_geounet/landuse.tif town_landuse.tif
    geounet evaluate roads.geojson town_road_lines.geojson --buffer 4 -o scores

    Pixels where either raster has no data do not count. Intervals are 95 %, from blocks of ground drawn again
    and again.
    """
    from geounet.api import evaluate as score

    chosen = [entry for entry in classes.split(",") if entry.strip()] if classes else ()
    scores = score(prediction, truth, classes=chosen, **given)
    if as_json:
        show.json_line("scores", **scores.to_dict())
        return 0
    for warning in scores.warnings:
        click.echo(f"warning: {warning}", err=True)
    if not quiet:
        _print(scores)
        if given["output"] is not None:
            click.echo(f"report in {given['output']}")
    return 0


def _print(scores: Any) -> None:
    from geounet.score.tell import amount, label

    facts = ", ".join(f"{amount(value)} {label(name)}" for name, value in scores.amounts.items())
    click.echo(f"{scores.prediction} against {scores.truth}: {scores.kind}, {facts}")
    show.table([(label(name), _told(score)) for name, score in scores.summary.items()])
    if not scores.classes:
        return
    names = list(scores.classes[0].scores)
    width = max(5, *(len(c.name) for c in scores.classes))
    columns = [max(6, len(label(n))) for n in names]
    head = "  ".join(f"{label(n):>{w}}" for n, w in zip(names, columns, strict=True))
    click.echo(f"  {'class':<{width}}  {head}  {'in the truth':>16}")
    for row in scores.classes:
        click.echo(
            f"  {row.name:<{width}}  {_cells(row, names, columns)}  {amount(row.support) + ' ' + scores.unit:>16}"
        )
    if not all(row.scored for row in scores.classes):
        apart = ", ".join(row.name for row in scores.classes if not row.scored)
        click.echo(f"  ({apart}: not part of the means)")


def _told(score: Any) -> str:
    from geounet.score.tell import number

    limits = "" if score.low != score.low else f"  ({number(score.low)} to {number(score.high)})"
    return number(score.value) + limits


def _cells(row: Any, names: list[str], columns: list[int]) -> str:
    from geounet.score.tell import number

    return "  ".join(f"{number(row.scores[n].value):>{w}}" for n, w in zip(names, columns, strict=True))
