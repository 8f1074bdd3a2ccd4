"""Who looks at a scene, and leaves statistics beside it, has not changed it."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path

import pytest
import rasterio
from packages import texture, write_scene

from geounet.io.pam import read_pam
from geounet.io.scene import open_scene
from geounet.schedule.content import content_digest
from geounet.train.source import beside, content_key

NAMES = "<CategoryNames><Category>sand</Category></CategoryNames>"
HISTOGRAM = "<Histograms><HistItem><HistMin>0</HistMin><HistCounts>3|4</HistCounts></HistItem></Histograms>"
MEASURED = '<Metadata><MDI key="STATISTICS_MEAN">4.04</MDI><MDI key="STATISTICS_APPROXIMATE">YES</MDI></Metadata>'


def to_a_run(path: Path) -> str:
    with open_scene(path) as scene:
        return scene.fingerprint


def to_a_schedule(path: Path) -> str:
    return content_digest([str(path)], (lambda _name, _stamp: None, lambda _name, _stamp, _digest: None))


def to_a_training(path: Path) -> str:
    return content_key([path, *beside(path)])


def pam(inside: str) -> str:
    return f'<PAMDataset>\n  <PAMRasterBand band="1">\n    {inside}\n  </PAMRasterBand>\n</PAMDataset>\n'


@pytest.mark.parametrize("digest", [to_a_run, to_a_schedule, to_a_training])
def test_statistics_change_nothing_and_names_do(digest: Callable[[Path], str], tmp_path: Path) -> None:
    scene = write_scene(tmp_path / "scene.tif", texture((60, 50), seed=1))
    sidecar = tmp_path / "scene.tif.aux.xml"
    before = digest(scene)
    with rasterio.open(scene) as file, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of `statistics`, which leaves what it found as `gdalinfo -stats` does
        file.statistics(1)
    assert "STATISTICS_MEAN" in sidecar.read_text()
    assert digest(scene) == before
    sidecar.write_text(pam(HISTOGRAM + MEASURED))
    assert digest(scene) == before
    sidecar.write_text(pam(NAMES))
    assert digest(scene) != before


def test_what_is_said_is_left(tmp_path: Path) -> None:
    file = tmp_path / "scene.tif.aux.xml"
    said = []
    for inside in (NAMES, HISTOGRAM + NAMES + MEASURED, NAMES + MEASURED.replace("STATISTICS_MEAN", "SENSOR")):
        file.write_text(pam(inside))
        said.append(read_pam(file))
    assert said[0] == said[1] != said[2]
    assert b"SENSOR" in said[2]
    file.write_text("not XML <")
    assert read_pam(file) == b"not XML <"
