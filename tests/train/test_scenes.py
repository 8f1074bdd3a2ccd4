"""Scenes and labels as they come: colours, palettes, parts, nodata, and what is wrong with them."""

from __future__ import annotations

import importlib.util
import os
import resource
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from PIL import Image

from geounet.errors import ConfigError, SceneError, WorkError
from geounet.model.spec import NODATA
from geounet.train.config import TrainConfig, load_config
from geounet.train.scenes import EMPTY, TrainScene, load_scenes
from geounet.train.ship import data_of
from geounet.train.source import content_key

_spec = importlib.util.spec_from_file_location("train_conftest", Path(__file__).with_name("conftest.py"))
assert _spec is not None
assert _spec.loader is not None
shared = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(shared)

GREY = (155, 155, 155)


def configure(
    *, colors: bool = False, bands: tuple[str, ...] = ("red", "green", "blue"), **data: Any
) -> TrainConfig:
    """A training file with three classes; with colours, their labels are colours."""
    names = ("building", "land", "water")
    return TrainConfig.model_validate({
        "name": "x",
        "bands": [{"name": name} for name in bands],
        "classes": [
            {"name": n, "color": "#ff0000", **({"label_color": "#{:02x}{:02x}{:02x}".format(*c)} if colors else {})}
            for n, c in zip(names, shared.COLORS, strict=True)
        ],
        "heads": [{"name": "landuse"}],
        "network": {"divisor": 2},
        "optimiser": {"steps": 1},
        "data": {"crop": 32, "ignore_colors": ["#9b9b9b"], **data},
    })  # fmt: skip


def load(folder: Path, *, colors: bool = False, **scene: Any) -> TrainScene:
    config = configure(colors=colors, scenes=[{"name": "s", "group": "g", "image": "scene.tif", **scene}])
    return load_scenes(config, root=folder, cache=folder / "cache")[0]


@pytest.fixture
def labels(tmp_path: Path) -> np.ndarray:
    truth = shared.tiny_labels()
    shared.write_raster(tmp_path / "scene.tif", shared.tiny_image(truth))
    truth[:3, :5] = NODATA
    return truth


def colored(labels: np.ndarray) -> np.ndarray:
    lookup = np.zeros((256, 3), np.uint8)
    lookup[[0, 1, 2, NODATA]] = [*shared.COLORS, GREY]
    return lookup[labels]


def test_colour_masks_and_palette_masks_give_the_same_classes(tmp_path: Path, labels: np.ndarray) -> None:
    picture = Image.fromarray(colored(labels))
    picture.save(tmp_path / "rgb.png")
    picture.quantize(16, dither=Image.Dither.NONE).save(tmp_path / "palette.png")
    assert Image.open(tmp_path / "palette.png").mode == "P"
    assert np.array_equal(load(tmp_path, colors=True, labels="rgb.png").labels, labels)
    assert np.array_equal(load(tmp_path, colors=True, labels="palette.png").labels, labels)


def test_parts_are_joined_row_by_row(tmp_path: Path, labels: np.ndarray) -> None:
    with rasterio.open(tmp_path / "scene.tif") as dataset:
        image = dataset.read()
    pieces = [(r, c) for r in ((0, 20), (20, 64)) for c in ((0, 21), (21, 43), (43, 64))]
    for number, ((top, bottom), (left, right)) in enumerate(pieces, 1):
        shared.write_raster(tmp_path / f"image_{number}.tif", image[:, top:bottom, left:right])
        Image.fromarray(colored(labels)[top:bottom, left:right]).save(tmp_path / f"mask_{number}.png")
    scene = load(tmp_path, colors=True, image="image_*.tif", labels="mask_*.png", columns=3)
    assert np.array_equal(scene.image, image.transpose(1, 2, 0))
    assert np.array_equal(scene.labels, labels)
    with pytest.raises(SceneError, match=r"matches 6 files .* multiple of 4 columns"):
        load(tmp_path, colors=True, image="image_*.tif", labels="mask_*.png", columns=4)
    with pytest.raises(SceneError, match="do not fit together"):
        load(tmp_path, colors=True, image="image_*.tif", labels="mask_*.png", columns=2)


