"""The last steps, on all scenes: they begin where the scored ones ended, and can be resumed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from geounet.errors import ConfigError
from geounet.judge.data import Judged
from geounet.judge.evaluate import seen_before
from geounet.model.networks import read_weights
from geounet.model.package import load_model
from geounet.train import load_config, plan_training, train
from geounet.train.finish import FOLDER, on_all
from geounet.train.folds import _of_fold
from geounet.train.state import LAST

Write = Callable[..., Path]
FINISH = {"steps": 5, "lr": 0.005}


def state(folder: Path) -> dict[str, Any]:
    return dict(torch.load(folder / LAST, weights_only=True))


def weights(folder: Path) -> dict[str, torch.Tensor]:
    file = load_model(folder).weights
    assert file is not None
    return read_weights(file)


def test_what_was_held_out_is_learned_in_the_end_and_the_scores_are_those_from_before(
    tiny: Write, tmp_path: Path
) -> None:
    folders = [
        train(tiny(ship="last"), tmp_path / "before", device="cpu"),
        train(tiny(ship="last", finish=FINISH), tmp_path / "after", device="cpu"),
    ]
    before, after = map(load_model, folders)
    record, earlier = after.spec.provenance, before.spec.provenance
    for name, tensor in state(tmp_path / "before")["average"].items():
        assert torch.equal(state(tmp_path / "after")["average"][name], tensor)
    assert record["scores"] == earlier["scores"]
    assert record["scores"]["step"] == 6
    assert [scene["name"] for scene in record["validated_on"]] == ["same"]
    assert [scene["name"] for scene in record["trained_on"]] == ["one", "same"]  # `geounet evaluate` warns of both
    assert [scene["name"] for scene in earlier["trained_on"]] == ["one"]
    validated = Judged(name="same", image=tmp_path / "scene.tif", truth=tmp_path / "labels.tif", held_out=True)
    assert "was trained on same" in seen_before([validated], after.spec)[0]
    assert seen_before([validated], before.spec) == []
    assert record["finish"]["steps"] == 5
    assert "before these steps" in record["finish"]["scores"]
    assert "finish" not in earlier
    assert after.spec.bands == before.spec.bands  # the scaling that the weights know
    theirs, ours = map(weights, folders)
    assert any(not torch.equal(ours[name], theirs[name]) for name in theirs)
    last = state(tmp_path / "after" / FOLDER)
    assert last["step"] == 5
    first_rate, end_rate = 0.005, 0.02 * 0.005
    lines = (tmp_path / "after" / "tiny" / "finish.csv").read_text().splitlines()
    assert len(lines) == 2
    assert end_rate <= float(lines[1].split(",")[2]) < first_rate
    assert load_config(tmp_path / "after" / "tiny" / "train.yaml").finish is not None


def test_a_training_that_was_stopped_in_its_last_steps_reaches_the_same_weights(
    tiny: Write, tmp_path: Path
) -> None:
    file = tiny(finish=FINISH)
    whole = weights(train(file, tmp_path / "whole", device="cpu"))
    seen: list[int] = []

    def stop(step: int) -> None:
        seen.append(step)
        if len(seen) == 6 + 3:
            raise RuntimeError("power cut")

    with pytest.raises(RuntimeError, match="power cut"):
        train(file, tmp_path / "cut", device="cpu", tick=stop)
    assert state(tmp_path / "cut" / FOLDER)["step"] == 2
    plan = plan_training(file, tmp_path / "cut", device="cpu")
    assert (plan.done, plan.finish) == (6, 5)
    assert "finish     5 steps more" in str(plan)
    again: list[int] = []
    resumed = weights(train(file, tmp_path / "cut", device="cpu", tick=again.append))
    assert again == [3, 4, 5]
    assert all(torch.equal(resumed[name], tensor) for name, tensor in whole.items())


def test_an_end_that_is_added_later_goes_on_from_the_checkpoint_and_another_end_is_refused(
    tiny: Write, tmp_path: Path
) -> None:
    train(tiny(), tmp_path / "out", device="cpu")
    ticks: list[int] = []
    train(tiny(finish=FINISH), tmp_path / "out", device="cpu", tick=ticks.append)
    assert ticks == [1, 2, 3, 4, 5]
    with pytest.raises(ConfigError, match="belongs to another training file"):
        train(tiny(finish={**FINISH, "lr": 0.001}), tmp_path / "out", device="cpu")


def test_folds_have_no_end_and_the_last_steps_have_no_scores(tiny: Write) -> None:
    config = load_config(tiny(finish={**FINISH, "ema": 0.5}))
    assert _of_fold(config, 1, ("a",)).finish is None
    last = on_all(config)
    assert (last.data.validate_groups, last.ship, last.finish) == ((), "last", None)
    assert (last.optimiser.steps, last.optimiser.lr, last.optimiser.ema) == (5, 0.005, 0.5)
    assert last.seed != config.seed


def test_an_end_that_cannot_be_is_one_line(tiny: Write, tmp_path: Path) -> None:
    alone = {"scenes": [{"name": "one", "group": "a", "image": "scene.tif", "labels": "labels.tif"}], "crop": 32}
    with pytest.raises(ConfigError, match=r"finish goes on on what data\.validate_… held out, and nothing is"):
        load_config(tiny(data=alone, finish=FINISH))
    plateau = {"steps": 3, "batch": 2, "lr_schedule": "plateau"}
    with pytest.raises(ConfigError, match=r"finish has no scores for optimiser\.lr_schedule plateau"):
        load_config(tiny(optimiser=plateau, finish=FINISH))
    with pytest.raises(ConfigError, match=r"finish goes on on one device"):
        train(tiny(finish=FINISH), tmp_path / "out", device="cpu", devices=2)


def test_a_share_of_the_first_weights_goes_into_what_is_shipped_and_is_scored(tiny: Write, tmp_path: Path) -> None:
    first = weights(train(tiny(half=False), tmp_path / "first", device="cpu"))
    network = {"hyperparameters": {"depth": 1, "width": 8}, "divisor": 2}
    begun = {**network, "encoder_weights": "first/tiny/weights.safetensors"}
    given = {"network": begun, "finish": FINISH, "half": False, "seed": 4, "ship": "last"}
    plain = train(tiny(**given), tmp_path / "out", device="cpu")
    ours, before = weights(plain), load_model(plain).spec.provenance["scores"]
    mixed = train(tiny(**given, mix_start=0.25), tmp_path / "out", device="cpu")  # the same checkpoints
    for name, tensor in weights(mixed).items():
        if tensor.is_floating_point():
            torch.testing.assert_close(tensor, 0.75 * ours[name] + 0.25 * first[name])
    scores = load_model(mixed).spec.provenance["scores"]
    assert scores["step"] == before["step"]
    assert scores != before
    with pytest.raises(ConfigError, match=r"mix_start is a share of network\.encoder_weights"):
        load_config(tiny(network=network, mix_start=0.25))
