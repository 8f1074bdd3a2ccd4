"""Layers that GDAL cannot write for want of room."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

_WRITE = """
import resource, signal, sys
from pathlib import Path
import numpy as np, shapely
from geounet.errors import WorkError
from geounet.io.ogr import OgrWriter
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
size = 1024 * int(sys.argv[2])
resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
points = shapely.points(np.random.default_rng(0).random((9000, 2)))
writer = OgrWriter(Path(sys.argv[1]), driver="GPKG", layer="a", crs="EPSG:32633", kind="Point")
try:
    writer.put(np.asarray(shapely.to_wkb(points), object), {"id": np.arange(9000)})
    writer.close()
except WorkError as error:
    print(error)
"""


@pytest.mark.parametrize("limit", [24, 60, 120])
def test_a_geopackage_without_room_is_told_of_in_one_line(tmp_path: Path, limit: int) -> None:
    call = [sys.executable, "-c", _WRITE, str(tmp_path / "a.gpkg"), str(limit)]
    ended = subprocess.run(call, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    assert "free some space" in ended.stdout