def test_nodata_of_the_image_is_not_merely_unlabelled(tmp_path: Path, labels: np.ndarray) -> None:
    image = shared.tiny_image(labels % NODATA)
    image[:, 40:, :9] = 0
    shared.write_raster(tmp_path / "holes.tif", np.maximum(image, (image > 0).all(0)), nodata=0)
    shared.write_raster(tmp_path / "labels.tif", labels[None], nodata=NODATA)
    loaded = load(tmp_path, image="holes.tif", labels="labels.tif").labels
    assert (loaded[40:, :9] == EMPTY).all()
    assert (loaded[:3, :5] == NODATA).all()
    assert np.array_equal(loaded[:40, 9:], labels[:40, 9:])


def test_what_is_wrong_with_labels_is_named_with_counts(tmp_path: Path, labels: np.ndarray) -> None:
    strange = colored(labels)
    strange[5, :7] = (1, 2, 3)
    strange[6, 0] = (9, 9, 9)
    Image.fromarray(strange).save(tmp_path / "strange.png")
    with pytest.raises(SceneError, match=r"#010203 \(7 pixels\), #090909 \(1 pixel\), which no class has"):
        load(tmp_path, colors=True, labels="strange.png")
    Image.fromarray(strange).quantize(16, dither=Image.Dither.NONE).save(tmp_path / "palette.png")
    with pytest.raises(SceneError, match=r"palette\.png: the colour mask holds #010203 \(7 pixels\)"):
        load(tmp_path, colors=True, labels="palette.png")
    shared.write_raster(tmp_path / "values.tif", np.where(labels == 2, 7, labels)[None].astype(np.uint8))
    with pytest.raises(SceneError, match=r"labels hold 7 \(\d+ pixels\); expected 0 to 2, or 255"):
        load(tmp_path, labels="values.tif")
    assert not list((tmp_path / "cache").glob("*"))


@pytest.mark.parametrize(
    ("scene", "message"),
    [
        ({"labels": "small.tif"}, r"image \(64, 64\) and labels \(60, 64\) \(height, width\) differ"),
        ({"labels": "values.tif", "image": "values.tif"}, r"has 1 band \(.*\); expected 3 \(red, green, blue\)"),
        ({"labels": "values.tif", "bands": [1, 2]}, r"has 2 bands \(red, green\); expected 3"),
        ({"labels": "values.tif", "bands": [1, 2, "nir"]}, "there is no band 'nir'; there are 1 red"),
        ({"labels": "scene.tif"}, "scene.tif has 3 bands; expected one band of class values"),
        ({"labels": "broken.tif"}, "broken.tif"),
        ({"labels": "values.tif", "image": "broken.tif"}, "broken.tif"),
        ({"labels": "absent.tif"}, r"absent\.tif cannot be read: No such file"),
        ({"labels": "roads.geojson"}, "roads.geojson is a vector file; name it under labels.layers"),
        ({"labels": "moved.tif", "image": "placed.tif"}, r"different grids .* row 0, column 3 of the labels"),
        ({"labels": "elsewhere.tif", "image": "placed.tif"}, "different CRSs"),
        ({"labels": {"raster": "values.tif", "values": {"0": "lake"}}}, "labels name a class 'lake'"),
        ({"labels": {"raster": "values.tif", "kind": "colors"}}, "class 'building' has no label_color"),
        (
            {"labels": {"raster": "values.tif", "values": {"0": "land"}}},
            r"hold 1 \(\d+ pixels\).*expected 0, or 255",
        ),
    ],
)
def test_what_does_not_fit_is_one_line(
    tmp_path: Path, labels: np.ndarray, scene: dict[str, Any], message: str
) -> None:
    shared.write_raster(tmp_path / "values.tif", labels[None])
    shared.write_raster(tmp_path / "small.tif", labels[None, :60])
    (tmp_path / "broken.tif").write_bytes((tmp_path / "scene.tif").read_bytes()[:6000])
    (tmp_path / "roads.geojson").write_text("{}")
    with rasterio.open(tmp_path / "scene.tif") as dataset:
        image = dataset.read()
    place = rasterio.Affine(0.5, 0, 400_000, 0, -0.5, 2_800_000)
    shared.write_raster(tmp_path / "placed.tif", image, crs="EPSG:32640", transform=place)
    moved = place @ rasterio.Affine.translation(-3, 0)
    shared.write_raster(tmp_path / "moved.tif", labels[None], crs="EPSG:32640", transform=moved)
    shared.write_raster(tmp_path / "elsewhere.tif", labels[None], crs="EPSG:32639", transform=place)
    with pytest.raises((SceneError, ConfigError), match=message) as caught:
        load(tmp_path, **scene)
    assert "\n" not in str(caught.value)
    assert not list((tmp_path / "cache").glob("*"))


