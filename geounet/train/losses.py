"""Losses over logits; ignored pixels never count. All of them return a scalar."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from geounet.model.spec import NODATA, Head
from geounet.train.config import LossConfig


def head_loss(logits: Tensor, target: Tensor, head: Head, config: LossConfig) -> Tensor:
    """Weighted sum of one head's losses.

    ``logits`` is ``(N, head.channels, H, W)``; ``target`` ``(N, H, W)`` uint8 with NODATA where nothing is known.
    """
    entropy, dice = (class_losses if head.kind == "classes" else mask_losses)(
        logits, target, smoothing=config.label_smoothing
    )
    return config.cross_entropy * entropy + config.dice * dice


def class_losses(logits: Tensor, target: Tensor, *, smoothing: float = 0.0) -> tuple[Tensor, Tensor]:
    """Softmax cross-entropy (mean over known pixels) and Dice loss (mean over the classes)."""
    known = target != NODATA
    index = target.long().masked_fill(~known, 0)
    entropy = F.cross_entropy(logits, index, reduction="none", label_smoothing=smoothing)
    truth = F.one_hot(index, logits.shape[1]).permute(0, 3, 1, 2) * known[:, None]
    probability = logits.softmax(1) * known[:, None]
    return _mean(entropy, known), dice_loss(probability, truth)


def mask_losses(logits: Tensor, target: Tensor, *, smoothing: float = 0.0) -> tuple[Tensor, Tensor]:
    """Binary cross-entropy (mean over known pixels) and Dice loss of what is marked; ``target`` 0, 1 or NODATA."""
    known = target != NODATA
    truth = (target == 1).to(logits.dtype)
    soft = truth * (1 - smoothing) + smoothing / 2
    entropy = F.binary_cross_entropy_with_logits(logits[:, 0], soft, reduction="none")
    probability = logits[:, 0].sigmoid() * known
    return _mean(entropy, known), dice_loss(probability[:, None], (truth * known)[:, None])


def dice_loss(probability: Tensor, truth: Tensor) -> Tensor:
    """``1 - (2 Σ p t + 1) / (Σ p + Σ t + 1)`` per channel over the whole batch, then the mean of the channels."""
    overlap = (probability * truth).sum((0, 2, 3))
    total = probability.sum((0, 2, 3)) + truth.sum((0, 2, 3))
    return (1 - (2 * overlap + 1) / (total + 1)).mean()


def _mean(values: Tensor, known: Tensor) -> Tensor:
    return (values * known).sum() / known.sum().clamp(min=1)
