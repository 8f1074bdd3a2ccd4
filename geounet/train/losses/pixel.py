"""Losses that are a weighted mean over pixels."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from geounet.train.losses.seen import Seen


def pixel_weights(seen: Seen, class_weights: Sequence[float] | None = None, border: Tensor | None = None) -> Tensor:
    """(N, H, W): weight of each pixel's class plus the border map; 0 where nothing is known.

    ``class_weights`` has a weight per class value (a mask: of what is not marked and of what is);
    ``border`` is :func:`geounet.train.losses.border_map` of the same pixels.
    """
    weights = seen.known.to(seen.logits.dtype)
    if class_weights is not None:
        weights = weights * weights.new_tensor(class_weights)[seen.index]
    return weights if border is None else weights + border.to(weights) * seen.known


def cross_entropy(seen: Seen, weights: Tensor, *, smoothing: float = 0.0) -> Tensor:
    """``Σ w · -log p(truth) / Σ w``, softmax or sigmoid; scalar.

    ``smoothing`` shares so much of the truth out over all classes (Szegedy et al. 2016, arXiv:1512.00567).
    """
    return _weighted_mean(_entropy(seen, smoothing), weights)


def focal_loss(seen: Seen, weights: Tensor, *, gamma: float) -> Tensor:
    """``Σ w (1 - p)^γ · -log p / Σ w`` with p of the true class (Lin et al. 2017, arXiv:1708.02002, equation 4)."""
    entropy = _entropy(seen, 0.0)
    return _weighted_mean((1 - torch.exp(-entropy)).clamp(min=0) ** gamma * entropy, weights)


def _entropy(seen: Seen, smoothing: float) -> Tensor:
    """(N, H, W)"""
    if not seen.mask:
        return F.cross_entropy(seen.logits, seen.index, reduction="none", label_smoothing=smoothing)
    soft = seen.index.to(seen.logits.dtype) * (1 - smoothing) + smoothing / 2
    return F.binary_cross_entropy_with_logits(seen.logits[:, 0], soft, reduction="none")


def _weighted_mean(values: Tensor, weights: Tensor) -> Tensor:
    total = weights.sum()
    return (values * weights).sum() / torch.where(total > 0, total, torch.ones_like(total))
