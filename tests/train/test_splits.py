"""Splits: whatever is validated on was never learned from."""

from __future__ import annotations

import importlib.util
import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio import Affine
from safetensors.numpy import load_file, save_file

from geounet.cli.main import run
from geounet.cli.train import _over_folds
from geounet.errors import ConfigError
from geounet.grid.geobox import GeoBox
from geounet.model.package import load_model
from geounet.model.spec import NODATA
from geounet.train import load_config, train
from geounet.train.apart import overlap
from geounet.train.config import TrainConfig
from geounet.train.folds import _spread, fold_groups, train_folds
from geounet.train.scenes import EMPTY, TrainScene, load_scenes
from geounet.train.splits import split
from geounet.train.state import BEST
from geounet.train.stretch import limits_of

_spec = importlib.util.spec_from_file_location("train_conftest", Path(__file__).with_name("conftest.py"))
assert _spec is not None
assert _spec.loader is not None
shared = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(shared)

UTM, OTHER = "EPSG:32640", "EPSG:32639"


def configure(**data: Any) -> TrainConfig:
    return TrainConfig.model_validate({
        "name": "x",
        "bands": [{"name": "b"}],
        "classes": [{"name": n, "color": "#ff0000"} for n in ("land", "water")],
        "heads": [{"name": "landuse"}],
        "network": {"divisor": 2},
        "optimiser": {"steps": 1},
        "data": {"crop": 16, **data},
    })  # fmt: skip


def place(east: float = 0, north: float = 0, *, size: float = 1.0, pixels: int = 64, crs: str = UTM) -> GeoBox:
    return GeoBox(
        width=pixels, height=pixels, transform=(size, 0, 400_000 + east, 0, -size, 2_800_000 + north), crs=crs
    )


def scene(name: str, *, box: GeoBox | None = None, group: str | None = None, **facts: Any) -> TrainScene:
    shape = (64, 64) if box is None else box.shape
    return TrainScene(
        **{
            "name": name,
            "group": group or name,
            "image": np.zeros((*shape, 1), np.uint8),
            "labels": np.ones(shape, np.uint8),
            "content": name,
            "geobox": box,
            **facts,
        }
    )


def test_scenes_are_split_by_group_by_name_and_held_out() -> None:
    scenes = [scene(n, group=g) for n, g in (("one", "a"), ("two", "a"), ("three", "b"), ("four", "c"))]
    scenes.append(scene("chips/1", group="d", origin="chips"))
    found = split(scenes, configure(validate_groups=["b"], validate_scenes=["two", "chips"], holdout_groups=["c"]))
    assert [s.name for s in found.learned] == ["one"]
    assert [s.name for s in found.held] == ["two", "three", "chips/1"]
    assert [s.name for s in found.aside] == ["four"]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"validate_groups": ["z"]}, "validate_groups holds 'z'; expected groups of the scenes: a, b"),
        ({"validate_scenes": ["z"]}, "validate_scenes holds 'z'; expected names of the scenes: one, two"),
        ({"holdout_groups": ["z"]}, "holdout_groups holds 'z'"),
        ({"validate_groups": ["a"], "holdout_groups": ["b"]}, "every scene is validated on or held out"),
        ({"validate_blocks": {"side": 5000}}, "leave 1 in all scenes|at least 2"),
    ],
)
def test_a_split_that_cannot_be_is_one_line(data: dict[str, Any], message: str) -> None:
    scenes = [scene("one", group="a", box=place()), scene("two", group="b", box=place(pixels=32), content="one")]
    if "validate_blocks" in data:
        scenes = scenes[:1]
    with pytest.raises(ConfigError, match=message) as caught:
        split(scenes, configure(**data))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("one", "two", "why"),
    [
        ({"box": place()}, {"box": place(60, 60)}, "they show common ground"),
        ({"box": place()}, {"box": place(63.2, 0)}, None),  # less than a pixel: neighbours
        ({"box": place()}, {"box": place(64, 0)}, None),
        ({"box": place()}, {"box": place(10, 10, size=30, crs=OTHER)}, None),  # 600 km away
        ({"files": (Path("a/x.tif"),)}, {"files": (Path("b/../a/x.tif"),)}, "both read x.tif"),
        ({"content": "c"}, {"content": "c"}, "their images are copies of one"),
        ({"box": place(), "synthetic": True}, {"box": place()}, None),
    ],
)
def test_common_ground_on_two_sides_is_refused_with_both_names(
    one: dict[str, Any], two: dict[str, Any], why: str | None
) -> None:
    scenes = [scene("one", **one), scene("two", **two)]
    for data in ({"validate_groups": ["two"]}, {"holdout_groups": ["two"]}, {"validate_scenes": ["two"]}):
        if why is None:
            split(scenes, configure(**data))
            continue
        with pytest.raises(ConfigError, match=f"scenes 'one' and 'two' stand on two sides of the split, but {why}"):
            split(scenes, configure(**data))
        split(scenes, configure(**data, allow_overlap=True))
    split([scenes[0], scene("two", **two, group="one"), scene("three")], configure(validate_groups=["three"]))


