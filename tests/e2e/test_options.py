"""Every option of ``geounet infer``: it changes what it says it changes, or it is refused in one line."""

from __future__ import annotations

import json
from dataclasses import fields, replace

import numpy as np
import pytest
import rasterio
import shapely
from affine import Affine
from packages import LANDUSE, MEAN, ROAD, STD, hashes, save, texture, tiny_spec, unet, write_scene
from rasterio.features import geometry_mask
from rasterio.warp import transform_geom
from skimage.measure import label as connected

import geounet as api
from geounet.cli.infer import infer
from geounet.cli.options import run_options
from geounet.cli.plan import plan
from geounet.config import Options
from geounet.errors import ConfigError
from geounet.run.options import InferOptions


def read(folder, name="landuse.tif"):
    with rasterio.open(folder / name) as dataset:
        return dataset.read(1)


@pytest.fixture
def run_with(geounet, world, tmp_path):
    """Run with extra options; the results folder."""

    def run(*options, scene=world.scene, model=world.model):
        ending = geounet("infer", scene, "-m", model, "-o", tmp_path / "out", "-q", *options)
        assert (ending.code, ending.out, ending.err) == (0, "", "")
        return tmp_path / "out"

    return run


# --- the options and their names --------------------------------------------------------------------------------


def test_cli_options_are_options_of_the_run_are_keys_of_the_file():
    shared = {parameter.name for parameter in run_options(lambda: None).__click_params__} - {"config"}
    assert shared | {"cluster"} == {field.name for field in fields(InferOptions)} == set(Options.__annotations__)


@pytest.mark.parametrize("command", [infer, plan])
def test_every_option_says_what_it_does(command):
    for parameter in command.params:
        if parameter.param_type_name == "option":
            assert parameter.help, parameter.name
            assert parameter.help.endswith((".", "]", "parquet.")), parameter.name


# --- the options that must not change a byte ----------------------------------------------------------------


@pytest.mark.parametrize(
    "options",
    [
        ("--block", "50"),
        ("--block", "auto"),
        ("--memory", "1MiB"),
        ("--memory", "4GiB"),
        ("--device", "cpu"),
        ("--threads", "1"),
        ("--workers", "2"),
        ("--batch", "auto"),
        ("--precision", "fp32"),
        ("--tta", "none"),
        ("--overlap", "16", "--tile", "64"),
        ("--min-area", "0", "--simplify", "0", "--format", "geojson"),
        ("-v",),
        ("--allow-remote", "--allow-pickle"),
    ],
    ids=" ".join,
)
def test_same_bytes(options, run_with, world):
    assert hashes(run_with(*options)) == world.hashes


# --- the options that change the labels ---------------------------------------------------------------------


@pytest.mark.parametrize(
    "options",
    [
        ("--tile", "128"),
        ("--overlap", "8"),
        ("--overlap", "40"),
        ("--tta", "flips"),
        ("--tta", "d4"),
        ("--bands", "3,2,1"),
        ("--bands", "blue,green,red"),
        ("--gsd", "1"),
    ],
    ids=" ".join,
)
def test_other_labels_on_the_same_grid(options, run_with, world):
    found, plain = read(run_with(*options)), read(world.plain)
    assert found.shape == plain.shape
    assert 0 < (found != plain).mean() < 0.7
    assert (found != 255).all()


def test_bf16_gives_nearly_the_same(run_with, world):
    assert (read(run_with("--precision", "bf16")) == read(world.plain)).mean() > 0.98


def test_batches_give_the_same_labels(run_with, world):
    assert (read(run_with("--batch", "4")) == read(world.plain)).mean() > 0.99999


@pytest.mark.parametrize("bands", ["red,green,blue", "1,2,3"])
def test_the_bands_that_are_taken_anyway(bands, run_with, world):
    assert (read(run_with("--bands", bands)) == read(world.plain)).all()


