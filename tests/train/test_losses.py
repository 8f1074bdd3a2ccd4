"""Losses against their formulas, against segmentation-models-pytorch, and against finite differences."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from scipy import ndimage

from geounet.model.smp import import_smp
from geounet.model.spec import NODATA, Head, LabelClass
from geounet.train import losses
from geounet.train.config import BorderConfig, LossConfig
from geounet.train.losses import Seen

CLASSES = tuple(LabelClass(value=i, name=f"c{i}", color="#000000") for i in range(3))
LANDUSE = Head(name="landuse", kind="classes", classes=CLASSES)
ROAD = Head(name="road", kind="mask", classes=CLASSES[:2])
OFF = dict.fromkeys(("cross_entropy", "dice"), 0.0)


def drawn(head: Head, seed: int = 0, *, unknown: bool = True) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits ``(2, channels, 6, 5)`` and a truth with every class in it."""
    rng = np.random.default_rng(seed)
    target = rng.integers(0, len(head.classes), (2, 6, 5)).astype(np.uint8)
    target[0, 0, : len(head.classes)] = range(len(head.classes))
    if unknown:
        target[0, 2:4] = NODATA
        target[1, :, 4] = NODATA
    logits = torch.from_numpy(rng.normal(size=(2, head.channels, 6, 5)))
    return logits, torch.from_numpy(target)


