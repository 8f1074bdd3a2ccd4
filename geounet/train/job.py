"""A training that is ready to begin, or to go on: its scenes read, its network built, its last state restored."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from geounet.errors import ConfigError, cannot_write
from geounet.model.networks import build_network
from geounet.model.spec import ModelSpec
from geounet.train import checkpoint
from geounet.train.config import TrainConfig
from geounet.train.data import Scaling, WindowSource
from geounet.train.devices import check_devices, choose_device
from geounet.train.losses import class_weights
from geounet.train.material import Material, make_spec, read_material
from geounet.train.pretrained import load_encoder
from geounet.train.scenes import TrainScene
from geounet.train.state import LAST, Training
from geounet.train.survey import class_counts


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
    after: Training | None = None,
) -> Job:
    """One training on its scenes, restored from its last checkpoint in ``folder``, unless ``fresh``.

    ``after`` is another training: this one begins with its running mean of the weights, and keeps its scaling.
    """
    _check_scores(config, material.held)
    spec = make_spec(config, material) if after is None else after.spec
    network, doubt = _network(config, spec, root, after)
    names = [c.name for c in config.classes]
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError, PermissionError) as error:
        raise cannot_write(folder, error) from error
    training = Training(
        config=config,
        spec=spec,
        marks=tuple(None if h.marks is None else names.index(h.marks) for h in config.heads),
        class_weights=_class_weights(config, class_counts(material.surveys)),
        network=network,
        source=WindowSource(
            material.learned, config, Scaling.of(spec.bands, spec.dtype), surveys=material.surveys, spec=spec
        ),
        validation=material.held,
        folder=folder,
        digest=_digest(config, [*material.learned, *material.held], "" if after is None else after.digest),
        device=device,
        devices=devices,
    )
    state = None if fresh else checkpoint.load(folder / LAST, digest=training.digest)
    if state is not None:
        training.restore(state)
    return Job(training=training, material=material, doubts=(*material.doubts, *doubt))


def _network(
    config: TrainConfig, spec: ModelSpec, root: Path, after: Training | None
) -> tuple[nn.Module, tuple[str, ...]]:
    """The weights that training begins with, and what is doubtful about them."""
    torch.manual_seed(config.seed)
    network = build_network(spec)
    if after is not None:
        network.load_state_dict(after.average.state_dict())
        return network, ()
    if config.network.encoder_weights is None:
        return network, ()
    loaded = load_encoder(network, config.network.encoder_weights, root, first=config.network.first_convolution)
    if config.mix_start and loaded.tensors < sum(t.is_floating_point() for t in network.state_dict().values()):
        raise ConfigError(
            "mix_start needs network.encoder_weights of the whole network, not of a part; leave it out"
        )
    return network, (loaded.doubt,) if loaded.doubt else ()


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


def _digest(config: TrainConfig, scenes: Sequence[TrainScene], before: str) -> str:
    """A checkpoint belongs to one file, one state of the data, and the training before it."""
    return hashlib.sha256("".join([before, config.digest, *(s.digest for s in scenes)]).encode()).hexdigest()