def test_nodata(run_with, world):
    corner = np.zeros((170, 200), bool)
    corner[:40, :50] = True
    out = run_with("--nodata", "0")
    assert ((read(out) == 255) == corner).all()
    assert ((read(out, "road.tif") == 255) == corner).all()


def test_mask(run_with, world, tmp_path):
    cloud = np.zeros((170, 200), np.uint8)
    cloud[100:130, 20:90] = 3
    with rasterio.open(world.scene) as scene:
        profile = scene.profile | {"count": 1, "photometric": "minisblack"}
    with rasterio.open(tmp_path / "cloud.tif", "w", **profile) as file:
        file.write(cloud, 1)
    assert ((read(run_with("--mask", tmp_path / "cloud.tif")) == 255) == (cloud > 0)).all()


def test_aoi_limits_rasters_to_the_pixel_and_vectors_exactly(run_with, world, tmp_path):
    shape = shapely.Polygon([(300010.3, 2799990), (300080, 2799983.7), (300060, 2799930), (300020, 2799940)])
    aoi = transform_geom("EPSG:32640", "EPSG:4326", shapely.geometry.mapping(shape))
    (tmp_path / "aoi.geojson").write_text(json.dumps({"type": "Feature", "properties": {}, "geometry": aoi}))
    out = run_with("--aoi", tmp_path / "aoi.geojson", "--format", "geojson,gpkg")
    with rasterio.open(out / "landuse.tif") as dataset:
        labels, transform = dataset.read(1), dataset.transform
    deep = geometry_mask([shape.buffer(-0.75)], labels.shape, transform, invert=True)
    near = geometry_mask([shape.buffer(0.75)], labels.shape, transform, invert=True)
    assert (labels[deep] == read(world.plain)[deep]).all()
    assert (labels[~near] == 255).all()
    pieces = shapely.union_all([f.geometry for f in features(out / "vectors.gpkg", "landuse").itertuples()])
    assert pieces.symmetric_difference(shape).area < 1e-3 * shape.area


def features(path, layer=None):
    import pyogrio

    return pyogrio.read_dataframe(path, layer=layer)


def test_min_area_absorbs(run_with, world):
    out = run_with("--min-area", "5")
    plain = features(world.plain / "landuse.geojson")
    found = features(out / "landuse.geojson")
    assert plain.area_m2.min() < 5
    assert found.area_m2.min() >= 5 * 0.999, "the area of a UTM pixel on the ellipsoid is a little smaller"
    assert found.area_m2.sum() == pytest.approx(plain.area_m2.sum(), rel=1e-4)
    assert (read(out) == read(world.plain)).all(), "the raster keeps every pixel"


def test_simplify_takes_corners_away_and_leaves_no_gap(run_with, world):
    found = features(run_with("--simplify", "1", "--format", "gpkg") / "vectors.gpkg", "landuse")
    plain = features(world.plain / "landuse.geojson")
    assert (
        shapely.get_num_coordinates(found.geometry.values).sum()
        < 0.8 * shapely.get_num_coordinates(plain.geometry.values).sum()
    )
    assert found.geometry.is_valid.all()
    union = shapely.union_all(found.geometry.values)
    assert found.geometry.area.sum() == pytest.approx(union.area, rel=1e-9)


@pytest.mark.parametrize("block", ["32", "auto"])
def test_regularize_adds_a_layer_whatever_the_blocks(block, run_with, world):
    out = run_with("--regularize", "vegetation,road", "--format", "geojson,gpkg", "--block", block)
    assert {name: digest for name, digest in hashes(out).items() if name in world.hashes} == world.hashes
    layers = api.infer(world.scene, model=world.model, output=out, regularize=["vegetation", "road"],
                       formats=["geojson", "gpkg"]).layers  # fmt: skip
    for head, name in (("landuse", "vegetation"), ("road", "road")):
        frame, squares = layers[head], layers[f"{head}_regularized"]
        assert set(squares.name) == {name}
        assert squares.id.tolist() == frame.id[frame.name == name].tolist()
        assert squares.is_valid.all()
        assert squares.regularized.any()
        assert (out / f"{head}_regularized.qml").exists()
    item = json.loads((out / "item.json").read_text())
    assert item["assets"]["landuse_regularized.geojson"]["roles"] == item["assets"]["landuse.geojson"]["roles"]


