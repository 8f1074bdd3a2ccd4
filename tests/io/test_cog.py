from __future__ import annotations

import itertools
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio._base import driver_supports_mode
from rasterio.enums import ColorInterp
from rasterio.shutil import copy as gdal_copy
from rio_cogeo import cog_validate

from geounet.errors import WorkError
from geounet.grid.geobox import GeoBox
from geounet.io import cog, levels
from geounet.io.cog import Mosaic, write_confidence_cog, write_label_cog
from geounet.io.overviews import halve_mean, halve_mode

sys.path.insert(0, str(Path(__file__).parent))
from parts import LANDUSE, ROAD, UTM, blobs, confidences, write_parts

pytestmark = pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
TAGS = {"SCENE": "a <b> & 'c' \"d\" é", "MODEL_DIGEST": "sha256:00"}


def grid(shape: tuple[int, int], base: GeoBox = UTM) -> GeoBox:
    return replace(base, height=shape[0], width=shape[1])


def stacked(shape: tuple[int, int]) -> np.ndarray:
    labels = blobs(shape)
    return np.stack([labels, np.where(labels == 255, labels, labels % 2), confidences(labels)])


@pytest.mark.parametrize("shape", [(1, 1), (1, 1300), (1300, 1), (511, 513), (700, 1101), (512, 512)])
def test_a_cog_of_any_size_is_valid_and_has_the_pixels(tmp_path: Path, shape):
    bands = stacked(shape)
    mosaic = write_parts(tmp_path / "parts", bands, grid(shape), block=(256, 512))
    for write, band, head in [
        (write_label_cog, 1, LANDUSE),
        (write_label_cog, 2, ROAD),
        (write_confidence_cog, 3, ROAD),
    ]:
        path = write(tmp_path / "out.tif", mosaic, band=band, head=head, tags=TAGS, threads=2)
        if shape[1] > 1:  # rio-cogeo takes decimations from the widths alone
            assert cog_validate(path, strict=True) == (True, [], [])
        assert cog_validate(path)[:2] == (True, [])
        with rasterio.open(path) as file:
            np.testing.assert_array_equal(file.read(1), bands[band - 1])
            assert (file.count, file.dtypes, file.nodata) == (1, ("uint8",), 255)
            assert file.transform == rasterio.Affine(*UTM.transform)
            assert file.crs.to_epsg() == 32640


def test_the_options_of_the_driver_are_listed_before_any_thread_copies(tmp_path: Path, monkeypatch):
    """Two first copies in the same moment damage the heap: https://github.com/OSGeo/gdal/pull/12390."""
    said = []

    def ask(*asked):
        said.append(asked)
        return driver_supports_mode(*asked)

    def copy(*given, **options):
        said.append("copy")
        gdal_copy(*given, **options)

    monkeypatch.setattr(levels, "driver_supports_mode", ask)
    monkeypatch.setattr(cog, "gdal_copy", copy)
    mosaic = write_parts(tmp_path / "parts", stacked((40, 50)), grid((40, 50)), block=(32, 32))
    with ThreadPoolExecutor(2) as pool:
        for name in "ab":
            pool.submit(write_label_cog, tmp_path / name, mosaic, band=1, head=LANDUSE, tags={})
    assert said.count("copy") == 2
    assert said[0] == ("COG", "DMD_CREATIONOPTIONLIST")


def test_the_overviews_are_the_chain_of_halves(tmp_path: Path):
    bands = stacked((1500, 2101))
    mosaic = write_parts(tmp_path / "parts", bands, grid(bands.shape[1:]), block=(512, 512))
    for write, band, halve in [(write_label_cog, 1, halve_mode), (write_confidence_cog, 3, halve_mean)]:
        path = write(tmp_path / "out.tif", mosaic, band=band, head=LANDUSE, tags={}, threads=2)
        expected = bands[band - 1]
        for level in range(3):
            expected = halve(expected)
            with rasterio.open(path, overview_level=level) as file:
                np.testing.assert_array_equal(file.read(1), expected)


def test_labels_carry_colours_names_and_provenance(tmp_path: Path):
    mosaic = write_parts(tmp_path / "parts", stacked((40, 50)), grid((40, 50)), block=(32, 32))
    path = write_label_cog(tmp_path / "landuse.tif", mosaic, band=1, head=LANDUSE, tags=TAGS)
    with rasterio.open(path) as file:
        colours, tags = file.colormap(1), file.tags()
        assert file.colorinterp == (ColorInterp.palette,)
        assert file.descriptions == ("landuse",)
    assert [colours[c.value] for c in LANDUSE.classes] == [(*c.rgb, 255) for c in LANDUSE.classes]
    assert colours[255][3] == 0
    assert TAGS.items() <= tags.items()
    assert tags["CLASS_NAMES"] == "building,land,road & rail,water"
    assert tags["CLASS_2"] == "road & rail #4a4a55"
    assert "<Category>road &amp; rail</Category>" in Path(f"{path}.aux.xml").read_text()


