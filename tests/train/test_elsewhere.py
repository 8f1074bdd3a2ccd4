"""Windows as they would be elsewhere: another sensor changes pixels alone, another palette goes by the labels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from geounet.errors import ConfigError
from geounet.model.spec import NODATA, InputBand
from geounet.train.config import TrainConfig, load_config
from geounet.train.data import RawBatch, Scaling, WindowSource
from geounet.train.recolor import Palette, recolor
from geounet.train.scenes import EMPTY, TrainScene
from geounet.train.sensor import another_sensor

Write = Callable[..., Path]
GREEN = {"hue": [0.3, 0.35], "saturation": [0.5, 0.6], "value": [0.4, 0.5]}
RECOLOR = {"share": 1, "class_share": 1, "paints": {"land": [GREEN]}}


def configure(augment: dict[str, Any], bands: int = 3, **data: Any) -> TrainConfig:
    return TrainConfig.model_validate({
        "name": "x",
        "bands": [{"name": f"b{i}"} for i in range(bands)],
        "classes": [{"name": n, "color": "#ff0000"} for n in ("building", "land", "vegetation")],
        "heads": [{"name": "landuse"}],
        "network": {"divisor": 2},
        "optimiser": {"steps": 1, "batch": 12},
        "augment": augment,
        "data": {"crop": 32, **data},
    })  # fmt: skip


def source(config: TrainConfig, *scenes: TrainScene) -> WindowSource:
    bands = [InputBand(name=b.name, mean=100, std=50) for b in config.bands]
    return WindowSource(scenes, config, Scaling.of(bands, "uint8"))


def town(**facts: Any) -> TrainScene:
    """Land with buildings, a strip without data and one without labels."""
    labels = np.ones((64, 64), np.uint8)
    labels[8:40, 8:30], labels[44:], labels[:4] = 0, EMPTY, NODATA
    image = np.random.default_rng(1).integers(40, 200, (64, 64, 3), np.uint8)
    return TrainScene(**{"name": "t", "group": "g", "image": image, "labels": labels, **facts})


def plain(raw: RawBatch) -> RawBatch:
    """The same windows where nothing is seen by another sensor or in another palette."""
    windows = tuple(replace(w, dice=replace(w.dice, sensor=None, palette=None)) for w in raw.windows)
    return RawBatch(windows=windows, pasted={})


@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 2**32 - 1), bands=st.sampled_from([1, 2, 3, 5]))
def test_another_sensor_stays_in_the_range_and_is_the_same_for_a_seed(seed: int, bands: int) -> None:
    pixels = torch.rand(bands, 24, 20, generator=torch.Generator().manual_seed(seed % 97)) * 3 - 1
    given_pixels = pixels.clone()
    seen = another_sensor(pixels, seed)
    assert torch.equal(pixels, given_pixels)
    torch.manual_seed(seed % 7)  # nothing may come from torch's own generator
    assert torch.equal(another_sensor(pixels, seed), seen)
    inside = seen - (pixels - pixels.clamp(0, 1))
    assert torch.isfinite(seen).all()
    assert inside.min() >= -1e-6
    assert inside.max() <= 1 + 1e-6


def test_sensors_differ_and_most_change_the_picture() -> None:
    pixels = torch.rand(3, 32, 32) * 0.6 + 0.2
    seen = [another_sensor(pixels, seed) for seed in range(40)]
    assert sum(bool((s - pixels).abs().mean() > 0.01) for s in seen) > 30
    assert len({s.numpy().tobytes() for s in seen}) > 35
    means = [float(s.mean()) for s in seen]
    assert min(means) < 0.35  # dark ones
    assert max(means) > 0.6


def test_another_sensor_changes_pixels_alone_and_takes_the_place_of_the_light() -> None:
    light = {"brightness": 0.3, "gamma": 0.5, "noise": 0.1, "gain": 0.2, "rotate": 30}
    windows = source(configure({**light, "sensor_share": 1}), town())
    raw = windows.read(0)
    for window in raw.windows:
        assert (window.dice.brightness, window.dice.gamma, window.dice.grain) == (0, 1, None)
        assert window.dice.sensor is not None
    pixels, labels = windows.finish(raw)
    before, same = windows.finish(plain(raw))
    assert torch.equal(labels, same)
    assert (pixels != before).flatten(1).any(1).sum() >= 10
    some = source(configure({**light, "sensor_share": 0.5}), town()).read(3).windows
    assert {w.dice.sensor is None for w in some} == {True, False}
    assert all((w.dice.gamma == 1) == (w.dice.sensor is not None) for w in some)


def test_pixels_without_data_stay_nought_whatever_the_sensor_and_the_palette() -> None:
    windows = source(configure({"sensor_share": 1, "recolor": RECOLOR}), town())
    raw = windows.read(1)
    pixels, labels = windows.finish(raw)
    empty = torch.stack([(w.labels == EMPTY).any() for w in raw.windows])
    assert empty.any()
    assert ((pixels == 0).all(1) & (labels == NODATA)).flatten(1).any(1)[empty].all()
    assert set(labels.unique().tolist()) <= {0, 1, NODATA}


def painted(seed: int, labels: Tensor, **changes: Any) -> tuple[Tensor, Tensor, Tensor]:
    palette = Palette.of(configure({"recolor": {**RECOLOR, **changes}}))
    assert palette is not None
    pixels = torch.rand(3, *labels.shape, generator=torch.Generator().manual_seed(3)) * 0.2 + 0.4
    return pixels, *recolor(pixels, labels, palette, seed)


@settings(deadline=None, max_examples=8)
@given(seed=st.integers(0, 2**32 - 1))
def test_a_class_gets_another_colour_and_what_has_no_label_keeps_its_own(seed: int) -> None:
    labels = torch.ones(48, 48, dtype=torch.uint8)
    labels[:, 24:], labels[:8] = 0, NODATA
    pixels, out, found = painted(seed, labels)
    assert torch.equal(found, labels)
    red, green, blue = out[:, 16:40, 4:18].mean((1, 2)).tolist()
    assert 0.35 < green < 0.55
    assert max(red, blue) < green - 0.1
    torch.testing.assert_close(out[:, 16:40, 30:], pixels[:, 16:40, 30:])  # buildings are not named
    torch.testing.assert_close(out[:, :3, :18], pixels[:, :3, :18])
    again = painted(seed, labels)[1]
    assert torch.equal(again, out)
    assert not torch.equal(painted(seed + 1, labels)[1], out)


def test_an_empty_list_of_paints_changes_the_brightness_alone() -> None:
    labels = torch.zeros(32, 32, dtype=torch.uint8)
    pixels, out, _ = painted(5, labels, paints={"building": []})
    ratio = (out / pixels).flatten(1)
    torch.testing.assert_close(ratio, ratio[:, :1].expand_as(ratio), atol=1e-4, rtol=1e-4)
    assert (ratio[:, 0] - 1).abs().max() > 0.02


def test_land_that_becomes_lawn_is_labelled_vegetation() -> None:
    labels = torch.ones(32, 32, dtype=torch.uint8)
    labels[:4], labels[4:8], labels[8:12] = NODATA, EMPTY, 0
    change = {"of": "land", "becomes": "vegetation", "share": 1, "paints": [GREEN]}
    _, out, found = painted(1, labels, paints={}, class_share=0, relabel=change)
    assert (found[12:] == 2).all()
    assert torch.equal(found[:12], labels[:12])
    assert out[:, 20:].mean((1, 2)).argmax() == 1
    _, _, kept = painted(1, labels, relabel={**change, "share": 0})
    assert torch.equal(kept, labels)


def test_drawn_and_photographed_scenes_have_shares_of_their_own() -> None:
    settings = {**RECOLOR, "share": 0, "drawn_share": 1}
    windows = source(configure({"recolor": settings}, sample_share=0.5), town(), town(name="d", synthetic=True))
    read = [w for step in range(4) for w in windows.read(step).windows]
    share = np.mean([w.dice.palette is not None for w in read])
    assert 0.25 < share < 0.75
    assert all(w.dice.palette is None for w in source(configure({"recolor": settings}), town()).read(0).windows)


@pytest.mark.parametrize(
    ("recolors", "message"),
    [
        ({"paints": {"lawn": []}}, r"recolor names 'lawn'; expected one of building, land, water"),
        ({"paints": {}, "relabel": {"of": "land", "becomes": "sea", "paints": [GREEN]}}, r"recolor names 'sea'"),
        ({"paints": {"land": [{**GREEN, "hue": [0.5, 0.4]}]}}, r"hue \[0\.5, 0\.4\]; expected the smaller"),
        ({"paints": {"land": [{**GREEN, "value": [0, 2]}]}}, r"value\.1: .*less than or equal to 1"),
        ({"paints": {}, "shares": 0.1}, r"unknown key 'shares'; did you mean 'share'\?"),
    ],
)
def test_a_palette_that_cannot_be_is_one_line(tiny: Write, recolors: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        load_config(tiny(augment={"recolor": recolors}))
    assert "\n" not in str(caught.value)


def test_a_palette_is_for_three_bands(tiny: Write) -> None:
    with pytest.raises(ConfigError, match=r"augment\.recolor is for three bands"):
        load_config(tiny(bands=[{"name": "only"}], augment={"recolor": {"paints": {}}}))
