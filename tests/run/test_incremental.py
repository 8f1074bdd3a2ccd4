"""A scene that changed in part costs its changed blocks; what is left is what a run from the beginning leaves."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from packages import hashes, slanted, texture, write_scene
from processes import Case, start

import geounet
from geounet.errors import ConfigError

SHAPE = (300, 260)
CHANGED = (slice(None), slice(10, 13), slice(20, 25))  # of nine blocks of 100 pixels only the first reads it


class Heard(geounet.Progress):
    def __init__(self) -> None:
        self.said: list[str] = []

    def warn(self, message: str) -> None:
        self.said.append(message)


def before(folder: Path) -> Path:
    pixels = np.where(slanted(SHAPE), texture(SHAPE, seed=6), np.uint8(0))
    return write_scene(folder / "scene.tif", pixels, nodata=0)


def deliver_again(scene: Path, *, all_of_it: bool = False) -> None:
    """The same file with other pixels, and other times."""
    with rasterio.open(scene, "r+") as file:
        pixels = file.read()
        pixels[CHANGED if not all_of_it else ...] = 255 - pixels[CHANGED if not all_of_it else ...] // 2
        file.write(pixels)
    times = scene.stat()
    os.utime(scene, ns=(times.st_atime_ns, times.st_mtime_ns + 1_000_000_000))


def infer(case: Case, scene: Path, output: Path, **more: Any) -> geounet.Run:
    options = case.options(output, **{"block": 100, **more})
    return geounet.infer(scene, **{key: value for key, value in options.items() if key != "scene"})


def left(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


@pytest.mark.parametrize(
    "options", [{}, {"confidence": True}, pytest.param({"gsd": 0.7}, marks=pytest.mark.slow)], ids=str
)
def test_a_scene_that_was_delivered_again(case: Case, tmp_path: Path, options: dict[str, Any]) -> None:
    """In place of the old one, from parts or, where they were not kept, from rasters; every file is the same."""
    scene = before(tmp_path)
    infer(case, scene, tmp_path / "out", **options)
    assert bool(list((tmp_path / "out" / ".geounet").glob("*/parts/*/*"))) != ("confidence" in options)
    deliver_again(scene)
    with pytest.raises(ConfigError, match="--overwrite"):
        infer(case, scene, tmp_path / "out", **options)
    run = infer(case, scene, tmp_path / "out", overwrite=True, **options)
    assert (run.as_before, run.resumed, run.blocks) == (run.blocks - 1, 0, 9 if "gsd" not in options else 6)
    assert 0 < run.pixels_computed <= 100 * 100
    fresh = infer(case, scene, tmp_path / "fresh", **options)
    assert fresh.as_before == 0
    assert left(tmp_path / "out") == left(tmp_path / "fresh")
    assert hashes(tmp_path / "out") != case.undisturbed
    assert len(list((tmp_path / "out" / ".geounet").glob("*/journal.jsonl"))) == 1


def test_another_results_folder_as_base(case: Case, tmp_path: Path) -> None:
    """Its blocks are taken even where others would be chosen; it stays as it was; what cannot serve is said."""
    scene = before(tmp_path)
    base = tmp_path / "june"
    infer(case, scene, base)
    kept = {path: path.read_bytes() for path in base.rglob("*") if path.is_file()}
    july = tmp_path / "july.tif"
    shutil.copy(scene, july)
    deliver_again(july)
    options = case.options(tmp_path / "july", base=str(base))
    for name in ("block", "scene"):
        del options[name]
    run = geounet.infer(july, **options)
    assert (run.as_before, run.blocks) == (8, 9)
    assert {path: path.read_bytes() for path in base.rglob("*") if path.is_file()} == kept
    infer(case, july, tmp_path / "fresh")
    assert hashes(tmp_path / "july") == hashes(tmp_path / "fresh")
    for number, change in enumerate(({"block": 96}, {"overlap": 8}, {"fresh": True})):
        heard = Heard()
        run = infer(case, july, tmp_path / f"o{number}", base=base, progress=heard, **change)
        assert (run.as_before, run.pixels_computed) == (0, run.pixels)
        assert [text for text in heard.said if "nothing is taken from" in text]
    with pytest.raises(ConfigError, match=r"--base .* holds no results of geounet"):
        infer(case, july, tmp_path / "p", base=tmp_path)
    assert not (tmp_path / "p").exists()


def test_what_is_gone_or_damaged_is_computed(case: Case, tmp_path: Path) -> None:
    scene = before(tmp_path)
    infer(case, scene, tmp_path / "parts")
    infer(case, scene, tmp_path / "rasters", confidence=True)
    _, first, second, *_ = sorted((tmp_path / "parts" / ".geounet").glob("*/parts/*/*.tif"))
    first.unlink()
    content = bytearray(second.read_bytes())
    content[len(content) // 2] ^= 1
    second.write_bytes(content)
    touched = tmp_path / "rasters" / "road.tif"
    os.utime(touched, ns=(0, 0))
    deliver_again(scene)
    infer(case, scene, tmp_path / "fresh")
    for name, expected in (("parts", 6), ("rasters", 0)):
        run = infer(case, scene, tmp_path / f"{name}_after", base=tmp_path / name)
        assert run.as_before == expected
        assert hashes(run.output) == hashes(tmp_path / "fresh")


def receipts_in(state: Path) -> int:
    """Of all journals."""
    return sum(journal.read_bytes().count(b"\n") for journal in state.glob("*/journal.jsonl"))


def test_killed_while_it_takes_over_and_computes(case: Case, tmp_path: Path) -> None:
    """What was taken over or computed stays; the rest is still taken over, without being told again."""
    scene = before(tmp_path)
    infer(case, scene, tmp_path / "out", block=48)
    deliver_again(scene)
    options = {**case.options(tmp_path / "out", overwrite=True), "scene": str(scene)}
    process = start(options)
    state = tmp_path / "out" / ".geounet"
    earlier = receipts_in(state)
    process.wait_for(lambda: receipts_in(state) >= earlier + 4)
    process.kill()
    run = infer(case, scene, tmp_path / "out", block=48)
    assert run.resumed >= 4
    assert run.as_before > 0
    assert run.pixels_computed <= 4 * 48 * 48
    infer(case, scene, tmp_path / "fresh")
    assert hashes(tmp_path / "out") == hashes(tmp_path / "fresh")


@pytest.mark.slow
def test_with_workers(case: Case, tmp_path: Path) -> None:
    scene = before(tmp_path)
    infer(case, scene, tmp_path / "out")
    deliver_again(scene)
    run = infer(case, scene, tmp_path / "out", overwrite=True, workers=2)
    assert run.as_before == 8
    infer(case, scene, tmp_path / "fresh")
    assert hashes(tmp_path / "out") == hashes(tmp_path / "fresh")