def test_confidence_carries_its_scale(tmp_path: Path):
    mosaic = write_parts(tmp_path / "parts", stacked((40, 50)), grid((40, 50)), block=(32, 32))
    path = write_confidence_cog(tmp_path / "c.tif", mosaic, band=3, head=LANDUSE, tags=TAGS)
    with rasterio.open(path) as file:
        assert file.scales == (1 / 250,)
        assert file.offsets == (0.0,)
        assert file.colorinterp == (ColorInterp.gray,)
        assert TAGS.items() <= file.tags().items()
    assert not Path(f"{path}.aux.xml").exists()


@pytest.mark.parametrize(
    "transform",
    [(0.4, 0.1, 3e5, 0.1, -0.4, 2.8e6), (0.5, 0.0, 3e5, 0.0, 0.5, 2.8e6), (1.0, 0.0, 7.0, 0.0, -1.0, 9.0)],
    ids=["rotated", "south-up", "shifted"],
)
@pytest.mark.parametrize("crs", ["EPSG:32640", "EPSG:4326", None])
def test_any_georeference_survives(tmp_path: Path, transform, crs):
    geobox = GeoBox(width=30, height=20, transform=transform, crs=crs)
    mosaic = write_parts(tmp_path / "parts", stacked((20, 30)), geobox, block=(20, 30))
    with rasterio.open(write_label_cog(tmp_path / "o.tif", mosaic, band=1, head=LANDUSE, tags={})) as file:
        assert file.transform.almost_equals(rasterio.Affine(*transform), precision=1e-9)
        assert file.crs == (None if crs is None else rasterio.CRS.from_string(crs))


def test_a_grid_of_pixels_stays_without_georeference(tmp_path: Path, recwarn):
    geobox = GeoBox(width=600, height=600)
    mosaic = write_parts(tmp_path / "parts", stacked((600, 600)), geobox, block=(256, 256))
    recwarn.clear()
    path = write_label_cog(tmp_path / "o.tif", mosaic, band=1, head=LANDUSE, tags={}, threads=2)
    assert not [w for w in recwarn if "eoref" in str(w.message)]
    with rasterio.open(path) as file:
        assert file.crs is None
        assert file.transform == rasterio.Affine.identity()
        assert "TIFFTAG_GEOTRANSFORM" not in file.tags()


def test_nothing_at_all_is_all_nodata(tmp_path: Path):
    path = write_label_cog(
        tmp_path / "o.tif", Mosaic(geobox=grid((600, 700)), parts=()), band=1, head=LANDUSE, tags={}
    )
    assert cog_validate(path, strict=True)[0]
    with rasterio.open(path) as file:
        assert (file.read(1) == 255).all()


@pytest.mark.parametrize("ratio", [2.0, 0.5, 1.37, 3.0])
def test_target_is_the_nearest_working_pixel(tmp_path: Path, ratio):
    target = grid((611, 540))
    working = target.zoom(ratio)
    bands = stacked(working.shape)
    written = []
    for block in [(64, 100), (512, 512)]:
        mosaic = write_parts(tmp_path / f"parts{block[0]}", bands, working, block=block)
        path = write_label_cog(tmp_path / f"{block[0]}.tif", mosaic, band=1, head=LANDUSE, tags={}, target=target)
        written.append(path.read_bytes())
    assert written[0] == written[1]
    with rasterio.open(path) as file:
        got = file.read(1)
        assert file.transform == rasterio.Affine(*target.transform)
    for row, col in itertools.product(range(0, 611, 7), range(0, 540, 11)):
        inner = (
            min(int((row + 0.5) / ratio + 1e-6), working.height - 1),
            min(int((col + 0.5) / ratio + 1e-6), working.width - 1),
        )
        assert got[row, col] == bands[0][inner]


def test_a_missing_or_broken_part_is_an_error_and_leaves_nothing(tmp_path: Path):
    mosaic = write_parts(tmp_path / "parts", stacked((300, 300)), grid((300, 300)), block=(256, 256))
    out = tmp_path / "out"
    out.mkdir()
    victim = mosaic.parts[-1][1]
    for spoil in [lambda: victim.write_bytes(victim.read_bytes()[:600]), victim.unlink]:
        spoil()
        with pytest.raises(WorkError, match="cannot write the COG"):
            write_confidence_cog(out / "o.tif", mosaic, band=3, head=LANDUSE, tags={})
        assert list(out.iterdir()) == []