@pytest.mark.parametrize("block", ["50", "1000"])
@pytest.mark.parametrize("threshold", ["0.6", "0.62:0.45"])
def test_threshold_cuts_masks_anew_whatever_the_blocks(threshold, block, run_with, world, tmp_path):
    sure = tmp_path / "sure"
    infer_with_confidence = run_with("--confidence", "--format", "gpkg")
    infer_with_confidence.rename(sure)
    yes, confidence = read(sure, "road.tif"), read(sure, "road_confidence.tif")
    p = np.where(yes == 1, confidence, 250 - confidence.astype(int)) / 250
    strong, weak = (float(t) for t in (threshold.split(":") * 2)[:2])
    parts = connected(p >= weak - 1e-6, connectivity=1)
    expected = np.isin(parts, np.setdiff1d(parts[p >= strong - 1e-6], [0]))
    out = run_with("--threshold", threshold, "--confidence", "--block", block, "--format", "gpkg")
    found, new = read(out, "road.tif"), read(out, "road_confidence.tif")
    assert ((found == 1) == expected).all()
    assert 0 < (found == 1).sum() != (yes == 1).sum()
    assert (new == np.where(found == 1, p * 250, 250 - p * 250).round()).all()
    roads = features(out / "vectors.gpkg", "road")
    with rasterio.open(out / "road.tif") as dataset:
        burnt = geometry_mask(roads.geometry, dataset.shape, dataset.transform, invert=True)
        assert dataset.tags()["GEOUNET_THRESHOLD"] == threshold
    assert (burnt == (found == 1)).all()
    assert roads.confidence_mean.min() >= weak - 1e-4
    assert (read(out) == read(sure)).all(), "classes have no threshold"


def test_cleaned_holes_and_statistics(run_with, world):
    out = run_with(
        "--min-area", "3", "--min-hole", "20", "--cleaned", "--smooth", "--stats", world.scene, "--format", "gpkg"
    )
    assert (read(out) == read(world.plain)).all(), "the raster keeps every pixel"
    cleaned = read(out, "landuse_cleaned.tif")
    assert 0 < (cleaned != read(out)).mean() < 0.5
    found = features(out / "vectors.gpkg", "landuse")
    assert {"perimeter_m", "touches_edge", "confidence_mean"} < set(found.columns)
    statistics = [c for c in found.columns if c.endswith(("_mean", "_min", "_max")) and c != "confidence_mean"]
    assert len(statistics) == 9
    assert found.geometry.is_valid.all()
    assert set(np.unique(read(out, "road_cleaned.tif"))) <= {0, 1}
    assert json.loads((out / "item.json").read_text())["assets"]


def test_layers_of_a_run(world, tmp_path):
    run = api.infer(world.scene, model=str(world.model), output=tmp_path / "out", formats=["geojson", "gpkg"])
    assert list(run.layers) == ["landuse", "road"]
    assert len(run.layers["landuse"]) == run.features["landuse"]
    assert run.layers["landuse"].crs.to_epsg() == 32640, "the scene's own coordinates, where some format has them"
    with pytest.raises(ConfigError, match=r"no head named: .*none here"):
        run.road_graph()


@pytest.mark.parametrize("formats", [["geojson"], ["gpkg", "geojson"]])
def test_the_roads_of_a_run_are_a_graph(formats, world, tmp_path):
    spec = tiny_spec(heads=(tiny_spec().heads[0], replace(ROAD, lines=True)))
    model = save(tmp_path / "lines", unet(spec), spec)
    run = api.infer(world.scene, model=str(model), output=tmp_path / "out", formats=formats, spur=0.0)
    graph = run.road_graph()
    assert graph.number_of_edges() == len(run.layers["road_lines"]) > 0
    assert graph.size(weight="length_m") == pytest.approx(run.length["road_lines"])
    assert set(run.road_graph("road").nodes) == set(graph.nodes) == set(run.layers["road_nodes"].id)
    with pytest.raises(ConfigError, match=r"head 'landuse': .*\(road\)"):
        run.road_graph("landuse")


