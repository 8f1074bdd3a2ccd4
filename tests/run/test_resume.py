"""Killed, stopped, damaged: the same call goes on, and leaves the bytes of an undisturbed run."""

from __future__ import annotations

import json
import os
import shutil
import signal
from pathlib import Path
from typing import Any, ClassVar

import pytest
from packages import hashes
from processes import Case, start

import geounet
from geounet.errors import BusyError, ConfigError, Interrupted
from geounet.run import journal, pipeline
from geounet.run.journal import Journal, Record, hold
from geounet.run.work import Receipt


def infer(case: Case, output: Path, **more: Any) -> geounet.Run:
    options = case.options(output, **more)
    return geounet.infer(options.pop("scene"), **options)


class StopAfter(geounet.Progress):
    """Raises KeyboardInterrupt after some blocks, or when a stage begins: an interruption at a known place."""

    def __init__(self, *, tiles: int = 10**9, stage: str = "", steps: int = 0) -> None:
        self.tiles, self.stage, self.steps, self.now = tiles, stage, steps, ""

    def start(self, stage: str, **_: Any) -> None:
        self.now = stage

    def advance(self, steps: int = 1) -> None:
        if self.now == self.stage:
            self.steps -= steps
            if self.steps <= 0:
                raise KeyboardInterrupt


def interrupt(case: Case, output: Path, monkeypatch: pytest.MonkeyPatch, *, after: int, **more: Any) -> None:
    """A run that is stopped after some receipts."""
    real = Journal.record

    def record(journal: Journal, receipt: Receipt) -> None:
        real(journal, receipt)
        if len(journal.receipts) >= after:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Journal, "record", record)
        with pytest.raises(Interrupted, match=f"{after} of 42 blocks are finished"):
            infer(case, output, **more)


def journal_file(output: Path) -> Path:
    return next((output / ".geounet").glob("*/journal.jsonl"))


# --- processes ------------------------------------------------------------------------------------------------


def test_kill_9_in_the_middle_of_the_blocks(case: Case, tmp_path: Path) -> None:
    process = start(case.options(tmp_path), quick=5)
    process.wait_for(lambda: process.receipts() >= 5)
    process.kill()
    finished = process.receipts()
    assert 5 <= finished < case.blocks
    assert not list(tmp_path.glob("*.tif"))
    run = infer(case, tmp_path)
    assert run.resumed == finished
    assert 0 < run.pixels_computed < run.pixels
    assert hashes(tmp_path) == case.undisturbed


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM])
def test_signals_to_the_whole_group_stop_the_run_and_it_goes_on(case: Case, tmp_path: Path, sign: int) -> None:
    """Ctrl-C reaches every process of the group. SIGTERM is the command line's to catch: here it just ends."""
    process = start(case.options(tmp_path), quick=3)
    process.wait_for(lambda: process.receipts() >= 3)
    os.killpg(process.popen.pid, sign)
    if sign == signal.SIGINT:
        result = process.result(seconds=240)
        assert (result["exit"], result["error"]) == (130, "Interrupted")
        assert "run the same command again" in result["message"]
        assert "Traceback" not in result["stderr"]
    else:
        assert process.popen.wait(timeout=240) == -signal.SIGTERM
    run = infer(case, tmp_path)
    assert run.resumed >= 3
    assert hashes(tmp_path) == case.undisturbed


def test_a_second_run_into_the_same_folder_is_refused_while_the_first_lives(case: Case, tmp_path: Path) -> None:
    process = start(case.options(tmp_path), quick=1)
    process.wait_for(lambda: process.receipts() >= 1)
    with pytest.raises(BusyError, match="another run"):
        infer(case, tmp_path)
    process.kill()
    infer(case, tmp_path)  # the kernel let go of the lock
    assert hashes(tmp_path) == case.undisturbed


# --- stopped at every stage -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("stage", "steps"), [("stitch", 1), ("stitch", 2), ("vectors", 1), ("vectors", 301)])
def test_stopped_between_the_files_of_a_stage(case: Case, tmp_path: Path, stage: str, steps: int) -> None:
    with pytest.raises(Interrupted, match="run the same"):
        infer(case, tmp_path, progress=StopAfter(stage=stage, steps=steps), block=100)
    run = infer(case, tmp_path, block=100)
    assert run.resumed == 9
    assert not run.reused
    assert hashes(tmp_path) == case.undisturbed


