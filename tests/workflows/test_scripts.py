"""The scripts, run as an operator runs them, over small scenes."""

from __future__ import annotations

import csv
import os
from collections.abc import Callable
from pathlib import Path

import networkx
import numpy as np
import pyogrio
import pytest
import rasterio
import shapely
import yaml
from installed import write_square
from packages import texture, write_scene
from rasterio.features import shapes
from rasterio.transform import Affine
from shapely.geometry import shape

import geounet
from geounet.schedule.config import load_schedule

Script = Callable[..., object]
WEST, NORTH = 300000.0, 2800000.0


def scene(path: Path, *, seed: int, size: int = 96, east: int = 0, time: float | None = None) -> Path:
    """A restless scene, ``east`` pixels from the origin."""
    transform = Affine(0.5, 0, WEST + 0.5 * east, 0, -0.5, NORTH)
    write_scene(path, texture((size, size), bands=3, seed=seed), transform=transform)
    if time is not None:
        os.utime(path, (time, time))
    return path


# --- each -----------------------------------------------------------------------------------------------------

NAMES = ("sentinel2_week.py", "road_map_of_a_county.py", "change_between_dates.py")


@pytest.mark.parametrize("name", NAMES)
def test_help_teaches(script: Script, name: str):
    said = script(name, "--help").stdout
    assert f"python workflows/scripts/{name}" in said
    assert "130" in said, "exit codes"
    assert all(len(line) <= 100 for line in said.splitlines())


@pytest.mark.parametrize("name", NAMES)
def test_a_wrong_option_is_told_with_exit_code_2(script: Script, name: str):
    assert "No such option" in script(name, "--nonsense", code=2).stderr


# --- change ---------------------------------------------------------------------------------------------------


def change(script: Script, folder: Path, model: Path, *more: object, code: int = 0):
    scenes = folder / "a.tif", folder / "b.tif"
    return script("change_between_dates.py", *scenes, "-o", folder / "out", "--model", model, *more, code=code)


def matrix(folder: Path) -> tuple[list[str], np.ndarray]:
    with (folder / "out" / "transitions.csv").open(encoding="utf-8", newline="") as file:
        head, *rows = csv.reader(file)
    assert [row[0] for row in rows] == head[1:]
    return head[1:], np.array([[float(v) for v in row[1:]] for row in rows])


def test_change_is_what_the_two_maps_say(script: Script, tmp_path: Path, model: Path):
    scene(tmp_path / "a.tif", seed=1)
    scene(tmp_path / "b.tif", seed=2)
    change(script, tmp_path, model)
    before, after = (rasterio.open(tmp_path / "out" / w / "landuse.tif").read(1) for w in ("before", "after"))
    names, hectares = matrix(tmp_path)
    assert names == ["land", "water", "vegetation"]
    counts = np.bincount(before.ravel() * 3 + after.ravel(), minlength=9).reshape(3, 3)
    np.testing.assert_allclose(hectares / hectares.sum(), counts / counts.sum(), rtol=1e-3, atol=1e-6)
    with rasterio.open(tmp_path / "out" / "change.tif") as file:
        code = file.read(1)
        assert file.tags()["CLASS_2"] == "land to water"
    np.testing.assert_array_equal(code, np.where(before == after, 0, before.astype(int) * 3 + after + 1))
    frame = pyogrio.read_dataframe(tmp_path / "out" / "change.gpkg")
    assert set(frame["class"]) == set(np.unique(code)) - {0}
    changed = hectares.sum() - np.trace(hectares)
    assert frame["area_m2"].sum() / 1e4 == pytest.approx(changed, rel=1e-3)  # area_m2 is rounded


def test_change_of_a_scene_to_itself_is_none(script: Script, tmp_path: Path, model: Path):
    scene(tmp_path / "a.tif", seed=1)
    scene(tmp_path / "b.tif", seed=1)
    change(script, tmp_path, model)
    _, hectares = matrix(tmp_path)
    assert np.count_nonzero(hectares - np.diag(np.diag(hectares))) == 0
    assert len(pyogrio.read_dataframe(tmp_path / "out" / "change.gpkg")) == 0


def test_change_is_told_only_where_both_have_data(script: Script, tmp_path: Path, model: Path):
    scene(tmp_path / "a.tif", seed=1)
    scene(tmp_path / "b.tif", seed=2, east=40)
    change(script, tmp_path, model)
    code = rasterio.open(tmp_path / "out" / "change.tif").read(1)
    assert (code[:, :40] == 65535).all()
    assert (code[:, 40:] != 65535).all()
    _, hectares = matrix(tmp_path)
    assert hectares.sum() == pytest.approx(96 * 56 * 0.25 / 1e4, rel=2e-3)


def test_a_head_that_the_model_lacks_is_told_in_one_line(script: Script, tmp_path: Path, model: Path):
    scene(tmp_path / "a.tif", seed=1)
    scene(tmp_path / "b.tif", seed=2)
    done = change(script, tmp_path, model, "--head", "trees", code=2)
    assert done.stderr == "error: --head trees: expected one of landuse, road\n"


# --- roads ----------------------------------------------------------------------------------------------------


@pytest.fixture
def county(tmp_path: Path) -> Path:
    """Two synthetic towns that overlap by half, and an area over both."""
    for seed, name in enumerate(("old", "new")):
        geounet.write_sample(tmp_path / f"{name}.tif", size=384, seed=seed)
    with rasterio.open(tmp_path / "new.tif", "r+") as file:
        left, bottom, right, top = file.bounds
        file.transform = Affine.translation(96, 0) @ file.transform
        crs = file.crs.to_epsg()
    os.utime(tmp_path / "old.tif", (1e9, 1e9))
    write_square(tmp_path / "county.geojson", [left + 10, bottom + 10, right + 80, top - 10], crs=crs)
    return tmp_path


