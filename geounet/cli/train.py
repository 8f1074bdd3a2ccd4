"""``geounet train``."""

from __future__ import annotations

from typing import Any

import click

from geounet.cli import show
from geounet.cli.options import output_options


@click.command(short_help="Train a model package from scenes and labels.")
@click.argument("config", metavar="CONFIG.yaml")
@click.option("--output", "-o", required=True, metavar="DIR", help="Folder of checkpoints and of the package.")
@click.option("--device", metavar="cpu|cuda|cuda:N", help="Where to train [default: the first GPU, else the CPU].")
@click.option("--threads", type=int, metavar="N", help="Threads of the network's kernels [default: all cores].")
@click.option("--fresh", is_flag=True, help="Forget the checkpoints of an earlier training.")
@output_options
def train(config: str, as_json: bool, quiet: bool, **given: Any) -> int:
    """Train what CONFIG.yaml describes and leave a model package that geounet infer runs.

    \b
    geounet train configs/train/landuse-roads.yaml -o trained
    geounet infer scene.tif --model trained/landuse-roads

    Stopped with Ctrl-C or killed, the same command goes on from the last checkpoint.
    """
    from geounet.train import TrainStep, train

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

    folder = train(config, progress=tell, warn=warn, **given)
    if as_json:
        show.json_line("done", package=folder)
    elif not quiet:
        click.echo(f"model package in {folder}; run: geounet infer SCENE --model {folder}")
    return 0
