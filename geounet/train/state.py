"""A training under way: all that the next step depends on, and what the trainer says of it."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from geounet.model.spec import ModelSpec
from geounet.train.config import TrainConfig
from geounet.train.data import WindowSource, head_targets
from geounet.train.losses import balance, head_loss
from geounet.train.optimise import make_optimiser
from geounet.train.scenes import TrainScene

LAST, BEST, METRICS, CURVES = "last.pt", "best.pt", "metrics.csv", "curves.png"
_NUMBERS = ("step", "best", "stale", "drops", "scores", "seconds")


@dataclass(frozen=True, kw_only=True)
class TrainStep:
    """What the training says from time to time."""

    step: int
    steps: int
    loss: float
    """Mean since the last time."""
    seconds_per_step: float
    lr: float
    """Of the last step; the decoder's, where the encoder has another."""
    losses: dict[str, float] = field(default_factory=dict)
    """Of the heads, before they are weighed; means since the last time."""
    scores: dict[str, float] | None = None
    """Of the validation scenes, where they were just validated."""

    def __str__(self) -> str:
        text = f"step {self.step}/{self.steps}  loss {self.loss:.3f}  {self.seconds_per_step:.2f} s/step"
        return text + "".join(f"  {k} {v:.3f}" for k, v in (self.scores or {}).items())


@dataclass(kw_only=True)
class Training:
    """A training under way; :func:`geounet.train.loop.fit` moves it."""

    config: TrainConfig
    spec: ModelSpec
    marks: tuple[int | None, ...]
    class_weights: tuple[tuple[float, ...] | None, ...]
    """Of each head."""
    network: nn.Module
    source: WindowSource
    validation: Sequence[TrainScene]
    folder: Path
    digest: str
    device: torch.device
    devices: int = 1
    """Processes that share the work, each with a device of its own."""
    step: int = 0
    best: float = -1.0
    stale: int = 0
    """Validations since the best score."""
    drops: int = 0
    """How often the rate was lowered on a plateau."""
    seconds: float = 0.0
    """Spent on steps and validations, in all sessions."""
    scores: dict[str, float] = field(default_factory=dict)
    """Of the best weights so far, or of the last ones that were validated, whichever will be shipped."""
    losses: list[Tensor] = field(default_factory=list)
    """The heads' losses and the total ``(heads + 1,)`` of every step since the last line of the log."""
    scaler: dict[str, Any] = field(default_factory=dict)
    """State of float16's loss scaling."""

    def __post_init__(self) -> None:
        self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.average = copy.deepcopy(self.network).eval().requires_grad_(False)
        self.start = self.network.state_dict() if self.config.mix_start else {}
        self.start = {name: tensor.clone() for name, tensor in self.start.items()}
        learned = self.config.head_weights == "learned"
        self.log_variances = nn.Parameter(torch.zeros(len(self.config.heads))) if learned else None
        self.optimiser = make_optimiser(self.network, self.config.optimiser, self.log_variances)

    @property
    def finished(self) -> bool:
        """Whether no step is left, or the score has not risen for so long that it is time to stop."""
        return self.step >= self.config.optimiser.steps or self.out_of_patience

    @property
    def out_of_patience(self) -> bool:
        """Early stopping."""
        return self.config.schedule.patience is not None and self.stale >= self.config.schedule.patience

    def state(self) -> dict[str, Any]:
        """All that the next step depends on."""
        return {
            "network": self.network.state_dict(),
            "average": self.average.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "log_variances": self.log_variances,
            "scaler": self.scaler,
            "losses": [loss.cpu() for loss in self.losses],
            **{name: getattr(self, name) for name in _NUMBERS},
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on where ``state`` was taken."""
        self.network.load_state_dict(state["network"])
        self.average.load_state_dict(state["average"])
        self.optimiser.load_state_dict(state["optimiser"])
        if self.log_variances is not None:
            self.log_variances.data.copy_(state["log_variances"])
        self.scaler, self.losses = state["scaler"], list(state["losses"])
        for name in _NUMBERS:
            setattr(self, name, state[name])

    def mix(self, start: Mapping[str, Tensor], share: float) -> None:
        """Put a share of ``start`` into the running mean of the weights.

        Between the weights before and after fine-tuning lie those that know both worlds: Wortsman et al., Robust
        fine-tuning of zero-shot models, CVPR 2022.
        """
        for name, tensor in self.average.state_dict().items():
            if share and tensor.is_floating_point():
                tensor.lerp_(start[name].to(tensor.device), share)

    def head_weights(self) -> dict[str, float]:
        """How much each head's loss weighs now."""
        factors = torch.ones(len(self.config.heads))
        if self.log_variances is not None:
            factors = torch.exp(-self.log_variances.detach().cpu())
        return {h.name: h.weight * float(f) for h, f in zip(self.config.heads, factors, strict=True)}

    def measure(self, logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """The loss to minimise, and what it is made of: each head's own and their sum ``(heads + 1,)``."""
        heads = zip(self.config.heads, self.spec.head_slices(), head_targets(labels, self.marks), strict=True)
        parts = [
            head_loss(logits[:, at], target, head, settings.loss, weights=weights)
            for (settings, (head, at), target), weights in zip(heads, self.class_weights, strict=True)
        ]
        own = torch.stack(parts)
        total = balance(own * own.new_tensor([h.weight for h in self.config.heads]), self.log_variances)
        return total, torch.cat([own, total[None]]).detach()
