"""docs/outputs.md and the README name what a run really leaves: files, attributes, tags."""

from __future__ import annotations

import json
import re

import markdown_blocks
import pytest
import rasterio

import geounet

PAGE = markdown_blocks.ROOT / "docs" / "outputs.md"
README = markdown_blocks.ROOT / "README.md"


@pytest.fixture
def run(reader):
    formats = ["geojson", "geojsonseq", "geojsons", "gpkg", "fgb", "shp"]
    return geounet.infer("scene.tif", output="maps", confidence=True, formats=formats, gsd=2.0, cleaned=True)


def test_files_attributes_and_tags(run):
    page, readme = PAGE.read_text(encoding="utf-8"), README.read_text(encoding="utf-8")
    left = {p.name for p in run.output.iterdir() if p.is_file()}
    named = set(re.findall(r"`((?:landuse|vectors|item|preview|report)\.[\w.]+|landuse_\w+\.tif)`", page))
    assert named - {"landuse.parquet"} == {name for name in left if not name.startswith("road")}
    assert {n.replace("landuse", "road") for n in left if n.startswith("landuse")} <= left
    shown = set(re.findall(r"^\| `.*$", readme, flags=re.MULTILINE))
    for name in re.findall(r"`([\w]+\.\w+)`", " ".join(shown)):
        assert name in left
    feature = json.loads((run.output / "landuse.geojson").read_text())["features"][0]
    assert set(feature["properties"]) == set(attributes(page))
    with rasterio.open(run.output / "landuse.tif") as raster:
        tags = {re.sub(r"CLASS_\d+", "CLASS_0", tag) for tag in raster.tags()} - {"AREA_OR_POINT"}
        assert raster.nodata == 255
        assert raster.scales == (1.0,)
    named_tags = {re.sub(r"CLASS_\d+", "CLASS_0", t) for t in re.findall(r"`((?:GEOUNET|CLASS|TIFF)\w+)`", page)}
    assert tags <= named_tags
    assert named_tags - tags <= {"GEOUNET_BANDS", "GEOUNET_STRETCH", "GEOUNET_THRESHOLD"}  # where asked for
    with rasterio.open(run.output / "landuse_confidence.tif") as raster:
        assert raster.scales == (1 / 250,)


def attributes(page: str) -> list[str]:
    """Names in the table of attributes."""
    table = page.split("| attribute | what |")[1].split("\n\n", maxsplit=1)[0]
    rows = [row.split("|")[1] for row in table.splitlines() if row.startswith("| `")]
    return [name for row in rows for name in re.findall(r"`(\w+)`", row)]


def test_the_sample_says_that_it_is_synthetic(reader):
    with rasterio.open("scene.tif") as scene:
        assert scene.tags()["GEOUNET_SYNTHETIC"] == "yes"


def test_the_exit_codes_of_the_readme_are_those_of_the_errors():
    from geounet import errors

    told = {int(code) for code in re.findall(r"^\| (\d+) \| ", README.read_text(encoding="utf-8"), re.MULTILINE)}
    assert told == {0, errors.WorkError.exit_code, errors.RequestError.exit_code, errors.Interrupted.exit_code}
