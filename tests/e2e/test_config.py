"""``--config``: the command line wins over the file, which wins over the model; what is wrong is named."""

from __future__ import annotations

import json

import pytest


@pytest.fixture
def planned(geounet, world, tmp_path):
    """The plan with a configuration file and options."""

    def plan(text, *options):
        (tmp_path / "run.yaml").write_text(text)
        ending = geounet("plan", world.scene, "--config", tmp_path / "run.yaml", "--json", *options)
        assert ending.code == 0, ending
        return json.loads(ending.out)

    return plan


def test_precedence(planned, world):
    model = f"model: {world.model}\n"
    assert planned(model)["tile"] == 64
    assert planned(model + "tile: 128\n")["tile"] == 128
    assert planned(model + "tile: 128\n", "--tile", "32")["tile"] == 32
    assert planned("model: nowhere\n", "-m", world.model)["tile"] == 64


def test_paths_are_relative_to_the_file_and_keys_as_on_the_command_line(planned, world, tmp_path):
    found = planned(f"model: {world.model}\noutput: maps\nmin-area: 3\nmin_area: 3\n".replace("min_area: 3\n", ""))
    assert found["output"] == str(tmp_path / "maps")


def test_empty_values_are_not_given(planned, world):
    assert planned(f"model: {world.model}\ntile:\noutput: null\naoi: ~\n")["output"].endswith("scene_geounet")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("tiel: 64", ("'tiel'", "did you mean tile?")),
        ("min_are: 3", ("did you mean min-area?",)),
        ("formats: geojson\nformat: gpkg", ("2 times",)),
        ("tile: 64\ntile: 128", ("'tile' is there 2 times",)),
        ("dry_run: true", ("'dry_run'", "known are model,")),
        ('model: !!python/object/apply:os.system ["exit 7"]', ("python/object/apply",)),
        ("- tile", ("holds list",)),
        ("tile: [1", ("not YAML",)),
        ("tile: true", ("tile True", "whole number")),
        ("confidence: maybe", ("'maybe'", "true or false")),
        ("bands: [[1], [2]]", ("bands", "separated by commas")),
        ("output: 5", ("output 5", "path")),
        ("nodata: 2020-01-01", ("nodata 2020-01-01", "a number")),
        ("tile: 66", ("multiple of 4",)),
    ],
)
def test_refused(text, words, geounet, world, tmp_path):
    (tmp_path / "run.yaml").write_text(text)
    model = () if "model" in text else ("-m", world.model)
    geounet("infer", world.scene, "--config", tmp_path / "run.yaml", *model).refused(*words)
    assert not (world.folder / "scene_geounet").exists()


def test_bytes_that_are_no_text(geounet, world, tmp_path):
    (tmp_path / "run.yaml").write_bytes(b"\xff\xfe\x00")
    geounet("infer", world.scene, "--config", tmp_path / "run.yaml").refused("run.yaml", "not YAML")
