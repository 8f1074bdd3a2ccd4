"""Every awkward file of four projects: read as rasterio reads it, or refused in one line."""

from __future__ import annotations

import csv
import resource
from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.enums import ColorInterp

from geounet.errors import GeounetError, SceneError
from geounet.io.describe import describe
from geounet.io.scene import Scene, open_scene

DATA = Path(__file__).resolve().parents[3] / "shared" / "data" / "hostile"
FILES = sorted(p.relative_to(DATA).as_posix() for p in DATA.rglob("*") if p.is_file())
REFUSED = {
    "mapchete/test/testdata/gcps.tif": "gdalwarp",
    "mapchete/test/testdata/invalid.tif": "is empty",
    "odc_geo/tests/data/au-gcp.tif": "gdalwarp",
    "rasterio/tests/data/RGB.byte.gcp.vrt": "gdalwarp",
    "rasterio/tests/data/compdcs.vrt": "gdalwarp",
    "rasterio/tests/data/corrupt.tif": "cannot be read at rows",
    "rasterio/tests/data/white-gemini-iv.vrt": "gdalwarp",
    "rio_tiler/tests/fixtures/cog_gcps.tif": "gdalwarp",
    "rio_tiler/tests/fixtures/cog_gcps_ovr.tif": "gdalwarp",
}
"""Rasters that no scene can be made of, and what the message must say."""

pytestmark = [pytest.mark.real, pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")]


def rasters() -> list[str]:
    with (DATA / "INDEX.tsv").open() as file:
        return [row["path"] for row in csv.DictReader(file, delimiter="\t")] if DATA.is_dir() else []


def read_whole(scene: Scene) -> tuple[np.ndarray, np.ndarray]:
    pixels = scene.read(scene.geobox.window)
    return pixels.data, pixels.valid


def expected_valid(dataset: rasterio.DatasetReader, data: np.ndarray) -> np.ndarray:
    """GDAL's dataset mask; and where floats are not finite there is no data either."""
    valid = dataset.dataset_mask() != 0
    return valid & np.isfinite(data).all(axis=0)


@pytest.mark.parametrize("name", rasters() if DATA.is_dir() else [])
def test_rasters_read_as_rasterio_does(name, capfd):
    if name in REFUSED:
        with pytest.raises(SceneError, match=REFUSED[name]) as refused, open_scene(DATA / name) as scene:
            read_whole(scene)
        assert "\n" not in str(refused.value)
    else:
        with open_scene(DATA / name) as scene, rasterio.open(DATA / name) as dataset:
            data, valid = read_whole(scene)
            image = [i for i in dataset.indexes if dataset.colorinterp[i - 1] != ColorInterp.alpha]
            expected = dataset.read(image)
            assert data.dtype == expected.dtype
            assert np.array_equal(data, expected, equal_nan=data.dtype.kind == "f")
            assert (valid == expected_valid(dataset, expected)).all()
            assert describe(scene).name
            assert scene.geobox.gsd() is None or scene.geobox.gsd() > 0
    assert capfd.readouterr() == ("", "")


def test_there_are_102():
    assert len(rasters()) == 102


def test_every_file_ends_in_pixels_or_in_one_line():
    """Also those that are no rasters at all: GeoJSON, shapefiles, licences."""
    outcomes = {}
    for name in FILES:
        try:
            with open_scene(DATA / name) as scene:
                outcomes[name] = str(read_whole(scene)[0].dtype)
        except GeounetError as error:
            assert "\n" not in str(error)
            assert error.exit_code == 2
            outcomes[name] = "refused"
    assert set(REFUSED) <= {n for n, o in outcomes.items() if o == "refused"}
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss < 2 * 2**20
