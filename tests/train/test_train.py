"""The whole trainer on a tiny scene."""

from __future__ import annotations

import contextlib
import csv
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import torch
import yaml

import geounet
from geounet.cli.main import run
from geounet.errors import ConfigError, Interrupted, MissingExtraError, ModelError, SceneError, WorkError
from geounet.model.networks import load_network, read_weights
from geounet.model.package import load_model
from geounet.train import TrainStep, checkpoint, package_training, plan_training, ship, train, train_folds
from geounet.train.config import load_config
from geounet.train.folds import _of_fold
from geounet.train.job import prepare
from geounet.train.recipe import train_config
from geounet.train.scenes import load_scenes
from geounet.train.state import BEST, LAST, METRICS
from geounet.train.validate import predict

Write = Callable[..., Path]


def last_weights(output: Path) -> dict[str, torch.Tensor]:
    state = torch.load(output / LAST, weights_only=True)
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


def command(file: Path, output: Path, *more: str) -> list[str]:
    given = ["--device", "cpu", "--threads", "1", *more]
    return [sys.executable, "-m", "geounet", "train", str(file), "-o", str(output), *given]


LINGERING = """
import sys, time
from pathlib import Path
from geounet.train import train
file, output, last = map(Path, sys.argv[1:])
train(file, output, device="cpu", threads=1, tick=lambda _step: time.sleep(0.2 * last.exists()))
"""
"""Trains, with a pause after each step once there is a checkpoint: who is to kill it half-way has the time."""


def test_a_training_that_was_killed_goes_on_to_the_same_weights(tiny: Write, tmp_path: Path) -> None:
    """A real kill -9, at whatever moment it comes."""
    file = tiny(
        network={"hyperparameters": {"depth": 1, "width": 8, "dropout": 0.3}, "divisor": 2},
        optimiser={"steps": 90, "batch": 2, "lr": 0.01, "ema": 0.9, "accumulate": 2, "clip": 1},
        schedule={"validate_every": 40, "save_every": 3, "tile": 32, "overlap": 8},
        head_weights="learned",
    )
    output = tmp_path / "killed"
    killed = subprocess.Popen([sys.executable, "-W", "ignore", "-c", LINGERING, file, output, output / LAST])
    while not (tmp_path / "killed" / LAST).exists():
        assert killed.poll() is None
        time.sleep(0.005)
    killed.kill()
    assert killed.wait() == -signal.SIGKILL
    assert not (tmp_path / "killed" / "tiny").exists()
    resumed = train(file, tmp_path / "killed", device="cpu")
    whole = train(file, tmp_path / "whole", device="cpu")
    assert_same(last_weights(tmp_path / "whole"), last_weights(tmp_path / "killed"))
    assert_same(read_weights(whole / "weights.safetensors"), read_weights(resumed / "weights.safetensors"))
    assert (tmp_path / "whole" / METRICS).read_bytes() == (tmp_path / "killed" / METRICS).read_bytes()
    with (tmp_path / "killed" / METRICS).open() as stream:
        steps = [int(row["step"]) for row in csv.DictReader(stream)]
    assert steps == [25, 40, 50, 75, 80, 90]


@pytest.mark.slow
def test_a_training_that_is_killed_again_and_again(tiny: Write, tmp_path: Path) -> None:
    file = tiny(optimiser={"steps": 150, "batch": 2, "lr": 0.01, "ema": 0.9, "lr_schedule": "plateau"})
    rng = np.random.default_rng(0)
    for _ in range(6):
        process = subprocess.Popen(command(file, tmp_path / "killed", "-q"))
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(float(rng.uniform(4, 14)))
        process.kill()
        process.wait()
    train(file, tmp_path / "killed", device="cpu")
    train(file, tmp_path / "whole", device="cpu")
    assert_same(last_weights(tmp_path / "whole"), last_weights(tmp_path / "killed"))
    assert (tmp_path / "whole" / METRICS).read_bytes() == (tmp_path / "killed" / METRICS).read_bytes()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_ends_between_two_steps_with_a_checkpoint(tiny: Write, tmp_path: Path, number: int) -> None:
    file = tiny()
    before = signal.getsignal(number)

    def interrupt(step: int) -> None:
        if step == 2:
            os.kill(os.getpid(), number)

    with pytest.raises(Interrupted, match=r"stopped after step 3 of 6; the same command goes on, last\.pt holds"):
        train(file, tmp_path / "out", tick=interrupt)
    assert torch.load(tmp_path / "out" / LAST, weights_only=True)["step"] == 3
    assert signal.getsignal(number) is before
    train(file, tmp_path / "out")
    train(file, tmp_path / "whole")
    assert_same(last_weights(tmp_path / "whole"), last_weights(tmp_path / "out"))


