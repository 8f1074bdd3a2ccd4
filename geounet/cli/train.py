"""``geounet train``."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import click

from geounet.cli import show
from geounet.cli.options import output_options
from geounet.errors import ConfigError


@click.command(short_help="Train a model package from scenes and labels.")
@click.argument("config", metavar="CONFIG.yaml")
@click.option("--output", "-o", metavar="DIR", help="Folder of checkpoints and of the package.")
@click.option("--folds", type=int, metavar="N", help="Train N models; each group of scenes is validated on once.")
@click.option("--samples", metavar="FILE.png", help="Draw a sheet of augmented windows and stop.")
@click.option("--device", metavar="cpu|cuda|cuda:N", help="Where to train [default: the first GPU, else the CPU].")
@click.option("--threads", type=int, metavar="N", help="Threads of the network's kernels [default: all cores].")
@click.option("--fresh", is_flag=True, help="Forget the checkpoints of an earlier training.")
@output_options
def train(  # noqa: PLR0917
    config: str,
    output: str | None,
    folds: int | None,
    samples: str | None,
    as_json: bool,
    quiet: bool,
    **given: Any,
) -> int:
    """Train what CONFIG.yaml describes and leave a model package that geounet infer runs.

    \b
    geounet train configs/train/landuse-roads.yaml --samples sheet.png
    geounet train configs/train/landuse-roads.yaml -o trained
    geounet infer scene.tif --model trained/landuse-roads

    Stopped with Ctrl-C or killed, the same command goes on from the last checkpoint.
    """
    if samples is not None:
        return _draw(config, samples, output, as_json=as_json, quiet=quiet)
    if output is None:
        raise ConfigError("no folder given for the checkpoints and the package; expected --output DIR")
    from geounet.train import TrainStep, train, train_folds

    def tell(step: TrainStep) -> None:
        if as_json:
            show.json_line("step", **vars(step))
        elif not quiet:
            click.echo(str(step), err=True)

    def warn(text: str) -> None:
        if as_json:
            show.json_line("warning", message=text)
        elif not quiet:
            click.echo(f"warning: {text}", err=True)

    def begin(number: int, groups: tuple[str, ...]) -> None:
        if as_json:
            show.json_line("fold", number=number, validated_on=groups)
        elif not quiet:
            click.echo(f"fold {number} of {folds}: validated on {', '.join(groups)}", err=True)

    if folds is not None:
        summary = train_folds(config, output, folds, progress=tell, begin=begin, warn=warn, **given)
        if as_json:
            show.json_line("done", folds=summary)
        elif not quiet:
            click.echo(f"scores of {folds} folds in {summary}")
        return 0
    folder = train(config, output, progress=tell, warn=warn, **given)
    if as_json:
        show.json_line("done", package=folder)
    elif not quiet:
        click.echo(f"model package in {folder}; run: geounet infer SCENE --model {folder}")
    return 0


def _draw(config: str, samples: str, output: str | None, *, as_json: bool, quiet: bool) -> int:
    """A sheet of augmented windows; decoded scenes stay where a training will look for them, if that is said."""
    from geounet.train import draw_sheet

    with TemporaryDirectory(prefix="geounet-") as scratch:
        sheet = draw_sheet(config, samples, cache=Path(output or scratch) / "cache")
    if as_json:
        show.json_line("done", samples=sheet)
    elif not quiet:
        click.echo(f"{sheet}: what the network will see, and the labels over it")
    return 0
