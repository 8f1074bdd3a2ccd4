"""``geounet train``."""

from __future__ import annotations

import json
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
@click.option("--devices", type=int, default=1, metavar="N", help="So many of them share each batch [default: 1].")
@click.option("--threads", type=int, metavar="N", help="Threads of the network's kernels [default: all cores].")
@click.option("--fresh", is_flag=True, help="Forget the checkpoints of an earlier training.")
@click.option("--package", is_flag=True, help="Package the checkpoints of a stopped training; train nothing.")
@click.option("--dry-run", is_flag=True, help="Read and check everything, say what would be done, train nothing.")
@output_options
def train(  # noqa: PLR0917
    config: str,
    output: str | None,
    folds: int | None,
    samples: str | None,
    package: bool,
    dry_run: bool,
    as_json: bool,
    quiet: bool,
    **given: Any,
) -> int:
    """Train what CONFIG.yaml describes and leave a model package that geounet infer runs.

    \b
    geounet train configs/train/unet-2015.yaml --samples sheet.png
    geounet train configs/train/unet-2015.yaml -o trained --dry-run
    geounet train configs/train/unet-2015.yaml -o trained
    geounet infer scene.tif --model trained/unet-2015

    Stopped with Ctrl-C or killed, the same command goes on from the last checkpoint, and --package makes the model
    package of the checkpoints as they are. What a CONFIG.yaml may say:
    configs/train/*.yaml, with comments, and docs/training.md.
    """
    asked = {"--folds": folds, "--samples": samples, "--dry-run": dry_run or None}
    asked |= {"--package": package or None} if folds is None else {}
    chosen = [name for name, wanted in asked.items() if wanted is not None]
    if len(chosen) > 1:
        first, second = chosen[:2]
        raise ConfigError(f"{first} and {second} do not go together; leave one of them out")
    if samples is not None:
        return _draw(config, samples, output, as_json=as_json, quiet=quiet)
    if dry_run:
        return _show_plan(config, output, as_json=as_json, quiet=quiet, **given)
    if output is None:
        raise ConfigError("no folder given for the checkpoints and the package; expected --output DIR")
    if folds is not None:
        given = _without_steps(given) | {"package": True} if package else given
        return _train_folds(config, output, folds, as_json=as_json, quiet=quiet, **given)
    from geounet.cli.train_progress import choose_train_progress
    from geounet.train import package_training, train

    with choose_train_progress(as_json=as_json, quiet=quiet) as progress:
        if package:
            folder = package_training(config, output, warn=progress.warn, **_without_steps(given))
        else:
            folder = train(config, output, progress=progress.tell, tick=progress.tick, warn=progress.warn, **given)
    if as_json:
        show.json_line("done", package=folder)
    elif not quiet:
        click.echo(f"model package in {folder}; run: geounet infer SCENE --model {folder}")
    return 0


def _without_steps(given: dict[str, Any]) -> dict[str, Any]:
    """What packaging needs of the options of a training. ConfigError for those that mean steps."""
    if given["fresh"] or given["devices"] != 1:
        raise ConfigError("--package takes the checkpoints as they are; leave --fresh and --devices out")
    return {name: given[name] for name in ("device", "threads")}


def _train_folds(config: str, output: str, folds: int, *, as_json: bool, quiet: bool, **given: Any) -> int:
    from geounet.cli.train_progress import choose_train_progress
    from geounet.train import train_folds

    with choose_train_progress(as_json=as_json, quiet=quiet) as progress:

        def begin(number: int, groups: tuple[str, ...]) -> None:
            progress.begin_fold(number, folds, groups)

        told: dict[str, Any] = {"progress": progress.tell, "tick": progress.tick, "warn": progress.warn}
        summary = train_folds(config, output, folds, begin=begin, **told, **given)
    found = json.loads(summary.read_text(encoding="utf-8"))
    if as_json:
        show.json_line("done", folds=summary, mean=found["mean"], deviation=found["deviation"])
    elif not quiet:
        click.echo(f"scores of {folds} folds in {summary}; mean and deviation, and each fold:")
        show.table([(name, _over_folds(name, found)) for name in found["mean"]])
    return 0


def _over_folds(name: str, found: dict[str, Any]) -> str:
    """A score as ``0.612 ± 0.021    0.590  0.633``; a dash where a fold does not show the class."""
    spread = f" ± {found['deviation'][name]:.3f}" if name in found["deviation"] else ""
    each = [f"{fold[name]:.3f}" if name in fold else f"{'–':>5}" for fold in found["folds"]]
    return f"{found['mean'][name]:.3f}{spread:<8}    {'  '.join(each)}"


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


def _show_plan(config: str, output: str | None, *, as_json: bool, quiet: bool, **given: Any) -> int:
    from geounet.train import plan_training

    plan = plan_training(config, output, **given)
    if as_json:
        show.json_line("plan", **vars(plan))
    elif not quiet:
        click.echo(str(plan))
    return 0
