"""Losses and metrics against their definitions."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from geounet.errors import ConfigError
from geounet.model.spec import NODATA, Head, LabelClass
from geounet.train import losses, metrics
from geounet.train.config import LossConfig, load_config
from geounet.train.loop import rate
from geounet.train.pretrained import adapt_bands, load_encoder

Write = Callable[..., Path]
CLASSES = tuple(LabelClass(value=i, name=f"c{i}", color="#000000") for i in range(3))


def test_class_losses_follow_their_formulas() -> None:
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(2, 3, 4, 5))
    target = rng.integers(0, 3, (2, 4, 5)).astype(np.uint8)
    target[0, :2] = NODATA
    probability = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    known = target != NODATA
    entropy, dice = [], []
    for value in range(3):
        here = target == value
        entropy += (-np.log(probability[:, value][here])).tolist()
        overlap = probability[:, value][here].sum()
        dice.append(1 - (2 * overlap + 1) / (probability[:, value][known].sum() + here.sum() + 1))
    got = losses.class_losses(torch.from_numpy(logits), torch.from_numpy(target))
    assert got[0].item() == pytest.approx(np.mean(entropy))
    assert got[1].item() == pytest.approx(np.mean(dice))


def test_mask_losses_follow_their_formulas() -> None:
    rng = np.random.default_rng(1)
    logits = rng.normal(size=(2, 1, 4, 5))
    target = rng.integers(0, 2, (2, 4, 5)).astype(np.uint8)
    target[1, 2:] = NODATA
    p, known = 1 / (1 + np.exp(-logits[:, 0])), target != NODATA
    entropy = -np.log(np.where(target == 1, p, 1 - p))[known].mean()
    dice = 1 - (2 * p[target == 1].sum() + 1) / (p[known].sum() + (target == 1).sum() + 1)
    got = losses.mask_losses(torch.from_numpy(logits), torch.from_numpy(target))
    assert got[0].item() == pytest.approx(entropy)
    assert got[1].item() == pytest.approx(dice)


@pytest.mark.parametrize("kind", ["classes", "mask"])
def test_gradients_are_right_and_ignored_pixels_have_none(kind: str) -> None:
    head = Head(name="h", kind=kind, classes=CLASSES[: 2 if kind == "mask" else 3])  # type: ignore[arg-type]
    logits = torch.randn(1, head.channels, 3, 3, dtype=torch.float64, requires_grad=True)
    target = torch.randint(0, 2, (1, 3, 3), dtype=torch.uint8)
    target[0, 0] = NODATA
    config = LossConfig(label_smoothing=0.1)
    assert torch.autograd.gradcheck(lambda z: losses.head_loss(z, target, head, config), (logits,))
    losses.head_loss(logits, target, head, config).backward()
    assert logits.grad is not None
    assert (logits.grad[:, :, 0] == 0).all()
    assert (logits.grad[:, :, 1:] != 0).any()
    nothing = losses.head_loss(logits, torch.full_like(target, NODATA), head, config)
    assert torch.isfinite(nothing)


def test_iou_against_sets_of_pixels() -> None:
    rng = np.random.default_rng(2)
    truth, predicted = rng.integers(0, 3, (2, 30, 40)).astype(np.uint8)
    truth[:4] = NODATA
    matrix = metrics.confusion(truth, predicted, 4)
    for value in range(3):
        t, p = (truth == value), (predicted == value) & (truth != NODATA)
        assert metrics.iou(matrix)[value] == pytest.approx((t & p).sum() / (t | p).sum())
    assert np.isnan(metrics.iou(matrix)[3])
    named = metrics.scores(matrix, ["a", "b", "c", "d"])
    assert named["mean_iou"] == pytest.approx(metrics.iou(matrix)[:3].mean(), abs=1e-4)
    assert "iou_d" not in named


def test_the_rate_warms_up_and_falls(tiny: Write) -> None:
    config = load_config(tiny(optimiser={"steps": 100, "warmup": 10})).optimiser
    rates = [rate(step, config) for step in range(100)]
    assert rates[0] == pytest.approx(0.1)
    assert max(rates) == pytest.approx(1) == rates[10]
    assert (np.diff(rates[10:]) < 0).all()
    assert rates[-1] < 0.03


def test_a_first_convolution_for_other_bands_answers_grey_alike() -> None:
    kernel, grey = torch.randn(4, 3, 3, 3), torch.randn(1, 1, 8, 8)
    wide = adapt_bands(kernel, 5)
    expected = nn.functional.conv2d(grey.repeat(1, 3, 1, 1), kernel)
    torch.testing.assert_close(nn.functional.conv2d(grey.repeat(1, 5, 1, 1), wide), expected, atol=1e-5, rtol=1e-4)
    with pytest.raises(ConfigError, match="need a network with an encoder"):
        load_encoder(nn.Conv2d(3, 3, 1), "efficientnet-lite0", Path())