def roads(script: Script, folder: Path, *more: object, names: tuple[str, ...] = ("old", "new"), code: int = 0):
    scenes = [folder / f"{name}.tif" for name in names]
    return script(
        "road_map_of_a_county.py", *scenes, "--aoi", folder / "county.geojson", "-o", folder / "c.gpkg", *more,
        code=code,
    )  # fmt: skip


def test_a_county_gets_one_network(script: Script, county: Path):
    roads(script, county)
    graph = geounet.road_graph(county / "c.gpkg")
    assert graph.number_of_edges() > 0
    lines = pyogrio.read_dataframe(county / "c.gpkg", layer="road_lines")
    assert set(lines["scene"]) == {"old", "new"}
    with rasterio.open(county / "new.tif") as file:
        mask, to_map = file.dataset_mask(), file.transform
    ground = shapely.union_all([shape(s) for s, _ in shapes(mask, mask > 0, transform=to_map)])
    older = lines[lines["scene"] == "old"].length.sum()
    doubled = lines[lines["scene"] == "old"].intersection(ground.buffer(-0.5)).length.sum()
    assert doubled < 0.01 * older, "the newest wins where they overlap"
    nodes = pyogrio.read_dataframe(county / "c.gpkg", layer="road_nodes")
    degree = dict(graph.degree())
    assert {int(n): int(d) for n, d in zip(nodes["id"], nodes["degree"], strict=True)} == degree
    assert not list(networkx.isolates(graph))
    first = lines.to_json()
    roads(script, county, "--overwrite", names=("new", "old"))
    assert pyogrio.read_dataframe(county / "c.gpkg", layer="road_lines").to_json() == first, "order says nothing"


def test_what_is_there_is_kept(script: Script, county: Path):
    (county / "c.gpkg").write_text("mine")
    assert "--overwrite" in roads(script, county, code=2).stderr
    assert (county / "c.gpkg").read_text() == "mine"


def test_a_county_elsewhere_is_told_in_one_line(script: Script, county: Path):
    write_square(county / "county.geojson", [10.0, 10.0, 11.0, 11.0], crs=4326)
    said = roads(script, county, code=2).stderr
    assert "no scene shows any of it" in said
    assert said.count("\n") == 1


def test_ends_that_a_seam_cut_become_one_node(county_module):
    import geopandas
    from shapely import Point

    nodes = geopandas.GeoDataFrame(
        {"id": [1, 2, 3, 4], "cut": [True, True, True, False], "scene": ["a", "b", "b", "b"]},
        geometry=[Point(WEST, NORTH), Point(WEST + 1, NORTH), Point(WEST + 2, NORTH), Point(WEST, NORTH)],
        crs=32640,
    )
    assert county_module._joined(nodes, 3.0) == {2: 1}
    assert county_module._joined(nodes, 0.5) == {}


# --- Sentinel-2 -----------------------------------------------------------------------------------------------

WEEK = ("--stac", "https://stac.example.org/v1", "--bbox", 13.0, 52.3, 13.8, 52.7, "--until", "2026-05-31")


def test_a_week_is_written_as_a_schedule(script: Script, tmp_path: Path, model: Path):
    script("sentinel2_week.py", tmp_path / "week", *WEEK, "--model", model, "--write-only")
    found = yaml.safe_load((tmp_path / "week" / "schedule.yaml").read_text())
    assert found["source"] == {
        "stac": "https://stac.example.org/v1",
        "collections": ["sentinel-2-l2a"],
        "bbox": [13.0, 52.3, 13.8, 52.7],
        "datetime": "2026-05-25/2026-05-31",
        "cloud_cover": 20,
        "assets": ["red", "green", "blue"],
    }
    script("sentinel2_week.py", tmp_path / "week", *WEEK, "--model", model, "--write-only")  # replaces its own


def test_geounet_takes_the_schedule_of_a_week(script: Script, tmp_path: Path, model: Path):
    script("sentinel2_week.py", tmp_path, *WEEK, "--model", model, "--write-only")
    assert load_schedule(tmp_path / "schedule.yaml").options.model == str(model)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [(("--until", "31.5.2026"), "--until 31.5.2026"), (("--bbox", 13, 60, 14, 52), "west south east north")],
)
def test_a_wrong_week_is_told_in_one_line(script: Script, tmp_path: Path, wrong: tuple[object, ...], said: str):
    done = script("sentinel2_week.py", tmp_path, *WEEK, *wrong, "--model", "m", "--write-only", code=2)
    assert said in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "schedule.yaml").exists()


def test_a_schedule_of_somebody_else_is_kept(script: Script, tmp_path: Path):
    (tmp_path / "schedule.yaml").write_text("source: mine\n")
    script("sentinel2_week.py", tmp_path, *WEEK, "--model", "m", "--write-only", code=2)
    assert (tmp_path / "schedule.yaml").read_text() == "source: mine\n"


def test_the_scenes_of_a_week_are_published_once(script: Script, tmp_path: Path, model: Path, week_api):
    """From a STAC API on loopback: of three scenes one is older and one is cloudy."""
    asked = ("--stac", week_api, "--bbox", 10.1, 50.1, 10.9, 50.9, "--until", "2026-05-31", "--collection", "s2")
    script("sentinel2_week.py", tmp_path / "week", *asked, "--model", model)
    assert {path.parent.name for path in (tmp_path / "week").glob("maps/2026/*/landuse.tif")} == {"clear"}
    said = script("sentinel2_week.py", tmp_path / "week", *asked, "--model", model).stdout
    assert "0 published, 0 failed" in said