def flat(head: Head, logits: torch.Tensor, target: torch.Tensor) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Probabilities (channels, P), truth (channels, P) and values (P,) of the known pixels, by numpy alone."""
    z, values = logits.numpy(), target.numpy()
    p = 1 / (1 + np.exp(-z)) if head.kind == "mask" else np.exp(z) / np.exp(z).sum(1, keepdims=True)
    known = values != NODATA
    p, values = np.moveaxis(p, 1, 0)[:, known], values[known]
    truth = np.stack([values == v for v in ([1] if head.kind == "mask" else range(3))]).astype(float)
    return p, truth, values


def test_class_weighted_cross_entropy_with_a_border_map_and_smoothing() -> None:
    logits, target = drawn(LANDUSE)
    rng = np.random.default_rng(1)
    border = rng.random((2, 6, 5))
    weights = [0.5, 2.0, 1.0]
    p, _, values = flat(LANDUSE, logits, target)
    w = np.array(weights)[values] + border[target.numpy() != NODATA]
    soft = np.full((3, len(values)), 0.2 / 3)
    soft[values, range(len(values))] += 0.8
    expected = (w * -(soft * np.log(p)).sum(0)).sum() / w.sum()
    seen = Seen.by(LANDUSE, logits, target)
    per_pixel = losses.pixel_weights(seen, weights, torch.from_numpy(border))
    assert losses.cross_entropy(seen, per_pixel, smoothing=0.2).item() == pytest.approx(expected)
    plain = losses.cross_entropy(seen, losses.pixel_weights(seen, weights))
    torch_says = torch.nn.functional.cross_entropy(
        logits, target.long(), weight=torch.tensor(weights).double(), ignore_index=NODATA
    )
    assert plain.item() == pytest.approx(torch_says.item())


@pytest.mark.parametrize("head", [LANDUSE, ROAD], ids=lambda h: h.kind)
def test_pixel_and_region_losses_follow_their_formulas(head: Head) -> None:
    logits, target = drawn(head)
    p, t, _values = flat(head, logits, target)
    seen = Seen.by(head, logits, target)
    per_pixel = losses.pixel_weights(seen)
    true = (p * t).sum(0) if head.kind == "classes" else np.where(t[0] == 1, p[0], 1 - p[0])
    hit, said, real = (p * t).sum(1), p.sum(1), t.sum(1)
    expected = {
        losses.cross_entropy(seen, per_pixel): -np.log(true).mean(),
        losses.focal_loss(seen, per_pixel, gamma=2.0): ((1 - true) ** 2 * -np.log(true)).mean(),
        losses.focal_loss(seen, per_pixel, gamma=0.0): -np.log(true).mean(),
        losses.dice_loss(seen): (1 - (2 * hit + 1) / (said + real + 1)).mean(),
        losses.jaccard_loss(seen): (1 - (hit + 1) / (said + real - hit + 1)).mean(),
        losses.tversky_loss(seen, alpha=0.3, beta=0.7): (
            1 - (hit + 1) / (hit + 0.3 * (said - hit) + 0.7 * (real - hit) + 1)
        ).mean(),
    }
    for got, value in expected.items():
        assert got.item() == pytest.approx(value)


@pytest.mark.parametrize("unknown", [False, True])
@pytest.mark.parametrize("head", [LANDUSE, ROAD], ids=lambda h: h.kind)
def test_segmentation_models_pytorch_agrees_where_every_class_occurs(head: Head, *, unknown: bool) -> None:
    smp = import_smp().losses
    mode: Any = {"mode": "multiclass" if head.kind == "classes" else "binary", "ignore_index": NODATA}
    logits, target = drawn(head, unknown=unknown)
    logits, truth = logits.float(), target.long()
    seen = Seen.by(head, logits, target)
    tversky = losses.tversky_loss(seen, alpha=0.3, beta=0.7)
    pairs = [
        (losses.tversky_loss(seen, alpha=0.5, beta=0.5, smooth=0.5), smp.DiceLoss(smooth=0.5, **mode)),
        (losses.jaccard_loss(seen), smp.JaccardLoss(smooth=1.0, **mode)),
        (tversky, smp.TverskyLoss(alpha=0.3, beta=0.7, smooth=1.0, **mode)),
        (losses.lovasz_loss(seen), smp.LovaszLoss(**mode)),
    ]
    if head.kind == "mask":
        focal = losses.focal_loss(seen, losses.pixel_weights(seen), gamma=2.0)
        pairs.append((focal, smp.FocalLoss(gamma=2.0, **mode)))
    for ours, theirs in pairs:
        assert ours.item() == pytest.approx(theirs(logits, truth).item(), abs=1e-6), theirs


def test_where_ours_differ_from_segmentation_models_pytorch() -> None:
    """Why they are the oracle and not the source: docs/decisions/0018."""
    smp = import_smp().losses
    logits, target = drawn(LANDUSE)
    target[target == 2] = 0
    absent = torch.zeros_like(logits)
    absent[:, 2] = 9.0  # everything is called a class that is nowhere
    absent.requires_grad_()
    theirs = smp.DiceLoss("multiclass", classes=[2], ignore_index=NODATA)(absent, target.long())
    assert theirs.item() == 0
    assert losses.dice_loss(Seen.by(LANDUSE, absent, target)).item() > 0.9
    nothing = torch.full_like(target, NODATA)
    assert smp.LovaszLoss("multiclass", ignore_index=NODATA)(logits, nothing.long()).numel() != 1
    assert losses.lovasz_loss(Seen.by(LANDUSE, logits, nothing)).item() == 0


def test_lovasz_of_hard_predictions_is_the_jaccard_loss() -> None:
    """The extension agrees with the set function at the corners of the cube."""
    rng = np.random.default_rng(3)
    values = rng.integers(0, 3, (1, 8, 8)).astype(np.uint8)
    said = rng.integers(0, 3, (1, 8, 8))
    logits = torch.nn.functional.one_hot(torch.from_numpy(said), 3).permute(0, 3, 1, 2).double() * 80
    expected = [1 - ((said == v) & (values == v)).sum() / ((said == v) | (values == v)).sum() for v in range(3)]
    got = losses.lovasz_loss(Seen.by(LANDUSE, logits, torch.from_numpy(values)))
    assert got.item() == pytest.approx(np.mean(expected))


def test_the_border_map_is_that_of_the_paper() -> None:
    objects = np.zeros((24, 30), np.uint8)
    objects[2:9, 3:11] = objects[2:9, 13:20] = objects[14:22, 5:25] = 1
    components, count = ndimage.label(objects)
    rows, cols = np.mgrid[:24, :30]
    distances = []
    for number in range(1, count + 1):  # by brute force
        at = np.argwhere(components == number)
        distances.append(np.sqrt(((rows[..., None] - at[:, 0]) ** 2 + (cols[..., None] - at[:, 1]) ** 2).min(-1)))
    d1, d2 = np.sort(distances, 0)[:2]
    expected = np.where(objects, 0, 10 * np.exp(-((d1 + d2) ** 2) / (2 * 2.5**2)))
    got = losses.border_map(torch.from_numpy(objects)[None], value=1, w0=10, sigma=2.5)[0]
    np.testing.assert_allclose(got, expected, atol=10 * 4e-6)
    one = (components == 1).astype(np.uint8)  # a single object has no gap to keep open
    assert losses.border_map(torch.from_numpy(one)[None], value=1, w0=10, sigma=2.5).max() == 0


def test_signed_distances_and_the_boundary_loss() -> None:
    inside = np.zeros((9, 9), bool)
    inside[2:7, 3:6] = True
    known = np.ones_like(inside)
    known[:, 8] = False
    phi = losses.signed_distances(inside, known)
    assert phi[4, 4] == -1
    assert phi[4, 3] == 0  # on the rim, as the authors' one_hot2dist
    assert phi[4, 1] == 2
    assert phi[0, 0] == pytest.approx(np.hypot(2, 3))
    assert (phi[:, 8] == 0).all()
    assert (losses.signed_distances(known, known) == 0).all()  # no border at all
    target = np.where(known, inside, NODATA).astype(np.uint8)[None]
    logits = torch.randn(1, 1, 9, 9, dtype=torch.float64)
    got = losses.boundary_loss(Seen.by(ROAD, logits, torch.from_numpy(target)))
    expected = (1 / (1 + np.exp(-logits.numpy()[0, 0])) * phi)[known].mean()
    assert got.item() == pytest.approx(expected)


def test_cldice_sees_a_line_that_breaks_where_dice_hardly_does() -> None:
    truth = np.zeros((1, 32, 32), np.uint8)
    truth[0, 14:19] = 1
    whole, broken = truth.astype(float), truth.astype(float)
    broken[0, :, 14:17] = 0
    thin = np.zeros_like(whole)
    thin[0, 15:18] = 1

    def loss(said: np.ndarray) -> float:
        logits = torch.from_numpy(said * 60 - 30)[None]
        return losses.cldice_loss(Seen.by(ROAD, logits, torch.from_numpy(truth)), iterations=4).item()

    assert loss(whole) < 1e-6
    assert loss(thin) < 0.02  # width is not what it looks at
    assert loss(broken) == pytest.approx(1 - 2 * 1 * (30 / 33) / (1 + 30 / 33), abs=0.02)


def test_the_soft_skeleton_of_a_bar_is_its_middle_line() -> None:
    bar = torch.zeros(1, 1, 15, 31)
    bar[..., 5:10, 4:27] = 1
    line = losses.soft_skeleton(bar, 4)[0, 0]
    assert line.bool()[7, 8:23].all()
    assert line[:, 10:21].sum() == 11  # one pixel per column
    assert (line * (1 - bar[0, 0])).sum() == 0


EVERY: dict[str, dict[str, Any]] = {
    "cross_entropy": {"cross_entropy": 1, "label_smoothing": 0.1, "class_weights": (1, 2, 3)},
    "border": {"cross_entropy": 1, "border": BorderConfig(of="c1", sigma=1)},
    "focal": {"focal": 1},
    "dice": {"dice": 1},
    "jaccard": {"jaccard": 1},
    "tversky": {"tversky": 1},
    "lovasz": {"lovasz": 1},
    "boundary": {"boundary": 1},
    "cldice": {"cldice": 1, "cldice_iterations": 2},
    "sum": {"cross_entropy": 1, "dice": 0.5, "lovasz": 0.3, "boundary": 0.01},
}


@pytest.mark.parametrize("head", [LANDUSE, ROAD], ids=lambda h: h.kind)
@pytest.mark.parametrize("name", EVERY)
def test_gradients_are_right_and_unknown_pixels_never_count(name: str, head: Head) -> None:
    if name == "cldice" and head.kind == "classes":
        pytest.skip("of masks only")
    logits, target = drawn(head, seed=4)
    config = LossConfig(**{**OFF, **EVERY[name]})
    weights = config.class_weights[: len(head.classes)] if isinstance(config.class_weights, tuple) else None

    def loss(z: torch.Tensor) -> torch.Tensor:
        return losses.head_loss(z, target, head, config, weights=weights)

    logits.requires_grad_()
    assert torch.autograd.gradcheck(loss, (logits,))
    loss(logits).backward()
    assert logits.grad is not None
    unknown = (target == NODATA)[:, None].expand_as(logits)
    assert (logits.grad[unknown] == 0).all()
    assert (logits.grad[~unknown] != 0).any()
    other = torch.where(unknown, torch.randn_like(logits) * 50, logits)
    assert loss(other).item() == pytest.approx(loss(logits).item())
    nothing = losses.head_loss(logits, torch.full_like(target, NODATA), head, config, weights=weights)
    assert nothing.ndim == 0
    assert torch.isfinite(nothing)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_logits_are_summed_in_single(dtype: torch.dtype) -> None:
    logits = torch.zeros(1, 1, 512, 512, dtype=dtype)  # 131072 is beyond float16
    target = torch.ones(1, 512, 512, dtype=torch.uint8)
    got = losses.head_loss(logits, target, ROAD, LossConfig())
    assert got.dtype == torch.float32
    assert got.item() == pytest.approx(np.log(2) + 1 - (2**18 + 1) / (2**17 + 2**18 + 1), abs=1e-5)


def test_class_weights_from_frequencies_are_median_over_frequency() -> None:
    counts = np.array([100, 50, 10, 0])
    asked = LossConfig(class_weights="frequency")
    assert losses.class_weights(asked, counts) == pytest.approx((0.5, 1.0, 5.0, 1.0))
    assert losses.class_weights(LossConfig(class_weights=(1, 2)), counts) == (1, 2)
    assert losses.class_weights(LossConfig(), counts) is None


def test_learned_weights_of_the_heads_are_kendalls() -> None:
    parts = torch.tensor([0.8, 0.1], dtype=torch.float64, requires_grad=True)
    s = torch.tensor([0.3, -0.4], dtype=torch.float64, requires_grad=True)
    assert losses.balance(parts, None).item() == pytest.approx(0.9)
    expected = 0.8 * np.exp(-0.3) + 0.15 + 0.1 * np.exp(0.4) - 0.2
    assert losses.balance(parts, s).item() == pytest.approx(expected)
    assert torch.autograd.gradcheck(losses.balance, (parts, s))
    best = torch.log(2 * parts.detach())  # where the derivative is 0: σ² = 2 L
    s.data.copy_(best)
    losses.balance(parts.detach(), s).backward()
    assert s.grad is not None
    assert s.grad.abs().max() < 1e-12
