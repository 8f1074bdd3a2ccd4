"""The steps of a training on Lightning: it knows devices, precision, accumulation and DDP; we keep the state.

A step depends on the seed, its number and the state alone, and the state is whole after every step, so a training
that was killed goes on exactly. Lightning's own checkpoints and loggers are not used: docs/decisions/0018.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

from geounet.errors import Interrupted, WorkError
from geounet.train import checkpoint
from geounet.train.log import Log
from geounet.train.optimise import ema_decay, rate, set_rate, update_average
from geounet.train.state import BEST, LAST, Training, TrainStep
from geounet.train.stop import StopRequests
from geounet.train.trainer import hushed, make_trainer, pl
from geounet.train.validate import validate

LOG_EVERY = 25


def fit(
    training: Training,
    progress: Callable[[TrainStep], None] | None = None,
    tick: Callable[[int], None] | None = None,
) -> bool:
    """Run the steps that are left; ends with the last checkpoint saved. False in the helpers of a DDP training.

    ``progress`` is told every LOG_EVERY steps and after each validation, ``tick`` every finished step.
    Raises WorkError where the loss is no number, Interrupted on Ctrl-C or SIGTERM, after saving.
    """
    if training.finished:
        return True
    pace = Pace(training, progress, tick)
    trainer = make_trainer(training, pace)
    with hushed(), pace.stop.left_alone_afterwards():
        try:
            trainer.fit(Learner(training), train_dataloaders=Windows(training, trainer))
        except SystemExit as error:  # what Lightning makes of Ctrl-C before the first step, and of a second one
            raise KeyboardInterrupt from error
    if not trainer.is_global_zero:
        return False
    if pace.stop.asked and not training.finished:
        raise Interrupted(
            f"stopped after step {training.step} of {training.config.optimiser.steps}; "
            f"the same command goes on, {LAST} holds the weights"
        )
    return True


class Windows:
    """The portions of the batches that this process computes, from the first step that is left."""

    def __init__(self, training: Training, trainer: pl.Trainer) -> None:
        self.training, self.trainer = training, trainer

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        settings, world, rank = self.training.config.optimiser, self.trainer.world_size, self.trainer.global_rank
        mine, device = self.training.source.share(rank, of=world), self.trainer.strategy.root_device
        for pixels, labels in mine.batches(self.training.step, settings.steps, device=device):
            for portion in range(settings.accumulate):
                yield pixels[portion :: settings.accumulate], labels[portion :: settings.accumulate]


class Learner(pl.LightningModule):
    """What Lightning needs to know of a step."""

    def __init__(self, training: Training) -> None:
        super().__init__()
        self.job = training
        self.network = training.network
        self.log_variances = training.log_variances

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        """The loss of a portion. WorkError where it is not finite, before it does harm."""
        pixels, labels = batch
        portion = batch_idx % self.job.config.optimiser.accumulate
        torch.manual_seed(_seed(self.job, portion, self.global_rank))  # dropout: a resumed run draws the same
        logits = self.network(pixels.to(memory_format=torch.channels_last))
        with torch.autocast(self.device.type, enabled=False):
            loss, parts = self.job.measure(logits, labels)
        self.job.losses.append(parts)
        if self.device.type == "cpu" or self.job.step % LOG_EVERY == 0:  # a look at a GPU's number makes it wait
            self.refuse_no_number()
        return loss

    def refuse_no_number(self) -> None:
        """WorkError where a loss since the last line of the log was NaN or infinite, in any process."""
        value = float(torch.stack([parts[-1] for parts in self.job.losses]).sum()) if self.job.losses else 0.0
        bad = not math.isfinite(value)
        if self.trainer.world_size > 1:
            bad = self.trainer.strategy.reduce_boolean_decision(bad, all=False)
        if bad:
            raise WorkError(
                f"the loss is {value} at step {self.job.step + 1}; lower optimiser.lr "
                f"({self.job.config.optimiser.lr}) or look for NaN in the scenes; {LAST} is from before"
            )

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """The optimiser with the state that was restored."""
        return self.job.optimiser


def _seed(training: Training, portion: int, rank: int) -> int:
    drawn = np.random.SeedSequence([training.config.seed, training.step, portion, rank]).generate_state(1)
    return int(drawn[0])


class Pace(pl.Callback):
    """What happens around a step: its rate, the running mean, scores, the log, checkpoints, requests to stop."""

    def __init__(
        self,
        training: Training,
        progress: Callable[[TrainStep], None] | None,
        tick: Callable[[int], None] | None,
    ) -> None:
        self.training, self.progress, self.tick = training, progress, tick
        self.stop = StopRequests()
        self.log: Log | None = None
        self.share = 1.0

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Everything is on its device; signals are ours from here."""
        training = self.training
        training.average.to(pl_module.device)
        training.losses = [parts.to(pl_module.device) for parts in training.losses]
        if training.scaler and (scaler := _scaler(trainer)) is not None:
            scaler.load_state_dict(training.scaler)
        self.stop.listen()
        self.log = Log(training) if trainer.is_global_zero else None
        self.begun, self.first, self.before = time.perf_counter(), training.step, training.seconds

    def on_train_batch_start(self, trainer: pl.Trainer, *_: Any) -> None:
        """The rate of this step."""
        self.share = rate(self.training.step, self.training.config.optimiser, drops=self.training.drops)
        set_rate(trainer.optimizers[0], self.share)

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, _outputs: Any, _batch: Any, batch_idx: int
    ) -> None:
        """After the last portion of a batch, the step is done."""
        assert isinstance(pl_module, Learner)
        training, every = self.training, self.training.config.schedule
        settings = training.config.optimiser
        if (batch_idx + 1) % settings.accumulate:
            return
        update_average(training.average, training.network, decay=ema_decay(training.step, settings))
        training.step += 1
        training.seconds = self.before + time.perf_counter() - self.begun
        last = training.step >= settings.steps
        stopped = self._stop_asked(trainer)
        validated = training.step % every.validate_every == 0 or last
        saved = training.step % every.save_every == 0 or last or stopped
        if validated or saved or training.step % LOG_EVERY == 0:
            pl_module.refuse_no_number()
        scores = self._validate(trainer) if validated else None
        if training.step % LOG_EVERY == 0 or scores is not None or last:
            self._report(trainer, scores)
        if saved or training.out_of_patience:
            self._save(trainer)
        if self.tick is not None and trainer.is_global_zero:
            self.tick(training.step)
        trainer.should_stop = trainer.should_stop or stopped or training.out_of_patience

    def _stop_asked(self, trainer: pl.Trainer) -> bool:
        """Whether any process was asked to stop; all of them stop after the same step."""
        if trainer.world_size > 1:
            self.stop.asked = trainer.strategy.reduce_boolean_decision(self.stop.asked, all=False)
        return self.stop.asked

    def _validate(self, trainer: pl.Trainer) -> dict[str, float] | None:
        training = self.training
        if not training.validation:
            return None
        mine = training.validation[trainer.global_rank :: trainer.world_size]
        scores = validate(
            training.average, mine, training.spec, training.marks, gather=lambda counts: _summed(trainer, counts)
        )
        training.stale += 1
        better = scores["score"] > training.best
        if better or training.config.ship == "last":
            training.scores = {"step": training.step, **scores}
        if better:
            training.best, training.stale = scores["score"], 0
            if trainer.is_global_zero:
                best = {"average": training.average.state_dict(), "scores": training.scores}
                checkpoint.save(training.folder / BEST, best, digest=training.digest)
        elif training.stale % training.config.optimiser.lr_patience == 0:
            training.drops += training.config.optimiser.lr_schedule == "plateau"
        return scores

    def _report(self, trainer: pl.Trainer, scores: dict[str, float] | None) -> None:
        training, settings = self.training, self.training.config.optimiser
        mean = trainer.strategy.reduce(torch.stack(training.losses).mean(0), reduce_op="mean")
        means = torch.as_tensor(mean).tolist()
        training.losses.clear()
        if self.log is None:
            return
        event = TrainStep(
            step=training.step,
            steps=settings.steps,
            loss=means[-1],
            seconds_per_step=(time.perf_counter() - self.begun) / (training.step - self.first),
            lr=settings.lr * self.share,
            losses={head.name: mean for head, mean in zip(training.spec.heads, means, strict=False)},
            scores=scores,
        )
        self.log.write(event)
        if self.progress is not None:
            self.progress(event)

    def _save(self, trainer: pl.Trainer) -> None:
        training = self.training
        if (scaler := _scaler(trainer)) is not None:
            training.scaler = scaler.state_dict()
        if trainer.is_global_zero:
            checkpoint.save(training.folder / LAST, training.state(), digest=training.digest)


def _scaler(trainer: pl.Trainer) -> Any:
    """float16's gradient scaler, or None."""
    return getattr(trainer.precision_plugin, "scaler", None)


def _summed(trainer: pl.Trainer, counts: np.ndarray) -> np.ndarray:
    """Counts of all processes together."""
    if trainer.world_size == 1:
        return counts
    mine = torch.from_numpy(counts).to(trainer.strategy.root_device)
    total = trainer.strategy.reduce(mine, reduce_op="sum")
    assert isinstance(total, Tensor)
    return total.cpu().numpy()
