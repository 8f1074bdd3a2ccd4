"""A model on whole scenes: the scores are those of the maps that a run leaves, however the scenes were given."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import packages
import pytest
import rasterio
import torch
import yaml
from PIL import Image

import geounet
from geounet.cli.main import run
from geounet.errors import ConfigError, RequestError

COLOURS = ((200, 10, 10), (10, 10, 200), (10, 200, 10), (90, 90, 90))
NAMES = ("water", "vegetation", "land", "road")


def test_scores_are_those_of_the_run_s_own_maps(model, scene, truth, tmp_path):
    found = geounet.evaluate_model(model, scene=scene, truth=truth, output=tmp_path / "out", device="cpu", draws=50)
    maps = geounet.infer(scene, model=str(model), output=tmp_path / "maps", device="cpu", confidence=True)
    landuse = geounet.evaluate(
        maps.paths["landuse.tif"], truth, confidence=maps.paths["landuse_confidence.tif"], draws=50
    )
    road = geounet.evaluate(maps.paths["road.tif"], truth, kind="mask", classes=["road"], draws=50)
    assert found["landuse"].to_dict()["scores"] == landuse.to_dict()["scores"]
    assert found["road"]["iou"] == road["iou"]
    np.testing.assert_array_equal(found["landuse"].matrix, landuse.matrix)
    assert "ece" in found["landuse"].summary
    assert found["landuse"].worst[0].pictured == ("scene", "truth", "prediction", "errors in red")
    assert {p.name for p in (tmp_path / "out").iterdir()} == {"metrics.json", "metrics.csv", "report.html"}
    assert json.loads((tmp_path / "out" / "metrics.json").read_text())["parts"]["road"]["kind"] == "mask"


def in_parts(folder, scene, truth):
    """The scene as 2 x 1 PNGs, the truth as colour masks, one of them with a palette."""
    with rasterio.open(scene) as file:
        pixels = file.read()
    with rasterio.open(truth) as file:
        labels = file.read(1)
    table = np.full((256, 3), 7, np.uint8)
    table[: len(COLOURS)] = COLOURS
    for n, rows in enumerate((slice(0, 80), slice(80, 150))):
        with rasterio.open(
            folder / f"image_{n}.tif", "w", driver="GTiff", count=2, height=rows.stop - rows.start, width=170,
            dtype="uint8",
        ) as file:  # fmt: skip
            file.write(pixels[:, rows])
        mask = Image.fromarray(table[labels[rows]])
        (mask.quantize(8) if n else mask).save(folder / f"mask_{n}.png")


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_a_data_file_of_parts_and_colours_scores_the_same(model, scene, truth, tmp_path):
    in_parts(tmp_path, scene, truth)
    classes = [
        {"name": n, "label_color": "#{:02x}{:02x}{:02x}".format(*c)} for n, c in zip(NAMES, COLOURS, strict=True)
    ]
    listed = {"name": "joined", "image": "image_*.tif", "labels": "mask_*.png"}
    data = {"classes": classes, "ignore_colors": ["#070707"], "scenes": [listed]}
    (tmp_path / "data.yaml").write_text(yaml.safe_dump(data))
    by_file = geounet.evaluate_model(model, data=tmp_path / "data.yaml", device="cpu", draws=0)
    alone = geounet.evaluate_model(model, scene=scene, truth=truth, device="cpu", draws=0)
    assert by_file["landuse"].to_dict()["scores"] == alone["landuse"].to_dict()["scores"]
    assert by_file["road"]["iou"] == alone["road"]["iou"]


def test_stacked_bands_and_labels_of_other_values_score_the_same(model, scene, truth, tmp_path):
    with rasterio.open(scene) as file:
        pixels, profile = file.read(), file.profile
    for number, band in enumerate(pixels):
        with rasterio.open(tmp_path / f"band_{number}.tif", "w", **{**profile, "count": 1}) as file:
            file.write(band, 1)
    with rasterio.open(truth) as file:
        labels, profile = file.read(1), file.profile
    with rasterio.open(tmp_path / "tens.tif", "w", **profile) as file:
        file.write(np.where(labels == 255, 255, labels * 10 + 10).astype(np.uint8), 1)
    listed = {
        "name": "stacked",
        "image": [f"band_{number}.tif" for number in range(len(pixels))],
        "labels": {"raster": "tens.tif", "values": {10 * n + 10: name for n, name in enumerate(NAMES)}},
    }
    data = {"classes": [{"name": name} for name in NAMES], "scenes": [listed]}
    (tmp_path / "data.yaml").write_text(yaml.safe_dump(data))
    by_file = geounet.evaluate_model(model, data=tmp_path / "data.yaml", device="cpu", draws=0)
    alone = geounet.evaluate_model(model, scene=scene, truth=truth, device="cpu", draws=0)
    assert by_file["landuse"].to_dict()["scores"] == alone["landuse"].to_dict()["scores"]
    (tmp_path / "data.yaml").write_text(yaml.safe_dump({"scenes": [listed]}))
    with pytest.raises(
        ConfigError, match="'stacked' is more than two rasters; the data file must list its classes"
    ):
        geounet.evaluate_model(model, data=tmp_path / "data.yaml", device="cpu")


def test_several_scenes_are_scored_together_and_one_by_one(model, scene, truth, tmp_path, capsys):
    packages.write_scene(tmp_path / "second.tif", packages.texture((150, 170), seed=5))
    scenes = [
        {"name": name, "group": group, "image": f"{image}.tif", "labels": "truth.tif"}
        for name, group, image in (("one", "a", "scene"), ("two", "b", "second"))
    ]
    (tmp_path / "data.yaml").write_text(yaml.safe_dump({"scenes": scenes}))
    both = geounet.evaluate_model(model, data=tmp_path / "data.yaml", device="cpu", draws=0, maps=tmp_path / "m")
    one, two = (
        geounet.evaluate_model(model, data=tmp_path / "data.yaml", only=[name], device="cpu", draws=0)
        for name in ("one", "b")
    )
    total = both["landuse"].matrix
    np.testing.assert_array_equal(total, one["landuse"].matrix + two["landuse"].matrix)
    each = {s.name: s.scores["accuracy"].value for s in both["landuse"].scenes}
    assert each == {"one": one["landuse"]["accuracy"], "two": two["landuse"]["accuracy"]}
    assert (tmp_path / "m" / "one" / "landuse.tif").is_file()
    arguments = [
        "--model",
        str(model),
        "--data",
        str(tmp_path / "data.yaml"),
        "--only",
        "two",
        "--draws",
        "0",
        "--json",
    ]
    assert run(["evaluate", *arguments]) == 0
    told = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert told["parts"]["landuse"]["scores"]["accuracy"]["value"] == pytest.approx(each["two"], abs=1e-6)


@pytest.mark.parametrize("names", [{}, {"CLASS_0": "other", "CLASS_1": "road"}])
def test_a_mask_is_the_truth_of_the_mask_alone(model, scene, tmp_path, names):
    mask = np.zeros((1, 150, 170), np.uint8)
    mask[:, 70:78] = 1
    truth = packages.write_scene(tmp_path / "mask.tif", mask)
    with rasterio.open(truth, "r+") as file:
        file.update_tags(**names)
    found = geounet.evaluate_model(model, scene=scene, truth=truth, device="cpu", draws=0)
    assert list(found.parts) == ["road"]
    maps = geounet.infer(scene, model=str(model), device="cpu")
    shown = geounet.preview(scene, maps, truth=truth, output=tmp_path / "p")
    assert {name for name in shown if name.endswith("errors")} == {"road_errors"}


def test_what_cannot_be_judged_is_refused_in_one_line(model, scene, truth, tmp_path, capsys):
    with pytest.raises(ConfigError, match="a data file, or a scene"):
        geounet.evaluate_model(model, scene=scene)
    (tmp_path / "bad.yaml").write_text("scenes: [{name: a, image: scene.tif, lables: truth.tif}]")
    with pytest.raises(ConfigError, match="did you mean 'labels'"):
        geounet.evaluate_model(model, data=tmp_path / "bad.yaml")
    listed = [{"name": "a", "image": "scene.tif", "labels": "truth.tif"}] * 2
    (tmp_path / "twice.yaml").write_text(yaml.safe_dump({"scenes": listed}))
    with pytest.raises(ConfigError, match="two scenes"):
        geounet.evaluate_model(model, data=tmp_path / "twice.yaml")
    (tmp_path / "once.yaml").write_text(yaml.safe_dump({"scenes": listed[:1]}))
    with pytest.raises(ConfigError, match="--only c"):
        geounet.evaluate_model(model, data=tmp_path / "once.yaml", only=["c"])
    small = packages.write_scene(tmp_path / "small.tif", np.ones((1, 20, 20), np.uint8))
    with pytest.raises(RequestError, match=r"small\.tif is no truth of .*scene\.tif: .* different grids"):
        geounet.evaluate_model(model, scene=scene, truth=small, device="cpu", maps=tmp_path / "maps")
    assert not (tmp_path / "maps").exists(), "found out before anything is mapped"
    capsys.readouterr()
    for arguments in (
        ["--model", "nothing", str(scene), str(truth)],
        ["--model", str(model), "--data", "no.yaml"],
        ["--data", "no.yaml", str(scene), str(truth)],
        ["--model", str(model), "--kind", "mask", str(scene), str(truth)],
        [str(scene)],
    ):
        assert run(["evaluate", *arguments]) == 2
        assert len(capsys.readouterr().err.strip().splitlines()) == 1


def sees_bright(folder):
    """A model that marks as road what is bright in red."""
    head = replace(packages.ROAD, lines=True)
    spec = packages.tiny_spec(heads=(packages.LANDUSE, head))
    network = packages.constant(spec, (1, 0, 0, -8))
    with torch.no_grad():
        for layer in network.stem:
            if isinstance(layer, torch.nn.Conv2d):
                layer.weight[0, 0, 1, 1] = 1
        network.head.weight[3, 0] = 16
    return packages.save(folder, network, spec, graph=False)


def test_roads_are_scored_as_lines_against_drawn_ones_and_those_of_the_true_mask(tmp_path):
    model = sees_bright(tmp_path / "bright")
    roads = np.zeros((150, 170), bool)
    roads[70:80], roads[:, 60:70] = True, True
    seen = roads.copy()
    seen[70:80, 120:150] = False  # a gap in the eastern arm
    bright = np.where(seen, 250, 20).astype(np.uint8)
    packages.write_scene(tmp_path / "scene.tif", np.stack([bright, bright]))
    packages.write_scene(tmp_path / "truth.tif", roads[None].astype(np.uint8))
    geounet.vectorize(tmp_path / "truth.tif", output=tmp_path / "true.geojson", lines="1")
    lines = next(tmp_path.glob("true*_lines.geojson"))
    listed = [{"name": "town", "image": "scene.tif", "labels": "truth.tif", "lines": lines.name}]
    (tmp_path / "data.yaml").write_text(yaml.safe_dump({"scenes": listed}))
    given = {"device": "cpu", "draws": 0, "buffer": 3}
    drawn = geounet.evaluate_model(model, data=tmp_path / "data.yaml", maps=tmp_path / "maps", **given)
    found = drawn["road_lines of town"]
    by_file = geounet.evaluate(tmp_path / "maps" / "town" / "road_lines.geojson", lines, draws=0, buffer=3)
    assert found.to_dict()["scores"] == by_file.to_dict()["scores"]
    assert found["correctness"] == pytest.approx(1)
    assert 0.8 < found["completeness"] < 0.95
    assert 0.3 < found["apls"] < 0.95  # the eastern end cannot be reached
    alone = geounet.evaluate_model(model, scene=tmp_path / "scene.tif", truth=tmp_path / "truth.tif", **given)
    assert alone["road_lines of scene"].to_dict()["scores"] == found.to_dict()["scores"]


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_roads_of_a_scene_without_a_crs_are_not_scored_as_lines_and_that_is_said(tmp_path):
    model = sees_bright(tmp_path / "bright")
    roads = np.zeros((1, 70, 80), np.uint8)
    roads[:, 30:40] = 1
    packages.write_scene(tmp_path / "scene.tif", np.concatenate([roads, roads]) * 229 + 20, crs=None)
    packages.write_scene(tmp_path / "truth.tif", roads, crs=None)
    found = geounet.evaluate_model(
        model, scene=tmp_path / "scene.tif", truth=tmp_path / "truth.tif", device="cpu", draws=0
    )
    assert list(found.parts) == ["road"]
    assert found.warnings == (
        "road_lines of scene are not scored: the scene has no CRS, and nobody knows how long a pixel is",
    )
