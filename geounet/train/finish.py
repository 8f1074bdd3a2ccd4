"""The end of a training: from the weights that were scored on to all scenes, also those that were held out.

What is held out says what the weights are worth; then it is too good not to be learned from. The steps here are a
training of their own, with checkpoints of its own, that begins where the first one ended. Nothing is left to score
it on: the package keeps the scores of the first, and says whose they are.
"""

from __future__ import annotations

from pathlib import Path

from geounet.errors import ConfigError
from geounet.train.config import TrainConfig
from geounet.train.job import Job, begin
from geounet.train.material import read_material
from geounet.train.state import BEST, LAST

FOLDER = "finish"
"""Beside the checkpoints of the first training."""


def check_finish(config: TrainConfig, *, devices: int) -> None:
    """ConfigError where a training that has an end would run on several devices."""
    if config.finish is not None and devices != 1:
        raise ConfigError("finish goes on on one device; leave --devices out, or finish")  # DDP starts us only once


def has_begun(scored: Job) -> bool:
    """Whether the steps after ``scored`` have left a checkpoint."""
    return scored.training.config.finish is not None and (scored.training.folder / FOLDER / LAST).is_file()


def begin_finish(scored: Job, *, base: Path, cache: Path, fresh: bool = False) -> Job:
    """The steps after ``scored``, whose running mean is what they begin with; restored unless ``fresh``."""
    config = on_all(scored.training.config)
    folder = scored.training.folder / FOLDER
    material = read_material(config, base=base, cache=cache)
    if fresh:
        for name in (LAST, BEST):
            (folder / name).unlink(missing_ok=True)
    return begin(
        config,
        material,
        folder,
        root=base,
        device=scored.training.device,
        fresh=fresh,
        after=scored.training,
    )


def on_all(config: TrainConfig) -> TrainConfig:
    """The training file of the last steps: nothing is validated, and no window of the first ones comes again."""
    assert config.finish is not None
    chosen = config.finish.model_dump(exclude_none=True)
    learned = {"validate_groups": (), "validate_scenes": (), "validate_blocks": None}
    changed = {
        "seed": config.seed + 1,
        "data": config.data.model_copy(update=learned),
        "optimiser": config.optimiser.model_copy(update={"warmup": 0, **chosen}),
        "schedule": config.schedule.model_copy(update={"patience": None}),
        "network": config.network.model_copy(update={"encoder_weights": None}),
        "ship": "last",
        "finish": None,
        "mix_start": 0.0,
    }
    return config.model_copy(update=changed)
