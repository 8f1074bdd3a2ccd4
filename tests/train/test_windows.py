"""Windows and augmentation: where they are drawn, that image and labels move together, that dice decide alone."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from geounet.errors import ConfigError
from geounet.model.spec import NODATA, InputBand
from geounet.train import augment
from geounet.train.config import AugmentConfig, TrainConfig
from geounet.train.data import Scaling, WindowSource
from geounet.train.scenes import EMPTY, TrainScene
from geounet.train.survey import check_classes, check_held, class_counts, normalisation, survey

_spec = importlib.util.spec_from_file_location("train_conftest", Path(__file__).with_name("conftest.py"))
assert _spec is not None
assert _spec.loader is not None
shared = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(shared)

STRONG = {
    "scale": (0.5, 2.0), "rotate": 45, "elastic": 3, "brightness": 0.2, "contrast": 0.3, "gamma": 0.3, "gain": 0.1,
    "saturation": 0.4, "blur": 1.2, "noise": 0.05, "channel_dropout": 0.2, "cutmix": 0.5,
}  # fmt: skip
OFF = {"symmetries": False}


def configure(bands: int = 3, batch: int = 8, augment: dict[str, Any] | None = None, **data: Any) -> TrainConfig:
    return TrainConfig.model_validate({
        "name": "x",
        "bands": [{"name": f"b{i}"} for i in range(bands)],
        "classes": [{"name": n, "color": "#ff0000"} for n in ("building", "land", "water")],
        "heads": [{"name": "landuse"}],
        "network": {"divisor": 2},
        "optimiser": {"steps": 1, "batch": batch},
        "augment": augment or {},
        "data": {"crop": 16, **data},
    })  # fmt: skip


def scene(labels: np.ndarray, image: np.ndarray | None = None, **facts: Any) -> TrainScene:
    pixels = shared.tiny_image(np.where(labels > 2, 0, labels)).transpose(1, 2, 0) if image is None else image
    return TrainScene(**{"name": "s", "group": "g", "image": pixels, "labels": labels, **facts})


def source(config: TrainConfig, *scenes: TrainScene, **options: Any) -> WindowSource:
    dtype = str(scenes[0].image.dtype)
    bands = [InputBand(name=b.name, mean=100 + i, std=50) for i, b in enumerate(config.bands)]
    return WindowSource(scenes, config, Scaling.of(bands, dtype), **options)


def test_windows_are_balanced_over_classes_and_shares() -> None:
    config = configure(crop=2, class_shares=[0.5, 0.5, 0], batch=400, augment=OFF)
    pixels, labels = source(config, scene(shared.tiny_labels())).batch(7)
    assert pixels.shape == (400, 3, 2, 2)
    counts = torch.bincount(labels.flatten(), minlength=3) / labels.numel()
    assert counts[0] == pytest.approx(0.5, abs=0.1)
    assert counts[1] == pytest.approx(0.5, abs=0.1)


def test_a_rare_class_in_one_of_many_scenes_is_drawn_as_often_as_its_share() -> None:
    plain, rare = np.ones((64, 64), np.uint8), np.ones((64, 64), np.uint8)
    rare[5:7, 5:7] = 2
    scenes = [scene(plain, name=f"s{i}") for i in range(20)] + [scene(rare, name="rare")]
    balanced = configure(crop=2, batch=300, class_shares=[0, 0.5, 0.5], augment=OFF)
    _, labels = source(balanced, *scenes).batch(0)
    assert (labels == 2).flatten(1).any(1).float().mean().item() == pytest.approx(0.5, abs=0.1)
    _, labels = source(configure(crop=2, batch=300, draw="random", augment=OFF), *scenes).batch(0)
    assert (labels == 2).flatten(1).any(1).sum() <= 3


def test_chips_of_one_folder_weigh_as_one_scene_of_their_size() -> None:
    one = np.ones((64, 64), np.uint8)
    chips = [scene(np.zeros((16, 16), np.uint8), name=f"c{i}", origin="chips") for i in range(16)]
    config = configure(crop=2, batch=400, draw="random", augment=OFF)
    _, labels = source(config, scene(one), *chips).batch(0)
    assert (labels == 0).float().mean().item() == pytest.approx(0.5, abs=0.1)


def test_sample_scenes_have_their_share() -> None:
    drawn = scene(np.zeros((64, 64), np.uint8), name="d", synthetic=True)
    config = configure(crop=2, batch=400, sample_share=0.2, augment=OFF)
    _, labels = source(config, scene(np.ones((64, 64), np.uint8)), drawn).batch(0)
    assert (labels == 0).float().mean().item() == pytest.approx(0.2, abs=0.07)


def test_a_lattice_shows_every_labelled_place_once_before_any_again() -> None:
    labels = np.arange(48 * 40).reshape(48, 40) % 3
    labels[:16, 16:] = NODATA
    image = np.arange(48 * 40, dtype=np.int32).reshape(48, 40, 1)
    config = configure(bands=1, batch=1, draw="lattice", augment=OFF)
    windows = source(config, scene(labels.astype(np.uint8), image))
    firsts = [round((windows.batch(step)[0][0, 0, 0, 0] * 50 + 100).item()) for step in range(14)]
    lattice = {r * 40 + c for r in (0, 16, 32) for c in (0, 16, 24)} - {16, 24}
    assert set(firsts[:7]) == lattice == set(firsts[7:])
    assert firsts[:7] != firsts[7:]


def test_nodata_and_unknown_pixels_never_count() -> None:
    labels = shared.tiny_labels()
    labels[:20], labels[40:44] = EMPTY, NODATA
    image = shared.tiny_image(np.where(labels > 2, 0, labels)).transpose(1, 2, 0).copy()
    image[:20] = 255
    config = configure(batch=64, augment={k: v for k, v in STRONG.items() if k not in ("brightness", "noise")})
    pixels, found = source(config, scene(labels, image)).batch(3)
    assert set(found.unique().tolist()) <= {0, 1, 2, NODATA}
    assert (found == NODATA).any()
    flat = pixels.permute(0, 2, 3, 1)[found == NODATA]
    assert (flat == 0).all(1).any()  # no data
    assert (flat != 0).any()  # an image without a label
    with pytest.raises(ConfigError, match="no training scene has a labelled pixel"):
        source(config, scene(np.full((32, 32), EMPTY, np.uint8)))


@settings(deadline=None, max_examples=20)
@given(step=st.integers(0, 10**6), of=st.integers(1, 4), readers=st.integers(1, 3))
def test_a_batch_is_a_function_of_the_seed_and_the_step_however_it_is_divided(
    step: int, of: int, readers: int
) -> None:
    config = configure(batch=5, augment=STRONG, readers=readers)
    scenes = scene(shared.tiny_labels()), scene(shared.tiny_labels()[::-1].copy(), name="t")
    torch.manual_seed(step)  # nothing may come from torch's own generator
    pixels, labels = source(config, *scenes).batch(step)
    torch.manual_seed(step + 1)
    ahead = list(source(config, *scenes).batches(max(0, step - 1), step + 2))[min(step, 1)]
    assert torch.equal(ahead[0], pixels)
    assert torch.equal(ahead[1], labels)
    for rank in range(min(of, 5)):
        part = source(config, *scenes).share(rank, of=of).batch(step)
        torch.testing.assert_close(part[0], pixels[rank::of], atol=1e-5, rtol=1e-5)
        assert torch.equal(part[1], labels[rank::of])
    assert not torch.equal(source(config, *scenes).batch(step + 1)[0], pixels)


@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 10**6))
def test_image_and_labels_move_together(seed: int) -> None:
    """With every geometric strength on, the picture of the labels is where the labels are."""
    labels = shared.tiny_labels(128)
    image = np.stack([(labels == v) * np.uint8(200) for v in range(3)], -1)
    geometry = {k: v for k, v in STRONG.items() if k in ("scale", "rotate", "elastic", "cutmix")}
    config = configure(augment=geometry, crop=32).model_copy(update={"seed": seed})
    pixels, found = source(config, scene(labels, image)).batch(0)
    raw = pixels * 50 + torch.tensor([100.0, 101, 102])[:, None, None]
    agree = (raw.argmax(1) == found).float().mean().item()
    assert agree > 0.97
    if seed % 7 == 0:
        assert (raw.argmax(1) == found.flip(2)).float().mean().item() < agree


def test_the_eight_symmetries_are_eight() -> None:
    labels = torch.zeros(48, 48, dtype=torch.uint8)
    labels[10:30, 8:20] = 1
    seen = set()
    for which in range(8):
        image, moved = augment.symmetry(labels[None].float(), labels, which)
        assert torch.equal(image[0], moved.float())
        seen.add(moved.numpy().tobytes())
    assert len(seen) == 8


def test_a_warp_turns_by_the_angle_and_bends_by_the_field() -> None:
    grid = torch.stack(torch.meshgrid(torch.arange(64.0), torch.arange(64.0), indexing="ij"))[None]
    dice = augment.throw(np.random.default_rng(0), AugmentConfig(), crop=32, bands=2)
    labels = torch.zeros(1, 64, 64, dtype=torch.uint8)
    for degrees in (0.0, 90.0, 30.0):
        turned, _ = augment.warp(grid, labels, [replace(dice, degrees=degrees)], crop=32)
        cos, sin = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
        y, x = 3 - 15.5, 20 - 15.5
        expected = [31.5 + sin * x + cos * y, 31.5 + cos * x - sin * y]
        np.testing.assert_allclose(turned[0, :, 3, 20], expected, atol=1e-4)
    shift = np.full((2, 3, 3), [[[2.0]], [[-3.0]]], np.float32)
    bent, _ = augment.warp(grid, labels, [replace(dice, nodes=shift)], crop=32)
    torch.testing.assert_close(bent[0, 1], grid[0, 1, 16:48, 16:48] + 2, atol=1e-4, rtol=0)
    torch.testing.assert_close(bent[0, 0], grid[0, 0, 16:48, 16:48] - 3, atol=1e-4, rtol=0)


def test_strength_zero_changes_nothing_and_what_lies_outside_the_range_stays() -> None:
    dice = [augment.throw(np.random.default_rng(i), AugmentConfig(), crop=16, bands=3) for i in range(4)]
    pixels = torch.rand(4, 3, 16, 16) * 3 - 1
    assert torch.equal(augment.photometric(pixels, dice), pixels)
    dark = [replace(d, gamma=2.0) for d in dice]
    lit = augment.photometric(pixels, dark)
    inside = (pixels >= 0) & (pixels <= 1)
    torch.testing.assert_close(lit[inside], pixels[inside] ** 2)
    torch.testing.assert_close(lit[~inside], pixels[~inside])


@pytest.mark.parametrize("bands", [1, 2, 3, 5])
def test_every_strength_changes_the_picture_for_any_number_of_bands(bands: int) -> None:
    pixels = torch.rand(2, bands, 32, 32)
    for name in ("brightness", "contrast", "gamma", "gain", "saturation", "blur", "noise"):
        settings = AugmentConfig(**{name: 1.0})
        dice = [augment.throw(np.random.default_rng(i), settings, crop=32, bands=bands) for i in range(8)]
        lit = augment.photometric(pixels[[0] * 8], dice)
        changed = (lit != pixels[[0] * 8]).flatten(1).any(1)
        assert changed.any() != (name == "saturation" and bands == 1), name
        assert lit.min() >= 0
        assert lit.max() <= 1


def test_blur_keeps_the_mean() -> None:
    pixels = torch.rand(4, 3, 16, 16)
    blurred = augment.blur(pixels, torch.tensor([0.0, 0.5, 1.0, 1.5]))
    torch.testing.assert_close(blurred[0], pixels[0])
    assert (blurred.var((1, 2, 3)).diff() < 0).all()
    flat = torch.full((1, 3, 16, 16), 0.3)
    torch.testing.assert_close(augment.blur(flat, torch.tensor([1.2])), flat)


def test_bands_are_wiped_out_but_never_all_and_rectangles_are_pasted() -> None:
    labels = shared.tiny_labels()
    config = configure(batch=64, augment={"symmetries": False, "channel_dropout": 0.9})
    pixels, _ = source(config, scene(labels)).batch(0)
    gone = (pixels == 0).flatten(2).all(2)
    assert gone.any()
    assert (gone.sum(1) <= 2).all()
    zero, one = scene(labels * 0), scene(labels * 0 + 1, name="t")
    mixed = configure(batch=64, crop=16, augment={"symmetries": False, "cutmix": 1.0})
    _, found = source(mixed, zero, one).batch(0)
    shares = (found == 1).float().flatten(1).mean(1)
    assert ((shares > 0.05) & (shares < 0.95)).sum() > 16


def test_float_bands_below_zero_survive_augmentation() -> None:
    labels = shared.tiny_labels()
    heights = np.random.default_rng(0).normal(-300, 20, (64, 64, 1)).astype(np.float32)
    config = configure(bands=1, augment={"brightness": 0.1, "contrast": 0.1})
    scaling = Scaling.of([InputBand(name="h", mean=-300, std=20)], "float32")
    pixels, _ = WindowSource([scene(labels, heights)], config, scaling).batch(0)
    assert pixels.std() == pytest.approx(1, abs=0.2)


def test_a_survey_counts_every_pixel_and_finds_the_smallest_class(monkeypatch: pytest.MonkeyPatch) -> None:
    labels = np.full((1500, 40), 1, np.uint8)
    labels[700, 33], labels[:9] = 2, EMPTY
    image = np.random.default_rng(0).integers(0, 255, (1500, 40, 2), np.uint8)
    found = survey(scene(labels, image), 3)
    assert found.counts.tolist() == [0, 1500 * 40 - 360 - 1, 1]
    assert found.places[2].tolist() == [[700, 33]]
    for row, col in found.places[1]:
        assert labels[row, col] == 1
    mean, std = normalisation([found])
    seen = image[::4, ::4][labels[::4, ::4] != EMPTY]
    np.testing.assert_allclose(mean, seen.mean(0))
    np.testing.assert_allclose(std, seen.std(0))
    monkeypatch.setattr("geounet.train.open_source.STRIP", 37)
    again = survey(scene(labels, image), 3)
    assert again.counts.tolist() == found.counts.tolist()
    np.testing.assert_allclose(normalisation([again]), (mean, std))


def test_classes_without_a_pixel_are_named() -> None:
    found = [survey(scene(np.ones((32, 32), np.uint8)), 3)]
    config = configure()
    assert check_classes(class_counts(found), config) == [
        "no training scene shows building, water: the model will not know what that looks like"
    ]
    marked = config.model_copy(update={"heads": (config.heads[0].model_copy(update={"marks": "water"}),)})
    with pytest.raises(ConfigError, match="head 'landuse' marks 'water', which no training scene shows"):
        check_classes(class_counts(found), marked)
    with pytest.raises(ConfigError, match=r"has a labelled pixel with data; .*not all nodata or NaN there"):
        check_classes(np.zeros(3, np.int64), config)


def test_what_is_validated_on_has_labels_or_no_score_means_anything() -> None:
    config, unknown = configure(), np.full((32, 32), NODATA, np.uint8)
    assert check_held([], config) == []
    assert check_held([scene(shared.tiny_labels()), scene(unknown)], config) == []
    assert check_held([scene(np.ones((32, 32), np.uint8))], config) == [
        "nothing that is validated on shows building, water: the scores say little of it"
    ]
    with pytest.raises(ConfigError, match=r"what is validated on \(.*\) has no labelled pixel; expected labels"):
        check_held([scene(unknown)], config)


Write = Callable[..., Path]


def test_a_sheet_of_samples_is_drawn_and_looks_like_its_scene(tiny: Write, tmp_path: Path) -> None:
    from PIL import Image

    from geounet.cli.main import run

    file = tiny(augment={k: v for k, v in STRONG.items() if k != "cutmix"})
    assert run(["train", str(file), "--samples", str(tmp_path / "sheet.png"), "--quiet"]) == 0
    sheet = np.asarray(Image.open(tmp_path / "sheet.png"))
    assert sheet.shape == (6 * 38 + 6 + 26, 4 * (66 + 6) + 6, 3)
    assert len(np.unique(sheet.reshape(-1, 3), axis=0)) > 100
    assert {p.name for p in tmp_path.iterdir()} == {"scene.tif", "labels.tif", "train.yaml", "sheet.png"}
    assert run(["train", str(file), "--samples", str(tmp_path / "sheet.jpg")]) == 2
    assert run(["train", str(file), "--samples", str(tmp_path / "no" / "sheet.png")]) == 2
    assert run(["train", str(file)]) == 2
