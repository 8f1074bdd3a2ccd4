"""Losses that compare areas: per channel over the whole batch, then the mean of the channels.

segmentation-models-pytorch has all of them and is the oracle in the tests. Ours differ where a batch of crops asks
for it: a class that is not in the batch still costs what is falsely called so (smp leaves it out of Dice, Jaccard
and Tversky), and a batch without a known pixel gives 0 (smp's Lovász gives an empty tensor).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from geounet.train.losses.seen import Seen


def dice_loss(seen: Seen) -> Tensor:
    """``1 - (2 Σ p t + 1) / (Σ p + Σ t + 1)`` (Milletari et al. 2016, arXiv:1606.04797, smoothed)."""
    return tversky_loss(seen, alpha=0.5, beta=0.5, smooth=0.5)


def jaccard_loss(seen: Seen) -> Tensor:
    """``1 - (Σ p t + 1) / (Σ p + Σ t - Σ p t + 1)``: one minus the soft intersection over union."""
    return tversky_loss(seen, alpha=1.0, beta=1.0)


def tversky_loss(seen: Seen, *, alpha: float, beta: float, smooth: float = 1.0) -> Tensor:
    """``1 - (TP + s) / (TP + α FP + β FN + s)`` (Salehi et al. 2017, arXiv:1706.05721).

    α weighs what is said and not true, β what is true and not said.
    """
    hit = (seen.probability * seen.truth).sum((0, 2, 3))
    false_alarm = seen.probability.sum((0, 2, 3)) - hit
    missed = seen.truth.sum((0, 2, 3)) - hit
    return (1 - (hit + smooth) / (hit + alpha * false_alarm + beta * missed + smooth)).mean()


def lovasz_loss(seen: Seen) -> Tensor:
    """Lovász-Softmax over classes that occur, or Lovász hinge of a mask (Berman et al. 2018, arXiv:1705.08790)."""
    if not seen.known.any():
        return seen.logits.sum() * 0.0
    if seen.mask:
        truth = seen.truth[:, 0][seen.known]
        return _lovasz_of(F.relu(1 - seen.logits[:, 0][seen.known] * (2 * truth - 1)), truth)
    parts = []
    for value in range(seen.logits.shape[1]):
        truth = seen.truth[:, value][seen.known]
        if truth.any():
            parts.append(_lovasz_of((truth - seen.probability[:, value][seen.known]).abs(), truth))
    return torch.stack(parts).mean()


def _lovasz_of(errors: Tensor, truth: Tensor) -> Tensor:
    """The Lovász extension of the Jaccard loss at ``errors`` (P,) (algorithm 1 of the paper)."""
    falling, order = errors.sort(descending=True)
    truth = truth[order]
    intersection = truth.sum() - truth.cumsum(0)
    union = truth.sum() + (1 - truth).cumsum(0)
    jaccard = 1 - intersection / union
    steps = torch.cat([jaccard[:1], jaccard[1:] - jaccard[:-1]])
    return (falling * steps).sum()
