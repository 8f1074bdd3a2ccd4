"""Heads that are vectorized side by side: the same files, and none works on after another failed."""

from __future__ import annotations

from pathlib import Path

import pytest
from packages import hashes
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


def _same_time(path: Path, nanoseconds: int) -> None:
    import os

    os.utime(path, ns=(nanoseconds, nanoseconds))
