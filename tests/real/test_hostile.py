"""Awkward and real rasters through the whole of ``geounet infer``: 0 with a right output, or 2 with one line."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import rasterio
from memory import SEES_TESTS, memory_taken
from packages import MEAN, STD, pixelwise, save, tiny_spec
from rasterio.enums import ColorInterp

from geounet.cli.main import run
from geounet.model.spec import InputBand

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
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
KEPT = {"rasterio/tests/data/corrupt.tif", "rasterio/tests/data/RGB.byte.tif", "rasterio/tests/data/RGBA.byte.tif"}
"""Large ones that are not left to the slow tests."""
pytestmark = [pytest.mark.real, pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")]


def rasters():
    if not DATA.is_dir():
        return
    with (DATA / "hostile/INDEX.tsv").open() as file:
        for row in csv.DictReader(file, delimiter="\t"):
            large = row["w"] != "None" and int(row["w"]) * int(row["h"]) > 200_000
            marks = [pytest.mark.slow] if large and row["path"] not in KEPT else []
            yield pytest.param(row["path"], marks=marks)


@pytest.fixture(scope="module")
def model_for(tmp_path_factory):
    """A model for any number of bands."""
    folder = tmp_path_factory.mktemp("models")
    made: dict[int, Path] = {}

    def model(count: int) -> Path:
        if count not in made:
            bands = tuple(InputBand(name=f"b{n}", mean=MEAN, std=STD) for n in range(count))
            spec = tiny_spec(bands=bands)
            made[count] = save(folder / str(count), pixelwise(spec), spec)
        return made[count]

    return model


@pytest.fixture
def infer(model_for, tmp_path, capfd):
    """Run over one scene, in less than 2 GiB: the exit code, what went to standard error, the results folder."""

    def call(scene, count, *options):
        out = tmp_path / "out"
        capfd.readouterr()
        model = model_for(count)
        with memory_taken() as taken:
            code = run(["infer", str(scene), "-m", str(model), "-o", str(out), "-q", *map(str, options)])
            assert taken() < 2 * 2**30
        printed = capfd.readouterr()
        assert printed.out == ""
        return code, printed.err, out

    return call


def check_results(out, source, valid):
    """Rasters on the source's grid, nodata where it has none, real COGs, vectors as RFC 7946 wants them."""
    from rio_cogeo import cog_validate

    with rasterio.open(source) as dataset:
        grid = (dataset.shape, dataset.transform, dataset.crs)
    for head in ("landuse", "road"):
        with rasterio.open(out / f"{head}.tif") as dataset:
            assert (dataset.shape, dataset.transform) == grid[:2]
            assert dataset.crs == grid[2]
            assert ((dataset.read(1) != 255) == valid).all()
        whole, errors, warnings = cog_validate(str(out / f"{head}.tif"), strict=True, quiet=True)
        assert (whole, errors, warnings) == (True, [], [])
    check_geojson(out / "landuse.geojson", on_earth=grid[2] is not None and "EARTH" in body_of(grid[2]))
    assert bool(json.loads((out / "landuse.geojson").read_text())["features"]) == valid.any()
    json.loads((out / "item.json").read_text())


def body_of(crs):
    from pyproj import CRS

    return "EARTH" if CRS.from_user_input(crs).ellipsoid.semi_major_metre > 6.3e6 else "ELSEWHERE"


def check_geojson(path, *, on_earth):
    """RFC 7946: no crs member, shells anticlockwise and holes clockwise, degrees where degrees are due."""
    collection = json.loads(path.read_text())
    assert "crs" not in collection
    for feature in collection["features"]:
        geometry = feature["geometry"]
        polygons = geometry["coordinates"] if geometry["type"] == "MultiPolygon" else [geometry["coordinates"]]
        for shell, *holes in polygons:
            assert turns_left(shell)
            assert not any(turns_left(hole) for hole in holes)
            if on_earth:
                points = np.array(shell)
                assert (np.abs(points) <= [180 + 1e-9, 90 + 1e-9]).all()


def turns_left(ring):
    x, y = np.array(ring, float).T
    x, y = x - x[0], y - y[0]
    return float((x[:-1] * y[1:] - x[1:] * y[:-1]).sum()) > 0


@pytest.mark.parametrize("name", rasters())
def test_hostile(name, infer):
    path = DATA / "hostile" / name
    if name in REFUSED:
        code, err, out = infer(
            path, 1 if not path.stat().st_size else count_of(path), "--tile", 64, "--overlap", 16
        )
        assert (code, err.count("\n")) == (2, 1), err
        assert REFUSED[name] in err
        return
    with rasterio.open(path) as dataset:
        image = [i for i in dataset.indexes if dataset.colorinterp[i - 1] != ColorInterp.alpha]
        valid = (dataset.dataset_mask() != 0) & np.isfinite(dataset.read(image)).all(axis=0)
        bands = ",".join(map(str, image))
    tile = (64, 16) if valid.size < 1e6 else (512, 64)
    code, err, out = infer(path, len(image), "--bands", bands, "--tile", tile[0], "--overlap", tile[1])
    assert (code, err) == (0, "")
    check_results(out, path, valid)


def count_of(path):
    with rasterio.open(path) as dataset:
        return sum(c != ColorInterp.alpha for c in dataset.colorinterp)


@pytest.mark.parametrize(
    ("name", "options", "count"),
    [
        ("sentinel2_beaufort_8band.tif", ("--bands", "4,3,2", "--nodata", 255, "--tile", 512), 3),
        ("naip_rgbn_5m.tif", ("--bands", "1,2,3"), 3),
        ("landsat7_olinda_6band.tif", (), 6),
        ("spacenet_vegas_rgba.tif", (), 3),
        ("sentinel2_twodate_uint16_8band.tif", (), 8),
    ],
)  # fmt: skip
def test_real_scenes(name, options, count, infer):
    path = DATA / "scenes" / name
    code, err, out = infer(path, count, *options)
    assert (code, err) == (0, "")
    with rasterio.open(path) as dataset:
        valid = dataset.dataset_mask() != 0
        if "--nodata" in options:
            valid &= (dataset.read([4, 3, 2]) != 255).any(axis=0)
    check_results(out, path, valid)


@pytest.mark.slow
def test_world_of_648_megapixels(model_for, tmp_path):
    """In a process of its own."""
    code = (
        "import sys; from memory import peak_memory; from geounet.cli.main import run; code = run(sys.argv[1:]);"
        "print(peak_memory()); sys.exit(code)"
    )
    scene = DATA / "scenes/world_36000x18000.tif"
    call = ["infer", scene, "-m", model_for(1), "-o", tmp_path / "out", "-q", "--tile", 512, "--overlap", 32,
            "--min-area", 1e9]  # fmt: skip
    ending = subprocess.run(
        [sys.executable, "-c", code, *map(str, call)], env=SEES_TESTS, capture_output=True, text=True, check=False
    )
    assert (ending.returncode, ending.stderr) == (0, "")
    assert int(ending.stdout) < 2 * 2**30
    with rasterio.open(tmp_path / "out/landuse.tif") as dataset:
        assert dataset.shape == (18000, 36000)
