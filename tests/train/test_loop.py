"""What the loop does beside stepping: portions, devices, precision, patience, the story in the package."""

from __future__ import annotations

import contextlib
import csv
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch

from geounet.cli.main import run
from geounet.errors import ConfigError, MissingExtraError
from geounet.model.networks import load_network
from geounet.model.package import load_model
from geounet.train import load_config, plan_training, train
from geounet.train.state import LAST, METRICS

Write = Callable[..., Path]
PLAIN = {"hyperparameters": {"depth": 1, "width": 8, "batch_norm": False}, "divisor": 2}
"""Without batch normalisation, and with a loss that is a mean over pixels, a batch may be divided at will."""
ALONE = {"scenes": [{"name": "one", "group": "a", "image": "scene.tif", "labels": "labels.tif"}], "crop": 32}
ENTROPY = [{"name": "landuse", "loss": {"cross_entropy": 1, "dice": 0}}]


def network_of(output: Path) -> dict[str, torch.Tensor]:
    return dict(torch.load(output / LAST, weights_only=True)["network"])


def rows_of(output: Path) -> list[dict[str, str]]:
    with (output / METRICS).open() as stream:
        return list(csv.DictReader(stream))


def test_portions_of_a_batch_make_the_same_step(tiny: Write, tmp_path: Path) -> None:
    for name, portions in (("whole", 1), ("parts", 4)):
        settings = {"steps": 5, "batch": 4, "lr": 0.01, "clip": 0.5, "accumulate": portions}
        train(tiny(network=PLAIN, heads=ENTROPY, optimiser=settings), tmp_path / name)
    whole, parts = network_of(tmp_path / "whole"), network_of(tmp_path / "parts")
    for name, tensor in whole.items():
        torch.testing.assert_close(parts[name], tensor, atol=2e-5, rtol=1e-3)


@pytest.mark.slow
def test_two_processes_share_the_batch_and_make_the_same_step(tiny: Write, tmp_path: Path) -> None:
    file = tiny(network=PLAIN, heads=ENTROPY, optimiser={"steps": 6, "batch": 4, "lr": 0.01, "ema": 0.5})
    given = ["-o", str(tmp_path / "two"), "--device", "cpu", "--devices", "2", "--threads", "1", "--json"]
    done = subprocess.run(
        [sys.executable, "-m", "geounet", "train", str(file), *given], capture_output=True, text=True, check=True
    )
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert [event["event"] for event in events] == ["step", "step", "done"]  # said once, not by each process
    assert done.stderr == ""
    train(file, tmp_path / "one", device="cpu")
    one, two = network_of(tmp_path / "one"), network_of(tmp_path / "two")
    for name, tensor in one.items():
        torch.testing.assert_close(two[name], tensor, atol=2e-5, rtol=1e-3)
    for ours, theirs in zip(rows_of(tmp_path / "one"), rows_of(tmp_path / "two"), strict=True):
        for key in ("loss", "score", "landuse_mean_iou"):
            assert float(theirs[key]) == pytest.approx(float(ours[key]), abs=1e-3)


def test_a_batch_that_the_devices_cannot_share_is_refused(tiny: Write, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"optimiser\.batch 3 cannot be divided among 2 devices in 1 portions"):
        train(tiny(optimiser={"steps": 1, "batch": 3}), tmp_path / "out", device="cpu", devices=2)


def test_mixed_precision_learns_and_float16_needs_a_gpu(tiny: Write, tmp_path: Path) -> None:
    settings = {"steps": 50, "batch": 2, "lr": 0.01}
    train(tiny(optimiser={**settings, "precision": "mixed"}, data=ALONE), tmp_path / "out", device="cpu")
    first, last = (float(row["loss"]) for row in rows_of(tmp_path / "out"))
    assert last < first
    assert {t.dtype for t in network_of(tmp_path / "out").values()} == {torch.float32, torch.int64}
    with pytest.raises(ConfigError, match="float16 needs a GPU"):
        train(tiny(optimiser={**settings, "precision": "float16"}), tmp_path / "half", device="cpu")


@pytest.mark.parametrize(
    "given",
    [
        {"method": "sgd", "lr_schedule": "one-cycle", "lr": 0.05},
        {"method": "rmsprop", "lr_schedule": "step", "lr_every": 8, "lr": 0.002},
        {"method": "adam", "lr_schedule": "constant", "warmup": 3, "lr": 0.01},
    ],
    ids=lambda given: given["method"],
)
def test_methods_and_rates_learn(tiny: Write, tmp_path: Path, given: dict[str, Any]) -> None:
    train(tiny(optimiser={"steps": 26, "batch": 2, **given}, data=ALONE), tmp_path / "out", device="cpu")
    first, last = (float(row["loss"]) for row in rows_of(tmp_path / "out"))
    assert last < first


