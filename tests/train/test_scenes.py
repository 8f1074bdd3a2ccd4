"""Scenes and labels as they come: colours, palettes, parts, nodata, and what is wrong with them."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest
import rasterio
from PIL import Image

from geounet.errors import SceneError
from geounet.model.spec import NODATA
from geounet.train.config import SceneConfig, load_config
from geounet.train.recipe import load_scenes
from geounet.train.scenes import EMPTY, LabelTable, TrainScene, load_scene

_spec = importlib.util.spec_from_file_location("train_conftest", Path(__file__).with_name("conftest.py"))
assert _spec is not None
assert _spec.loader is not None
shared = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(shared)

GREY = (155, 155, 155)
TABLE = LabelTable(classes=3, colors=tuple(shared.COLORS), ignored=(GREY,))
VALUES = LabelTable(classes=3, colors=None)


def load(folder: Path, table: LabelTable, *, image: str = "scene.tif", labels: str, columns: int = 1) -> TrainScene:
    config = SceneConfig(name="s", group="g", image=image, labels=labels, columns=columns)
    return load_scene(config, root=folder, bands=3, table=table, cache=folder / "cache")


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
    assert np.array_equal(load(tmp_path, TABLE, labels="rgb.png").labels, labels)
    assert np.array_equal(load(tmp_path, TABLE, labels="palette.png").labels, labels)


def test_parts_are_joined_row_by_row(tmp_path: Path, labels: np.ndarray) -> None:
    with rasterio.open(tmp_path / "scene.tif") as dataset:
        image = dataset.read()
    pieces = [(r, c) for r in ((0, 20), (20, 64)) for c in ((0, 21), (21, 43), (43, 64))]
    for number, ((top, bottom), (left, right)) in enumerate(pieces, 1):
        shared.write_raster(tmp_path / f"image_{number}.tif", image[:, top:bottom, left:right])
        Image.fromarray(colored(labels)[top:bottom, left:right]).save(tmp_path / f"mask_{number}.png")
    scene = load(tmp_path, TABLE, image="image_*.tif", labels="mask_*.png", columns=3)
    assert np.array_equal(scene.image, image.transpose(1, 2, 0))
    assert np.array_equal(scene.labels, labels)
    with pytest.raises(SceneError, match=r"matches 6 files .* multiple of 4 columns"):
        load(tmp_path, TABLE, image="image_*.tif", labels="mask_*.png", columns=4)
    with pytest.raises(SceneError, match="do not fit together"):
        load(tmp_path, TABLE, image="image_*.tif", labels="mask_*.png", columns=2)


def test_nodata_of_the_image_is_not_merely_unlabelled(tmp_path: Path, labels: np.ndarray) -> None:
    image = shared.tiny_image(labels % NODATA)
    image[:, 40:, :9] = 0
    shared.write_raster(tmp_path / "holes.tif", np.maximum(image, (image > 0).all(0)), nodata=0)
    shared.write_raster(tmp_path / "labels.tif", labels[None], nodata=NODATA)
    loaded = load(tmp_path, VALUES, image="holes.tif", labels="labels.tif").labels
    assert (loaded[40:, :9] == EMPTY).all()
    assert (loaded[:3, :5] == NODATA).all()
    assert np.array_equal(loaded[:40, 9:], labels[:40, 9:])


def test_what_is_wrong_with_labels_is_named_with_counts(tmp_path: Path, labels: np.ndarray) -> None:
    strange = colored(labels)
    strange[5, :7] = (1, 2, 3)
    strange[6, 0] = (9, 9, 9)
    Image.fromarray(strange).save(tmp_path / "strange.png")
    with pytest.raises(SceneError, match=r"#010203 \(7 pixels\), #090909 \(1 pixels\), which no class has"):
        load(tmp_path, TABLE, labels="strange.png")
    shared.write_raster(tmp_path / "values.tif", np.where(labels == 2, 7, labels)[None].astype(np.uint8))
    with pytest.raises(SceneError, match=r"labels hold 7 \(\d+ pixels\); expected 0 to 2, or 255"):
        load(tmp_path, VALUES, labels="values.tif")
    shared.write_raster(tmp_path / "small.tif", labels[None, :60])
    with pytest.raises(SceneError, match=r"image \(64, 64\) and labels \(60, 64\)"):
        load(tmp_path, VALUES, labels="small.tif")
    with pytest.raises(SceneError, match="has 1 bands; expected 3"):
        load(tmp_path, VALUES, image="values.tif", labels="values.tif")
    broken = tmp_path / "broken.tif"
    broken.write_bytes((tmp_path / "scene.tif").read_bytes()[:6000])
    with pytest.raises(SceneError, match=r"scene 's' cannot be decoded|broken\.tif cannot be read"):
        load(tmp_path, TABLE, image="broken.tif", labels="small.tif".replace("small", "scene"))
    assert not list((tmp_path / "cache").glob("*.labels.npy"))


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
