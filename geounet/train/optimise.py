"""What changes the weights: the optimiser, its rate at each step, and the running mean of the weights."""

from __future__ import annotations

import math

import torch
from torch import nn

from geounet.train.config import OptimiserConfig

FLOOR = 0.02
"""Share of the full rate at which the cosine ends."""
CYCLE_START, CYCLE_END = 1 / 25, 1 / 25e4
"""Shares at which one cycle begins and ends: torch's OneCycleLR."""


def make_optimiser(
    network: nn.Module, config: OptimiserConfig, log_variances: nn.Parameter | None = None
) -> torch.optim.Optimizer:
    """The optimiser, with a learning rate of its own for the encoder and no decay for learned head weights."""
    encoder = [p for name, p in network.named_parameters() if name.startswith("encoder.")]
    rest = [p for name, p in network.named_parameters() if not name.startswith("encoder.")]
    rates = [(encoder, config.encoder_lr or config.lr), (rest, config.lr)]
    groups = [{"params": params, "lr": lr, "base": lr} for params, lr in rates if params]
    if log_variances is not None:
        groups.append({"params": [log_variances], "lr": config.lr, "base": config.lr, "weight_decay": 0.0})
    decay = config.weight_decay
    match config.method:
        case "adamw":
            return torch.optim.AdamW(groups, weight_decay=decay)
        case "adam":
            return torch.optim.Adam(groups, weight_decay=decay)
        case "rmsprop":
            return torch.optim.RMSprop(groups, lr=config.lr, momentum=config.momentum, weight_decay=decay)
        case "sgd":
            nesterov = config.momentum > 0
            return torch.optim.SGD(
                groups, lr=config.lr, momentum=config.momentum, nesterov=nesterov, weight_decay=decay
            )


def rate(step: int, config: OptimiserConfig, *, drops: int = 0) -> float:
    """Share of the full learning rate at a step, a function of the step and of the plateaus seen alone."""
    if config.lr_schedule == "one-cycle":
        return _one_cycle(step, config)
    if step < config.warmup:
        return (step + 1) / config.warmup
    match config.lr_schedule:
        case "cosine":
            done = (step - config.warmup) / max(1, config.steps - config.warmup)
            return FLOOR + (1 - FLOOR) * 0.5 * (1 + math.cos(math.pi * done))
        case "step":
            return config.lr_factor ** ((step - config.warmup) // config.lr_every)
        case "plateau":
            return config.lr_factor**drops
        case "constant":
            return 1.0


def _one_cycle(step: int, config: OptimiserConfig) -> float:
    """Up and down again by cosines (Smith and Topin 2018, arXiv:1708.07120), as torch's OneCycleLR does."""
    top = (config.warmup or config.steps * 0.3) - 1
    if step <= top:
        return _between(CYCLE_START, 1.0, step / max(top, 1))
    return _between(1.0, CYCLE_END, (step - top) / max(config.steps - 1 - top, 1))


def _between(begin: float, end: float, done: float) -> float:
    return end + (begin - end) / 2 * (1 + math.cos(math.pi * done))


def set_rate(optimiser: torch.optim.Optimizer, share: float) -> None:
    """Give every group its share of its own full rate."""
    for group in optimiser.param_groups:
        group["lr"] = group["base"] * share


@torch.no_grad()
def update_average(average: nn.Module, network: nn.Module, *, decay: float) -> None:
    """Exponential moving average of weights and statistics; counters are copied."""
    pairs = list(zip(average.state_dict().values(), network.state_dict().values(), strict=True))
    means = [mean for mean, _ in pairs if mean.is_floating_point()]
    torch._foreach_lerp_(means, [now for mean, now in pairs if mean.is_floating_point()], 1 - decay)
    for mean, now in pairs:
        if not mean.is_floating_point():
            mean.copy_(now)


def ema_decay(step: int, config: OptimiserConfig) -> float:
    """Decay after a step: small at first, so that the fresh weights are soon forgotten."""
    return min(config.ema, (1 + step) / (10 + step))