def test_formats(run_with):
    out = run_with("--format", "geojson,gpkg,fgb,geojsonseq,geojsons,shp")
    suffixes = (".geojson", ".fgb", ".geojsonl", ".geojsons", ".shp")
    counts = {s: len(features(out / f"landuse{s}")) for s in suffixes}
    counts["gpkg"] = len(features(out / "vectors.gpkg", "landuse"))
    assert len(set(counts.values())) == 1
    styles = features(out / "vectors.gpkg", "layer_styles")
    assert sorted(styles.f_table_name) == ["landuse", "road"]
    assert len(features(out / "vectors.gpkg", "road")) == len(features(out / "road.geojson"))
    assert {p.name for p in out.glob("*.gpkg")} == {"vectors.gpkg"}
    assert next(iter(counts.values())) > 10
    assert not list(out.glob("*.parquet"))


def test_confidence(run_with):
    out = run_with("--confidence")
    for head, floor in (("landuse", 250 / 3), ("road", 125)):
        found = read(out, f"{head}_confidence.tif")
        assert floor - 1 <= found.min() < found.max() <= 250


def test_stack(geounet, world, tmp_path, run_with):
    with rasterio.open(world.scene) as scene:
        pixels, profile = scene.read(), scene.profile | {"count": 1, "photometric": "minisblack"}
    files = [tmp_path / f"B{n}.tif" for n in (1, 2, 3)]
    for number, file in enumerate(files):
        with rasterio.open(file, "w", **profile) as band:
            band.write(pixels[number], 1)
    ending = geounet("infer", "--stack", *files, "-m", world.model, "-o", tmp_path / "out", "-q")
    assert (ending.code, ending.out) == (0, "")
    assert (read(tmp_path / "out") == read(world.plain)).all()


def test_onnx_file_as_model(run_with, world):
    """The package's own graph with a YAML beside it is a bare ONNX file."""
    card = world.folder / "bare"
    card.mkdir(exist_ok=True)
    for name in ("graph.onnx", "weights.safetensors"):
        (card / name).write_bytes((world.model / name).read_bytes())
    bands = [{"name": name, "mean": MEAN, "std": STD} for name in ("red", "green", "blue")]
    heads = [{"name": h.name, "kind": h.kind, "classes": [vars(c) for c in h.classes]} for h in (LANDUSE, ROAD)]
    spec = {"name": "bare", "bands": bands, "heads": heads, "tile": 64, "overlap": 16, "divisor": 4}
    (card / "graph.yaml").write_text(json.dumps(spec))
    assert (read(run_with(model=card / "graph.onnx")) == read(world.plain)).all()


