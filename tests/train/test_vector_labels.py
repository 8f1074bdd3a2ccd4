"""Vectors as labels: on the image's grid from any CRS, the same however the scene is cut into windows."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio import Affine
from rasterio.features import rasterize

from geounet.errors import ConfigError, SceneError
from geounet.grid.geobox import GeoBox
from geounet.grid.window import Window
from geounet.io.burn import Burner, BurnLayer
from geounet.model.spec import NODATA
from geounet.train.config import TrainConfig
from geounet.train.scenes import TrainScene, load_scenes

_spec = importlib.util.spec_from_file_location("train_conftest", Path(__file__).with_name("conftest.py"))
assert _spec is not None
assert _spec.loader is not None
shared = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(shared)

UTM = "EPSG:32640"
PLACE = Affine(0.5, 0, 400_000, 0, -0.5, 2_800_000)
GRID = GeoBox(width=64, height=64, transform=tuple(PLACE)[:6], crs=UTM)


def load(folder: Path, *layers: dict[str, Any], raster: str | None = None, **labels: Any) -> TrainScene:
    names = ("land", "building", "road")
    config = TrainConfig.model_validate({
        "name": "x",
        "bands": [{"name": n} for n in ("red", "green", "blue")],
        "classes": [{"name": n, "color": "#ff0000"} for n in names],
        "heads": [{"name": "landuse"}],
        "network": {"divisor": 2},
        "optimiser": {"steps": 1},
        "data": {
            "crop": 32,
            "scenes": [{
                "name": "s", "group": "g", "image": "scene.tif",
                "labels": {"layers": list(layers), "raster": raster, **labels},
            }],
        },
    })  # fmt: skip
    return load_scenes(config, root=folder, cache=folder / "cache")[0]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    shared.write_raster(tmp_path / "scene.tif", shared.tiny_image(shared.tiny_labels()), crs=UTM, transform=PLACE)
    return tmp_path


def on_ground(*shapes: Any) -> list[Any]:
    """Shapes in pixels of the scene, in its CRS."""
    return [shapely.transform(s, lambda xy: xy * (0.5, -0.5) + (400_000, 2_800_000)) for s in shapes]


def write(path: Path, shapes: list[Any], *, crs: str = UTM, **columns: list[Any]) -> None:
    geopandas.GeoDataFrame(columns, geometry=on_ground(*shapes), crs=UTM).to_crs(crs).to_file(path)


HOUSE, YARD = shapely.box(10, 20, 30, 28), shapely.box(25, 5, 60, 50)
STREET = shapely.LineString([(-20, 40), (90, 40)])


@pytest.mark.parametrize(("suffix", "crs"), [(".geojson", "EPSG:4326"), (".gpkg", UTM), (".fgb", "EPSG:32639")])
def test_polygons_and_lines_in_any_crs_lie_where_they_are(folder: Path, suffix: str, crs: str) -> None:
    write(folder / f"houses{suffix}", [YARD, HOUSE], crs=crs, kind=["garden", "house"])
    write(folder / f"roads{suffix}", [STREET], crs=crs)
    houses = {"file": f"houses{suffix}", "field": "kind", "classes": {"garden": "land", "house": "building"}}
    scene = load(folder, houses, {"file": f"roads{suffix}", "marks": "road", "width": 4})
    expected = np.full((64, 64), NODATA, np.uint8)
    expected[5:50, 25:60], expected[20:28, 10:30], expected[36:44] = 0, 1, 2
    labels = np.asarray(scene.labels)
    assert (labels != expected).sum() <= (0 if crs == UTM else 64)
    assert (labels == 2).sum() == pytest.approx(8 * 64, abs=64)


def test_vectors_lie_over_a_background_or_a_raster_and_may_say_unknown(folder: Path) -> None:
    write(folder / "houses.gpkg", [HOUSE], what=[1.0])
    write(folder / "clouds.gpkg", [shapely.box(0, 0, 64, 10)])
    layers = [{"file": "houses.gpkg", "field": "what"}, {"file": "clouds.gpkg", "marks": "unknown"}]
    over = np.asarray(load(folder, *layers, background="road").labels)
    assert (over[20:28, 10:30] == 1).all()
    assert (over[:10] == NODATA).all()
    assert (over[30:] == 2).all()
    shared.write_raster(folder / "base.tif", np.zeros((1, 64, 64), np.uint8), crs=UTM, transform=PLACE)
    on_raster = np.asarray(load(folder, *layers, raster="base.tif").labels)
    assert np.array_equal(on_raster, np.where(over == 2, 0, over))


def test_lines_take_their_width_from_a_column(folder: Path) -> None:
    lines = [shapely.LineString([(-20, y), (90, y)]) for y in (10, 30, 50)]
    write(folder / "roads.gpkg", lines, metres=["2", None, "bad"])
    road = {"file": "roads.gpkg", "marks": "road", "width_field": "metres"}
    labels = np.asarray(load(folder, {**road, "width": 6}).labels)
    assert [int((labels[y - 9 : y + 9, 30] == 2).sum()) for y in (10, 30, 50)] == [4, 12, 12]
    write(folder / "beside.gpkg", [shapely.LineString([(-20, -12), (90, -12)])], metres=[17.0])
    reaching = np.asarray(load(folder, {**road, "file": "beside.gpkg"}, background="land").labels)
    assert ((reaching == 2).sum(0) == 5).all(), "34 pixels wide, and its middle 12 beside the scene"
    with pytest.raises(ConfigError, match="has 3 lines, 1 of them with a number in 'metres'; expected the metres"):
        load(folder, road)


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        ({"file": "absent.gpkg", "marks": "road"}, r"absent\.gpkg cannot be read"),
        ({"file": "lines.gpkg", "marks": "road"}, "has 1 lines; expected the metres across them: add width or"),
        (
            {"file": "lines.gpkg", "marks": "rail"},
            "labels name a class 'rail'; expected one of land, building, road",
        ),
        ({"file": "houses.gpkg", "field": "typ"}, "has no column 'typ'; expected one of kind"),
        (
            {"file": "houses.gpkg", "field": "kind"},
            r"'kind' holds 'shed' \(2 features\), which no class has; expected",
        ),
        (
            {"file": "houses.gpkg", "layer": "roofs", "marks": "road"},
            "has no layer 'roofs'; expected one of houses",
        ),
        ({"file": "points.gpkg", "marks": "road"}, "has points; expected polygons, or lines with a width"),
        (
            {"file": "far.gpkg", "marks": "road"},
            "no feature of .*far.gpkg lies on it; check the files and their CRS",
        ),
        ({"file": "bare.fgb", "marks": "road"}, "has no CRS"),
        ({"file": "fake.gpkg", "marks": "road"}, "is not what its suffix says"),
    ],
)
def test_what_is_wrong_with_vectors_is_one_line(folder: Path, layer: dict[str, Any], message: str) -> None:
    write(folder / "houses.gpkg", [HOUSE, YARD], kind=["shed", "shed"])
    write(folder / "lines.gpkg", [STREET])
    write(folder / "points.gpkg", [shapely.Point(5, 5)])
    write(folder / "far.gpkg", [shapely.box(4000, 0, 4010, 10)])
    geopandas.GeoDataFrame(geometry=on_ground(HOUSE)).to_file(folder / "bare.fgb")
    (folder / "fake.gpkg").write_text("no database")
    with pytest.raises((ConfigError, SceneError), match=message) as caught:
        load(folder, layer)
    assert "\n" not in str(caught.value)


def test_vectors_need_a_scene_with_a_crs(folder: Path) -> None:
    shared.write_raster(folder / "scene.tif", shared.tiny_image(shared.tiny_labels()))
    write(folder / "houses.gpkg", [HOUSE])
    with pytest.raises(SceneError, match="scene 's' has no CRS, so vectors cannot be laid on it"):
        load(folder, {"file": "houses.gpkg", "marks": "building"})


coordinate = st.one_of(st.floats(-20, 84), st.integers(-20, 84).map(lambda n: n + 0.5), st.integers(-20, 84))


@settings(deadline=None, max_examples=60)
@given(
    rings=st.lists(st.lists(st.tuples(coordinate, coordinate), min_size=3, max_size=6), min_size=1, max_size=6),
    cuts=st.tuples(st.integers(1, 63), st.integers(1, 63)),
)
def test_a_window_has_the_pixels_that_it_has_in_the_whole_scene(
    tmp_path_factory: pytest.TempPathFactory, rings: list[list[tuple[float, float]]], cuts: tuple[int, int]
) -> None:
    file = tmp_path_factory.mktemp("law") / "shapes.fgb"
    shapes = [shapely.make_valid(shapely.Polygon(ring)) for ring in rings]
    shapes = [s for each in shapes for s in shapely.get_parts(each) if shapely.get_dimensions(s) == 2]
    if not any(s.intersects(shapely.box(1, 1, 63, 63)) for s in shapes):
        return
    write(file, shapes)
    burner = Burner([BurnLayer(path=file, value=1)], GRID, label="x")
    whole, parts = np.zeros((64, 64), np.uint8), np.zeros((64, 64), np.uint8)
    burner.burn(whole, GRID.window)
    for rows in (slice(0, cuts[0]), slice(cuts[0], 64)):
        for cols in (slice(0, cuts[1]), slice(cuts[1], 64)):
            piece = np.zeros((rows.stop - rows.start, cols.stop - cols.start), np.uint8)
            burner.burn(piece, Window(rows.start, cols.start, *piece.shape))
            parts[rows, cols] = piece
    assert np.array_equal(parts, whole)
    if any(s.area < 1e-6 for s in shapes):  # a sliver is a matter of digits that the file does not keep
        return
    truth = rasterize([(s, 1) for s in shapes], out_shape=(64, 64), fill=0, dtype="uint8")
    centres = shapely.points(*(axis + 0.5 for axis in np.meshgrid(np.arange(64), np.arange(64))))
    on_the_line = shapely.dwithin(shapely.union_all([s.boundary for s in shapes]), centres, 1 / 256)
    assert not (truth != whole)[~on_the_line].any()  # ours snaps corners to 1/1024 of a pixel


def test_a_spike_of_an_invalid_polygon_is_no_pixel(folder: Path) -> None:
    """Mended it is a triangle and a line; an area that is no area at all burns nothing."""
    spike = shapely.Polygon([(1, 6), (1, 1), (6, 6), (1, 6), (1, 40), (1, 6)])
    flat = shapely.Polygon([(20, 20), (30, 30), (20, 20)])
    write(folder / "spike.fgb", [spike, flat])
    burnt = np.zeros((64, 64), np.uint8)
    Burner([BurnLayer(path=folder / "spike.fgb", value=1)], GRID, label="x").burn(burnt, GRID.window)
    expected = rasterize([shapely.Polygon([(1, 6), (1, 1), (6, 6)])], out_shape=(64, 64), dtype="uint8")
    np.testing.assert_array_equal(burnt, expected)
