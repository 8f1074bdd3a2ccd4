"""Labels and confidences that a run left as rasters hold all that its parts held, and become parts again."""

from __future__ import annotations

import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import numpy as np

from geounet.grid.window import Window
from geounet.io.atomic import publish_text
from geounet.io.gdal import gdal_env, open_own
from geounet.run.journal import RASTERS_FILE, results_of, stamp
from geounet.run.part import part_writer
from geounet.run.work import Receipt

_ROWS = 512  # read and written at a time


def remember_rasters(folder: Path, names: Sequence[str]) -> None:
    """Note in a journal's folder that the results folder above it has the run's labels and confidences."""
    stamps = {name: stamp(results_of(folder) / name) for name in names}
    publish_text(folder / RASTERS_FILE, json.dumps(stamps))


def part_from_rasters(folder: Path, receipt: Receipt, core: Window, part: Path) -> Receipt | None:
    """Write the pixels of a block to ``part``; None where the rasters are no longer those that the run left.

    Raises OSError where the part cannot be written, or a raster not be read.
    """
    try:
        stamps = json.loads((folder / RASTERS_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    rasters = [results_of(folder) / name for name in stamps]
    with ExitStack() as stack:
        stack.enter_context(gdal_env(remote=False))
        files = [stack.enter_context(open_own(raster)) for raster in rasters]
        if [stamp(raster) for raster in rasters] != list(stamps.values()):
            return None  # looked at after they were opened: whoever replaces them makes new files
        pool = stack.enter_context(ThreadPoolExecutor(1))
        writer = stack.enter_context(part_writer(part, core, bands=len(files), rows=_ROWS, executor=pool))
        for top in range(core.row_off, core.bottom, _ROWS):
            rows = (top, min(top + _ROWS, core.bottom)), (core.col_off, core.right)
            writer.write(top, np.stack([file.read(1, window=rows) for file in files]))
        written = writer.finish()
    return replace(receipt, bytes=written.bytes, digest=written.digest)
