"""The steps of a training: forward, loss, backward, running mean of the weights, checkpoints, scores."""

from __future__ import annotations

import copy
import csv
import math
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from torch import Tensor, nn

from geounet.errors import Interrupted, WorkError
from geounet.model.spec import ModelSpec
from geounet.train import checkpoint
from geounet.train.config import OptimiserConfig, TrainConfig
from geounet.train.data import WindowSource, head_targets
from geounet.train.losses import head_loss
from geounet.train.scenes import TrainScene
from geounet.train.validate import validate

LAST, BEST, METRICS = "last.pt", "best.pt", "metrics.csv"
LOG_EVERY = 25


@dataclass(frozen=True, kw_only=True)
class TrainStep:
    """What the training says from time to time."""

    step: int
    steps: int
    loss: float
    """Mean since the last time."""
    seconds_per_step: float
    scores: dict[str, float] | None = None
    """Of the validation scenes, where they were just validated."""

    def __str__(self) -> str:
        text = f"step {self.step}/{self.steps}  loss {self.loss:.3f}  {self.seconds_per_step:.2f} s/step"
        return text + "".join(f"  {k} {v:.3f}" for k, v in (self.scores or {}).items())


@dataclass(kw_only=True)
class Training:
    """A training under way; `fit` moves it."""

    config: TrainConfig
    spec: ModelSpec
    marks: tuple[int | None, ...]
    network: nn.Module
    source: WindowSource
    validation: Sequence[TrainScene]
    folder: Path
    digest: str
    device: torch.device
    step: int = 0
    best: float = -1.0
    scores: dict[str, float] = field(default_factory=dict)
    """Of the best weights so far."""
    losses: list[float] = field(default_factory=list)
    """Since the last line of the log."""

    def __post_init__(self) -> None:
        self.network.to(self.device)
        self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.average = copy.deepcopy(self.network).eval()
        self.optimiser = make_optimiser(self.network, self.config.optimiser)

    def state(self) -> dict[str, Any]:
        """All that the next step depends on."""
        return {
            "network": self.network.state_dict(),
            "average": self.average.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            **{name: getattr(self, name) for name in ("step", "best", "scores", "losses")},
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on where ``state`` was taken."""
        self.network.load_state_dict(state["network"])
        self.average.load_state_dict(state["average"])
        self.optimiser.load_state_dict(state["optimiser"])
        for name in ("step", "best", "scores", "losses"):
            setattr(self, name, state[name])


def make_optimiser(network: nn.Module, config: OptimiserConfig) -> torch.optim.AdamW:
    """AdamW with a learning rate of its own for the encoder."""
    encoder = [p for name, p in network.named_parameters() if name.startswith("encoder.")]
    rest = [p for name, p in network.named_parameters() if not name.startswith("encoder.")]
    rates = [(encoder, config.encoder_lr or config.lr), (rest, config.lr)]
    groups = [{"params": params, "lr": lr, "base": lr} for params, lr in rates if params]
    return torch.optim.AdamW(groups, weight_decay=config.weight_decay)


def rate(step: int, config: OptimiserConfig) -> float:
    """Share of the full learning rate at a step: linear warm-up, then cosine to 2 %."""
    if step < config.warmup:
        return (step + 1) / config.warmup
    done = (step - config.warmup) / max(1, config.steps - config.warmup)
    return 0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * done))


def fit(training: Training, progress: Callable[[TrainStep], None] | None = None) -> None:
    """Run the steps that are left; ends with the last checkpoint saved.

    Raises WorkError where the loss is no number, Interrupted on Ctrl-C or SIGTERM, after saving.
    """
    total, every = training.config.optimiser.steps, training.config.schedule
    log = Log(training)
    with _stop_requests() as stopped:
        begun, first = time.perf_counter(), training.step
        for batch in training.source.batches(first, total):
            training.losses.append(train_step(training, *batch))
            training.step += 1
            step = training.step
            scores = _validate(training) if step % every.validate_every == 0 or step == total else None
            if step % LOG_EVERY == 0 or scores is not None:
                pace = (time.perf_counter() - begun) / (step - first)
                log.write(_event(training, pace, scores), progress)
            if step % every.save_every == 0 or step == total or stopped.is_set():
                checkpoint.save(training.folder / LAST, training.state(), digest=training.digest)
            if stopped.is_set() and step < total:
                raise Interrupted(
                    f"stopped after step {step} of {total}; the same command goes on, {LAST} holds the weights"
                )


def train_step(training: Training, pixels: Tensor, labels: Tensor) -> float:
    """One step of the optimiser; returns the loss. WorkError where it is not finite, before it does harm."""
    config = training.config.optimiser
    torch.manual_seed(training.config.seed * 1_000_003 + training.step)  # dropout: a resumed run draws the same
    for group in training.optimiser.param_groups:
        group["lr"] = group["base"] * rate(training.step, config)
    training.network.train()
    logits = training.network(pixels.to(training.device, memory_format=torch.channels_last))
    loss = total_loss(logits, labels.to(training.device), training)
    value = float(loss.detach())
    if not math.isfinite(value):
        raise WorkError(
            f"the loss is {value} at step {training.step + 1}; lower optimiser.lr ({config.lr}) or look for "
            f"NaN in the scenes; {LAST} is from before"
        )
    training.optimiser.zero_grad(set_to_none=True)
    loss.backward()
    if config.clip is not None:
        nn.utils.clip_grad_norm_(training.network.parameters(), config.clip)
    training.optimiser.step()
    update_average(
        training.average, training.network, decay=min(config.ema, (1 + training.step) / (10 + training.step))
    )
    return value


def total_loss(logits: Tensor, labels: Tensor, training: Training) -> Tensor:
    """Weighted sum of the heads' losses."""
    targets = head_targets(labels, training.marks)
    parts = [
        settings.weight * head_loss(logits[:, at], target, head, settings.loss)
        for settings, (head, at), target in zip(
            training.config.heads, training.spec.head_slices(), targets, strict=True
        )
    ]
    return torch.stack(parts).sum()


@torch.no_grad()
def update_average(average: nn.Module, network: nn.Module, *, decay: float) -> None:
    """Exponential moving average of weights and statistics; counters are copied."""
    for mean, now in zip(average.state_dict().values(), network.state_dict().values(), strict=True):
        if mean.is_floating_point():
            mean.lerp_(now, 1 - decay)
        else:
            mean.copy_(now)


def _validate(training: Training) -> dict[str, float] | None:
    if not training.validation:
        return None
    scores = validate(training.average, training.validation, training.spec, training.marks)
    if scores["score"] > training.best:
        training.best = scores["score"]
        training.scores = {"step": training.step, **scores}
        best = {"average": training.average.state_dict(), "scores": training.scores}
        checkpoint.save(training.folder / BEST, best, digest=training.digest)
    return scores


def _event(training: Training, pace: float, scores: dict[str, float] | None) -> TrainStep:
    mean = sum(training.losses) / max(1, len(training.losses))
    training.losses.clear()
    return TrainStep(
        step=training.step,
        steps=training.config.optimiser.steps,
        loss=mean,
        seconds_per_step=pace,
        scores=scores,
    )


class Log:
    """``metrics.csv``: one line per LOG_EVERY steps, scores where they were computed."""

    def __init__(self, training: Training) -> None:
        self.path = training.folder / METRICS
        self.columns = ["step", "loss", "lr", "score"]
        for head in training.spec.heads:
            keys = ["mean_iou", "accuracy", *(f"iou_{c.name}" for c in head.classes)]
            self.columns += [f"{head.name}_{key}" for key in keys]
        self.training = training
        self._keep_until(training.step)

    def _keep_until(self, step: int) -> None:
        """Lines after the checkpoint that a resumed run starts from will be written again."""
        kept: list[dict[str, str]] = []
        if step and self.path.exists():
            with self.path.open(newline="", encoding="utf-8") as stream:
                kept = [row for row in csv.DictReader(stream) if int(row["step"]) <= step]
        with self.path.open("w", newline="", encoding="utf-8") as stream:
            writer = csv.DictWriter(stream, self.columns, restval="", extrasaction="ignore")
            writer.writeheader()
            writer.writerows(kept)

    def write(self, event: TrainStep, progress: Callable[[TrainStep], None] | None) -> None:
        """Add a line, and tell who listens."""
        optimiser = self.training.config.optimiser
        row = {
            "step": event.step,
            "loss": f"{event.loss:.5f}",
            "lr": f"{optimiser.lr * rate(event.step - 1, optimiser):.3e}",
            **(event.scores or {}),
        }
        with self.path.open("a", newline="", encoding="utf-8") as stream:
            csv.DictWriter(stream, self.columns, restval="", extrasaction="ignore").writerow(row)
        if progress is not None:
            progress(event)


@contextmanager
def _stop_requests() -> Iterator[threading.Event]:
    """Set by the first Ctrl-C or SIGTERM, so that a step is never cut in two; a second Ctrl-C stops at once."""
    stopped = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stopped
        return

    def ask(number: int, frame: FrameType | None) -> None:
        if stopped.is_set():
            signal.default_int_handler(number, frame)
        stopped.set()

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stopped
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
