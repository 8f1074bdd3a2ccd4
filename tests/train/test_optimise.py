"""Rates against torch's schedulers, the running mean against its formula, and every method moves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from torch import nn

from geounet.train.config import OptimiserConfig
from geounet.train.optimise import FLOOR, ema_decay, make_optimiser, rate, set_rate, update_average

STEPS = 100


def rates(**given: Any) -> np.ndarray:
    config = OptimiserConfig(steps=STEPS, **given)
    return np.array([rate(step, config) for step in range(STEPS)])


def torchs(make: Any) -> np.ndarray:
    """The rates that a scheduler of torch sets, of a full rate of 1."""
    optimiser = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
    scheduler = make(optimiser)
    out = []
    for _ in range(STEPS):
        out.append(optimiser.param_groups[0]["lr"])
        optimiser.step()
        scheduler.step()
    return np.array(out)


def test_rates_are_those_of_torchs_schedulers() -> None:
    schedulers = torch.optim.lr_scheduler
    cosine = torchs(lambda o: schedulers.CosineAnnealingLR(o, STEPS, eta_min=FLOOR))
    np.testing.assert_allclose(rates(), cosine, rtol=1e-9)
    one = torchs(lambda o: schedulers.OneCycleLR(o, 1.0, total_steps=STEPS, cycle_momentum=False))
    np.testing.assert_allclose(rates(lr_schedule="one-cycle"), one, rtol=1e-9)
    step = torchs(lambda o: schedulers.StepLR(o, 30, gamma=0.5))
    np.testing.assert_allclose(rates(lr_schedule="step", lr_every=30, lr_factor=0.5), step)
    warm = torchs(lambda o: schedulers.LinearLR(o, 0.1, total_iters=9))
    np.testing.assert_allclose(rates(lr_schedule="constant", warmup=10), warm)


def test_the_rate_warms_up_and_falls() -> None:
    cosine = rates(warmup=10)
    assert cosine[0] == pytest.approx(0.1)
    assert max(cosine) == pytest.approx(1) == cosine[10]
    assert (np.diff(cosine[10:]) < 0).all()
    assert cosine[-1] < 0.03
    plateau = OptimiserConfig(steps=STEPS, lr_schedule="plateau", lr_factor=0.2)
    assert rate(50, plateau, drops=2) == pytest.approx(0.04)


@pytest.mark.parametrize("method", ["adamw", "adam", "rmsprop", "sgd"])
def test_every_method_goes_downhill_with_a_rate_of_its_own_for_the_encoder(method: Any) -> None:
    network = nn.ModuleDict({"encoder": nn.Linear(2, 2), "head": nn.Linear(2, 1)})
    config = OptimiserConfig(steps=1, method=method, lr=0.02, encoder_lr=0.01)
    learned = nn.Parameter(torch.zeros(2))
    optimiser = make_optimiser(network, config, learned)
    assert [group["lr"] for group in optimiser.param_groups] == [0.01, 0.02, 0.02]
    assert optimiser.param_groups[2]["weight_decay"] == 0
    set_rate(optimiser, 0.5)
    assert [group["lr"] for group in optimiser.param_groups] == [0.005, 0.01, 0.01]
    x = torch.randn(16, 2)
    losses = []
    for _ in range(40):
        loss = (network["head"](network["encoder"](x)) - x.sum(1, keepdim=True)).square().mean() + learned.sum() * 0
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0] * 0.9


def test_the_running_mean_is_its_formula_and_counters_are_copied() -> None:
    network, average = nn.BatchNorm2d(2), nn.BatchNorm2d(2)
    expected = average.running_mean.clone() if average.running_mean is not None else torch.zeros(2)
    for step in range(5):
        network(torch.randn(3, 2, 4, 4))
        update_average(average, network, decay=0.7)
        expected = 0.7 * expected + 0.3 * network.running_mean  # type: ignore[operator]
        assert average.num_batches_tracked is not None
        assert average.num_batches_tracked.item() == step + 1
    torch.testing.assert_close(average.running_mean, expected)
    config = OptimiserConfig(steps=1, ema=0.99)
    assert ema_decay(0, config) == pytest.approx(0.1)
    assert ema_decay(10**6, config) == 0.99


def test_a_batch_that_cannot_be_divided_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match="batch 8 cannot be divided into 3 equal portions"):
        OptimiserConfig(steps=1, accumulate=3)
