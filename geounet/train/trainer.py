"""Lightning's trainer, as far as it is used here: imported, configured, and without its talk."""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from geounet.errors import ConfigError, MissingExtraError
from geounet.model.smp import make_torchvision_importable
from geounet.train.state import Training

make_torchvision_importable()
try:
    import lightning.pytorch as pl
    from lightning.pytorch.strategies import DDPStrategy
except ImportError as error:
    raise MissingExtraError("lightning", "train", "training") from error

__all__ = ["helps", "hushed", "make_trainer", "pl"]


def make_trainer(training: Training, pace: pl.Callback) -> pl.Trainer:
    """Lightning's trainer, with everything off that we do ourselves."""
    settings, device, count = training.config.optimiser, training.device, training.devices
    strategy = DDPStrategy(process_group_backend="gloo" if device.type == "cpu" else None) if count > 1 else "auto"
    with hushed():
        return pl.Trainer(
            accelerator={"cuda": "gpu"}.get(device.type, device.type),
            devices=count if count > 1 or device.type == "cpu" else [device.index or 0],
            strategy=strategy,
            precision=_precision(training),  # type: ignore[arg-type]
            max_steps=settings.steps - training.step,
            accumulate_grad_batches=settings.accumulate,
            gradient_clip_val=settings.clip,
            sync_batchnorm=count > 1 and device.type == "cuda",
            callbacks=[pace],
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            num_sanity_val_steps=0,
            use_distributed_sampler=False,
            default_root_dir=training.folder,
        )


def _precision(training: Training) -> str:
    wanted, device = training.config.optimiser.precision, training.device
    if wanted == "float16" and device.type == "cpu":
        raise ConfigError("optimiser.precision float16 needs a GPU; on a CPU expected float32, bfloat16 or mixed")
    if wanted == "mixed":
        wanted = "bfloat16" if device.type == "cpu" or torch.cuda.is_bf16_supported() else "float16"
    return {"float32": "32-true", "bfloat16": "bf16-mixed", "float16": "16-mixed"}[wanted]


def helps() -> bool:
    """Whether this process was started by Lightning to share a DDP training of another."""
    return os.environ.get("LOCAL_RANK", "0") != "0"


@contextmanager
def hushed() -> Iterator[None]:
    """Lightning without its greetings, its tips and its advice on loaders."""
    logs = [logging.getLogger(name) for name in ("lightning.pytorch", "lightning.fabric")]
    before = [log.level for log in logs]
    for log in logs:
        log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module=r"lightning\..*")
            yield
    finally:
        for log, level in zip(logs, before, strict=True):
            log.setLevel(level)
