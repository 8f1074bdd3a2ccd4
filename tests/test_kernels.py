"""Kernels come out of the cache as they are written, whoever was killed meanwhile; nothing else is loaded."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import rasterio

PROGRAM = """
import sys
from geounet.cli.main import run
code = run(["vectorize", sys.argv[1], "-o", sys.argv[2]])
heavy = {"numba.np.arrayobj", "numba.np.linalg", "numba.cpython.unicode", "geopandas", "scipy.linalg", "torch"}
print("loaded", sorted((heavy | ({"shapely"} if sys.argv[2].endswith("fgb") else set())) & set(sys.modules)))
sys.exit(code)
"""

KERNEL = """
from geounet.kernels import kernel

@kernel
def add(a):
    return a + {number}
"""

DIES = """
import os
from geounet.kernels import KernelCacheFile

real, left = KernelCacheFile._open_for_write, {writes}

def write(self, path):
    global left
    if not left:
        os._exit(9)
    left -= 1
    return real(self, path)

KernelCacheFile._open_for_write = write
import adding
adding.add(1)
"""

SAYS = "import adding; print(adding.add({argument}), len(adding.add.stats.cache_hits), adding.add.stats.cache_path)"


class Place:
    """A folder with a module of one kernel, whose machine code is kept there."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._env = {**os.environ, "NUMBA_CACHE_DIR": str(folder / "cache"), "PYTHONPATH": str(folder)}

    def write(self, number: int) -> None:
        """Another release of the kernel; of the same length, and at the same line."""
        (self.folder / "adding.py").write_text(KERNEL.format(number=number))

    def run(self, program: str) -> subprocess.CompletedProcess[str]:
        call = [sys.executable, "-B", "-c", program]
        return subprocess.run(call, env=self._env, capture_output=True, text=True, check=False)

    def says(self, argument: str = "1") -> tuple[str, int]:
        """What the kernel gives in a process of its own, and how many kinds of arguments it found in the cache."""
        done = self.run(SAYS.format(argument=argument))
        assert done.returncode == 0, done.stderr
        value, hits, _ = done.stdout.split()
        return value, int(hits)

    def files(self) -> list[Path]:
        return sorted((self.folder / "cache").rglob("*.nbc"))


@pytest.fixture
def place(tmp_path: Path) -> Place:
    made = Place(tmp_path)
    made.write(100)
    return made


@pytest.mark.parametrize("writes", [0, 1])
def test_a_process_that_dies_while_it_saves_leaves_no_code_of_an_older_release(place: Place, writes: int) -> None:
    assert place.says() == ("101", 0)
    assert place.says() == ("101", 1)
    place.write(200)
    assert place.run(DIES.format(writes=writes)).returncode == 9
    assert place.says() == ("201", 0)
    assert place.says() == ("201", 1)
    assert len(place.files()) == 1  # what the older release left is gone


def test_two_processes_that_compile_one_kernel_for_other_types_do_not_mix_them_up(place: Place) -> None:
    """Both read the index before either writes it; then each of their files may be the one that is written last."""
    whole = "import adding; from geounet.kernels import KernelCacheFile as File; import pickle, sys"
    late = f"""{whole}
real, seen = File._load_index, []

def load(self):  # once, for itself; after that as it was then
    seen.append(real(self) if not seen else seen[0])
    return dict(seen[-1])

File._load_index = load
print(adding.add(1.5))
"""
    first = f"{whole}\nFile._load_index(adding.add._cache._cache_file); print(adding.add(1))"
    assert place.run(first).stdout == "101\n"
    index = next((place.folder / "cache").rglob("*.nbi"))
    kept = index.read_bytes()
    index.unlink()  # the second had looked before the first was done
    assert place.run(late).stdout == "101.5\n"
    for held in (kept, index.read_bytes()):  # whoever wrote the index last
        index.write_bytes(held)
        assert place.says("1")[0] == "101"
        assert place.says("1.5")[0] == "101.5"


def test_kinds_of_arguments_are_kept_beside_each_other(place: Place) -> None:
    assert [place.says("1"), place.says("1.5"), place.says("1"), place.says("1.5")] == [
        ("101", 0),
        ("101.5", 0),
        ("101", 1),
        ("101.5", 1),
    ]
    assert len(place.files()) == 2


def test_a_second_run_compiles_nothing_and_draws_the_same(tmp_path: Path) -> None:
    scene = tmp_path / "labels.tif"
    pixels = np.random.default_rng(3).integers(0, 3, (60, 70)).astype(np.uint8)
    place = rasterio.Affine(10, 0, 500000, 0, -10, 5500000)
    profile = {"driver": "GTiff", "height": 60, "width": 70, "count": 1, "dtype": "uint8", "crs": "EPSG:32633"}
    with rasterio.open(scene, "w", transform=place, **profile) as file:
        file.write(pixels, 1)
    for suffix in ("fgb", "geojson"):
        found = []
        for turn in ("first", "second"):
            out = tmp_path / turn / f"labels.{suffix}"
            out.parent.mkdir(exist_ok=True)
            call = [sys.executable, "-c", PROGRAM, str(scene), str(out)]
            done = subprocess.run(call, capture_output=True, text=True, check=True)
            found.append(out.read_bytes())
        assert done.stdout.splitlines()[-1] == "loaded []"
        assert found[0] == found[1]