def test_training_ends_early_and_lowers_its_rate_where_the_score_stays(tiny: Write, tmp_path: Path) -> None:
    file = tiny(
        optimiser={"steps": 90, "batch": 1, "lr": 1e-9, "lr_schedule": "plateau", "lr_patience": 1},
        schedule={"validate_every": 2, "save_every": 50, "patience": 3, "tile": 32, "overlap": 8},
    )
    train(file, tmp_path / "out", device="cpu")
    rows = rows_of(tmp_path / "out")
    assert [row["step"] for row in rows] == ["2", "4", "6", "8"]
    assert [float(row["lr"]) for row in rows] == pytest.approx([1e-9, 1e-9, 1e-10, 1e-11])
    state = torch.load(tmp_path / "out" / LAST, weights_only=True)
    assert (state["step"], state["stale"]) == (8, 3)
    train(file, tmp_path / "out", device="cpu")  # finished is finished
    assert rows_of(tmp_path / "out") == rows


@pytest.mark.parametrize("given", [{"schedule": {"patience": 2, "tile": 32, "overlap": 8}}, {"lr": "plateau"}])
def test_waiting_for_scores_that_nothing_gives_is_refused(
    tiny: Write, tmp_path: Path, given: dict[str, Any]
) -> None:
    if "lr" in given:
        given = {"optimiser": {"steps": 3, "lr_schedule": "plateau"}}
    with pytest.raises(ConfigError, match="watches the validation score, and nothing is validated"):
        train(tiny(data=ALONE, **given), tmp_path / "out")


def test_learned_weights_of_the_heads_move_and_are_told(tiny: Write, tmp_path: Path) -> None:
    file = tiny(
        head_weights="learned",
        heads=[{"name": "landuse", "weight": 2}, {"name": "building", "marks": "building"}],
        optimiser={"steps": 20, "batch": 2, "lr": 0.02},
    )
    package = load_model(train(file, tmp_path / "out", device="cpu"))
    state = torch.load(tmp_path / "out" / LAST, weights_only=True)
    assert (state["log_variances"] != 0).all()
    weights = package.spec.provenance["head_weights"]
    assert list(weights) == ["landuse", "building"]
    assert weights["landuse"] == pytest.approx(2 * torch.exp(-state["log_variances"][0]).item())


def test_the_package_tells_the_story_of_its_training(tiny: Write, tmp_path: Path) -> None:
    heads = [{"name": "landuse", "loss": {"class_weights": "frequency"}}, {"name": "water", "marks": "water"}]
    file = tiny(heads=heads)
    folder = train(file, tmp_path / "out", device="cpu")
    record = load_model(folder).spec.provenance
    assert load_config(folder / "train.yaml").digest == load_config(file).digest == record["config_digest"]
    assert (folder / "metrics.csv").read_bytes() == (tmp_path / "out" / METRICS).read_bytes()
    assert (folder / "curves.png").read_bytes().startswith(b"\x89PNG")
    assert {"torch", "lightning", "numpy", "python", "geounet"} <= record["versions"].keys()
    assert all(len(scene["digest"]) == 64 for scene in [*record["trained_on"], *record["validated_on"]])
    assert record["class_weights"]["water"] is None
    assert min(record["class_weights"]["landuse"]) < 1 < max(record["class_weights"]["landuse"])
    assert next((tmp_path / "out" / "tensorboard").iterdir()).name.startswith("events.out")
    assert load_network(load_model(folder)) is not None


def test_a_dry_run_reads_everything_and_trains_nothing(tiny: Write, tmp_path: Path) -> None:
    file = tiny()
    plan = plan_training(file, tmp_path / "out", device="cpu")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["cache"]
    assert (plan.steps, plan.done, plan.windows, plan.crop, plan.heads) == (6, 0, 2, 32, ("landuse", "building"))
    text = str(plan)
    assert "learned    one (group a): 0.0041 Mpx, 100% known: building 14.1%" in text
    assert "validated  same (group b)" in text
    train(file, tmp_path / "out", device="cpu")
    assert plan_training(file, tmp_path / "out").done == 6
    assert plan_training(file, tmp_path / "out", fresh=True).done == 0
    with pytest.raises(ConfigError, match="belongs to another training file"):
        plan_training(tiny(seed=9), tmp_path / "out")