# --- refusals -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--model", "landuse-raods"), ("landuse-raods", "not found")),
        (("--model", "/"), ("is not a model",)),
        (("--output", ""), ("--output", "expected")),
        (("--config", "nowhere.yaml"), ("nowhere.yaml", "No such file")),
        (("--tile", "66"), ("66", "multiple of 4", "64")),
        (("--tile", "0"), ("--tile 0", "1 or more")),
        (("--tile", "large"), ("'large'", "integer")),
        (("--overlap", "64"), ("--overlap 64", "less than the tile")),
        (("--overlap", "-1"), ("--overlap -1",)),
        (("--batch", "0"), ("--batch 0",)),
        (("--batch", "many"), ("'many'", "whole number or auto")),
        (("--block", "0"), ("--block 0",)),
        (("--memory", "4GiBB"), ("'4GiBB'", "4GiB")),
        (("--aoi", "~nobody-of-that-name/a.geojson"), ("~nobody-of-that-name", "path of a file")),
        (("--memory", "9KiB"), ("budget", "larger --memory")),
        (("--device", "cuda:99"), ("cuda:99", "--device cpu")),
        (("--device", "gpu"), ("expected auto, cpu, cuda",)),
        (("--precision", "fp8"), ("auto, fp32, bf16, fp16",)),
        (("--precision", "fp16", "--device", "cpu"), ("fp16", "bf16")),
        (("--tta", "d8"), ("none, flips, d4",)),
        (("--bands", "1,2"), ("--bands chooses 2", "needs 3")),
        (("--bands", "1,2,9"), ("no band 9",)),
        (("--bands", "red,gren,blue"), ("'gren'", "2 green")),
        (("--bands", ",,"), ("separated by commas",)),
        (("--nodata", "300"), ("300", "uint8")),
        (("--nodata", "white"), ("'white'",)),
        (("--mask", "nowhere.tif"), ("nowhere.tif",)),
        (("--gsd", "0"), ("positive number of metres",)),
        (("--gsd", "nan"), ("positive number of metres",)),
        (("--gsd", "1e5"), ("100000",)),
        (("--aoi", "nowhere.gpkg"), ("nowhere.gpkg",)),
        (("--workers", "-1"), ("--workers -1",)),
        (("--threads", "0"), ("--threads 0",)),
        (("--threads", "100000"), ("--threads 100000", "at most")),
        (("--workers", "5000"), ("--workers 5000", "at most")),
        (("--workers", "2", "--scheduler", "tcp://127.0.0.1:1"), ("exclude each other",)),
        (("--min-area", "-1"), ("--min-area -1",)),
        (("--min-area", "nan"), ("--min-area nan",)),
        (("--simplify", "inf"), ("--simplify inf",)),
        (("--min-hole", "-1"), ("--min-hole -1",)),
        (("--regularize", "castle"), ("--regularize castle", "no such class", "vegetation")),
        (("--regularize", "1"), ("--regularize 1", "landuse and road", "name")),
        (("--threshold", "1.5"), ("--threshold 1.5", "0.5:0.3")),
        (("--threshold", "0.3:0.5"), ("--threshold 0.3:0.5", "weaker")),
        (("--threshold", "high"), ("'high'", "0.5:0.3")),
        (("--stats", "nowhere.tif"), ("nowhere.tif",)),
        (("--format", "kml"), ("kml", "geojson, geojsonseq, geojsons, gpkg, fgb, parquet, shp")),
        (("--format", "geojson,"), ("names separated by commas",)),
        (("--modle", "x"), ("--modle", "--model", "infer --help")),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else None,
)
def test_refused_in_one_line(options, words, geounet, world, tmp_path):
    given = () if options[0] == "--output" else ("-o", tmp_path / "out")
    geounet("infer", world.scene, "-m", world.model, *given, *options).refused(*words)
    assert not (tmp_path / "out").exists(), "a request that cannot work touches nothing"


def test_no_path_at_all(geounet, world):
    """What an unset variable of the shell leaves."""
    geounet("infer", "", "-m", world.model).refused("path of a raster is empty")
    geounet("info", " ").refused("path of a raster is empty")
    geounet("info", "~nobody-of-that-name/scene.tif").refused("~nobody-of-that-name/scene.tif cannot be read")


@pytest.mark.parametrize(
    ("size", "options", "words"),
    [
        (1.0, (), "sees it at 0.5 m: 4 times the tiles; --gsd native"),
        (0.2, (), "sees it at 0.5 m: 0.16 times the tiles"),
        (1.0, ("--gsd", "native"), "--gsd 0.5 resamples"),
        (10.0, (), "expect a poor map"),
        (10.0, ("--gsd", "0.5"), "expect a poor map"),
        (0.5, (), ""),
        (0.6, (), ""),
    ],
)
def test_advice_about_resolution_is_of_use(size, options, words, geounet, world, tmp_path):
    """What is done about it is said, with its price; nobody is told to blow up pixels that show nothing."""
    ending = geounet("plan", _of_pixels(size, tmp_path), "-m", world.model, *options)
    assert ending.code == 0
    assert words in ending.err
    assert bool(ending.err) == bool(words)


