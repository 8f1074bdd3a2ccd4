"""How far a network looks: against networks that are known, against the card, and what a run says of it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import replace

import numpy as np
import packages
import pytest
import torch
from torch import nn

import geounet
import geounet.model.receptive
from geounet.cli.main import run
from geounet.errors import ModelError
from geounet.model.package import ZOO, load_model
from geounet.model.receptive import _by_change, landscape, measure, measure_network


class Box(nn.Module):
    """The mean of a square around every pixel, for every channel."""

    def __init__(self, side: int, *, channels: int = 4) -> None:
        super().__init__()
        self.layer = nn.Conv2d(2, channels, side, padding=side // 2, bias=False)
        nn.init.ones_(self.layer.weight)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layer(x)


@pytest.mark.parametrize("side", [1, 3, 9, 21])
def test_a_box_is_as_wide_as_it_is(side):
    """Every pixel of a box matters alike: 95 % of its area lie within the square of the same share."""
    found = measure_network(Box(side).eval(), packages.tiny_spec())
    inside = (2 * np.arange(side) + 1) ** 2
    assert found.side == 2 * int(np.argmax(inside >= 0.95 * side**2)) + 1
    assert found.shares[-1] == pytest.approx(1)
    assert found.side == measure_network(Box(side).eval(), packages.tiny_spec()).side


def test_a_deeper_network_looks_farther_and_a_graph_alone_tells_the_same(tmp_path):
    sides = []
    for depth in (0, 2):
        spec = packages.tiny_spec(hyperparameters={"depth": depth, "width": 4}, divisor=4)
        package = packages.load(packages.save(tmp_path / f"depth{depth}", packages.unet(spec), spec))
        by_gradient = geounet.model.receptive.measure_package(package).side
        by_change = measure(_by_change(package), bands=2, channels=spec.channels, side=spec.tile).side
        assert by_change == pytest.approx(by_gradient, rel=0.35, abs=2)
        sides.append(by_gradient)
    assert sides[0] < sides[1]


def test_landscapes_are_scaled_as_networks_expect_their_input():
    pixels = landscape(np.random.default_rng(0), bands=3, side=64)
    assert pixels.shape == (3, 64, 64)
    np.testing.assert_allclose(pixels.mean((1, 2)), 0, atol=1e-5)
    np.testing.assert_allclose(pixels.std((1, 2)), 1, atol=1e-5)


@pytest.mark.slow
def test_the_default_model_s_card_says_what_is_measured():
    package = load_model()
    found = geounet.model.receptive.measure_package(package).side
    assert package.spec.receptive_field == pytest.approx(found, abs=4)
    assert package.spec.overlap >= found


def test_the_default_model_has_its_number_and_an_overlap_that_suffices():
    spec = load_model().spec
    assert spec.receptive_field is not None
    assert spec.overlap >= spec.receptive_field


def test_the_number_changes_no_digest_and_a_bad_one_is_refused(tmp_path):
    shutil.copytree(ZOO / "landuse-roads", tmp_path / "model")
    card = tmp_path / "model" / "model.json"
    item = json.loads(card.read_text())
    for number, ok in ((None, True), (33, True), (0, False), ("wide", False), (True, False)):
        item["properties"]["geounet:receptive_field"] = number
        card.write_text(json.dumps(item))
        if ok:
            assert load_model(tmp_path / "model").digest == load_model().digest
        else:
            with pytest.raises(ModelError, match="receptive field"):
                load_model(tmp_path / "model")


@pytest.fixture
def model(tmp_path):
    """Tiles of 64 that overlap by 16; its card says that it needs 21."""
    spec = packages.tiny_spec(receptive_field=21)
    return packages.save(tmp_path / "model", packages.unet(spec), spec)


def test_a_run_warns_where_the_overlap_is_smaller(tmp_path, model):
    scene = packages.write_scene(tmp_path / "scene.tif", packages.texture((90, 130)))
    warned = geounet.plan(scene, model=str(model), device="cpu").warnings
    assert any("overlap by 16 px" in w and "--overlap 21" in w for w in warned)
    enough = geounet.plan(scene, model=str(model), device="cpu", overlap=21)
    assert not any("overlap" in w for w in enough.warnings)
    small = packages.write_scene(tmp_path / "small.tif", packages.texture((60, 60)))
    assert not any("overlap" in w for w in geounet.plan(small, model=str(model), device="cpu").warnings)


def test_info_tells_the_number_and_measures_where_there_is_none(tmp_path, model, capsys):
    assert run(["info", str(model)]) == 0
    assert "an overlap of 21 px; its own is too small: give --overlap 21" in capsys.readouterr().out
    spec = replace(packages.tiny_spec(), overlap=48)
    bare = packages.save(tmp_path / "bare", packages.unet(spec), spec)
    assert run(["info", str(bare)]) == 0
    told = capsys.readouterr().out
    assert "measured now" in told
    assert "its own has it" in told
    assert run(["models", "export", str(bare), "-o", str(tmp_path / "out"), "-q"]) == 0
    assert load_model(tmp_path / "out").spec.receptive_field is not None
    assert load_model(tmp_path / "out").digest == load_model(bare).digest


def test_a_stored_number_is_told_without_torch(model):
    code = (
        "import sys; from geounet.cli.main import run; "
        f"code = run(['info', {str(model)!r}]); sys.exit(code or int('torch' in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False, capture_output=True).returncode == 0
