"""The training file."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import rasterio
import yaml

from geounet.errors import ConfigError, RequestError
from geounet.model.package import load_model
from geounet.sample.write import write_sample
from geounet.train import train
from geounet.train.config import load_config

Write = Callable[..., Path]
EXAMPLES = Path(__file__).parents[2] / "configs" / "train"


@pytest.mark.parametrize(
    ("sections", "message"),
    [
        ({"optimizer": {"steps": 1}}, r"top level: unknown key 'optimizer'; did you mean 'optimiser'\?"),
        ({"augment": {"rotat": 3}}, r"augment: unknown key 'rotat'; did you mean 'rotate'\?"),
        (
            {"heads": [{"name": "x", "loss": {"dyce": 1}}]},
            r"heads\.0\.loss: unknown key 'dyce'; did you mean 'dice'\?",
        ),
        ({"optimiser": {"steps": 0}}, r"optimiser\.steps: .*greater than or equal to 1"),
        ({"heads": [{"name": "x", "marks": "rail"}]}, r"marks 'rail'; expected one of building, land, water"),
        ({"network": {"divisor": 32}}, r"crop 32 and tile 40; expected multiples of 32"),
        ({"optimiser": {}}, r"optimiser\.steps: is required, and not there"),
        ({"optimiser": {"steps": "many"}}, r"optimiser\.steps: .*valid integer.*; found 'many'"),
        ({"bands": []}, r"bands: .*at least 1 item"),
        ({"bands": [{"name": "red"}] * 2}, r"bands: two bands are called 'red'"),
        ({"heads": [{"name": "x"}, {"name": "x", "marks": "land"}]}, r"heads: two heads are called 'x'"),
        ({"heads": [{"name": "x", "lines": True}]}, r"expected lines on a head that marks one"),
        ({"classes": [{"name": "land", "color": "red"}]}, r"classes\.0\.color: colour 'red'; expected #rrggbb"),
        (
            {"classes": [{"name": "land", "color": "#ff0000"}], "heads": [{"name": "x"}]},
            r"has one class to predict",
        ),
        ({"classes": [{"name": f"c{n}", "color": "#ff0000"} for n in range(255)]}, r"classes: .*at most 254 items"),
    ],
)
def test_what_is_wrong_is_named_in_one_line(tiny: Write, sections: dict[str, Any], message: str) -> None:
    if "network" in sections:
        sections = {**sections, "schedule": {"tile": 40}}
    with pytest.raises(ConfigError, match=message) as caught:
        load_config(tiny(**sections))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("sections", "message"),
    [
        ({"network": {"architecture": "unett", "divisor": 2}}, r"architecture 'unett' has no torch network"),
        ({"network": {"hyperparameters": {"dept": 1}, "divisor": 2}}, r"'dept'; did you mean 'depth'\?"),
        ({"network": {"encoder_weights": "imagenet", "divisor": 2}}, r"'imagenet': no such file; expected effic"),
        ({"heads": [{"name": "land use"}]}, r"head name 'land use'"),
        ({"bands": [{"name": n, "mean": float("nan"), "std": 1} for n in "abc"]}, r"mean that is not finite"),
        ({"data": {"validate_groups": ["z"]}}, r"validate_groups holds 'z'"),
        ({"data": {"allow_overlap": False}}, r"'one' and 'same' stand on two sides of the split"),
    ],
)
def test_what_needs_no_pixel_is_refused_before_one_is_read(
    tiny: Write, tmp_path: Path, sections: dict[str, Any], message: str
) -> None:
    file = tiny()
    if "data" in sections:
        sections = {"data": {**yaml.safe_load(file.read_text())["data"], **sections["data"]}}
    with pytest.raises(RequestError, match=message) as caught:
        train(tiny(**sections), tmp_path / "out", device="cpu")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ({"rastr": "a.tif"}, r"data\.scenes\.0\.labels: unknown key 'rastr'; did you mean 'raster'\?"),
        (
            {"layers": [{"file": "a.gpkg", "mark": "land"}]},
            r"labels\.layers\.0: unknown key 'mark'; did you mean 'mar",
        ),
        ({"layers": [{"file": "a.gpkg"}]}, r"labels\.layers\.0: a\.gpkg: expected marks .* or field"),
        (
            {"layers": [{"file": "a.gpkg", "marks": "land", "width": 0}]},
            r"layers\.0\.width: .*greater than 0; found 0",
        ),
        ({}, r"data\.scenes\.0\.labels: labels are empty"),
        (7, r"data\.scenes\.0\.labels: Input should be a valid string; found 7"),
    ],
)
def test_what_is_wrong_with_labels_of_many_words_is_named(tiny: Write, labels: Any, message: str) -> None:
    scene = {"name": "one", "group": "a", "image": "scene.tif", "labels": labels}
    with pytest.raises(ConfigError, match=message):
        load_config(tiny(data={"scenes": [scene], "crop": 32}))


@pytest.mark.parametrize("text", ["", "- 1", "a: [", "!!python/object/apply:os.system ['true']", "\x00"])
def test_what_is_no_training_file_is_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "bad.yaml"
    file.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load_config(file)
    assert "\n" not in str(caught.value)


def test_the_digest_is_of_the_values_not_of_the_spelling(tiny: Write, tmp_path: Path) -> None:
    first = load_config(tiny())
    file = tmp_path / "other.yaml"
    file.write_text("# a comment\n" + yaml.safe_dump(first.model_dump(mode="json"), sort_keys=False))
    assert load_config(file).digest == first.digest
    assert load_config(tiny(seed=5)).digest != first.digest


def test_the_committed_files_are_valid() -> None:
    files = sorted(EXAMPLES.glob("*.yaml"))
    assert files
    for file in files:
        assert load_config(file).name == file.stem


@pytest.mark.parametrize("name", [".", "..", "../x", "a/b", "/tmp", "", "Tiny", "cache"])
def test_a_name_that_would_write_elsewhere_is_refused(tiny: Callable[..., Path], name: str) -> None:
    with pytest.raises(ConfigError, match="name"):
        load_config(tiny(name=name))


@pytest.mark.parametrize("name", ["unet-2015", "multi-band"])
def test_the_committed_examples_train(name: str, tmp_path: Path) -> None:
    """On drawn scenes, as their first lines say; shortened."""
    for seed in (0, 1):
        write_sample(tmp_path / f"town-{seed}.tif", size=256, seed=seed)
    with rasterio.open(tmp_path / "town-0.tif") as scene:
        profile, pixels = scene.profile, scene.read([1, 2, 3, 1, 2])
    with rasterio.open(
        tmp_path / "town-5.tif", "w", **{**profile, "count": 5, "photometric": "minisblack"}
    ) as five:
        five.write(pixels)
    shutil.copy(tmp_path / "town-0_landuse.tif", tmp_path / "town-5_landuse.tif")
    raw = yaml.safe_load((EXAMPLES / f"{name}.yaml").read_text())
    raw["optimiser"] |= {"steps": 2, "batch": 2}
    raw["data"] |= {"root": ".", "crop": 64}
    raw["schedule"] |= {"tile": 128, "overlap": 32}
    (tmp_path / "short.yaml").write_text(yaml.safe_dump(raw))
    package = load_model(train(tmp_path / "short.yaml", tmp_path / "out", device="cpu"))
    assert package.spec.name == name
    assert len(package.spec.bands) == len(raw["bands"])
