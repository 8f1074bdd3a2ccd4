"""``geounet.evaluate`` and ``geounet evaluate`` on files: what is detected, what is written, what is refused."""

from __future__ import annotations

import csv
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from rasterio.transform import Affine
from shapely import LineString, box, transform

import geounet
from geounet.cli.main import run
from geounet.errors import ConfigError, RequestError, SceneError

NAMES = {0: "building", 1: "land", 2: "water"}


def texture(seed: int = 0, shape: tuple[int, int] = (260, 300)) -> np.ndarray:
    """Patches of three classes with nodata in a corner."""
    rng = np.random.default_rng(seed)
    out = np.kron(rng.integers(0, 3, (shape[0] // 10 + 1, shape[1] // 10 + 1)), np.ones((10, 10))).astype(np.uint8)
    out = out[: shape[0], : shape[1]].copy()
    out[:30, :40] = 255
    return out


def worse(labels: np.ndarray, seed: int = 1, share: float = 0.2) -> np.ndarray:
    rng = np.random.default_rng(seed)
    wrong = (rng.random(labels.shape) < share) & (labels != 255)
    return np.where(wrong, (labels + 1) % 3, labels).astype(np.uint8)


def streets(*moved: float) -> list[LineString]:
    at = np.array([300000.0, 2800000.0])
    crossing = [[(0, 0), (400, 0)], [(100, -150), (100, 150)], [(300, -150), (300, 150)]]
    shifts = [*moved, *[0.0] * (3 - len(moved))]
    return [LineString(np.array(c) + at + [0, s]) for c, s in zip(crossing, shifts, strict=True)]


# --- rasters ------------------------------------------------------------------------------------------------


def test_labels_by_formula(write_labels):
    truth = texture()
    predicted = worse(truth)
    predicted[200:, 250:] = 255
    scores = geounet.evaluate(
        write_labels("p.tif", predicted, names=NAMES), write_labels("t.tif", truth, names=NAMES)
    )
    known = (truth != 255) & (predicted != 255)
    assert scores.kind == "labels"
    assert scores.amounts["pixels"] == known.sum()
    assert scores["accuracy"] == pytest.approx((truth == predicted)[known].mean())
    for value, name in NAMES.items():
        t, p = (known & (a == value) for a in (truth, predicted))
        found = scores.of(name)["iou"]
        assert found.value == pytest.approx((t & p).sum() / (t | p).sum())
        assert found.low < found.value < found.high
    assert scores.warnings == ()
    assert scores.worst
    assert scores.worst[0].errors == max(p.errors for p in scores.worst)


def test_classes_are_matched_by_name_and_that_is_said(write_labels):
    truth = texture()
    moved = np.array([2, 0, 1], np.uint8)
    predicted = np.where(truth == 255, 255, moved[truth % 3]).astype(np.uint8)
    names = {int(moved[value]): name.upper() for value, name in NAMES.items()}
    scores = geounet.evaluate(
        write_labels("p.tif", predicted, names=names), write_labels("t.tif", truth, names=NAMES), draws=0
    )
    assert scores["mean_iou"] == 1
    assert "building is 2 in the prediction, 0 in the truth" in scores.warnings[0]


def test_names_that_share_nothing_are_matched_by_number_and_that_is_said(write_labels):
    names = {0: "Gebäude", 1: "Land", 2: "Wasser"}
    paths = (
        write_labels("p.tif", texture(), names=names),
        write_labels("t.tif", texture(), names={0: "roof", 1: "x"}),
    )
    scores = geounet.evaluate(*paths, draws=0)
    assert scores["mean_iou"] == 1
    assert "0 is Gebäude in the prediction, roof in the truth" in scores.warnings[0]
    assert [c.name for c in scores.classes] == ["roof", "x", "Wasser"]
    named = geounet.evaluate(*paths, draws=0, classes=["0=a", "1=b", "2=c"])
    assert ([c.name for c in named.classes], named.warnings) == (["a", "b", "c"], ())


def test_chosen_classes_alone_are_part_of_the_means(write_labels):
    truth = texture()
    predicted = worse(truth)
    paths = (write_labels("p.tif", predicted, names=NAMES), write_labels("t.tif", truth, names=NAMES))
    whole = geounet.evaluate(*paths, draws=0)
    chosen = geounet.evaluate(*paths, draws=0, classes=["Water", "0"])
    assert [(c.name, c.scored) for c in chosen.classes] == [("water", True), ("building", True), ("other", False)]
    for name in ("water", "building"):
        assert chosen.of(name)["iou"] == whole.of(name)["iou"], "what is not asked for still counts against them"
    mean = (whole.of("water")["iou"].value + whole.of("building")["iou"].value) / 2
    assert chosen["mean_iou"] == pytest.approx(mean)


def test_masks(write_labels):
    truth = np.zeros((300, 300), np.uint8)
    truth[100:112] = 1
    truth[:, 150:160] = 1
    predicted = truth.copy()
    predicted[:, 200:230] = 0
    first = geounet.evaluate(write_labels("p.tif", predicted), write_labels("t.tif", truth))
    assert first.kind == "mask"
    assert first["iou"] == pytest.approx(predicted.sum() / truth.sum())
    assert first["precision"] == 1
    assert 0.9 < first["cldice"] < 1
    bytes_255 = geounet.evaluate(
        write_labels("p255.tif", predicted * 255, nodata=None), write_labels("t.tif", truth)
    )
    assert bytes_255.summary == first.summary
    landuse = write_labels("l.tif", predicted + 3, names={3: "land", 4: "road"})
    road = geounet.evaluate(landuse, write_labels("t.tif", truth), kind="mask", classes=["road"])
    assert road.summary == first.summary
    assert geounet.evaluate(*(write_labels(n, truth) for n in "ab"), kind="labels").kind == "labels"


def test_rows_read_at_once_change_nothing(write_labels):
    from geounet.score.evaluate import evaluate_files
    from geounet.score.settings import Settings

    truth = texture()
    paths = (write_labels("p.tif", worse(truth)), write_labels("t.tif", truth))
    whole = evaluate_files(*paths, Settings()).to_dict()
    assert [evaluate_files(*paths, Settings(rows=rows)).to_dict() for rows in (1, 7, 113)] == [whole] * 3


def test_a_prediction_on_another_grid(write_labels, capfd):
    truth = texture(shape=(200, 240))
    coarse = write_labels("p.tif", truth[::2, ::2].copy(), transform=UTM_1M)
    true = write_labels("t.tif", truth)
    with pytest.raises(RequestError, match=r"different grids .*--resample"):
        geounet.evaluate(coarse, true)
    scores = geounet.evaluate(coarse, true, resample=True, draws=0)
    again = np.kron(truth[::2, ::2], np.ones((2, 2), np.uint8))
    known = (truth != 255) & (again != 255)
    assert scores["accuracy"] == pytest.approx((truth == again)[known].mean())
    shifted = write_labels("s.tif", truth[40:, 60:].copy(), transform=UTM @ Affine.translation(60, 40))
    part = geounet.evaluate(shifted, true, resample=True, draws=0)
    assert (part["accuracy"], part.amounts["pixels"]) == (1, (truth[40:, 60:] != 255).sum())
    far = write_labels("f.tif", truth, transform=UTM @ Affine.translation(5000, 0))
    with pytest.raises(RequestError, match="no ground in common"):
        geounet.evaluate(far, true, resample=True)


UTM = Affine(0.5, 0.0, 300000.0, 0.0, -0.5, 2800000.0)
UTM_1M = Affine(1.0, 0.0, 300000.0, 0.0, -1.0, 2800000.0)


def test_wide_integers_and_rasters_without_crs(write_labels):
    truth = texture().astype(np.int32) * 1000 - 1000
    one = [write_labels(n, truth, crs=None, transform=Affine.identity()) for n in ("a.tif", "b.tif")]
    scores = geounet.evaluate(*one, draws=0)
    assert scores["mean_iou"] == 1
    assert [c.name for c in scores.classes] == ["-1000", "0", "1000", "254000"]


def test_few_blocks_give_no_intervals_and_say_so(write_labels):
    truth = texture(shape=(60, 60))
    scores = geounet.evaluate(write_labels("p.tif", truth), write_labels("t.tif", truth))
    assert np.isnan(scores.summary["mean_iou"].low)
    assert "no confidence intervals" in scores.warnings[0]


# --- vectors ----------------------------------------------------------------------------------------------------


def test_lines(write_features):
    true = write_features("t.geojson", streets())
    same = geounet.evaluate(true, true)
    assert {name: same[name] for name in ("completeness", "correctness", "quality", "apls")} == pytest.approx(
        {"completeness": 1, "correctness": 1, "quality": 1, "apls": 1}
    )
    assert same.amounts["truth_m"] == pytest.approx(1000, rel=1e-3)  # UTM is 0.4 ‰ off
    lost = geounet.evaluate(write_features("p.geojson", streets()[:2]), true)
    assert lost["completeness"] == pytest.approx(0.7, abs=0.01)
    assert lost["correctness"] == pytest.approx(1)
    assert lost["apls_prediction_to_truth"] == pytest.approx(1, abs=1e-4)  # ends are rounded to 5 cm
    assert lost["apls"] < 0.9
    moved = write_features("m.geojson", streets(6.0))
    assert geounet.evaluate(moved, true, buffer=4)["completeness"] < 0.7
    assert geounet.evaluate(moved, true, buffer=8)["completeness"] == pytest.approx(1, abs=1e-3)


def test_lines_in_other_formats_and_crs(write_features, tmp_path):
    import geopandas

    true = write_features("t.geojson", streets())
    frame = geopandas.read_file(true)
    frame.to_crs(3857).to_file(tmp_path / "p.gpkg", layer="roads")
    frame.to_crs(32640).to_file(tmp_path / "p.fgb")
    frame.to_file(tmp_path / "p.shp")
    nodes = geopandas.GeoDataFrame(geometry=frame.boundary.explode(), crs=4326)
    nodes.to_file(tmp_path / "p.gpkg", layer="nodes")
    for name in ("p.gpkg", "p.fgb", "p.shp"):
        scores = geounet.evaluate(tmp_path / name, true, draws=0)
        assert scores["quality"] == pytest.approx(1, abs=1e-6)
        assert scores.warnings == ()


def test_what_has_nothing_in_common_scores_nothing(write_features, capfd):
    away = [transform(s, lambda xy: xy + np.array([5000.0, 0])) for s in streets()]
    scores = geounet.evaluate(write_features("p.geojson", away), write_features("t.geojson", streets()))
    assert [scores[n] for n in ("completeness", "correctness", "f1", "quality", "apls")] == [0] * 5
    assert re.search(r"lies [45],\d\d\d m from the truth: they have no ground in common", scores.warnings[0])
    boxes = [box(s, 2800000, s + 10, 2800010) for s in (300000, 300100)]
    paths = [write_features(n, [b]) for n, b in zip(("a.geojson", "b.geojson"), boxes, strict=True)]
    scores = geounet.evaluate(*paths)
    assert (scores["mean_iou"], scores["mean_object_f1"]) == (0, 0)
    assert run(["evaluate", *map(str, paths)]) == 0
    assert "object IoU" in capfd.readouterr().out


def test_polygons(write_features):
    def shapes(*corners):
        return [box(300000 + x, 2800000 + y, 300000 + x + 10, 2800000 + y + 10) for x, y in corners]

    truth = shapes((0, 0), (30, 0), (60, 0))
    kinds = [{"class": 0, "name": "building"}, {"class": 0, "name": "building"}, {"class": 4, "name": "water"}]
    moved = [truth[0], transform(truth[1], lambda xy: xy + np.array([6.0, 0])), truth[2]]
    true = write_features("t.geojson", truth, kinds)
    scores = geounet.evaluate(write_features("p.geojson", moved, kinds), true)
    building, water = scores.of("building"), scores.of("water")
    assert building["iou"].value == pytest.approx(140 / 260, rel=1e-3)
    assert building["object_precision"].value == building["object_recall"].value == 0.5
    assert building["object_iou"].value == pytest.approx(1, abs=1e-3)
    assert water["object_f1"].value == 1
    assert scores["mean_object_f1"] == pytest.approx(0.75)
    assert scores.amounts == {"truth_objects": 3, "prediction_objects": 3}
    renamed = write_features("r.geojson", truth, [{**k, "class": k["class"] + 1} for k in kinds])
    assert "building is 1 in the prediction, 0 in the truth" in geounet.evaluate(renamed, true).warnings[0]
    alone = geounet.evaluate(write_features("a.geojson", truth), true)
    assert alone["mean_iou"] == pytest.approx(1)
    assert "all are one class" in alone.warnings[0]


def test_polygons_score_as_the_rasters_that_they_were_traced_from(write_labels, tmp_path):
    truth = texture(shape=(120, 150))
    rasters = [write_labels(n, a, names=NAMES) for n, a in (("p.tif", worse(truth, share=0.02)), ("t.tif", truth))]
    for raster in rasters:
        geounet.vectorize(raster, output=raster.with_suffix(".geojson"))
    by_pixel = geounet.evaluate(*rasters, draws=0)
    by_area = geounet.evaluate(*(r.with_suffix(".geojson") for r in rasters), draws=0)
    for name in NAMES.values():
        for score in ("iou", "precision", "recall"):
            pixel, area = (found.of(name)[score].value for found in (by_pixel, by_area))
            assert area == pytest.approx(pixel, abs=1e-3), "seven decimals of a degree are 1 cm"


# --- what is written ---------------------------------------------------------------------------------------------


class Tags(HTMLParser):
    """What a page would load, and whether its tags are closed."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.sources: list[str] = []

    def handle_starttag(self, tag, attributes):
        self.sources += [value or "" for name, value in attributes if name in ("src", "href")]
        if tag not in ("meta", "img", "br", "rect"):
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        assert tag == "rect"

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_report_json_and_csv(write_labels, tmp_path):
    truth = texture()
    names = {**NAMES, 1: "<script>alert(1)</script>&"}
    paths = [write_labels(n, a, names=names) for n, a in (("a&b <i>.tif", worse(truth)), ("t.tif", truth))]
    scores = geounet.evaluate(*paths, output=tmp_path / "out")
    assert json.loads((tmp_path / "out/metrics.json").read_text()) == json.loads(json.dumps(scores.to_dict()))
    rows = list(csv.DictReader((tmp_path / "out/metrics.csv").open()))
    mean = next(row for row in rows if row["score"] == "mean_iou")
    assert float(mean["value"]) == pytest.approx(scores["mean_iou"], abs=1e-6)
    assert float(mean["low"]) < float(mean["value"]) < float(mean["high"])
    page = (tmp_path / "out/report.html").read_text()
    tags = Tags()
    tags.feed(page)
    assert tags.open == []
    assert "<script" not in page
    assert "a&amp;b &lt;i&gt;.tif" in page
    assert tags.sources
    assert all(source.startswith("data:image/png;base64,") for source in tags.sources)
    assert page.count("<rect") == 9


def test_nothing_is_replaced_unasked(write_labels, tmp_path):
    one = write_labels("t.tif", texture())
    (tmp_path / "out").mkdir()
    (tmp_path / "out/report.html").write_text("mine")
    with pytest.raises(ConfigError, match=r"report.html exists; add --overwrite"):
        geounet.evaluate(one, one, output=tmp_path / "out")
    assert (tmp_path / "out/report.html").read_text() == "mine"
    assert not (tmp_path / "out/metrics.json").exists()
    geounet.evaluate(one, one, output=tmp_path / "out", overwrite=True)
    assert (tmp_path / "out/report.html").read_text() != "mine"


def test_command_line(write_labels, tmp_path, capfd):
    truth = texture()
    paths = [str(write_labels(n, a, names=NAMES)) for n, a in (("p.tif", worse(truth)), ("t.tif", truth))]
    assert run(["evaluate", *paths, "-o", str(tmp_path / "out")]) == 0
    told = capfd.readouterr()
    for word in ("mean IoU", "building", "boundary IoU", "labels, 76,800 pixels", "report in"):
        assert word in told.out
    assert run(["evaluate", *paths, "--json", "--classes", "water", "--draws", "0"]) == 0
    found = json.loads(capfd.readouterr().out)
    assert found["event"] == "scores"
    assert [c["name"] for c in found["classes"]] == ["water", "other"]
    assert run(["evaluate", *paths, "-q"]) == 0
    assert capfd.readouterr() == ("", "")


# --- bad input -------------------------------------------------------------------------------------------------


def test_refusals(write_labels, write_features, tmp_path, capfd):
    truth = texture()
    true = write_labels("t.tif", truth, names=NAMES)
    roads = write_features("roads.geojson", streets())
    houses = write_features("houses.geojson", [box(300000, 2800000, 300010, 2800010)])
    (tmp_path / "empty.geojson").write_text('{"type": "FeatureCollection", "features": []}')
    (tmp_path / "text.tif").write_text("no raster at all")
    (tmp_path / "torn.geojson").write_text('{"type": "FeatureCollection", "features": [{"type"')
    (tmp_path / "notes.txt").write_text("hello")
    (tmp_path / "deceit.geojson").write_text('{"x": "<OGRVRTDataSource>"}')
    no_crs(roads, tmp_path / "bare.shp")
    cases = {
        ("gone.tif", true): ["gone.tif", "No such file"],
        ("text.tif", true): ["text.tif", "neither a raster nor a vector file"],
        ("notes.txt", true): ["neither a raster nor a vector file"],
        (write_labels("small.tif", truth[:50, :50]), true): ["different grids", "--resample"],
        (write_labels("crs.tif", truth, crs="EPSG:32641"), true): ["different CRSs", "41N", "40N"],
        (write_labels("bare.tif", truth, crs=None, transform=Affine.identity()), true): ["different CRSs", "none"],
        (write_labels("float.tif", truth.astype(np.float32)), true): ["float32", "whole numbers"],
        (write_labels("others.tif", np.full_like(truth, 9)), write_labels("nine.tif", truth)): [
            "no class is in both"
        ],
        (write_labels("void.tif", np.full_like(truth, 255)), true): ["void.tif has no pixel with data"],
        (write_labels("left.tif", half(truth, 0)), write_labels("right.tif", half(truth, 1))): [
            "no pixel with data in common"
        ],
        (roads, true): ["the prediction is a vector file, the truth is a raster"],
        (roads, houses): ["has polygons", "roads.geojson lines", "the same kind"],
        (roads, "empty.geojson"): ["empty.geojson has no lines or polygons"],
        ("torn.geojson", roads): ["torn.geojson cannot be read"],
        ("deceit.geojson", roads): ["points at other files"],
        ("bare.shp", roads): ["bare.shp", "has no CRS"],
        (true, true, "--classes", "forest"): ["--classes forest: no such class", "building"],
        (true, true, "--classes", "x=forest"): ["NUMBER=NAME"],
        (true, true, "--kind", "lines"): ["--kind lines is for vector files"],
        (true, true, "--kind", "label"): ["did you mean labels?"],
        (roads, roads, "--kind", "mask"): ["--kind mask is for rasters"],
        (roads, roads, "--kind", "polygons"): ["roads.geojson has no polygons"],
        (roads, roads, "--classes", "street"): ["lines are compared as one network"],
        (write_features("dot.geojson", [LineString([(300000, 2800000)] * 2)]), roads): ["lines of no size"],
        (roads, roads, "--buffer", "0"): ["--buffer 0"],
        (roads, roads, "--buffer", "nan"): ["--buffer nan"],
        (true, true, "--boundary", "0"): ["--boundary 0"],
        (true, true, "-o", true): ["is a file; expected a folder"],
    }
    for (prediction, against, *options), words in cases.items():
        arguments = [str(tmp_path / prediction), str(tmp_path / against), *map(str, options)]
        code = run(["evaluate", *arguments])
        told = capfd.readouterr()
        assert (code, told.out) == (2, ""), (arguments, told)
        assert told.err.startswith("geounet: error: "), told
        assert told.err.count("\n") == 1, told
        for word in words:
            assert word in told.err, (word, told.err)
    assert not list(Path(tmp_path).glob("metrics*"))


def half(labels: np.ndarray, which: int) -> np.ndarray:
    out = np.full_like(labels, 255)
    cut = np.s_[:, :150] if which else np.s_[:, 150:]
    out[cut] = labels[cut]
    return out


def no_crs(source: Path, path: Path) -> None:
    import geopandas

    with pytest.warns(UserWarning, match="crs"):
        geopandas.GeoDataFrame(geometry=geopandas.read_file(source).geometry.to_numpy()).to_file(path)


def test_errors_have_their_types(write_labels, tmp_path):
    true = write_labels("t.tif", texture())
    with pytest.raises(SceneError):
        geounet.evaluate(tmp_path / "gone.tif", true)
    with pytest.raises(ConfigError):
        geounet.evaluate(true, true, kind="no")


@pytest.mark.parametrize(
    ("kind", "score", "found"), [("lines", "completeness", "f1"), ("polygons", "mean_iou", "mean_object_f1")]
)
def test_a_map_that_found_nothing_scores_nothing(
    tmp_path: Path, write_features, kind: str, score: str, found: str
) -> None:
    (tmp_path / "empty.geojson").write_text('{"type": "FeatureCollection", "features": []}')
    shapes = streets() if kind == "lines" else [box(300000, 2800000, 300010, 2800010)]
    scores = geounet.evaluate(tmp_path / "empty.geojson", write_features("truth.geojson", shapes))
    assert scores.kind == kind
    assert scores.summary[score].value == scores.summary[found].value == 0
    assert any("nothing was found" in warning for warning in scores.warnings)
