"""Equal pixels, equal bytes: however the scene was cut into parts, and with any number of threads."""

from __future__ import annotations

import random
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from geounet.io.cog import Mosaic, write_confidence_cog, write_label_cog

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "io"))
from parts import LANDUSE, UTM, blobs, confidences, write_parts

SHAPE = (1300, 1701)
CUTS = [(1300, 1701), (512, 512), (333, 401), (1300, 64), (9, 1701)]


@pytest.fixture(scope="module")
def bands() -> np.ndarray:
    labels = blobs(SHAPE)
    return np.stack([labels, confidences(labels)])


@pytest.mark.parametrize(("write", "band"), [(write_label_cog, 1), (write_confidence_cog, 2)])
def test_the_bytes_do_not_depend_on_parts_or_threads(tmp_path: Path, bands, write, band):
    geobox = replace(UTM, height=SHAPE[0], width=SHAPE[1])
    results = set()
    for number, cut in enumerate(CUTS):
        mosaic = write_parts(tmp_path / str(number), bands, geobox, block=cut, leave_out_empty=number % 2 == 0)
        shuffled = random.Random(number).sample(mosaic.parts, len(mosaic.parts))
        for threads in (1, 2, 5) if number < 2 else (2,):
            path = tmp_path / f"{number}-{threads}.tif"
            write(
                path,
                Mosaic(geobox=geobox, parts=tuple(shuffled)),
                band=band,
                head=LANDUSE,
                tags={"A": "b"},
                threads=threads,
            )
            results.add(path.read_bytes())
    assert len(results) == 1
