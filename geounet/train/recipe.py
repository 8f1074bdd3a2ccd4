"""From a training file to a model package: the story, top to bottom."""

from __future__ import annotations

import hashlib
import os
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from geounet.errors import ConfigError
from geounet.model.networks import build_network
from geounet.train import checkpoint
from geounet.train.config import TrainConfig, load_config
from geounet.train.data import Scaling, WindowSource
from geounet.train.devices import check_devices, choose_device, torch_threads
from geounet.train.losses import class_weights
from geounet.train.material import Material, make_spec, read_material
from geounet.train.plan import TrainPlan
from geounet.train.pretrained import load_encoder
from geounet.train.scenes import TrainScene
from geounet.train.ship import ship
from geounet.train.state import BEST, LAST, Training, TrainStep
from geounet.train.survey import class_counts


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
        job = prepare(config, folder, base=base, cache=cache, fresh=fresh, device=device, devices=devices)
        if not helps():
            job.tell_doubts(warn)
        if fresh and not helps():
            for name in (LAST, BEST):
                (job.training.folder / name).unlink(missing_ok=True)
        if not fit(job.training, progress, tick):
            raise SystemExit(0)  # a helper of a DDP training: the first process goes on alone
        return ship(job.training, job.material, warn)


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
        job = prepare(config, folder, base=file.parent, cache=folder / "cache", **options)
        package = None if output is None else str(folder / config.name)
        return TrainPlan.of(job.training, job.material, doubts=job.doubts, package=package)


@dataclass(frozen=True, kw_only=True)
class Job:
    """A training that is ready to begin, or to go on."""

    training: Training
    material: Material
    doubts: tuple[str, ...]
    """What is worth a warning before hours are spent."""

    def tell_doubts(self, warn: Callable[[str], None]) -> None:
        """Warn."""
        for doubt in self.doubts:
            warn(doubt)


def prepare(
    config: TrainConfig,
    folder: Path,
    *,
    base: Path,
    cache: Path,
    fresh: bool = False,
    device: str | None = None,
    devices: int = 1,
) -> Job:
    """Read the scenes, split them, build the network, and restore the last checkpoint in ``folder``."""
    where = choose_device(device)
    check_devices(config, where, devices)
    material = read_material(config, base=base, cache=cache)
    return begin(config, material, folder, root=base, device=where, devices=devices, fresh=fresh)


def begin(
    config: TrainConfig,
    material: Material,
    folder: Path,
    *,
    root: Path,
    device: torch.device,
    devices: int = 1,
    fresh: bool = False,
) -> Job:
    """One training on its scenes, restored from its last checkpoint in ``folder``, unless ``fresh``."""
    _check_scores(config, material.held)
    spec = make_spec(config, material)
    torch.manual_seed(config.seed)
    network = build_network(spec)
    doubts = list(material.doubts)
    if config.network.encoder_weights is not None:
        loaded = load_encoder(network, config.network.encoder_weights, root, first=config.network.first_convolution)
        doubts += [loaded.doubt] if loaded.doubt else []
    names = [c.name for c in config.classes]
    folder.mkdir(parents=True, exist_ok=True)
    training = Training(
        config=config,
        spec=spec,
        marks=tuple(None if h.marks is None else names.index(h.marks) for h in config.heads),
        class_weights=_class_weights(config, class_counts(material.surveys)),
        network=network,
        source=WindowSource(material.learned, config, Scaling.of(spec.bands, spec.dtype), surveys=material.surveys),
        validation=material.held,
        folder=folder,
        digest=_digest(config, [*material.learned, *material.held]),
        device=device,
        devices=devices,
    )
    state = None if fresh else checkpoint.load(folder / LAST, digest=training.digest)
    if state is not None:
        training.restore(state)
    return Job(training=training, material=material, doubts=tuple(doubts))


def _check_scores(config: TrainConfig, held: Sequence[TrainScene]) -> None:
    """ConfigError where something waits for scores that nothing gives."""
    waits = "schedule.patience" if config.schedule.patience is not None else None
    waits = "optimiser.lr_schedule plateau" if config.optimiser.lr_schedule == "plateau" else waits
    if waits is not None and not held:
        raise ConfigError(f"{waits} watches the validation score, and nothing is validated; hold scenes out")


def _class_weights(config: TrainConfig, counts: NDArray[np.int64]) -> tuple[tuple[float, ...] | None, ...]:
    """Of each head, from the labelled pixels ``(classes,)`` that are learned from."""
    names = [c.name for c in config.classes]
    per_head = []
    for head in config.heads:
        marked = 0 if head.marks is None else int(counts[names.index(head.marks)])
        own = counts if head.marks is None else np.array([counts.sum() - marked, marked])
        per_head.append(class_weights(head.loss, own))
    return tuple(per_head)


def _digest(config: TrainConfig, scenes: Sequence[TrainScene]) -> str:
    """A checkpoint belongs to one file and one state of the data."""
    return hashlib.sha256("".join([config.digest, *(s.digest for s in scenes)]).encode()).hexdigest()