def test_ground_is_common_across_coordinate_systems() -> None:
    from pyproj import Transformer

    x, y = Transformer.from_crs(UTM, OTHER, always_xy=True).transform(400_032.0, 2_799_968.0)
    inside = GeoBox(width=8, height=8, transform=(1, 0, x, 0, -1, y), crs=OTHER)
    outside = GeoBox(width=8, height=8, transform=(1, 0, x + 100, 0, -1, y), crs=OTHER)
    assert overlap(place(), inside)
    assert overlap(inside, place())
    assert not overlap(place(), outside)
    turned = Affine.translation(400_000, 2_800_000) @ Affine.rotation(45) @ Affine.scale(1, -1)
    diamond = GeoBox(width=64, height=64, transform=tuple(turned)[:6], crs=UTM)
    assert overlap(place(), diamond)
    assert not overlap(place(-40, -60, pixels=16), diamond)  # in its bounding box, not in it


@settings(deadline=None, max_examples=40)
@given(
    seed=st.integers(0, 99),
    side=st.integers(16, 40),
    buffer=st.integers(0, 24),
    east=st.integers(-40, 40),
    north=st.integers(-40, 40),
)
def test_squares_hold_the_same_ground_out_of_overlapping_scenes(
    seed: int, side: int, buffer: int, east: int, north: int
) -> None:
    scenes = [scene("one", box=place()), scene("two", box=place(east, north)), scene("three")]
    blocks = {"side": side, "share": 0.3, "buffer": buffer}
    found = split(scenes, configure(validate_blocks=blocks).model_copy(update={"seed": seed}))
    learned, held = np.zeros((200, 200), bool), np.zeros((200, 200), bool)
    offsets = {"one": (60, 60), "two": (60 - north, 60 + east)}
    for target, side_of in ((learned, found.learned), (held, found.held)):
        for each in side_of:
            if each.name in offsets:
                row, col = offsets[each.name]
                target[row : row + 64, col : col + 64] |= np.asarray(each.labels) == 1
    assert not (learned & held).any()
    grown = np.zeros_like(held)
    for row, col in np.argwhere(held):
        grown[max(0, row - buffer) : row + buffer + 1, max(0, col - buffer) : col + buffer + 1] = True
    assert not (learned & grown).any()
    for each in (*found.learned, *found.held):
        labels = np.asarray(each.labels)
        assert set(np.unique(labels).tolist()) <= {1, EMPTY, NODATA}
        assert np.array_equal(each.labels[5:60, 9:33], labels[5:60, 9:33])
        assert np.array_equal(each.labels[1::7, ::3], labels[1::7, ::3])
    assert any((np.asarray(s.labels) == 1).any() for s in found.held)


def test_overlapping_scenes_of_other_grids_cannot_be_cut_by_squares() -> None:
    scenes = [scene("one", box=place()), scene("two", box=place(size=0.5))]
    with pytest.raises(ConfigError, match="scenes 'one' and 'two' overlap on different grids"):
        split(scenes, configure(validate_blocks={"side": 16}))


def test_copies_are_found_by_their_bytes(tmp_path: Path) -> None:
    labels = shared.tiny_labels() % 2
    image = shared.tiny_image(labels)
    for n, name in enumerate(("one", "copy", "other")):
        shared.write_raster(tmp_path / f"{name}.tif", image if n < 2 else image[:, ::-1])
    shared.write_raster(tmp_path / "labels.tif", labels[None])
    scenes = [
        {"name": n, "group": n, "image": f"{n}.tif", "labels": "labels.tif"} for n in ("one", "copy", "other")
    ]
    config = configure(scenes=scenes, validate_groups=["other"])
    split(load_scenes(config, root=tmp_path, cache=tmp_path / "c"), config)
    leaking = configure(scenes=scenes, validate_groups=["copy"])
    for _ in range(2):  # the second time the cache knows
        with pytest.raises(ConfigError, match=r"'one' and 'copy' .* their images are copies of one"):
            split(load_scenes(leaking, root=tmp_path, cache=tmp_path / "c"), leaking)


