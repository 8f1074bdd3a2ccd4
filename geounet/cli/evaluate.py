"""``geounet evaluate``."""

from __future__ import annotations

from typing import Any

import click

from geounet.cli import show


@click.command(short_help="Score a map, or a model, against the truth.")
@click.argument("prediction", metavar="[PREDICTION]", required=False)
@click.argument("truth", metavar="[TRUTH]", required=False)
@click.option("--model", "-m", metavar="NAME|FOLDER", help="Map scenes with this model first; see below.")
@click.option("--data", metavar="FILE.yaml", help="Scenes and labels for --model: a training file, or a list.")
@click.option("--only", metavar="A[,B]", help="Scenes or groups of --data that count.")
@click.option("--side", metavar="NAME", help="Of a training file: learned, validated or holdout, with its squares.")
@click.option("--maps", metavar="FOLDER", help="Keep what --model maps there, a folder per scene.")
@click.option("--config", metavar="FILE.yaml", help="Options of geounet infer for --model: overlap, tta, device, …")
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
@click.option("--confidence", metavar="FILE", help="How sure PREDICTION is (head_confidence.tif): calibration.")
@click.option("--image", metavar="FILE", help="The scene, to show it beside the worst places.")
@click.option("--resample", is_flag=True, help="Take the nearest pixel of a prediction on another grid.")
@click.option("--draws", type=int, default=1000, show_default=True, metavar="N", help="Bootstrap draws; 0: none.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of the draws and of the control points.")
@click.option("--output", "-o", metavar="FOLDER", help="Write metrics.json, metrics.csv and report.html there.")
@click.option("--overwrite", is_flag=True, help="Replace files that are there.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option("--quiet", "-q", is_flag=True, help="Print nothing but errors.")
@click.option("--verbose", "-v", is_flag=True, expose_value=False, help="Show tracebacks of unexpected errors.")
def evaluate(
    prediction: str | None, truth: str | None, classes: str | None, as_json: bool, quiet: bool, **given: Any
) -> int:
    """Score a map against the truth: two class rasters, two masks, two files of road lines, or of polygons.

    With --model, score a model: whole scenes are mapped as geounet infer does it, then compared with their truth.

    \b
    geounet evaluate town_geounet/landuse.tif town_landuse.tif
    geounet evaluate roads.geojson town_road_lines.geojson --buffer 4 -o scores
    geounet evaluate --model landuse-roads town.tif town_landuse.tif -o scores
    geounet evaluate --model landuse-roads --data scenes.yaml --only north -o scores

    Pixels where either raster has no data do not count. Intervals are 95 %, from blocks of ground drawn again
    and again.
    """
    of_model = {name: given.pop(name) for name in ("model", "data", "only", "side", "maps", "config")}
    if of_model["model"] is not None:
        files = {"scene": prediction, "truth": truth}
        return _judge({**files, **of_model, "classes": _split(classes), **given}, as_json=as_json, quiet=quiet)
    if useless := [name for name, value in of_model.items() if value is not None]:
        raise click.UsageError(f"--{useless[0]} belongs to --model, which is not given")
    if prediction is None or truth is None:
        raise click.UsageError("expected PREDICTION and TRUTH, or --model")
    from geounet.api import evaluate as score

    scores = score(prediction, truth, classes=_split(classes), **given)
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


def _split(names: str | None) -> list[str]:
    return [entry.strip() for entry in names.split(",") if entry.strip()] if names else []


def _judge(given: dict[str, Any], *, as_json: bool, quiet: bool) -> int:
    """Score a model on scenes."""
    from geounet.api import evaluate_model
    from geounet.cli.progress import BarProgress, choose_progress

    for name, usual in (("kind", "auto"), ("resample", False), ("confidence", None), ("image", None)):
        if given.pop(name) != usual:
            raise click.UsageError(f"--{name} is for files, not for --model")
    given["only"] = _split(given["only"])
    progress = choose_progress(as_json=False, quiet=quiet or as_json)
    try:
        found = evaluate_model(**given, progress=progress)
    finally:
        if isinstance(progress, BarProgress):
            progress.close()
    if as_json:
        show.json_line("evaluation", **found.to_dict())
        return 0
    for warning in found.warnings:
        click.echo(f"warning: {warning}", err=True)
    if not quiet:
        for name, scores in found.parts.items():
            for warning in scores.warnings:
                click.echo(f"warning: {name}: {warning}", err=True)
            _print(scores)
        if given["output"] is not None:
            click.echo(f"report in {given['output']}")
    return 0


def _print(scores: Any) -> None:
    from geounet.score.tell import amount, fact, label

    facts = ", ".join(fact(name, value) for name, value in scores.amounts.items())
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
