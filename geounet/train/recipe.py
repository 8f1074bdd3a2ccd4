"""From a training file to a model package: the story, top to bottom."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from geounet.errors import ConfigError
from geounet.model.package import package_folder
from geounet.train.config import TrainConfig, load_config
from geounet.train.devices import torch_threads
from geounet.train.finish import begin_finish, check_finish, has_begun
from geounet.train.job import prepare
from geounet.train.plan import TrainPlan
from geounet.train.ship import mix_start, settle, ship
from geounet.train.state import BEST, LAST, TrainStep


def train(
    config_path: str | os.PathLike[str],
    output: str | os.PathLike[str],
    *,
    fresh: bool = False,
    device: str | None = None,
    devices: int = 1,
    threads: int | None = None,
    progress: Callable[[TrainStep], None] | None = None,
    tick: Callable[[int], None] | None = None,
    warn: Callable[[str], None] = warnings.warn,
) -> Path:
    """Train what a file describes; returns the folder of the finished model package, ``<output>/<name>``.

    A training that was stopped goes on where its last checkpoint in ``output`` was taken, unless ``fresh``.
    ``device`` is a torch device, by default the first GPU or else the CPU; ``devices`` so many of them share each
    batch (DDP: Lightning starts this program again for each further one). ``threads`` are those of torch's kernels;
    fewer than there are cores is faster where others compute too, for a kernel's threads wait for the slowest.
    ``progress`` is told every 25 steps and after each validation, ``tick`` the number of every finished step,
    ``warn`` what the package lacks.

    Raises ConfigError, SceneError, ModelError and MissingExtraError before the first step, WorkError where the loss
    is no number or a checkpoint cannot be written, Interrupted on Ctrl-C or SIGTERM.
    """
    file, folder = Path(config_path), Path(output)
    options: dict[str, Any] = {"fresh": fresh, "device": device, "devices": devices, "threads": threads}
    told: dict[str, Any] = {"progress": progress, "tick": tick, "warn": warn}
    return train_config(load_config(file), folder, base=file.parent, cache=folder / "cache", **options, **told)


def train_config(
    config: TrainConfig,
    folder: Path,
    *,
    base: Path,
    cache: Path,
    fresh: bool = False,
    device: str | None = None,
    devices: int = 1,
    threads: int | None = None,
    progress: Callable[[TrainStep], None] | None = None,
    tick: Callable[[int], None] | None = None,
    warn: Callable[[str], None] = warnings.warn,
) -> Path:
    """`train` for a file that was read: ``base`` is its folder, ``cache`` that of the decoded scenes."""
    from geounet.train.loop import fit  # Lightning starts slowly, and says here if it is missing
    from geounet.train.trainer import helps

    with torch_threads(threads):
        check(config, folder, devices=devices)
        job = prepare(config, folder, base=base, cache=cache, fresh=fresh, device=device, devices=devices)
        if not helps():
            job.tell_doubts(warn)
        if fresh and not helps():
            for name in (LAST, BEST):
                (job.training.folder / name).unlink(missing_ok=True)
        if not fit(job.training, progress, tick):
            raise SystemExit(0)  # a helper of a DDP training: the first process goes on alone
        settle(job.training)
        if config.finish is None:
            mix_start(job.training)
            return ship(job, warn)
        last = begin_finish(job, base=base, cache=cache, fresh=fresh)
        fit(last.training, progress, tick)
        mix_start(job.training, last.training)
        return ship(last, warn, scored=job)


def package_training(
    config_path: str | os.PathLike[str],
    output: str | os.PathLike[str],
    *,
    device: str | None = None,
    threads: int | None = None,
    warn: Callable[[str], None] = warnings.warn,
) -> Path:
    """The model package of a training that was stopped, from its checkpoints as they are; no step is trained.

    It holds what `train` would have shipped, had it ended there: the best validated weights or those of the last
    checkpoint (scored now), and those of the last steps on all scenes where they had begun. Training can go on
    afterwards. Raises ConfigError where there is no checkpoint, and as `train` does.
    """
    file, folder = Path(config_path), Path(output)
    options: dict[str, Any] = {"device": device, "threads": threads, "warn": warn}
    return package_config(load_config(file), folder, base=file.parent, cache=folder / "cache", **options)


def package_config(
    config: TrainConfig,
    folder: Path,
    *,
    base: Path,
    cache: Path,
    device: str | None = None,
    threads: int | None = None,
    warn: Callable[[str], None] = warnings.warn,
) -> Path:
    """`package_training` for a file that was read: ``base`` is its folder, ``cache`` that of the decoded scenes."""
    with torch_threads(threads):
        check(config, folder)
        if not has_checkpoint(config, folder):
            raise ConfigError(f"{folder} has no checkpoint to package; expected the --output of a training")
        job = prepare(config, folder, base=base, cache=cache, device=device)
        settle(job.training, again=True)
        if not has_begun(job):
            mix_start(job.training)
            return ship(job, warn)
        last = begin_finish(job, base=base, cache=cache)
        mix_start(job.training, last.training)
        return ship(last, warn, scored=job)


def has_checkpoint(config: TrainConfig, folder: Path) -> bool:
    """Whether a training in ``folder`` has left weights that its file would ship."""
    shipped = (LAST,) if config.ship == "last" else (BEST, LAST)
    return any((folder / name).is_file() for name in shipped)


def check(config: TrainConfig, folder: Path, *, devices: int = 1) -> None:
    """What would only be found out after hours: raises ModelError where the package cannot be saved."""
    package_folder(folder / config.name, overwrite=True)
    check_finish(config, devices=devices)


def plan_training(
    config_path: str | os.PathLike[str],
    output: str | os.PathLike[str] | None = None,
    *,
    fresh: bool = False,
    device: str | None = None,
    devices: int = 1,
    threads: int | None = None,
) -> TrainPlan:
    """Read and check everything that :func:`train` would use, and say what it would do; nothing is trained.

    Scenes are decoded into the cache in ``output``, where training finds them; without it, they are forgotten.
    Raises as `train` does.
    """
    file = Path(config_path)
    config = load_config(file)
    options: dict[str, Any] = {"fresh": fresh, "device": device, "devices": devices}
    with torch_threads(threads), TemporaryDirectory(prefix="geounet-") as scratch:
        folder = Path(output or scratch)
        check(config, folder, devices=devices)
        job = prepare(config, folder, base=file.parent, cache=folder / "cache", **options)
        package = None if output is None else str(folder / config.name)
        return TrainPlan.of(job.training, job.material, doubts=job.doubts, package=package)
