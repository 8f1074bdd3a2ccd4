"""The digest of a scene's content: it changes where GDAL reads the scene otherwise, and not with a file's name."""

from __future__ import annotations

import shutil
import warnings
from pathlib import Path

import numpy as np
import pytest
import rasterio
import rasterio.shutil
from packages import write_scene
from rasterio.crs import CRS

from geounet.schedule.content import content_digest

FORGETFUL = (lambda *_: None, lambda *_: None)
WORLD = "10\n0\n0\n-10\n500000\n5500000\n"
NOTED = "<PAMDataset><GeoTransform>500000,10,0,5500000,0,-10</GeoTransform></PAMDataset>"
POINTS = ["(500000,5500000) (0,0)", "(500100,5500000) (10,0)", "(500100,5499900) (10,10)"]
TABLE = "\n".join(
    [
        '!table\n!version 300\nDefinition Table\n  File "a.tif"\n  Type "RASTER"',
        *(f'  {point} Label "Pt {number}",' for number, point in enumerate(POINTS, 1)),
        '  CoordSys Earth Projection 8, 104, "m", 15, 0, 0.9996, 500000, 0\n  Units "m"\n',
    ]
)


def digest(path: Path) -> str:
    return content_digest([str(path)], FORGETFUL)


def plain(path: Path, driver: str) -> Path:
    """A raster without a place on the map."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", rasterio.errors.NotGeoreferencedWarning)
        write_scene(path.with_suffix(".made"), np.zeros((1, 10, 10), np.uint8), crs=None, transform=None)
        rasterio.shutil.copy(path.with_suffix(".made"), path, driver=driver)
    path.with_suffix(".made").unlink()
    return path


def place(path: Path) -> tuple[float, ...]:
    """Where GDAL sees it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", rasterio.errors.NotGeoreferencedWarning)
        with rasterio.open(path) as file:
            return tuple(file.transform)


@pytest.mark.parametrize(
    ("driver", "name", "beside", "text"),
    [
        *(("GTiff", "a.tif", f"a.{end}", WORLD) for end in ("tfw", "TFW", "tifw", "wld")),
        *(("GTiff", "a.TIFF", f"a.{end}", WORLD) for end in ("tfw", "TIFFW")),
        ("GTiff", "a.tif", "a.tif.aux.xml", NOTED),
        ("GTiff", "a.tif", "a.tab", TABLE),
        *(("JPEG", "a.jpg", f"a.{end}", WORLD) for end in ("jgw", "JPGW")),
        ("PNG", "a.png", "a.pgw", WORLD),
        ("JP2OpenJPEG", "a.jp2", "a.j2w", WORLD),
    ],
)
def test_a_scene_that_is_placed_elsewhere_is_another(
    tmp_path: Path, driver: str, name: str, beside: str, text: str
) -> None:
    scene = plain(tmp_path / name, driver)
    before, nowhere = digest(scene), place(scene)
    (tmp_path / beside).write_text(text)
    first, there = digest(scene), place(scene)
    (tmp_path / beside).write_text(text.replace("500000", "600000"))
    assert len({nowhere, there, place(scene)}) == 3, "GDAL reads it"
    assert len({before, first, digest(scene)}) == 3


def test_an_envi_header_counts_under_both_names(tmp_path: Path) -> None:
    scene = plain(tmp_path / "a.dat", "ENVI")
    before = digest(scene)
    header = tmp_path / "a.hdr"
    header.write_text(header.read_text() + "map info = {UTM, 1, 1, 500000, 5500000, 10, 10, 33, North}\n")
    assert digest(scene) != before
    header.rename(tmp_path / "a.dat.hdr")
    assert digest(scene) != before


def test_what_gdal_does_not_read_does_not_count(tmp_path: Path) -> None:
    scene = plain(tmp_path / "a.tif", "GTiff")
    before = digest(scene)
    (tmp_path / "a.prj").write_text(CRS.from_epsg(32633).to_wkt())
    (tmp_path / "b.tfw").write_text(WORLD)
    (tmp_path / "a.txt").write_text("notes")
    assert (digest(scene), place(scene)[2]) == (before, 0)


def test_a_renamed_scene_is_the_same_with_its_world_file(tmp_path: Path) -> None:
    scene = plain(tmp_path / "a.tif", "GTiff")
    (tmp_path / "a.tfw").write_text(WORLD)
    before = digest(scene)
    shutil.copy(tmp_path / "a.tfw", tmp_path / "b.TFW")
    assert digest(scene.rename(tmp_path / "b.tif")) == before


def test_a_vrt_is_what_it_is_made_of(tmp_path: Path) -> None:
    tile = write_scene(tmp_path / "tile.tif", np.zeros((1, 10, 10), np.uint8))
    scene = tmp_path / "all.vrt"
    rasterio.shutil.copy(tile, scene, driver="VRT")
    before = digest(scene)
    write_scene(tile, np.ones((1, 10, 10), np.uint8))
    assert digest(scene) != before
    for damage in (tile.unlink, lambda: scene.write_text("<VRTDataset")):  # the run itself says so
        damage()
        assert digest(scene) != before
