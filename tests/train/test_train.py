"""The whole trainer on a tiny scene."""

from __future__ import annotations

import csv
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pytest
import torch

from geounet.errors import ConfigError, Interrupted, MissingExtraError, SceneError, WorkError
from geounet.model.networks import load_network, read_weights
from geounet.model.package import load_model
from geounet.train import TrainStep, checkpoint, loop, recipe, train
from geounet.train.config import load_config
from geounet.train.scenes import load_scenes
from geounet.train.validate import predict

Write = Callable[..., Path]


def last_weights(output: Path) -> dict[str, torch.Tensor]:
    state = torch.load(output / loop.LAST, weights_only=True)
    return {**state["network"], **{f"average.{k}": v for k, v in state["average"].items()}}


def assert_same(left: dict[str, torch.Tensor], right: dict[str, torch.Tensor]) -> None:
    assert left.keys() == right.keys()
    assert [name for name, tensor in left.items() if not torch.equal(tensor, right[name])] == []


def test_learns_one_window_by_heart(tiny: Write, tmp_path: Path) -> None:
    seen: list[TrainStep] = []
    file = tiny(
        data={
            "scenes": [{"name": n, "group": n, "image": "scene.tif", "labels": "labels.tif"} for n in "ab"],
            "validate_groups": ["b"],
            "allow_overlap": True,
            "crop": 64,
        },
        optimiser={"steps": 120, "batch": 2, "lr": 0.01, "ema": 0.8},
        schedule={"validate_every": 60, "save_every": 60, "tile": 48, "overlap": 16},
    )
    package = load_model(train(file, tmp_path / "out", progress=seen.append))
    assert seen[-1].scores is not None
    assert seen[-1].scores["landuse_mean_iou"] >= 0.99
    assert seen[-1].scores["building_iou_building"] >= 0.99
    scores = package.spec.provenance["scores"]
    assert scores["score"] >= 0.99
    assert [scene["name"] for scene in package.spec.provenance["trained_on"]] == ["a"]

    # The saved package says the same as the network that was validated.
    config = load_config(file)
    scene = load_scenes(config, root=tmp_path, cache=tmp_path / "out" / "cache")[1]
    landuse, building = predict(load_network(package), scene, package.spec)
    assert (landuse == scene.labels).mean() >= 0.995
    assert ((building == 1) == (scene.labels == 0)).mean() >= 0.995


def test_one_seed_gives_the_same_weights_and_another_does_not(tiny: Write, tmp_path: Path) -> None:
    file = tiny(augment={"scale": [0.7, 1.5], "rotate": 30, "gain": 0.2, "blur": 1, "noise": 0.05})
    for name in ("one", "two"):
        train(file, tmp_path / name)
    assert_same(last_weights(tmp_path / "one"), last_weights(tmp_path / "two"))
    other = tiny(seed=1)
    train(other, tmp_path / "three")
    name = next(iter(last_weights(tmp_path / "one")))
    assert not torch.equal(last_weights(tmp_path / "one")[name], last_weights(tmp_path / "three")[name])


class Killed(BaseException):
    """What a kill looks like from inside: nothing after it runs, nothing is saved."""


