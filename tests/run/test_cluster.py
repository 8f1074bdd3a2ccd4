"""Blocks over Dask: worker processes, lost workers, an external scheduler, and who listens where."""

from __future__ import annotations

import gc
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import rasterio
from packages import hashes, texture, write_scene
from processes import Case, Process, start

import geounet
from geounet.errors import BlocksFailed, ConfigError, Interrupted, SceneError, WorkError
from geounet.run import cluster, dispatch, worker
from geounet.run.journal import Journal
from geounet.run.work import Receipt


def infer(case: Case, output: Path, **more: Any) -> geounet.Run:
    options = case.options(output, **more)
    return geounet.infer(options.pop("scene"), **options)


def family(process: Process) -> list[psutil.Process]:
    """The process and all that it started."""
    try:
        root = psutil.Process(process.popen.pid)
        return [root, *root.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def workers_of(process: Process) -> list[psutil.Process]:
    """Worker processes: children whose command line is multiprocessing's spawn."""
    return [p for p in family(process)[1:] if "spawn_main" in " ".join(p.cmdline())]


def listening(process: Process) -> set[str]:
    """Addresses on which anything of the family accepts connections."""
    found = set()
    for member in family(process):
        try:
            found |= {c.laddr.ip for c in member.net_connections() if c.status == psutil.CONN_LISTEN}
        except psutil.Error:
            continue
    return found


def test_two_workers_one_is_killed_and_the_bytes_are_the_same(case: Case, tmp_path: Path) -> None:
    """And nothing listens on other than loopback meanwhile."""
    process = start(case.options(tmp_path, workers=2), quick=2)
    heard: set[str] = set()
    process.wait_for(lambda: heard.update(listening(process)) or process.receipts() >= 4)
    assert heard == {"127.0.0.1"}
    assert len(workers_of(process)) == 2
    os.kill(workers_of(process)[0].pid, signal.SIGKILL)
    process.hurry()
    result = process.result()
    assert result["exit"] == 0
    assert hashes(tmp_path) == case.undisturbed


def test_one_process_listens_on_loopback_only(case: Case, tmp_path: Path) -> None:
    process = start(case.options(tmp_path), quick=2)
    heard: set[str] = set()
    process.wait_for(lambda: heard.update(listening(process)) or process.receipts() >= 2)
    process.kill()
    assert heard <= {"127.0.0.1"}


def test_kill_9_with_workers_leaves_no_process_and_goes_on(case: Case, tmp_path: Path) -> None:
    process = start(case.options(tmp_path, workers=2), quick=2)
    process.wait_for(lambda: process.receipts() >= 2)
    orphans = family(process)[1:]
    process.kill()
    _, alive = psutil.wait_procs(orphans, timeout=240)
    assert not alive
    run = infer(case, tmp_path)
    assert run.resumed >= 2
    assert hashes(tmp_path) == case.undisturbed


def test_ctrl_c_with_workers(case: Case, tmp_path: Path) -> None:
    """The terminal sends it to the workers as well.

    Python forgets an interruption that falls into a callback (once in fifty times here), and the run ends as if
    nothing had happened; the command line asks again, a program's user has to.
    """
    for attempt in range(3):
        process = start(case.options(tmp_path / str(attempt), workers=2), quick=2)
        process.wait_for(lambda process=process: process.receipts() >= 2)
        everyone = family(process)
        os.killpg(process.popen.pid, signal.SIGINT)
        result = process.result(seconds=240)
        if result["exit"] != 0:
            break
    assert (result["exit"], result.get("error")) == (130, "Interrupted"), result
    assert "Traceback" not in result["stderr"], result["stderr"]
    _, alive = psutil.wait_procs(everyone, timeout=240)
    assert not alive


@pytest.mark.parametrize("workers", [0, 1])
def test_no_callback_of_dask_swallows_an_interruption(workers: int) -> None:
    """What is raised during a garbage collection is printed and forgotten."""
    with cluster.connect(workers=workers):
        assert not [call for call in gc.callbacks if "distributed" in getattr(call, "__module__", "")]


SCRIPT = """
import sys
from pathlib import Path
with Path(sys.argv[0]).with_name("starts").open("a") as file:
    file.write("1")
import geounet
run = geounet.infer({scene!r}, workers=2, model={model!r}, output={output!r}, device="cpu", block=100, threads=1)
print(run.tiles > 0)
"""


def test_a_script_without_a_main_guard(case: Case, tmp_path: Path) -> None:
    """Workers do not run the script again, which would call infer in each of them."""
    script, out = tmp_path / "script.py", tmp_path / "out"
    names = {"scene": str(case.scene), "model": str(case.model), "output": str(out)}
    script.write_text(SCRIPT.format(**names))
    ending = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, check=False, timeout=240)
    assert (ending.returncode, ending.stdout, ending.stderr) == (0, "True\n", "")
    assert (tmp_path / "starts").read_text() == "1"
    assert hashes(out) == case.undisturbed


