"""What ``item.json`` and ``report.html`` say about the scene."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest
import rasterio

import geounet
from geounet.io.access import public_url
from geounet.io.facts import RunFacts
from geounet.io.stac import to_item
from geounet.run.describe import _href

sys.path[:0] = [str(Path(__file__).resolve().parents[1])]
from packages import save, texture, tiny_spec, unet, write_scene  # noqa: E402


def described(tmp_path: Path, **tags: str) -> tuple[dict[str, Any], str]:
    model = save(tmp_path / "model", unet(tiny_spec()), tiny_spec())
    pixels = texture((64, 64))
    scene = write_scene(tmp_path / "s #1.tif", pixels, nodata=7)
    with rasterio.open(scene, "r+") as file:
        file.update_tags(**tags)
    os.utime(scene, (1_000_000_000, 1_000_000_000))
    geounet.infer(scene, model=str(model), output=tmp_path / "out", device="cpu", bands="2,1")
    out = tmp_path / "out"
    return json.loads((out / "item.json").read_text()), (out / "report.html").read_text()


@pytest.mark.parametrize(
    ("tag", "expected"),
    [("2024:05:06 07:08:09", "2024-05-06T07:08:09Z"), ("yesterday", "2001-09-09T01:46:40Z")],
)
def test_the_scene_as_it_is(tmp_path: Path, tag: str, expected: str) -> None:
    item, report = described(tmp_path, TIFFTAG_DATETIME=tag)
    assert item["properties"]["datetime"] == expected
    assert item["links"][0]["href"] == "../s%20%231.tif"
    assert item["properties"]["geounet:bands"] == ["band2", "band1"]
    assert "none declared" not in report


@pytest.mark.parametrize(
    "url",
    [
        "https://me:secret@example.com/a/s.tif?sig=secret#secret",
        "/vsicurl/https://me:sec@secret@example.com/a/s.tif?sig=secret",
    ],
)
def test_no_secret_of_a_url_is_written_down(tmp_path: Path, url: str) -> None:
    assert public_url(url) == _href(url, tmp_path) == "https://example.com/a/s.tif"


def test_a_scene_without_a_date_is_valid_stac(tmp_path: Path) -> None:
    from geounet.grid.geobox import GeoBox

    facts = RunFacts(
        scene="s", geobox=GeoBox(width=4, height=4, transform=(1, 0, 0, 0, -1, 0), crs=None), bands=("a",),
        dtype="uint8", fingerprint="00", datetime=None, model=tiny_spec(), model_digest="00", outputs=(),
    )  # fmt: skip
    properties = to_item(facts, folder=tmp_path)["properties"]
    assert properties["datetime"] is None
    assert properties["start_datetime"] < properties["end_datetime"]