@settings(deadline=None, max_examples=40)
@given(areas=st.lists(st.integers(1, 50), min_size=2, max_size=12), folds=st.integers(2, 6))
def test_folds_hold_every_group_once(areas: list[int], folds: int) -> None:
    scenes = [scene(f"s{i}", box=place(i * 1000, pixels=n)) for i, n in enumerate(areas)]
    scenes.append(scene("drawn", synthetic=True))
    if folds > len(areas):
        with pytest.raises(ConfigError, match=f"--folds {folds}: expected 2 to the number of groups"):
            fold_groups(scenes, folds)
        return
    parts = fold_groups(scenes, folds)
    assert sorted(g for part in parts for g in part) == sorted(f"s{i}" for i in range(len(areas)))
    assert all(parts)
    assert parts == fold_groups(scenes[::-1], folds)


def test_squares_of_a_scene_that_is_read_from_its_raster_train_and_validate(
    tiny: Callable[..., Path], tmp_path: Path
) -> None:
    scenes = [{"name": "one", "group": "a", "image": "scene.tif", "labels": "labels.tif"}]
    blocks = {"side": 16, "share": 0.25, "buffer": 2}
    data = {"scenes": scenes, "crop": 16, "validate_blocks": blocks}
    weights = []
    for cache_gb in (None, 0):
        file = tiny(data={**data, "cache_gb": cache_gb}, optimiser={"steps": 2, "batch": 2})
        package = load_model(train(file, tmp_path / f"out-{cache_gb}"))
        assert [s["name"] for s in package.spec.provenance["validated_on"]] == ["one"]
        weights.append(package.weights.read_bytes())
    assert weights[0] == weights[1]