def test_a_killed_training_goes_on_to_the_same_weights(
    tiny: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tiny(network={"hyperparameters": {"depth": 1, "width": 8, "dropout": 0.3}, "divisor": 2})
    whole = train(file, tmp_path / "whole")
    step = loop.train_step

    def dies(training: loop.Training, *batch: torch.Tensor) -> float:
        if training.step == 5:  # the checkpoint is from step 4
            raise Killed
        return step(training, *batch)

    with monkeypatch.context() as patch:
        patch.setattr(loop, "train_step", dies)
        with pytest.raises(Killed):
            train(file, tmp_path / "killed")
    assert torch.load(tmp_path / "killed" / loop.LAST, weights_only=True)["step"] == 4
    resumed = train(file, tmp_path / "killed")
    assert_same(last_weights(tmp_path / "whole"), last_weights(tmp_path / "killed"))
    assert_same(read_weights(whole / "weights.safetensors"), read_weights(resumed / "weights.safetensors"))
    for name in ("whole", "killed"):
        with (tmp_path / name / loop.METRICS).open() as stream:
            assert [row["step"] for row in csv.DictReader(stream)] == ["3", "6"]
    assert (tmp_path / "whole" / loop.METRICS).read_bytes() == (tmp_path / "killed" / loop.METRICS).read_bytes()


def test_ctrl_c_ends_between_two_steps_with_a_checkpoint(
    tiny: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tiny()
    step = loop.train_step

    def interrupted(training: loop.Training, *batch: torch.Tensor) -> float:
        if training.step == 2:
            os.kill(os.getpid(), signal.SIGINT)
        return step(training, *batch)

    with monkeypatch.context() as patch:
        patch.setattr(loop, "train_step", interrupted)
        with pytest.raises(Interrupted, match=r"stopped after step 3 of 6"):
            train(file, tmp_path / "out")
    assert torch.load(tmp_path / "out" / loop.LAST, weights_only=True)["step"] == 3
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    train(file, tmp_path / "out")
    train(file, tmp_path / "whole")
    assert_same(last_weights(tmp_path / "whole"), last_weights(tmp_path / "out"))


def test_a_loss_that_is_no_number_is_one_clear_line(tiny: Write, tmp_path: Path) -> None:
    file = tiny(bands=[{"name": n, "mean": 0, "std": 1e-38} for n in ("red", "green", "blue")])
    with pytest.raises(WorkError, match=r"the loss is nan at step 1; lower optimiser\.lr \(0\.01\)"):
        train(file, tmp_path / "out")
    assert not (tmp_path / "out" / "tiny").exists()


def test_a_checkpoint_of_another_file_is_refused_unless_fresh(tiny: Write, tmp_path: Path) -> None:
    train(tiny(), tmp_path / "out")
    with pytest.raises(ConfigError, match="belongs to another training file"):
        train(tiny(seed=3), tmp_path / "out")
    assert train(tiny(seed=3), tmp_path / "out", fresh=True).is_dir()


def test_scaling_is_computed_once_over_the_scenes_when_it_is_not_given(tiny: Write, tmp_path: Path) -> None:
    package = load_model(train(tiny(), tmp_path / "out"))
    config = load_config(tmp_path / "train.yaml")
    image = load_scenes(config, root=tmp_path, cache=tmp_path / "again")[0].image[::4, ::4].astype(float)
    expected = image.reshape(-1, 3)
    np.testing.assert_allclose([b.mean for b in package.spec.bands], expected.mean(0))
    np.testing.assert_allclose([b.std for b in package.spec.bands], expected.std(0))


def test_sides_of_a_split_are_checked(tiny: Write, tmp_path: Path) -> None:
    scenes = [{"name": "one", "group": "a", "image": "scene.tif", "labels": "labels.tif"}]
    for groups, message in ((["z"], "validate_groups holds 'z'"), (["a"], "every scene is validated on")):
        file = tiny(data={"scenes": scenes, "crop": 32, "validate_groups": groups})
        with pytest.raises(ConfigError, match=message):
            train(file, tmp_path / "out")
    file = tiny(data={"scenes": [{**scenes[0], "image": "absent.tif"}], "crop": 32})
    with pytest.raises(SceneError, match=r"absent\.tif cannot be read"):
        train(file, tmp_path / "out")


def test_a_checkpoint_that_cannot_be_written_leaves_the_one_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / loop.LAST
    checkpoint.save(file, {"step": 1}, digest="d")

    def full(state: object, stream: BinaryIO) -> None:
        stream.write(b"half of it")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(WorkError, match=r"cannot be written: .*No space left on device; the one before it is kept"):
        checkpoint.save(file, {"step": 2}, digest="d")
    assert [path.name for path in tmp_path.iterdir()] == [loop.LAST]
    before = checkpoint.load(file, digest="d")
    assert before is not None
    assert before["step"] == 1
    file.write_bytes(b"PK\x03\x04 broken")
    with pytest.raises(ConfigError, match="cannot be read"):
        checkpoint.load(file, digest="d")


@pytest.mark.parametrize("given", [{"device": "gpu"}, {"device": "cuda:97"}, {"device": "meta"}, {"threads": 0}])
def test_a_device_or_thread_count_that_cannot_be_is_one_line(
    tiny: Write, tmp_path: Path, given: dict[str, Any]
) -> None:
    with pytest.raises(ConfigError, match=r"--device|--threads") as caught:
        train(tiny(), tmp_path / "out", **given)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_a_package_without_a_graph_says_so(tiny: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*_: object) -> bytes:
        raise MissingExtraError("onnx", "export", "exporting a graph")

    monkeypatch.setattr(recipe, "export_graph", missing)
    said: list[str] = []
    folder = train(tiny(optimiser={"steps": 1, "batch": 1}), tmp_path / "out", warn=said.append)
    assert len(said) == 1
    assert "graph.onnx" in said[0]
    assert "geounet[export]" in said[0]
    assert load_model(folder).graph is None