def test_values_may_mean_other_classes(tmp_path: Path, labels: np.ndarray) -> None:
    raw = np.select([labels == 0, labels == 1, labels == 2], [10, 20, 30], 40).astype(np.uint16)
    shared.write_raster(tmp_path / "cover.tif", raw[None])
    values = {10: "building", 20: "land", 30: "water", 40: "unknown"}
    assert np.array_equal(load(tmp_path, labels={"raster": "cover.tif", "values": values}).labels, labels)


def test_bands_are_chosen_by_name_and_stacked_from_several_rasters(tmp_path: Path, labels: np.ndarray) -> None:
    with rasterio.open(tmp_path / "scene.tif") as dataset:
        image = dataset.read()
    place = {"crs": "EPSG:32640", "transform": rasterio.Affine(0.5, 0, 400_000, 0, -0.5, 2_800_000)}
    half = {**place, "transform": rasterio.Affine(1, 0, 400_000, 0, -1, 2_800_000)}
    heights = np.arange(32 * 32, dtype=np.float32).reshape(1, 32, 32)
    shared.write_raster(tmp_path / "rgb.tif", image, **place)
    shared.write_raster(tmp_path / "height.tif", heights, **half)
    shared.write_raster(tmp_path / "labels.tif", labels[None], **place)
    scenes = [{"name": "s", "group": "g", "image": ["rgb.tif", "height.tif"], "labels": "labels.tif"}]
    config = configure(bands=("green", "height"), scenes=[{**scenes[0], "bands": ["green", 4]}])
    scene = load_scenes(config, root=tmp_path, cache=tmp_path / "cache")[0]
    assert scene.image.dtype == np.float32
    assert np.array_equal(scene.image[:, :, 0], image[1])
    assert scene.image[:, :, 1][::63, ::63].tolist() == heights[0, ::31, ::31].tolist()
    by_name = configure(bands=("blue", "red"), scenes=[{**scenes[0], "image": "rgb.tif"}])
    found = load_scenes(by_name, root=tmp_path, cache=tmp_path / "cache")[0]
    assert np.array_equal(found.image, image[[2, 0]].transpose(1, 2, 0))


def test_chips_are_paired_by_what_tells_them_apart(tmp_path: Path, labels: np.ndarray) -> None:
    image = shared.tiny_image(labels % NODATA)
    for folder in ("img", "mask"):
        (tmp_path / folder).mkdir()
    for i in range(6):
        size = 16 + i
        shared.write_raster(tmp_path / f"img/town{i // 3}_{i}_sat.tif", image[:, :size, :20])
        shared.write_raster(tmp_path / f"mask/town{i // 3}_{i}_mask.tif", labels[None, :size, :20])
    chips = {"name": "c", "group": "town", "group_by": r"town(\d)", "images": "img/*.tif", "labels": "mask/*.tif"}
    scenes = load_scenes(configure(chips=[chips]), root=tmp_path, cache=tmp_path / "cache")
    assert [s.group for s in scenes] == ["town0"] * 3 + ["town1"] * 3
    assert {s.origin for s in scenes} == {"c"}
    for i, scene in enumerate(scenes):
        assert np.array_equal(scene.image, image[:, : 16 + i, :20].transpose(1, 2, 0))
        assert np.array_equal(scene.labels, labels[: 16 + i, :20])
    assert len(list((tmp_path / "cache").iterdir())) == 3  # one file of pixels, one of labels, one of names
    again = load_scenes(configure(chips=[chips]), root=tmp_path, cache=tmp_path / "cache")
    assert [s.digest for s in again] == [s.digest for s in scenes]
    (tmp_path / "mask/town1_4_mask.tif").rename(tmp_path / "mask/town1_7_mask.tif")
    with pytest.raises(SceneError, match=r"town1_4_sat\.tif would be paired with town1_5_mask\.tif"):
        load_scenes(configure(chips=[chips]), root=tmp_path, cache=tmp_path / "cache")
    (tmp_path / "mask/town1_7_mask.tif").unlink()
    with pytest.raises(SceneError, match="6 images and 5 labels"):
        load_scenes(configure(chips=[chips]), root=tmp_path, cache=tmp_path / "cache")


