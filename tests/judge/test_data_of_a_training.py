"""Training files and folders of chips as data to judge on: the same pixels, divided otherwise."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import packages
import pytest
import rasterio
import yaml

import geounet
from geounet.cli.main import run
from geounet.errors import ConfigError
from geounet.judge.data import Judged
from geounet.judge.evaluate import seen_before

NAMES = ("water", "vegetation", "land", "road")
CLASSES = [{"name": name, "color": f"#{n}0{n}0{n}0"} for n, name in enumerate(NAMES, start=1)]


@pytest.fixture
def training(scene, truth, tmp_path):
    """Writes a training file with the scene; keyword arguments are more of its data section."""

    def write(**data):
        listed = [{"name": "town", "group": "a", "image": scene.name, "labels": truth.name}]
        config = {
            "name": "t",
            "bands": [{"name": "red"}, {"name": "green"}],
            "classes": CLASSES,
            "heads": [{"name": "landuse"}],
            "data": {"scenes": listed, **data},
            "optimiser": {"steps": 1},
        }
        file = tmp_path / "train.yaml"
        file.write_text(yaml.safe_dump(config))
        return file

    return write


def judge(model, data, **options):
    return geounet.evaluate_model(model, data=data, device="cpu", draws=0, **options)


def test_squares_are_judged_by_side_and_the_sides_make_the_whole(model, training):
    file = training(validate_blocks={"side": 64, "share": 0.4, "buffer": 0})
    whole = judge(model, file)["landuse"].matrix
    held, learned = judge(model, file, side="validated"), judge(model, file, side="learned")
    assert 0.2 < held["landuse"].matrix.sum() / whole.sum() < 0.6
    np.testing.assert_array_equal(held["landuse"].matrix + learned["landuse"].matrix, whole)
    strip = training(validate_blocks={"side": 64, "share": 0.4, "buffer": 8})
    np.testing.assert_array_equal(judge(model, strip, side="validated")["landuse"].matrix, held["landuse"].matrix)
    assert judge(model, strip, side="learned")["landuse"].matrix.sum() < learned["landuse"].matrix.sum()


def test_what_was_held_out_of_a_scene_is_not_called_learned(scene, truth, training, tmp_path):
    spec = packages.tiny_spec(provenance={"trained_on": [{"name": "town"}]})
    model = packages.save(tmp_path / "model", packages.unet(spec), spec, graph=False)
    file = training(validate_blocks={"side": 64, "share": 0.4, "buffer": 0})
    assert "was trained on town" in judge(model, file).warnings[0]
    assert not any("was trained on" in line for line in judge(model, file, side="validated").warnings)
    finished = replace(spec, provenance={**spec.provenance, "finish": {"steps": 160}})
    held = Judged(name="town", image=scene, truth=truth, held_out=True)
    assert seen_before([held], spec) == []
    assert "was trained on town" in seen_before([held], finished)[0]


def test_sides_that_are_not_there_are_refused_in_one_line(model, scene, truth, training, tmp_path, capsys):
    file = training()
    with pytest.raises(ConfigError, match="--side holdout: the training file has nothing there"):
        judge(model, file, side="holdout")
    with pytest.raises(ConfigError, match="--side held: expected learned, validated, holdout"):
        judge(model, file, side="held")
    (tmp_path / "list.yaml").write_text(
        yaml.safe_dump({"scenes": [{"name": "a", "image": scene.name, "labels": truth.name}]})
    )
    with pytest.raises(ConfigError, match=r"--side learned needs a training file.*list\.yaml is a list"):
        judge(model, tmp_path / "list.yaml", side="learned")
    assert run(["evaluate", "--model", str(model), "--side", "learned", str(scene), str(truth)]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def cut(path, folder, suffix=".tif"):
    """A raster as four chips of 75 x 85, in order."""
    folder.mkdir()
    with rasterio.open(path) as file:
        pixels, nodata = file.read(), file.nodata
    for n, (top, left) in enumerate((t, c) for t in (0, 75) for c in (0, 85)):
        chip = pixels[:, top : top + 75, left : left + 85]
        packages.write_scene(folder / f"{n}{suffix}", chip, nodata=nodata, crs=None)


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_a_folder_of_chips_is_told_of_as_one_scene(model, scene, truth, tmp_path):
    cut(scene, tmp_path / "img")
    cut(truth, tmp_path / "mask")
    blank = np.full((1, 75, 85), 255, np.uint8)
    packages.write_scene(tmp_path / "mask" / "3.tif", blank, nodata=255, crs=None)
    chips = {"name": "city", "images": "img/*.tif", "labels": "mask/*.tif", "group": "c", "group_by": r"img/(\d)"}
    listed = [
        {"name": f"chip{n}", "image": f"img/{n}.tif", "labels": f"mask/{n}.tif"} for n in range(3)
    ]  # the same, scene by scene
    for name, data in (("chips", {"chips": [chips]}), ("scenes", {"scenes": listed})):
        (tmp_path / f"{name}.yaml").write_text(yaml.safe_dump({"classes": CLASSES, **data}))
    found = judge(model, tmp_path / "chips.yaml", maps=tmp_path / "maps", output=tmp_path / "out")
    apart = judge(model, tmp_path / "scenes.yaml")
    assert found.scenes == ("city",)
    assert found.warnings == ("left out, for they have no labelled pixel: city",)
    assert found["landuse"].scenes == ()
    assert found["landuse"].to_dict()["scores"] == apart["landuse"].to_dict()["scores"]
    np.testing.assert_array_equal(found["landuse"].matrix, apart["landuse"].matrix)
    assert found["landuse"].worst[0].name.startswith("city/img/")
    assert (tmp_path / "maps" / "city" / "img" / "0" / "landuse.tif").is_file()
    one = judge(model, tmp_path / "chips.yaml", only=["c1"])
    assert (
        one["landuse"].to_dict()["scores"]
        == judge(model, tmp_path / "scenes.yaml", only=["chip1"])["landuse"].to_dict()["scores"]
    )
