"""A disk that fills up: whatever is published holds every pixel, and nothing else is published."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

_COMMON = """
import errno, resource, sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
import numpy as np, rasterio
from geounet.errors import WorkError
from geounet.grid.window import Window
sys.path.insert(0, sys.argv[2])
folder, out = Path(sys.argv[1]), Path(sys.argv[1]) / "out.tif"

def limit(size):
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))

def attempt(write, same):
    write()
    whole = out.stat().st_size
    assert same()
    refused = 0
    for size in sorted({300, 2000, *(whole * n // 25 for n in range(1, 25)), *range(whole - 60, whole, 7)}):
        out.unlink(missing_ok=True)
        limit(size)
        try:
            write()
        except (OSError, WorkError) as error:
            refused += 1
            assert not isinstance(error, OSError) or error.errno in (errno.ENOSPC, errno.EFBIG, None), error
            assert not out.exists()
        else:
            assert same(), (size, whole)
        finally:
            limit(resource.RLIM_INFINITY)
        assert [p.name for p in folder.iterdir() if p.name.startswith(".")] == []
    assert refused > 20, refused
    limit(resource.RLIM_INFINITY)
"""

_PART = """
from geounet.run.part import part_writer
bands = np.random.default_rng(0).integers(0, 250, (2, 700, 600), dtype=np.uint8)
bands[0, :512, :512] = 255  # a block that is left out of the file, as one that is lost would be

def write():
    with ThreadPoolExecutor(1) as pool:
        with part_writer(out, Window(50, 0, 700, 600), bands=2, rows=100, executor=pool) as part:
            for top in range(0, 700, int(sys.argv[3])):
                part.write(50 + top, bands[:, top : top + int(sys.argv[3])])
            part.finish()

def same():
    with rasterio.open(out) as file:
        return np.array_equal(file.read(), bands)
"""

_COG = """
from parts import LANDUSE, UTM, blobs, write_parts
from geounet.io.cog import write_label_cog
labels = np.random.default_rng(0).integers(0, 4, (900, 1100), dtype=np.uint8)
grid = replace(UTM, height=900, width=1100)
mosaic = write_parts(folder / "parts", labels[None], grid, block=(900, 512))
target = grid.zoom(0.8) if sys.argv[3] == "regridded" else None
good = []

def write():
    write_label_cog(out, mosaic, band=1, head=LANDUSE, tags={}, threads=2, target=target)

def same():
    good[:] = good or [out.read_bytes()]
    return out.read_bytes() == good[0]
"""

_LABELLED = """
from types import SimpleNamespace
from geounet.train.rasters import write_image, write_truth
rng = np.random.default_rng(0)
scene = SimpleNamespace(
    image=rng.integers(0, 255, (600, 700, 3), dtype=np.uint8), geobox=None, shape=(600, 700),
    labels=rng.integers(0, 3, (600, 700), dtype=np.uint8),
)
scene.labels[:40] = 254

def write():
    hidden = folder / ".image.tif"
    try:
        write_image(hidden, scene, ("red", "green", "blue")).rename(out)
    finally:
        hidden.unlink(missing_ok=True)

def same():
    with rasterio.open(out) as file:
        return np.array_equal(file.read().transpose(1, 2, 0), scene.image) and np.array_equal(
            file.dataset_mask() > 0, scene.labels != 254
        )
"""


def _run(script: str, folder: Path, *arguments: str) -> None:
    code = _COMMON + script + "\nattempt(write, same)\n"
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code, folder, Path(__file__).parent, *arguments],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]


@pytest.mark.skipif(sys.platform == "win32", reason="no limit on file sizes there")
@pytest.mark.parametrize("rows", ["100", "128", "700"])
def test_a_part_is_whole_or_not_there(tmp_path: Path, rows: str) -> None:
    _run(_PART, tmp_path, rows)


@pytest.mark.skipif(sys.platform == "win32", reason="no limit on file sizes there")
@pytest.mark.parametrize("grid", ["own", "regridded"])
def test_a_cog_is_whole_or_not_there(tmp_path: Path, grid: str) -> None:
    _run(_COG, tmp_path, grid)


@pytest.mark.skipif(sys.platform == "win32", reason="no limit on file sizes there")
def test_a_labelled_scene_is_whole_or_refused(tmp_path: Path) -> None:
    _run(_LABELLED, tmp_path)