def test_the_cache_is_a_budget_and_direct_reading_gives_the_same(tmp_path: Path, labels: np.ndarray) -> None:
    image = shared.tiny_image(labels % NODATA)
    image[:, 40:, :9] = 0
    for n, size in (("small", 32), ("large", 64)):
        shared.write_raster(
            tmp_path / f"{n}.tif", image[:, :size], nodata=0, tiled=True, blockxsize=16, blockysize=16
        )
        shared.write_raster(tmp_path / f"{n}_labels.tif", labels[None, :size])
    scenes = [{"name": n, "group": n, "image": f"{n}.tif", "labels": f"{n}_labels.tif"} for n in ("large", "small")]

    def found(gb: float | None) -> list[TrainScene]:
        return load_scenes(configure(scenes=scenes, cache_gb=gb), root=tmp_path, cache=tmp_path / "cache")

    both, one, none = found(None), found(64 * 40 * 4 / 2**30), found(0)
    kinds = [[isinstance(s.labels, np.ndarray) for s in each] for each in (both, one, none)]
    assert kinds == [[True, True], [False, True], [False, False]]
    for cached, mixed, direct in zip(both, one, none, strict=True):
        assert (np.asarray(cached.labels) == EMPTY).any() == (cached.name == "large")
        for at in (np.s_[3:60, 7:50], np.s_[1::5, ::3], np.s_[0:64, 0:64], np.s_[63:64, 0:1]):
            for other in (mixed, direct):
                assert np.array_equal(cached.image[at], other.image[at])
                assert np.array_equal(cached.labels[at], other.labels[at])
        assert np.array_equal(np.asarray(cached.labels), np.asarray(direct.labels))
    assert not list((tmp_path / "cache").iterdir())  # what has no room any more is gone


def test_a_disk_that_is_full_is_one_line_and_leaves_nothing(tmp_path: Path, labels: np.ndarray) -> None:
    shared.write_raster(tmp_path / "labels.tif", labels[None])
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (8192, hard))  # as near to a full disk as a test should go
    try:
        with pytest.raises(WorkError, match=r"scene 's' cannot be stored in .*cache: .*File too large") as caught:
            load(tmp_path, labels="labels.tif")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "cache").exists()


def test_what_nobody_needs_leaves_the_cache(tmp_path: Path, labels: np.ndarray) -> None:
    shared.write_raster(tmp_path / "labels.tif", labels[None])
    load(tmp_path, labels="labels.tif")
    before = {p.name for p in (tmp_path / "cache").iterdir()}
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    (tmp_path / "cache" / f"half.image.npy.{gone.pid}.tmp").write_bytes(b"left by a kill")
    theirs = tmp_path / "cache" / f"half.image.npy.{os.getppid()}.tmp"
    theirs.write_bytes(b"being written")
    (tmp_path / "cache" / "notes.txt").write_text("not ours")
    shared.write_raster(tmp_path / "labels.tif", np.flipud(labels)[None])
    scene = load(tmp_path, labels="labels.tif")
    assert np.array_equal(scene.labels, np.flipud(labels))
    after = {p.name for p in (tmp_path / "cache").iterdir()}
    assert len(after) == len(before) + 2
    assert after & before == set()
    assert theirs.name in after
    assert "notes.txt" in after