def stopped(file: Path, output: Path, *, after: int) -> None:
    """A training that ends without a word after a step; checkpoints are saved every second one."""

    with pytest.raises(RuntimeError, match="power cut"):
        train(file, output, tick=cut_at(after))


def cut_at(after: int) -> Callable[[int], None]:
    """Told of every step, ends after one of them."""

    def cut(step: int) -> None:
        if step == after:
            raise RuntimeError("power cut")

    return cut


def test_a_stopped_training_is_packaged_and_can_go_on(tiny: Write, tmp_path: Path) -> None:
    file, output = tiny(), tmp_path / "out"
    stopped(file, output, after=5)  # validated after 3 steps, saved after 4
    best = torch.load(output / BEST, weights_only=True)
    assert run(["train", str(file), "-o", str(output), "--package", "--device", "cpu", "-q"]) == 0
    package = load_model(output / "tiny")
    assert package.weights is not None
    assert_same({k: v.float() for k, v in read_weights(package.weights).items()}, half(best["average"]))
    record = package.spec.provenance
    assert (record["step"], record["steps"], record["scores"]) == (3, 6, best["scores"])
    assert train(file, output) == output / "tiny"
    assert load_model(output / "tiny").spec.provenance["step"] in (3, 6)
    train(file, tmp_path / "whole")
    assert_same(last_weights(tmp_path / "whole"), last_weights(output))


def test_the_last_weights_of_stopped_folds_are_packaged_with_scores_of_their_own(
    tiny: Write, tmp_path: Path
) -> None:
    file, output = tiny(ship="last"), tmp_path / "out"
    config = load_config(file)
    for number, groups in ((1, ("a",)), (2, ("b",))):
        with pytest.raises(RuntimeError, match="power cut"):
            train_config(
                _of_fold(config, number, groups),
                output / f"fold-{number}",
                base=tmp_path,
                cache=output / "cache",
                tick=cut_at(5),
            )
    assert run(["train", str(file), "-o", str(output), "--folds", "2", "--package", "--device", "cpu", "-q"]) == 0
    found = json.loads((output / "folds.json").read_text())
    assert [fold["step"] for fold in found["folds"]] == [4, 4]  # validated after 3 steps, saved after 4
    for fold in found["folds"]:
        package = load_model(output / fold["package"])
        assert (package.spec.provenance["step"], package.spec.provenance["steps"]) == (4, 6)
        scene = load_scenes(config, root=tmp_path, cache=output / "cache")[0]
        labels = predict(load_network(package), scene, package.spec)[0]
        assert (labels == scene.labels).mean() == pytest.approx(fold["landuse_accuracy"], abs=0.005)
    assert run(["train", str(file), "-o", str(output), "--package", "--fresh"]) == 2


