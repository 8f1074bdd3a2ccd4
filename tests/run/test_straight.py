"""FlatGeobuf, whose features are made during the sweep: interrupted, on a full disk, and of nothing."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import geopandas
import numpy as np
import pytest
import rasterio
from small_disks import small_disk_at

from geounet.run.vectorize import vectorize

SLOW = """
import sys, time
from pathlib import Path
from geounet.io.flatgeobuf import FlatGeobufWriter
mark, real = Path(sys.argv.pop(1)), FlatGeobufWriter.append

def append(self, packed):
    real(self, packed)
    mark.touch()
    time.sleep(0.2)

FlatGeobufWriter.append = append
from geounet.cli import main
main()
"""


@pytest.fixture
def labels(tmp_path: Path) -> Path:
    """Many small areas, so that features come from every row."""
    path = tmp_path / "labels.tif"
    pixels = np.random.default_rng(1).integers(0, 3, (700, 400)).astype(np.uint8)
    profile = {"driver": "GTiff", "height": 700, "width": 400, "count": 1, "dtype": "uint8", "blockysize": 8}
    place = rasterio.Affine(10, 0, 500000, 0, -10, 5500000)
    with rasterio.open(path, "w", crs="EPSG:32633", transform=place, **profile) as file:
        file.write(pixels, 1)
    return path


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_interrupted_and_begun_again(labels: Path, tmp_path: Path, number: int) -> None:
    mark, out = tmp_path / "mark", tmp_path / "out"
    out.mkdir()
    whole = vectorize(labels, output=tmp_path / "a.fgb", formats=("fgb",)).paths[0].read_bytes()
    call = ["vectorize", str(labels), "-o", str(out / "a.fgb"), "--threads", "2"]
    process = subprocess.Popen([sys.executable, "-c", SLOW, str(mark), *call], stderr=subprocess.PIPE, text=True)
    try:
        until = time.monotonic() + 200
        while not mark.exists():
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < until
            time.sleep(0.01)
        process.send_signal(number)
        told, _ = process.communicate(timeout=240)[::-1]
    finally:
        process.kill()
    assert process.returncode == (130 if number == signal.SIGINT else -signal.SIGKILL), told
    assert not list(out.iterdir())
    subprocess.run([sys.executable, "-m", "geounet", *call, "--quiet"], check=True)
    assert (out / "a.fgb").read_bytes() == whole


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Of 2 MiB."""
    yield from small_disk_at(tmp_path / "disk", "2m")


@pytest.mark.parametrize("threads", ["1", "3"])
def test_a_disk_that_fills_up(labels: Path, small_disk: Path, threads: str) -> None:
    """One line; what was there is as it was."""
    there = small_disk / "a.fgb"
    there.write_bytes(b"of yesterday")
    call = ["vectorize", str(labels), "-o", str(there), "--overwrite", "--threads", threads, "--quiet"]
    ended = subprocess.run([sys.executable, "-m", "geounet", *call], capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert len(ended.stderr.splitlines()) == 1
    assert "No space left" in ended.stderr
    assert [path.name for path in small_disk.iterdir()] == ["a.fgb"]
    assert there.read_bytes() == b"of yesterday"


@pytest.mark.parametrize("threads", [1, 2])
def test_no_feature_is_a_file_with_columns(tmp_path: Path, threads: int) -> None:
    path = tmp_path / "nothing.tif"
    profile = {"driver": "GTiff", "height": 4, "width": 5, "count": 1, "dtype": "uint8", "nodata": 0}
    with rasterio.open(
        path, "w", crs="EPSG:32633", transform=rasterio.Affine(2, 0, 0, 0, -2, 0), **profile
    ) as file:
        file.write(np.zeros((1, 4, 5), np.uint8))
    result = vectorize(path, output=tmp_path / "a.fgb", formats=("fgb",), threads=threads)
    assert result.feature_count == 0
    frame = geopandas.read_file(result.paths[0])
    assert len(frame) == 0
    assert list(frame.columns[:3]) == ["id", "class", "name"]
