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
@click.option("--devices", type=int, default=1, metavar="N", help="So many of them share each batch [default: 1].")
@click.option("--threads", type=int, metavar="N", help="Threads of the network's kernels [default: all cores].")
@click.option("--fresh", is_flag=True, help="Forget the checkpoints of an earlier training.")
@click.option("--dry-run", is_flag=True, help="Read and check everything, say what would be done, train nothing.")
@output_options
def train(config: str, dry_run: bool, as_json: bool, quiet: bool, **given: Any) -> int:
    """Train what CONFIG.yaml describes and leave a model package that geounet infer runs.

    \b
    geounet train configs/train/landuse-roads.yaml -o trained --dry-run
    geounet train configs/train/landuse-roads.yaml -o trained
    geounet infer scene.tif --model trained/landuse-roads

    Stopped with Ctrl-C or killed, the same command goes on from the last checkpoint.
    """
    if dry_run:
        return _show_plan(config, as_json=as_json, quiet=quiet, **given)
    from geounet.cli.train_progress import choose_train_progress
    from geounet.train import train

    with choose_train_progress(as_json=as_json, quiet=quiet) as progress:
        folder = train(config, progress=progress.tell, tick=progress.tick, warn=progress.warn, **given)
    if as_json:
        show.json_line("done", package=folder)
    elif not quiet:
        click.echo(f"model package in {folder}; run: geounet infer SCENE --model {folder}")
    return 0


def _show_plan(config: str, *, as_json: bool, quiet: bool, **given: Any) -> int:
    from geounet.train import plan_training

    plan = plan_training(config, **given)
    if as_json:
        show.json_line("plan", **vars(plan))
    elif not quiet:
        click.echo(str(plan))
    return 0