def test_folds_train_a_model_each_and_sum_up(
    tiny: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    labels = shared.tiny_labels()
    names = ("one", "two", "three")
    for seed, name in enumerate(names):
        shared.write_raster(tmp_path / f"{name}.tif", shared.tiny_image(labels, seed))
    scenes = [{"name": n, "group": n, "image": f"{n}.tif", "labels": "labels.tif"} for n in names]
    file = tiny(data={"scenes": scenes, "crop": 32}, optimiser={"steps": 2, "batch": 1})
    assert run(["train", str(file), "-o", str(tmp_path / "out"), "--folds", "3", "--device", "cpu"]) == 0
    said, begun = capsys.readouterr()
    summary = json.loads((tmp_path / "out" / "folds.json").read_text())
    assert re.findall(r"fold (\d) of 3", begun) == ["1", "2", "3"]
    assert sorted(re.findall(r"validated on (\w+)", begun)) == sorted(names)
    assert f"score {summary['mean']['score']:.3f} ± {summary['deviation']['score']:.3f}" in " ".join(said.split())
    scores = [fold["score"] for fold in summary["folds"]]
    assert summary["mean"]["score"] == pytest.approx(np.mean(scores), abs=1e-4)
    assert summary["deviation"]["score"] == pytest.approx(np.std(scores, ddof=1), abs=1e-4)
    assert load_config(file).data.validate_groups == ()
    assert all((tmp_path / "out" / fold["package"] / "model.json").exists() for fold in summary["folds"])


def test_both_sides_of_a_scene_are_stretched_as_a_run_stretches_it() -> None:
    image = np.repeat(np.arange(64, dtype=np.uint8), 64).reshape(64, 64, 1)
    labels = np.zeros((64, 64), np.uint8)
    labels[:10] = EMPTY
    whole = scene("a", image=image, labels=labels)
    found = split([whole], configure(validate_blocks={"side": 16, "share": 0.4, "buffer": 2}))
    spec = replace(load_model("landuse-roads").spec, stretch=(10, 200))
    limits = [limits_of(side, spec) for side in (*found.learned, *found.held)]
    assert limits == [limits_of(whole, spec)] * 2
    assert (np.asarray(found.learned[0].labels) == EMPTY).sum() > (labels == EMPTY).sum()


def three_places(tiny: Callable[..., Path], folder: Path) -> Path:
    """A training file with three scenes in groups of their own."""
    labels, names = shared.tiny_labels(), ("one", "two", "three")
    for seed, name in enumerate(names):
        shared.write_raster(folder / f"{name}.tif", shared.tiny_image(labels, seed))
        shared.write_raster(folder / f"{name}_labels.tif", labels[None])
    scenes = [{"name": n, "group": n, "image": f"{n}.tif", "labels": f"{n}_labels.tif"} for n in names]
    return tiny(data={"scenes": scenes, "crop": 32}, optimiser={"steps": 2, "batch": 1})


def test_a_fold_without_labels_is_found_out_before_the_first_is_trained(
    tiny: Callable[..., Path], tmp_path: Path
) -> None:
    file = three_places(tiny, tmp_path)
    shared.write_raster(tmp_path / "two_labels.tif", np.full((1, 64, 64), NODATA, np.uint8))
    with pytest.raises(ConfigError, match=r"what is validated on \(two\) has no labelled pixel"):
        train_folds(file, tmp_path / "out", 3)
    assert not list((tmp_path / "out").glob("fold-*"))


def test_a_fold_begins_with_weights_of_its_own(tiny: Callable[..., Path], tmp_path: Path) -> None:
    """A network that has seen the ground of another fold's scores makes them worth nothing."""
    first = three_places(tiny, tmp_path)
    train_folds(first, tmp_path / "first", 3)
    for number in (1, 2, 3):
        weights = tmp_path / "first" / f"fold-{number}" / "tiny" / "weights.safetensors"
        tensors = load_file(weights)
        tensors["head.bias"][:] = 10 * number
        save_file(tensors, weights)
    second, told = yaml.safe_load(first.read_text()), list[str]()
    second["network"]["encoder_weights"] = "first/fold-{fold}/tiny/weights.safetensors"
    second["optimiser"]["lr"] = 1e-12
    second["mix_start"] = 0.999
    file = tmp_path / "second.yaml"
    file.write_text(yaml.safe_dump(second))
    with pytest.raises(ConfigError, match=r"\{fold\} is the number of a fold; train with --folds N"):
        train(file, tmp_path / "alone")
    train_folds(file, tmp_path / "second", 3, warn=told.append)
    for number in (1, 2, 3):
        ended = load_model(tmp_path / "second" / f"fold-{number}" / "tiny")
        assert ended.weights is not None
        assert load_file(ended.weights)["head.bias"] == pytest.approx(10.0 * number, abs=0.1)
        begun = ended.spec.provenance["config"]["network"]["encoder_weights"]
        assert begun == f"first/fold-{number}/tiny/weights.safetensors"
    assert not any("every fold begins" in line for line in told)
    second["network"]["encoder_weights"] = "first/fold-1/tiny/weights.safetensors"
    file.write_text(yaml.safe_dump(second))
    train_folds(file, tmp_path / "third", 3, warn=told.append)
    assert any("every fold begins with 'first/fold-1/tiny" in line for line in told)
    (tmp_path / "first" / "fold-3" / "tiny" / "weights.safetensors").unlink()
    second["network"]["encoder_weights"] = "first/fold-{fold}/tiny/weights.safetensors"
    file.write_text(yaml.safe_dump(second))
    with pytest.raises(ConfigError, match=r"first/fold-3/tiny/weights.safetensors': no such file"):
        train_folds(file, tmp_path / "fourth", 3)
    assert not list((tmp_path / "fourth").glob("fold-*"))  # found out before the first is trained


def test_folds_that_were_not_begun_are_found_out_before_one_is_packaged(
    tiny: Callable[..., Path], tmp_path: Path
) -> None:
    file, output = three_places(tiny, tmp_path), tmp_path / "out"
    (output / "fold-2").mkdir(parents=True)
    (output / "fold-2" / BEST).write_bytes(b"")
    with pytest.raises(ConfigError, match="no checkpoint to package of fold-1, fold-3; train them first"):
        train_folds(file, output, 3, package=True)


def test_a_class_that_one_fold_does_not_show_has_a_mean_all_the_same() -> None:
    found = [{"fold": 1, "step": 3, "iou": 0.5, "rare": 0.2}, {"fold": 2, "step": 3, "iou": 0.7}]
    summary = _spread(found)
    assert summary["mean"] == {"iou": 0.6, "rare": 0.2}
    assert summary["deviation"] == {"iou": pytest.approx(0.1414)}
    told = [_over_folds(name, {**summary, "folds": found}).split() for name in ("iou", "rare")]
    assert told == [["0.600", "±", "0.141", "0.500", "0.700"], ["0.200", "0.200", "–"]]