# --- an external scheduler ------------------------------------------------------------------------------------


@pytest.fixture
def scheduler(tmp_path: Path) -> Iterator[str]:
    """A scheduler and a worker with two threads, on loopback, as a user would start them."""
    command = [sys.executable, "-m", "distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", "0"]
    log = tmp_path / "scheduler.log"
    with log.open("w") as stream:
        first = subprocess.Popen([*command, "--no-dashboard"], stderr=stream, stdout=stream)
    address = ""
    deadline = time.monotonic() + 240
    while not address and time.monotonic() < deadline:
        found = re.search(r"Scheduler at:\s+(tcp://127\.0\.0\.1:\d+)", log.read_text())
        address = found[1] if found else ""
        time.sleep(0.05)
    assert address, log.read_text()
    second = subprocess.Popen(
        [sys.executable, "-m", "distributed.cli.dask_worker", address, "--nthreads", "2", "--no-dashboard"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd=tmp_path,
        start_new_session=True,
    )
    try:
        _wait_for_worker(address)
        yield address
    finally:
        os.killpg(second.pid, signal.SIGKILL)
        first.kill()
        second.wait()
        first.wait()


def _wait_for_worker(address: str) -> None:
    from distributed import Client

    with Client(address, set_as_default=False) as client:
        client.wait_for_workers(1, timeout=240)


def test_an_external_scheduler(case: Case, tmp_path: Path, scheduler: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same bytes; an interrupted run goes on with another partition on the same living worker."""
    infer(case, tmp_path / "whole", scheduler=scheduler)
    assert hashes(tmp_path / "whole") == case.undisturbed
    real = Journal.record

    def record(journal: Journal, receipt: Receipt) -> None:
        real(journal, receipt)
        if len(journal.receipts) == 5:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Journal, "record", record)
        with pytest.raises(Interrupted):
            infer(case, tmp_path / "cut", scheduler=scheduler)
    run = infer(case, tmp_path / "cut", scheduler=scheduler)
    assert run.resumed == 5
    assert hashes(tmp_path / "cut") == case.undisturbed
    infer(case, tmp_path / "cut", scheduler=scheduler, fresh=True, block=70)
    assert hashes(tmp_path / "cut") == case.undisturbed


def test_two_runs_share_a_worker(case: Case, tmp_path: Path, scheduler: str) -> None:
    """Another folder, other tiles, at the same time: they take turns, and each gets its own."""
    other = start(case.options(tmp_path / "b", scheduler=scheduler, overlap=8, block=100))
    infer(case, tmp_path / "a", scheduler=scheduler, block=100)
    assert other.result()["exit"] == 0
    assert hashes(tmp_path / "a") == case.undisturbed
    infer(case, tmp_path / "c", overlap=8, block=1000)
    assert hashes(tmp_path / "b") == hashes(tmp_path / "c")


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:9", "nonsense", "tcp://127.0.0.1"])
def test_a_scheduler_that_is_not_there_is_one_line(
    case: Case, tmp_path: Path, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster, "_CONNECT", "2s")
    with pytest.raises(ConfigError, match="does not answer") as caught:
        infer(case, tmp_path, scheduler=address)
    assert "\n" not in str(caught.value)


# --- blocks that fail -----------------------------------------------------------------------------------------


def test_a_damaged_block_of_the_source_fails_alone(case: Case, tmp_path: Path) -> None:
    """The others are finished and kept; once the file is whole again, only the failed ones are done."""
    pixels = texture((300, 260), seed=6)
    layout = {"tiled": True, "blockxsize": 32, "blockysize": 32, "compress": "deflate"}
    scene = write_scene(tmp_path / "scene.tif", pixels, nodata=0, **layout)
    whole = scene.read_bytes()
    stat = scene.stat()
    with rasterio.open(scene) as file:
        offset = int(file.get_tag_item("BLOCK_OFFSET_4_4", "TIFF", bidx=1))
    broken = bytearray(whole)
    broken[offset : offset + 40] = bytes(40)
    scene.write_bytes(broken)
    os.utime(scene, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    with pytest.raises(SceneError, match=r"of 42 blocks of scene failed, .* block \d+ \(columns") as caught:
        infer(case, tmp_path / "out", scene=str(scene))
    assert "scene.tif" in str(caught.value)
    assert "\n" not in str(caught.value)
    failed = int(str(caught.value).split()[0])
    assert 1 <= failed <= 12
    assert not list((tmp_path / "out").glob("*.tif"))
    scene.write_bytes(whole)
    os.utime(scene, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert infer(case, tmp_path / "out", scene=str(scene)).resumed in (0, 42 - failed)  # 0: the file's head changed
    infer(case, tmp_path / "other", scene=str(scene), block=1000)
    assert hashes(tmp_path / "out") == hashes(tmp_path / "other")


@pytest.mark.real
def test_a_scene_that_is_corrupt_in_the_middle(case: Case, tmp_path: Path, shared_data: Path) -> None:
    source = shared_data / "hostile/rasterio/tests/data/corrupt.tif"
    with rasterio.open(source) as file:
        bands = "1,1" if file.count < 2 else "1,2"
    with pytest.raises((BlocksFailed, geounet.errors.RequestError)) as caught:
        infer(case, tmp_path / "out", scene=str(source), bands=bands, block=300)
    assert "\n" not in str(caught.value)
    assert "corrupt" in str(caught.value)


def test_a_bug_is_not_retried_and_the_other_blocks_are_finished(
    case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[int] = []
    real = worker.BlockRunner.run

    def run(self: Any, index: int, on_tiles: Any, after: int | None) -> Receipt:
        calls.append(index)
        if index == 3:
            raise ZeroDivisionError("a bug")
        if index == 2 and calls.count(2) < 3:
            raise OSError("a hiccup of the network drive")
        return real(self, index, on_tiles, after=after)

    with monkeypatch.context() as patch:
        patch.setattr(worker.BlockRunner, "run", run)
        with pytest.raises(BlocksFailed, match=r"1 of 9 blocks.*block 3 .*failed 1 times: ZeroDivisionError"):
            infer(case, tmp_path, block=100)
    assert calls.count(3) == 1
    assert calls.count(2) == 3
    assert infer(case, tmp_path, block=100).resumed == 8
    assert hashes(tmp_path) == case.undisturbed


def test_a_block_that_never_comes_back_is_an_error(
    case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The safety net under the dispatcher: nothing is stitched without a part."""
    real = dispatch._Dispatcher.receipts

    def lossy(self: Any) -> Iterator[Receipt]:
        yield from list(real(self))[:-1]

    monkeypatch.setattr(dispatch._Dispatcher, "receipts", lossy)
    with pytest.raises(WorkError, match="never came back"):
        infer(case, tmp_path, block=100)
    assert not list(tmp_path.glob("*.tif"))


def test_workers_that_all_go_are_an_error_not_a_hole(
    case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Workers vanish while a retry waits: the run says so instead of stitching what it has."""
    from distributed import LocalCluster

    real = worker.BlockRunner.run
    clusters: list[LocalCluster] = []
    init = LocalCluster.__init__

    def spy(self: LocalCluster, *args: Any, **kwargs: Any) -> None:
        clusters.append(self)
        init(self, *args, **kwargs)

    def run(self: Any, index: int, on_tiles: Any, after: int | None) -> Receipt:
        if index == 4:
            clusters[0].scale(0)
            raise OSError("lost")
        return real(self, index, on_tiles, after=after)

    monkeypatch.setattr(LocalCluster, "__init__", spy)
    monkeypatch.setattr(worker.BlockRunner, "run", run)
    monkeypatch.setattr(dispatch, "_PATIENCE", 2.0)
    monkeypatch.setattr(dispatch, "_REFRESH", 0.5)
    with pytest.raises(WorkError, match="the Dask workers have gone"):
        infer(case, tmp_path, block=100)
    assert not list(tmp_path.glob("*.tif"))
    assert np.size(clusters) == 1