def half(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Weights as a package has them: those of convolutions in float16, and no counters."""
    return {
        name: (tensor.half() if tensor.ndim == 4 else tensor).float()
        for name, tensor in state.items()
        if tensor.is_floating_point()
    }


def test_a_training_that_was_killed_before_its_first_checkpoint_is_packaged_by_its_scores_only(
    tiny: Write, tmp_path: Path
) -> None:
    often = {"validate_every": 1, "save_every": 5, "tile": 32, "overlap": 8}
    stopped(tiny(schedule=often), tmp_path / "best", after=2)
    assert not (tmp_path / "best" / LAST).exists()
    package = package_training(tiny(schedule=often), tmp_path / "best")
    record = load_model(package).spec.provenance
    assert record["step"] == record["scores"]["step"] in (1, 2)
    stopped(tiny(schedule=often, ship="last"), tmp_path / "last", after=2)
    for folder in (tmp_path / "last", tmp_path / "absent"):
        with pytest.raises(ConfigError, match="has no checkpoint to package; expected the --output of a training"):
            package_training(tiny(schedule=often, ship="last"), folder)
    assert not (tmp_path / "last" / "tiny").exists()


def test_a_folder_that_cannot_become_the_package_is_found_out_before_the_first_step(
    tiny: Write, tmp_path: Path
) -> None:
    file, output = tiny(), tmp_path / "out"
    (output / "tiny").mkdir(parents=True)
    (output / "tiny" / "thesis.txt").write_text("mine")
    for call in (train, plan_training, package_training):
        with pytest.raises(ModelError, match=r"is there and is no model package \(it has no model\.json\)"):
            call(file, output)
    assert [path.name for path in output.iterdir()] == ["tiny"]
    (tmp_path / "folds" / "fold-2" / "tiny").mkdir(parents=True)
    with pytest.raises(ModelError, match="is no model package"):
        train_folds(file, tmp_path / "folds", 2)
    assert not (tmp_path / "folds" / "fold-1").exists()  # nor is the first fold trained


@pytest.mark.parametrize("stored", [None, 0])
def test_a_file_in_the_place_of_the_folder_is_left_alone(tiny: Write, tmp_path: Path, stored: int | None) -> None:
    data = yaml.safe_load(tiny().read_text())["data"] | {"cache_gb": stored}
    (tmp_path / "out").write_text("mine")
    with pytest.raises(ConfigError, match=r"out.* cannot be written: .*; choose another --output"):
        train(tiny(data=data), tmp_path / "out")
    assert (tmp_path / "out").read_text() == "mine"


def test_a_second_ctrl_c_ends_at_once(tiny: Write, tmp_path: Path) -> None:
    def interrupt(step: int) -> None:
        if step == 2:
            os.kill(os.getpid(), signal.SIGINT)
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        train(tiny(), tmp_path / "out", tick=interrupt)
    assert torch.load(tmp_path / "out" / LAST, weights_only=True)["step"] == 2
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@contextlib.contextmanager
def disk_of(size: int) -> Iterator[None]:
    """No file may grow beyond ``size`` bytes: writing fails as on a full disk, with another errno."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("room", [1_000, 20_000])  # torch itself notices the one, its archive's end the other
def test_a_disk_that_is_full_while_a_checkpoint_is_saved_costs_nothing(
    tiny: Write, tmp_path: Path, room: int
) -> None:
    file, output = tiny(), tmp_path / "out"
    train(file, tmp_path / "whole")
    with contextlib.ExitStack() as stack:

        def fill(step: int) -> None:
            if step == 4:  # its checkpoint is there, and so are the best weights of step 3
                stack.enter_context(disk_of(room))

        with pytest.raises(WorkError, match=r"cannot be written: File too large; the one before it is kept; "):
            train(file, output, tick=fill)
    assert torch.load(output / LAST, weights_only=True)["step"] == 4
    assert [path.name for path in output.iterdir() if path.name.startswith(".")] == []
    train(file, output)
    assert_same(last_weights(tmp_path / "whole"), last_weights(output))


def test_a_disk_that_is_full_while_the_package_is_saved_leaves_no_half_package(tiny: Write, tmp_path: Path) -> None:
    file, output = tiny(), tmp_path / "out"
    package = train(file, output)
    before = {path.name: path.read_bytes() for path in package.iterdir()}
    with disk_of(2_000), pytest.raises(OSError, match="too large"):
        train(file, output)  # nothing is left to do but the package
    assert {path.name: path.read_bytes() for path in package.iterdir()} == before
    assert [path.name for path in output.iterdir() if path.name.startswith(".tiny")] == []


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


def test_a_copy_of_a_training_goes_on(tiny: Write, tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    file = tiny()
    train(file, tmp_path / "out")
    copy = tmp_path.with_name(f"{tmp_path.name}-copy")
    shutil.copytree(tmp_path, copy, copy_function=shutil.copyfile)  # as cp -r: with the times of the copy
    assert plan_training(copy / file.name, copy / "out").done == 6
    assert train(copy / file.name, copy / "out").is_dir()


def test_scaling_is_computed_once_over_the_scenes_when_it_is_not_given(tiny: Write, tmp_path: Path) -> None:
    package = load_model(train(tiny(), tmp_path / "out"))
    config = load_config(tmp_path / "train.yaml")
    image = load_scenes(config, root=tmp_path, cache=tmp_path / "again")[0].image[::4, ::4].astype(float)
    expected = image.reshape(-1, 3)
    np.testing.assert_allclose([b.mean for b in package.spec.bands], expected.mean(0))
    np.testing.assert_allclose([b.std for b in package.spec.bands], expected.std(0))
    partly = plan_training(tiny(bands=[{"name": "red", "mean": 5}, {"name": "green", "std": 7}, {"name": "blue"}]))
    np.testing.assert_allclose([b["mean"] for b in partly.bands], [5, *expected.mean(0)[1:]])
    np.testing.assert_allclose([b["std"] for b in partly.bands], [expected.std(0)[0], 7, expected.std(0)[2]])


def test_what_is_stretched_is_scored_and_mapped_alike(tiny: Write, tmp_path: Path) -> None:
    """The trainer's scores, and a run over the scene, see it in the exposure that the package asks for."""
    bands = [{"name": n, "mean": 127, "std": 64} for n in ("red", "green", "blue")]
    with rasterio.open(tmp_path / "scene.tif") as file:  # a dark twin of what is learned from
        profile, pixels = file.profile, file.read()
    with rasterio.open(tmp_path / "dark.tif", "w", **profile) as file:
        file.write((pixels // 3 + 11).astype(np.uint8))
    scenes = [{"name": n, "group": n, "image": f"{n}.tif", "labels": "labels.tif"} for n in ("scene", "dark")]
    data = {"scenes": scenes, "validate_groups": ["dark"], "allow_overlap": True, "crop": 32}
    steps = {"optimiser": {"steps": 60, "batch": 2, "lr": 0.01}, "bands": bands, "data": data}
    file = tiny(**steps, stretch=[20, 190])
    folder = train(file, tmp_path / "out")
    package = load_model(folder)
    assert package.spec.stretch == (20, 190)
    scores = package.spec.provenance["scores"]
    assert scores["landuse_mean_iou"] > 0.9
    run_ = geounet.infer(tmp_path / "dark.tif", model=folder, output=tmp_path / "map", device="cpu")
    with rasterio.open(run_.paths["landuse.tif"]) as mapped:
        seen = mapped.read(1)
        assert mapped.tags()["GEOUNET_STRETCH"].endswith(" as 20 to 190")
    scene = load_scenes(load_config(file), root=tmp_path, cache=tmp_path / "out" / "cache")[1]
    assert (seen == predict(load_network(package), scene, package.spec)[0]).mean() > 0.999
    unstretched = train(tiny(**steps), tmp_path / "plain")
    assert load_model(unstretched).spec.provenance["scores"]["landuse_mean_iou"] < 0.7


def test_windows_are_stretched_unless_the_file_says_no(tiny: Write, tmp_path: Path) -> None:
    sources = {}
    for name, more in (
        ("no", {}),
        ("yes", {"stretch": [0, 400]}),
        ("off", {"stretch": [0, 400], "stretch_learned": False}),
    ):
        bands = [{"name": n, "mean": 0, "std": 1} for n in ("red", "green", "blue")]
        job = prepare(load_config(tiny(bands=bands, **more)), tmp_path / name, base=tmp_path, cache=tmp_path / "c")
        sources[name] = job.training.source.batch(0)[0]
    assert torch.equal(sources["no"], sources["off"])
    slope = np.polyfit(sources["no"].flatten(), sources["yes"].flatten(), 1)
    scene = load_scenes(load_config(tiny()), root=tmp_path, cache=tmp_path / "c")[0]
    low, high = np.percentile(np.asarray(scene.image), (2, 98))
    assert slope == pytest.approx([400 / (high - low), -400 * low / (high - low)], rel=1e-3)
    with pytest.raises(ConfigError, match=r"stretch \[9\.0, 1\.0\]; expected a low and a high value"):
        load_config(tiny(stretch=[9, 1]))


def test_sides_of_a_split_are_checked(tiny: Write, tmp_path: Path) -> None:
    scenes = [{"name": "one", "group": "a", "image": "scene.tif", "labels": "labels.tif"}]
    for groups, message in ((["z"], "validate_groups holds 'z'"), (["a"], "every scene is validated on")):
        file = tiny(data={"scenes": scenes, "crop": 32, "validate_groups": groups})
        with pytest.raises(ConfigError, match=message):
            train(file, tmp_path / "out")
    file = tiny(data={"scenes": [{**scenes[0], "image": "absent.tif"}], "crop": 32})
    with pytest.raises(SceneError, match=r"absent\.tif cannot be read"):
        train(file, tmp_path / "out")


def test_a_broken_checkpoint_is_named(tmp_path: Path) -> None:
    file = tmp_path / LAST
    file.write_bytes(b"PK\x03\x04 broken")
    with pytest.raises(ConfigError, match="cannot be read"):
        checkpoint.load(file, digest="d")


@pytest.mark.parametrize(
    "given", [{"device": "gpu"}, {"device": "cuda:97"}, {"device": "meta"}, {"threads": 0}, {"devices": 0}]
)
def test_a_device_or_thread_count_that_cannot_be_is_one_line(
    tiny: Write, tmp_path: Path, given: dict[str, Any]
) -> None:
    with pytest.raises(ConfigError, match=r"--devices?|--threads") as caught:
        train(tiny(), tmp_path / "out", **given)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_a_package_without_a_graph_says_so(tiny: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*_: object) -> bytes:
        raise MissingExtraError("onnx", "export", "exporting a graph")

    monkeypatch.setattr(ship, "export_graph", missing)
    said: list[str] = []
    folder = train(tiny(optimiser={"steps": 1, "batch": 1}), tmp_path / "out", warn=said.append)
    assert len(said) == 1
    assert "graph.onnx" in said[0]
    assert "geounet[export]" in said[0]
    assert load_model(folder).graph is None
