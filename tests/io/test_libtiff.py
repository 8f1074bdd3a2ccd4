"""libtiff says nothing by itself, and its handler is put back."""

from __future__ import annotations

import subprocess
import sys

import pytest

PROGRAM = """
import resource, signal, sys
import numpy as np
import rasterio
from geounet.io.gdal import gdal_env
from geounet.io.libtiff import silent_libtiff, _set_handler

def overflow():
    try:
        how = gdal_env(remote=False) if sys.argv[1] == "silent" else rasterio.Env()
        shape = {"width": 300, "height": 300, "count": 1, "dtype": "uint8"}
        with how, rasterio.open(sys.argv[2], "w", driver="GTiff", **shape) as file:
            file.write(np.ones((1, 300, 300), np.uint8))
    except rasterio.errors.RasterioError:
        pass

before = _set_handler()(None)
_set_handler()(before)
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (3000, resource.RLIM_INFINITY))
overflow()
with silent_libtiff(), silent_libtiff():
    pass
assert _set_handler()(before) == before
"""


@pytest.mark.parametrize(("how", "said"), [("loud", True), ("silent", False)])
def test_what_libtiff_says(how, said, tmp_path):
    """The loud one shows that there is something to silence."""
    call = [sys.executable, "-W", "ignore", "-c", PROGRAM, how, str(tmp_path / "a.tif")]
    ending = subprocess.run(call, capture_output=True, text=True, check=False)
    assert ending.returncode == 0, ending.stderr
    assert ("_tiffWriteProc" in ending.stderr) == said
    if not said:
        assert ending.stderr == ""