def test_stopped_before_the_journal_is_cleared(case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(pipeline, "settle_parts", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(Interrupted):
            infer(case, tmp_path, block=100, confidence=True)
    assert kept_parts(tmp_path)
    assert infer(case, tmp_path, block=100, confidence=True).reused
    assert not kept_parts(tmp_path)


# --- damage ---------------------------------------------------------------------------------------------------


def test_damaged_parts_and_journals_are_done_again(
    case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    interrupt(case, tmp_path, monkeypatch, after=8)
    journal = journal_file(tmp_path)
    lines = journal.read_bytes().splitlines(keepends=True)
    assert len(lines) == 8
    journal.write_bytes(b"".join(lines[:-1]) + lines[-1][:-20])  # half a line
    first, second = (json.loads(line) for line in lines[:2])
    part = journal.parent / "parts" / first["file"]
    content = bytearray(part.read_bytes())
    content[len(content) // 2] ^= 1
    part.write_bytes(content)
    (journal.parent / "parts" / second["file"]).unlink()
    run = infer(case, tmp_path)
    assert run.resumed == 5
    assert hashes(tmp_path) == case.undisturbed


def test_a_line_that_lost_only_its_end_does_not_swallow_the_next(tmp_path: Path) -> None:
    receipt = Receipt(
        block=0, file="a", bytes=1, digest="", tiles=1, reused=0, skipped=0, pixels=[[1]], seconds=0.1, engine=""
    )
    Journal(tmp_path, "k").record(receipt)
    file = journal_file_of(tmp_path)
    file.write_bytes(file.read_bytes().rstrip(b"\n"))
    journal = Journal(tmp_path, "k")
    assert not journal.receipts
    journal.record(receipt)
    assert set(Journal(tmp_path, "k").receipts) == {0}


def journal_file_of(state: Path) -> Path:
    return next(state.glob("*/journal.jsonl"))


@pytest.mark.parametrize("content", ["", "[]", "{", '{"rasters": 3}', '{"rasters": {"key": "x"}}'])
def test_a_damaged_record_is_no_record(tmp_path: Path, content: str) -> None:
    (tmp_path / "run.json").write_text(content)
    record = Record(tmp_path)
    assert record.finished("rasters", "x", tmp_path) is None
    assert record.conflicts("rasters", "x", tmp_path, ["run.json"]) == ["run.json"]


# --- another run's results --------------------------------------------------------------------------------------


def test_a_finished_run_is_not_done_again(case: Case, tmp_path: Path) -> None:
    first = infer(case, tmp_path, block=100)
    assert not first.reused
    stamps = {p: p.stat().st_mtime_ns for p in tmp_path.iterdir()}
    again = infer(case, tmp_path, block=48)
    assert again.reused
    assert again.tiles == 0
    assert (again.features, again.area_by_class) == (first.features, first.area_by_class)
    assert set(again.paths) == set(first.paths)
    assert {p: p.stat().st_mtime_ns for p in tmp_path.iterdir()} == stamps


def test_a_lost_or_touched_output_is_made_again(case: Case, tmp_path: Path) -> None:
    infer(case, tmp_path, block=100)
    (tmp_path / "road.tif").unlink()
    (tmp_path / "landuse.geojson").write_text("{}")
    assert not infer(case, tmp_path, block=100).reused
    assert hashes(tmp_path) == case.undisturbed


@pytest.mark.parametrize("change", ["overlap", "tta", "scene", "model", "min_area", "confidence"])
def test_another_run_into_the_folder_is_refused_unless_overwriting(case: Case, tmp_path: Path, change: str) -> None:
    from packages import save, texture, tiny_spec, unet, write_scene

    output = tmp_path / "out"
    infer(case, output, block=100)
    changed: dict[str, Any] = {"overlap": 8, "tta": "flips", "min_area": 3.0, "confidence": True}
    more = {change: changed[change]} if change in changed else {}
    if change == "scene":
        more["scene"] = str(write_scene(tmp_path / "scene.tif", texture((300, 260), seed=9)))
    if change == "model":
        spec = tiny_spec(hyperparameters={"depth": 2, "width": 4}, divisor=4)
        more["model"] = str(save(tmp_path / "m2", unet(spec, seed=2), spec))
    with pytest.raises(ConfigError, match="--overwrite"):
        infer(case, output, block=100, **more)
    assert hashes(output) == case.undisturbed
    infer(case, output, block=100, overwrite=True, **more)
    fresh = tmp_path / "fresh"
    infer(case, fresh, block=100, **more)
    assert hashes(output) == hashes(fresh)
    if change != "confidence":
        assert hashes(output) != case.undisturbed


@pytest.mark.parametrize(
    ("before", "after"),
    [({"formats": "fgb,shp,geojsonseq"}, {}), ({"cleaned": True, "confidence": True}, {"overlap": 8})],
)
def test_overwriting_leaves_nothing_of_the_run_before_and_all_that_is_not_ours(
    case: Case, tmp_path: Path, before: dict[str, Any], after: dict[str, Any]
) -> None:
    out, fresh = tmp_path / "out", tmp_path / "fresh"
    infer(case, out, block=100, **before)
    kept = {"notes.txt": b"mine", "landuse.gpkg": b"not of that run"}
    for name, content in kept.items():
        (out / name).write_bytes(content)
    touched = out / ("road.fgb" if after == {} else "road_cleaned.tif")
    touched.write_bytes(b"worked on since")
    infer(case, out, block=100, overwrite=True, **after)
    infer(case, fresh, block=100, **after)
    found = {p.name for p in out.iterdir()}
    assert found == {p.name for p in fresh.iterdir()} | set(kept) | {touched.name}
    assert {name: (out / name).read_bytes() for name in kept} == kept
    assert touched.read_bytes() == b"worked on since"


def test_a_record_cannot_reach_out_of_the_folder(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("")
    out = tmp_path / "out"
    out.mkdir()
    status = (tmp_path / "mine").stat()
    files = {"../mine": [status.st_size, status.st_mtime_ns]}
    (out / "run.json").write_text(json.dumps({"vectors": {"key": "x", "files": files, "facts": {}}}))
    assert Record(out).remains({}, out) == []


@pytest.mark.parametrize("change", [{"overlap": 8}, {"tta": "flips"}, {"nodata": 7.0}, {"aoi": True}])
def test_parts_of_another_option_never_mix(
    case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: dict[str, Any]
) -> None:
    if "aoi" in change:
        change = {"aoi": str(_write_area(tmp_path / "aoi.geojson"))}
    output = tmp_path / "out"
    interrupt(case, output, monkeypatch, after=30)
    with pytest.raises(ConfigError, match="keeps 30 finished blocks"):
        infer(case, output, **change)
    run = infer(case, output, overwrite=True, **change)
    assert run.resumed == 0
    fresh = infer(case, tmp_path / "fresh", **{**change, "block": 1000})
    assert hashes(output) == hashes(fresh.output)
    assert hashes(output) != case.undisturbed


def _write_area(path: Path) -> Path:
    ring = [[300010.3, 2799990.1], [300070.7, 2799970.2], [300040.1, 2799900.9], [300010.3, 2799990.1]]
    path.write_text(
        '{"type": "FeatureCollection", "crs": {"type": "name", "properties": {"name": "EPSG:32640"}}, "features": '
        f'[{{"type": "Feature", "properties": {{}}, "geometry": {{"type": "Polygon", "coordinates": [{ring}]}}}}]}}'
    )
    return path


# --- other polygons from the same rasters -------------------------------------------------------------------------


def kept_parts(output: Path) -> list[Path]:
    return list((output / ".geounet").glob("*/parts/*/*.tif"))


def told(folder: Path) -> dict[str, bytes]:
    """What a run left of everything but pictures."""
    return {p.name: p.read_bytes() for p in folder.iterdir() if p.is_file() and p.suffix != ".png"}


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({}, {"min_area": 3.0}),
        ({}, {"simplify": 1.0, "formats": "gpkg,geojson"}),
        ({}, {"confidence": True}),
        ({"confidence": True}, {"confidence": True, "min_area": 3.0}),
        ({"confidence": True}, {"min_area": 3.0}),
        ({"min_area": 3.0, "gsd": 0.7}, {"gsd": 0.7}),
    ],
)
def test_other_polygons_take_no_network(
    case: Case, tmp_path: Path, before: dict[str, Any], after: dict[str, Any]
) -> None:
    """And leave what a run from the beginning leaves, descriptions too."""
    infer(case, tmp_path / "out", block=100, **before)
    assert bool(kept_parts(tmp_path / "out")) != ("confidence" in before)
    run = infer(case, tmp_path / "out", block=48, overwrite=True, **after)  # the parts' own blocks are taken
    assert (run.tiles, run.pixels_computed, run.reused) == (0, 0, False)
    assert run.resumed > 0
    fresh = infer(case, tmp_path / "fresh", block=100, **after)
    assert fresh.tiles > 0
    assert fresh.pixels_computed == fresh.pixels
    left = told(tmp_path / "out")
    if "confidence" not in after:
        left = {name: content for name, content in left.items() if not name.endswith("_confidence.tif")}
    for name, content in told(tmp_path / "fresh").items():
        assert left[name] == content, name
    assert set(left) == set(told(tmp_path / "fresh"))
    assert (run.features, run.area_by_class) == (fresh.features, fresh.area_by_class)
    assert run.tiles_skipped == fresh.tiles_skipped


def test_lost_parts_of_a_finished_run_are_computed_again_and_said(case: Case, tmp_path: Path) -> None:
    class Heard(geounet.Progress):
        said: ClassVar[list[str]] = []

        def warn(self, message: str) -> None:
            self.said.append(message)

    infer(case, tmp_path, block=100)
    shutil.rmtree(journal_file(tmp_path).parent)
    run = infer(case, tmp_path, block=100, overwrite=True, min_area=3.0, progress=Heard())
    assert run.tiles > 0
    assert [text for text in Heard.said if "computed again" in text]
    infer(case, tmp_path / "fresh", block=100, min_area=3.0)
    assert hashes(tmp_path) == hashes(tmp_path / "fresh")


def test_kept_parts_are_in_nobodys_way(case: Case, tmp_path: Path) -> None:
    """Whoever has thrown the results away is not told to keep the blocks behind them."""
    infer(case, tmp_path, block=100)
    for file in [p for p in tmp_path.iterdir() if p.is_file()]:
        file.unlink()
    infer(case, tmp_path, block=100, overlap=8)
    infer(case, tmp_path / "fresh", block=100, overlap=8)
    assert hashes(tmp_path) == hashes(tmp_path / "fresh")
    assert len({p.parent for p in kept_parts(tmp_path)}) == 1


def test_fresh_takes_nothing_of_the_run_before(case: Case, tmp_path: Path) -> None:
    infer(case, tmp_path, block=100, confidence=True)
    stale = tmp_path / "landuse_confidence.tif"
    run = infer(case, tmp_path, block=100, fresh=True, overwrite=True)
    assert run.tiles > 0
    assert stale.exists()
    assert kept_parts(tmp_path)  # and not the old raster: what comes next builds on what was computed now


# --- the partition of a resumed run -----------------------------------------------------------------------------


def test_a_resumed_run_keeps_its_partition_and_refuses_another(
    case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    interrupt(case, tmp_path, monkeypatch, after=8)
    with pytest.raises(ConfigError, match="8 blocks of 48 × 48 are finished already; leave --block out"):
        infer(case, tmp_path, block=64)
    options = case.options(tmp_path)
    del options["block"]
    run = geounet.infer(options.pop("scene"), **options)
    assert run.resumed == 8
    assert hashes(tmp_path) == case.undisturbed


def test_fresh_forgets_the_parts(case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    interrupt(case, tmp_path, monkeypatch, after=8)
    run = infer(case, tmp_path, fresh=True, block=64)
    assert run.resumed == 0
    assert hashes(tmp_path) == case.undisturbed
    (tmp_path / "road.qml").unlink()
    assert not infer(case, tmp_path, fresh=True, block=100).reused
    assert (tmp_path / "road.qml").exists()


def test_the_lock_is_of_the_folder(tmp_path: Path) -> None:
    with hold(tmp_path / "a"), hold(tmp_path / "b"), pytest.raises(BusyError), hold(tmp_path / "a"):
        pass
    with hold(tmp_path / "a"):
        pass


def test_the_lock_of_a_folder_that_was_removed_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A retention removes what it holds: who opened the lock file before then has locked a file without a name."""
    real, removed = journal.fcntl.flock, []

    def flock(file: int, how: int) -> None:
        if not removed:
            removed.append(shutil.rmtree(tmp_path / "a"))
        real(file, how)

    monkeypatch.setattr(journal.fcntl, "flock", flock)
    with hold(tmp_path / "a") as state:
        assert removed
        assert (state / "lock").exists()
        with pytest.raises(BusyError), hold(tmp_path / "a"):
            pass


def test_a_folder_that_cannot_be_is_one_line(case: Case, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="choose another --output"):
        infer(case, tmp_path / "file")