@pytest.mark.real
def test_the_dubai_scenes_decode_as_their_pictures_say(shared_data: Path, tmp_path: Path) -> None:
    file = Path(__file__).parents[2] / "configs" / "train" / "landuse-roads.yaml"
    config = load_config(file)
    two = [s for s in config.data.scenes if s.name == "dubai-2"]
    data = config.data.model_copy(
        update={"scenes": tuple(two), "samples": config.data.samples.model_copy(update={"seeds": ()})}
    )
    scene = load_scenes(config.model_copy(update={"data": data}), root=shared_data, cache=tmp_path)[0]
    assert scene.image.shape == (1632, 1528, 3)
    part = np.asarray(Image.open(shared_data / "dubai/tile2/masks/image_part_005.png").convert("RGB"))
    here = scene.labels[544:1088, 509 : 509 + part.shape[1]]
    for value, color in enumerate([(60, 16, 152), (132, 41, 246), (110, 193, 228), (254, 221, 58), (226, 169, 41)]):
        assert np.array_equal(here == value, (part == color).all(-1))


def test_data_are_known_by_what_they_hold_not_by_when_they_were_written(tmp_path: Path) -> None:
    big = shared.tiny_labels(1300)  # more than a MiB, of which images are sampled and labels are not
    (tmp_path / "here").mkdir()
    shared.write_raster(tmp_path / "here" / "scene.tif", shared.tiny_image(big))
    shared.write_raster(tmp_path / "here" / "labels.tif", big[None])
    before = load(tmp_path / "here", labels="labels.tif").digest
    there = shutil.copytree(tmp_path / "here", tmp_path / "there", copy_function=shutil.copyfile)
    os.utime(there / "scene.tif", (1, 1))
    assert load(there, labels="labels.tif").digest == before
    data = bytearray((there / "labels.tif").read_bytes())
    place = len(data) // 16 * 3 - 1000  # which no sample holds
    sampled = content_key([there / "labels.tif"])
    data[place] = (data[place] + 1) % 3
    (there / "labels.tif").write_bytes(data)
    assert content_key([there / "labels.tif"]) == sampled
    assert load(there, labels="labels.tif").digest != before
    assert load(tmp_path / "here", labels="labels.tif", nodata=0).digest != before, "read in another way"
    (tmp_path / "here" / "scene.tif.aux.xml").write_text('<PAMDataset><SRS>LOCAL_CS["a"]</SRS></PAMDataset>')
    assert load(tmp_path / "here", labels="labels.tif").digest != before, "read with another sidecar"


def test_the_card_has_one_digest_for_the_chips_of_a_group_and_it_is_that_of_their_bytes(tmp_path: Path) -> None:
    labels = shared.tiny_labels() % 2
    for place in ("here", "there"):
        for number in range(3):
            for what, pixels in (("img", shared.tiny_image(labels, number)), ("mask", labels[None])):
                (tmp_path / place / what).mkdir(parents=True, exist_ok=True)
                shared.write_raster(tmp_path / place / what / f"{number}.tif", pixels)

    def told(place: str) -> list[dict[str, Any]]:
        chips = {"name": "c", "group": "g", "images": "img/*.tif", "labels": "mask/*.tif"}
        chips |= {"group_by": r"img/(\d)"} if place == "split" else {}
        folder = tmp_path / ("here" if place == "split" else place)
        return data_of(load_scenes(configure(chips=[chips]), root=folder, cache=tmp_path / f"cache-{place}"))

    (here,), (there,) = told("here"), told("there")
    assert here == there
    assert (here["name"], here["images"], here["pixels"], len(here["digest"])) == ("c", 3, 3 * 64 * 64, 64)
    assert len({entry["digest"] for entry in told("split")}) == 3
    changed = labels.copy()
    changed[0, 0] = 1 - changed[0, 0]
    shared.write_raster(tmp_path / "there" / "mask" / "1.tif", changed[None])
    assert told("there")[0]["digest"] != here["digest"]


def test_products_that_are_folders_are_told_apart_by_what_they_hold(tmp_path: Path) -> None:
    for name, text in (("a", "1"), ("copy", "1"), ("b", "2")):
        (tmp_path / f"{name}.SAFE" / "GRANULE").mkdir(parents=True)
        (tmp_path / f"{name}.SAFE" / "GRANULE" / "B02.jp2").write_text(text)
    one, copy, other = (content_key([tmp_path / f"{name}.SAFE"]) for name in ("a", "copy", "b"))
    assert one == copy != other