def test_a_dry_run_without_a_folder_leaves_nothing_and_chips_are_one_line(
    tiny: Write, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("img", "mask"):
        (tmp_path / name).mkdir()
    for number in (1, 2):
        (tmp_path / "img" / f"{number}.tif").write_bytes((tmp_path / "scene.tif").read_bytes())
        (tmp_path / "mask" / f"{number}.tif").write_bytes((tmp_path / "labels.tif").read_bytes())
    chips = {"name": "c", "group": "town", "images": "img/*.tif", "labels": "mask/*.tif"}
    file = tiny(data={"chips": [chips], "crop": 32})
    before = set(tmp_path.iterdir())
    assert run(["train", str(file), "--dry-run"]) == 0
    out = capsys.readouterr().out
    assert "learned    c (group town): 2 images, 0.00819 Mpx, 100% known: building 14.1%" in out
    assert "package" not in out
    assert set(tmp_path.iterdir()) == before


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["--folds", "2", "--dry-run"], "--folds and --dry-run do not go together"),
        (["--samples", "s.png", "--dry-run"], "--samples and --dry-run do not go together"),
        (["--folds", "2", "--devices", "2"], "--folds trains on one device"),
        ([], "expected --output DIR"),
    ],
)
def test_options_that_exclude_each_other_say_so(
    tiny: Write, tmp_path: Path, capsys: pytest.CaptureFixture[str], given: list[str], said: str
) -> None:
    output = ["-o", str(tmp_path / "out")] if given else []
    assert run(["train", str(tiny()), *output, *given]) == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_without_lightning_one_line_says_what_to_install(
    tiny: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "lightning", None)
    monkeypatch.setitem(sys.modules, "lightning.pytorch", None)
    for name in ("loop", "trainer"):
        monkeypatch.delitem(sys.modules, f"geounet.train.{name}", raising=False)
    with pytest.raises(MissingExtraError, match=r"training needs lightning.*pip install 'geounet\[train\]'"):
        train(tiny(), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_settings_that_do_not_fit_a_head_are_named(tiny: Write) -> None:
    for loss, message in (
        ({"class_weights": [1, 2]}, r"head 'landuse' has 2 class_weights; expected 3"),
        ({"cldice": 1}, r"head 'landuse' predicts all classes; expected cldice on a head that marks one"),
        ({"border": {"of": "rail"}}, r"border\.of 'rail'; expected one of building, land, water"),
        ({"cross_entropy": 0, "dice": 0}, r"every loss is 0; expected a weight above 0 for one of cross_entropy"),
        ({"class_weights": "often"}, r"class_weights"),
        ({"focal_gama": 1}, r"unknown key 'focal_gama'; did you mean 'focal_gamma'\?"),
    ):
        with pytest.raises(ConfigError, match=message) as caught:
            load_config(tiny(heads=[{"name": "landuse", "loss": loss}]))
        assert "\n" not in str(caught.value)


def alive_in(session: int) -> list[str]:
    """Command lines of the processes of a session; zombies that nobody reaps are dead."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, ProcessLookupError):
            if os.getsid(process.pid) == session and process.status() != psutil.STATUS_ZOMBIE:
                found.append(" ".join(process.cmdline()))
    return found


@pytest.mark.slow
@pytest.mark.parametrize("all_of_them", [True, False], ids=["ctrl-c-of-a-terminal", "sigterm-to-the-first"])
def test_two_processes_stop_after_one_step_and_go_on(tiny: Write, tmp_path: Path, *, all_of_them: bool) -> None:
    """Ctrl-C of a terminal reaches every process, ``kill`` only the one that was started."""
    settings = {"steps": 400, "batch": 4, "lr": 0.001}
    schedule = {"validate_every": 400, "save_every": 5, "tile": 32, "overlap": 8}
    file, output = tiny(network=PLAIN, heads=ENTROPY, optimiser=settings, schedule=schedule), tmp_path / "two"
    given = ["-o", str(output), "--device", "cpu", "--devices", "2", "--threads", "1", "-q"]
    command = [sys.executable, "-m", "geounet", "train", str(file), *given]
    stopped = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True)
    while not (output / LAST).exists():
        assert stopped.poll() is None, stopped.communicate()
        time.sleep(0.05)
    if all_of_them:
        os.killpg(stopped.pid, signal.SIGINT)
    else:
        stopped.terminate()
    _, said = stopped.communicate(timeout=120)
    assert stopped.returncode == 130
    assert re.fullmatch(r"geounet: \S*\s?stopped after step \d+ of 400; the same command goes on, .*\n", said)
    assert alive_in(stopped.pid) == []
    step = torch.load(output / LAST, weights_only=True)["step"]
    assert f"after step {step} of" in said
