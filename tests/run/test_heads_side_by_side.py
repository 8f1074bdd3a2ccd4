"""Heads that are vectorized side by side: the same files, and none works on after another failed."""

from __future__ import annotations

from pathlib import Path

import pytest
from packages import hashes, texture, write_scene
from processes import Case

import geounet
from geounet.errors import GeounetError


def test_the_same_files_as_one_after_the_other(case: Case, tmp_path: Path) -> None:
    geounet.infer(case.scene, model=str(case.model), output=tmp_path / "out", device="cpu", block=1000, threads=3)
    assert hashes(tmp_path / "out") == case.undisturbed


def test_a_head_that_fails_ends_the_run_and_the_next_one_goes_on(case: Case, tmp_path: Path) -> None:
    def run() -> None:
        geounet.infer(
            case.scene, model=str(case.model), output=tmp_path / "out", device="cpu", block=1000, threads=2
        )

    run()
    labels = (tmp_path / "out" / "road.tif").read_bytes()
    (tmp_path / "out" / "road.geojson").unlink()
    stat = (tmp_path / "out" / "road.tif").stat()
    # the same size and time, so that the run takes the raster for its own
    (tmp_path / "out" / "road.tif").write_bytes(labels[: len(labels) // 2].ljust(len(labels), b"\0"))
    _same_time(tmp_path / "out" / "road.tif", stat.st_mtime_ns)
    with pytest.raises(GeounetError):
        run()
    (tmp_path / "out" / "road.tif").write_bytes(labels)
    _same_time(tmp_path / "out" / "road.tif", stat.st_mtime_ns)
    run()
    assert hashes(tmp_path / "out") == case.undisturbed


@pytest.mark.parametrize("min_area", [0.0, 3.0])
def test_progress_ends_with_its_total_and_a_warning_is_told_once(
    case: Case, tmp_path: Path, min_area: float
) -> None:
    class Heard(geounet.Progress):
        def __init__(self) -> None:
            self.stage, self.total, self.said = "", 0, list[str]()
            self.done: dict[str, int] = {}

        def start(self, stage: str, *, total: int, **_: object) -> None:
            self.stage, self.total = stage, total

        def advance(self, steps: int = 1) -> None:
            self.done[self.stage] = self.done.get(self.stage, 0) + steps

        def warn(self, message: str) -> None:
            self.said.append(message)

    heard = Heard()
    scene = write_scene(tmp_path / "bare.tif", texture((90, 70), seed=2), crs=None, transform=None)
    geounet.infer(scene, model=str(case.model), device="cpu", min_area=min_area, progress=heard)
    assert heard.done["vectors"] == heard.total, "both passes over the rows are counted"
    assert len([text for text in heard.said if "no CRS" in text]) == 1


def _same_time(path: Path, nanoseconds: int) -> None:
    import os

    os.utime(path, ns=(nanoseconds, nanoseconds))
