"""``geounet preview``: what is written, what it shows, what is refused."""

from __future__ import annotations

import numpy as np
import packages
import pytest
from PIL import Image

import geounet
from geounet.cli.main import run
from geounet.errors import ConfigError, RequestError


@pytest.fixture
def maps(model, scene):
    return geounet.infer(scene, model=str(model), device="cpu", confidence=True)


def test_pictures_of_a_run(maps, scene, truth, capsys):
    arguments = ["preview", str(scene), str(maps.output), "--truth", str(truth)]
    assert run(arguments) == 0
    made = {p.stem: np.asarray(Image.open(p)) for p in (maps.output / "previews").iterdir()}
    heads = {f"{h}{what}" for h in ("landuse", "road") for what in ("", "_confidence", "_errors")}
    assert set(made) == {"image", "overlay", *heads}
    assert {p.shape for p in made.values()} == {(150, 170, 3)}
    scores = geounet.evaluate(maps.paths["landuse.tif"], truth, draws=0)
    red = (made["landuse_errors"] == (214, 40, 40)).all(-1)
    assert red.sum() == round((1 - scores["accuracy"]) * scores.amounts["pixels"])
    assert not red[:9, :9].any()
    assert run(arguments) == 2
    assert "--overwrite" in capsys.readouterr().err
    assert run([*arguments, "--overwrite", "--size", "64", "-q"]) == 0
    assert Image.open(maps.output / "previews" / "image.png").size == (64, 56)


def test_a_run_shows_its_confidences_in_its_own_preview(maps, model, scene, tmp_path):
    plain = geounet.infer(scene, model=str(model), device="cpu", output=tmp_path / "plain")
    sizes = [Image.open(r.paths["preview.png"]).size for r in (maps, plain)]
    assert sizes[0][0] <= 1200
    assert sizes[0][1] > sizes[1][1]


def test_what_cannot_be_shown_is_refused(maps, scene, tmp_path):
    with pytest.raises(ConfigError, match="no maps"):
        geounet.preview(scene, tmp_path / "nothing")
    with pytest.raises(ConfigError, match="--size 3"):
        geounet.preview(scene, maps, size=3)
    other = packages.write_scene(tmp_path / "other.tif", packages.texture((40, 50)))
    with pytest.raises(RequestError, match="another scene"):
        geounet.preview(other, maps)
    small = packages.write_scene(tmp_path / "small.tif", np.ones((1, 20, 20), np.uint8))
    elsewhere = packages.write_scene(
        tmp_path / "elsewhere.tif",
        packages.texture((150, 170)),
        transform=packages.UTM @ packages.UTM.translation(900, 0),
    )
    with pytest.raises(RequestError, match="lie at different places; is it another scene"):
        geounet.preview(elsewhere, maps)
    unknown = packages.write_scene(tmp_path / "unknown.tif", np.full((1, 150, 170), 255, np.uint8), nodata=255)
    with pytest.raises(RequestError, match=r"unknown\.tif has no pixel with data in what is shown"):
        geounet.preview(scene, maps, truth=unknown, output=tmp_path / "p")
    with pytest.raises(RequestError, match="grids") as caught:
        geounet.preview(scene, maps, truth=small, output=tmp_path / "p")
    assert "--resample" not in str(caught.value), "which preview has not"
    assert not (tmp_path / "p").exists()
