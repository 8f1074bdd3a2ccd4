"""Every awkward file of four projects: read as rasterio reads it, or refused in one line."""

from __future__ import annotations

import csv
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import rasterio
from memory import SEES_TESTS
from rasterio.enums import ColorInterp

from geounet.errors import SceneError
from geounet.io.describe import describe
from geounet.io.raster import DTYPES
from geounet.io.scene import Scene, open_scene

DATA = Path(__file__).resolve().parents[3] / "shared" / "data" / "hostile"
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


SWEEP = """
import sys
from pathlib import Path
from geounet.errors import GeounetError
from geounet.io.scene import open_scene
for path in sorted(p for p in Path(sys.argv[1]).rglob("*") if p.is_file()):
    try:
        with open_scene(path) as scene:
            outcome = str(scene.read(scene.geobox.window).data.dtype)
    except GeounetError as error:
        outcome = f"exit {error.exit_code}" if len(str(error).splitlines()) == 1 else "many lines"
    print(outcome, path.relative_to(sys.argv[1]).as_posix(), sep="\\t")
from memory import peak_memory
print(peak_memory(), "bytes", sep="\\t")
"""


def test_every_file_ends_in_pixels_or_in_one_line():
    """Also those that are no rasters at all: GeoJSON, shapefiles, licences. None takes 2 GB."""
    done = subprocess.run(
        [sys.executable, "-c", SWEEP, str(DATA)], check=True, capture_output=True, text=True, env=SEES_TESTS
    )
    assert done.stderr == ""
    *lines, memory = [line.split("\t") for line in done.stdout.splitlines()]
    outcomes = {name: outcome for outcome, name in lines}
    assert len(outcomes) == sum(p.is_file() for p in DATA.rglob("*"))
    assert set(outcomes.values()) <= {*DTYPES, "exit 2"}
    assert {outcomes[name] for name in REFUSED} == {"exit 2"}
    assert int(memory[0]) < 2 * 2**30
