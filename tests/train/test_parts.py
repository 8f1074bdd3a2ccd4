"""Losses, metrics, windows and augmentation against their definitions."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from geounet.model.spec import NODATA
from geounet.train import augment, metrics
from geounet.train.config import AugmentConfig, load_config
from geounet.train.data import Scaling, WindowSource
from geounet.train.recipe import load_scenes, make_spec

Write = Callable[..., Path]


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


def test_windows_are_balanced_over_classes_and_shares(tiny: Write, tmp_path: Path) -> None:
    config = load_config(tiny(data={
        "scenes": [{"name": "one", "group": "a", "image": "scene.tif", "labels": "labels.tif"}],
        "crop": 2, "class_shares": [0.5, 0.5, 0],
    }, optimiser={"steps": 1, "batch": 400}))  # fmt: skip
    scenes = load_scenes(config, root=tmp_path, cache=tmp_path / "cache")
    spec = make_spec(config, scenes)
    source = WindowSource(scenes, config, Scaling.of(spec.bands, spec.dtype))
    pixels, labels = source.batch(7)
    assert pixels.shape == (400, 3, 2, 2)
    counts = torch.bincount(labels.flatten(), minlength=3) / labels.numel()
    assert counts[0] == pytest.approx(0.5, abs=0.1)
    assert counts[1] == pytest.approx(0.5, abs=0.1)
    again = source.batch(7)
    assert torch.equal(pixels, again[0])
    assert not torch.equal(pixels, source.batch(8)[0])
    ahead = list(source.batches(5, 9))
    assert len(ahead) == 4
    assert torch.equal(ahead[2][0], pixels)


def test_image_and_labels_move_together() -> None:
    labels = torch.zeros(48, 48, dtype=torch.uint8)
    labels[10:30, 8:20] = 1
    image = labels[None].float().repeat(3, 1, 1) * 200

    def agree(pair: tuple[torch.Tensor, torch.Tensor]) -> float:
        return ((pair[0][0] > 100) == (pair[1] == 1)).float().mean().item()

    seen = set()
    for which in range(8):
        pair = augment.symmetry(image, labels, which)
        assert agree(pair) == 1
        seen.add(pair[1].numpy().tobytes())
    assert len(seen) == 8
    assert agree(augment.resize(image, labels, 96)) > 0.99
    assert agree(augment.resize(image, labels, 24)) > 0.97
    turned = augment.rotate(image, labels, degrees=30, side=34)
    assert turned[1].shape == (34, 34)
    assert agree(turned) > 0.97
    assert augment.rotation_margin(90) == pytest.approx(1)
    assert augment.rotation_margin(45) == pytest.approx(2**0.5)


def test_photometric_strength_zero_changes_nothing_and_blur_keeps_the_mean() -> None:
    pixels = torch.rand(4, 3, 16, 16)
    assert torch.equal(augment.photometric(pixels, AugmentConfig(), np.random.default_rng(0)), pixels)
    blurred = augment.blur(pixels, np.array([0.0, 0.5, 1.0, 1.5]))
    torch.testing.assert_close(blurred[0], pixels[0])
    assert (blurred.var((1, 2, 3)).diff() < 0).all()
    flat = torch.full((1, 3, 16, 16), 0.3)
    torch.testing.assert_close(augment.blur(flat, np.array([1.2])), flat)