@pytest.mark.parametrize(("size", "same"), [(1.0, "0.5"), (0.2, "0.5"), (0.3, "native"), (2.5, "native")])
def test_the_network_sees_its_own_pixels(size, same, geounet, world, tmp_path):
    """The model is of 0.5 m: up to four times that, and below half of it, the scene is resampled."""
    scene, found = _of_pixels(size, tmp_path), []
    for name, options in (("by itself", ()), ("asked", ("--gsd", same)), ("other", ("--gsd", "0.9"))):
        out = tmp_path / name
        assert geounet("infer", scene, "-m", world.model, "-o", out, *options).code == 0
        with rasterio.open(out / "landuse.tif") as labels:
            assert labels.shape == (60, 60)
            found.append((labels.read(1), labels.tags().get("GEOUNET_GSD")))
    (by_itself, told), (asked, told_asked), (other, _) = found
    assert (by_itself == asked).all()
    assert told == told_asked == (None if same == "native" else same)
    assert (by_itself != other).any()


def test_a_scene_without_a_crs_is_told_its_pixels(geounet, world, tmp_path):
    """The same pixels with a CRS and without one, told their size, are seen alike; nobody is believed twice."""
    placed, bare = (
        _of_pixels(1.0, tmp_path),
        write_scene(tmp_path / "bare.tif", texture((60, 60), bands=3), crs=None),
    )
    found = []
    for scene, options in ((placed, ()), (bare, ("--pixel-size", "1")), (bare, ())):
        out = tmp_path / f"out{len(found)}"
        ending = geounet("infer", scene, "-m", world.model, "-o", out, *options)
        assert ending.code == 0
        assert ("--pixel-size METRES" in ending.err) == (scene == bare and not options)
        with rasterio.open(out / "landuse.tif") as labels:
            found.append(labels.read(1))
    assert (found[0] == found[1]).all()
    assert (found[1] != found[2]).any()
    geounet("infer", placed, "-m", world.model, "--pixel-size", "3").refused("--pixel-size is for rasters without")
    geounet("infer", bare, "-m", world.model, "--pixel-size", "0").refused("--pixel-size 0: expected a positive")


def _of_pixels(size, folder):
    grid = Affine(size, 0, 300000, 0, -size, 2800000)
    return write_scene(folder / f"{size:g}.tif", texture((60, 60), bands=3), transform=grid)


def test_cuda_without_cuda(geounet, world, tmp_path):
    import torch

    if torch.cuda.is_available():
        pytest.skip("there is a CUDA device")
    geounet("infer", world.scene, "-m", world.model, "-o", tmp_path / "out", "--device", "cuda").refused("cuda")


def test_parquet_without_pyarrow_is_refused_before_the_work(geounet, world, tmp_path, monkeypatch):
    monkeypatch.setattr("geounet.io.vectors.find_spec", lambda _: None)
    ending = geounet("infer", world.scene, "-m", world.model, "-o", tmp_path / "out", "--format", "parquet")
    ending.refused("pip install 'geounet[parquet]'")
    assert not (tmp_path / "out").exists()


def test_stack_with_a_file_that_is_not_there(geounet, world):
    geounet("infer", "--stack", world.scene, world.folder / "nowhere.tif", "-m", world.model).refused("nowhere.tif")


def test_pickled_weights_need_leave(geounet, world, tmp_path):
    folder = tmp_path / "pickled"
    folder.mkdir()
    (folder / "config.json").write_text('{"_model_class": "Unet"}')
    (folder / "pytorch_model.bin").write_bytes(b"cposix\nsystem\n")
    call = ("infer", world.scene, "-m", folder, "-o", tmp_path / "out")
    geounet(*call).refused("is a pickle", "--allow-pickle")
    geounet(*call, "--allow-pickle").refused("geounet.yaml is missing")
