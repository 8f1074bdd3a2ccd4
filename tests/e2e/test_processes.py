"""Whole processes: signals, two at a time, a full disk, other machines."""

from __future__ import annotations

import json
import resource
import signal
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from calls import COMMAND, ended, spawn
from packages import hashes, slanted, texture, write_scene
from slow_blocks import slowed
from small_disks import small_disk_at

from geounet.cli.main import run


@pytest.fixture(scope="module")
def big(world):
    """A scene that takes seconds in small blocks, and the answer of an undisturbed run."""
    folder = world.folder / "big"
    folder.mkdir()
    pixels = texture((560, 520), bands=3, seed=2) * slanted((560, 520))
    scene = write_scene(folder / "big.tif", pixels.astype("uint8"), nodata=0, photometric="rgb")
    call = ("infer", scene, "-m", world.model, "--block", "96", "-q")
    assert run([*map(str, call), "-o", str(folder / "plain")]) == 0
    return call, dict(hashes(folder / "plain"))


def wait_for_blocks(output, process, *, blocks=3):
    """Until a few blocks are finished."""
    until = time.monotonic() + 240
    while time.monotonic() < until:
        assert process.poll() is None, process.communicate()
        journals = list(output.glob(".geounet/*/journal.jsonl"))
        if journals and len(journals[0].read_text().splitlines()) >= blocks:
            return
        time.sleep(0.05)
    raise AssertionError("no blocks were finished in time")


@pytest.mark.parametrize(
    ("number", "workers"),
    [(signal.SIGINT, "0"), (signal.SIGTERM, "0"), (signal.SIGINT, "2")],
)
def test_stopped_and_started_again(number, workers, big, tmp_path):
    call, undisturbed = big
    out = tmp_path / "out"
    env = slowed(tmp_path / "trouble.json", quick=3)
    process = spawn(*call, "-o", out, "--workers", workers, start_new_session=True, env=env)
    wait_for_blocks(out, process)
    process.send_signal(number)
    ending = ended(process)
    assert (ending.code, ending.out) == (130, "")
    assert ending.err.startswith("geounet: stopped; "), ending.err
    assert ending.err.count("\n") == 1, ending.err
    assert "run the same command again to go on" in ending.err
    assert not hashes(out)
    again = ended(spawn(*[a for a in call if a != "-q"], "-o", out))
    assert again.code == 0
    assert "going on: " in again.err
    assert dict(hashes(out)) == undisturbed


def test_second_run_into_the_same_folder(big, tmp_path):
    call, _ = big
    first = spawn(*call, "-o", tmp_path / "out", env=slowed(tmp_path / "trouble.json", quick=1, seconds=10))
    wait_for_blocks(tmp_path / "out", first, blocks=1)
    ended(spawn(*call, "-o", tmp_path / "out")).refused("another run is writing", "--output")
    first.send_signal(signal.SIGINT)
    assert ended(first).code == 130


@pytest.fixture
def small_disk(tmp_path):
    """Of 400 KiB."""
    yield from small_disk_at(tmp_path / "disk", "400k")


def test_full_disk(big, small_disk):
    call, undisturbed = big
    out = small_disk / "out"
    (small_disk / "ballast").write_bytes(bytes(250_000))
    ended(spawn(*call, "-o", out)).refused("disk", code=1)
    for name in hashes(out):
        assert dict(hashes(out))[name] == undisturbed[name], "what has its final name is whole"
    subprocess.run(["mount", "-o", "remount,size=40m", str(small_disk)], check=True)
    assert ended(spawn(*call, "-o", out)).code == 0
    assert dict(hashes(out)) == undisturbed


@pytest.mark.parametrize("limit", [3_000])
def test_files_that_cannot_grow(limit, big, tmp_path):
    call, undisturbed = big

    def limited():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))

    ended(spawn(*call, "-o", tmp_path / "out", preexec_fn=limited)).refused("disk", code=1)
    assert ended(spawn(*call, "-o", tmp_path / "out")).code == 0
    assert dict(hashes(tmp_path / "out")) == undisturbed


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:1", "nonsense", "tcp://host"])
def test_scheduler_that_is_not_there(address, big, tmp_path):
    call, _ = big
    ended(spawn(*call, "-o", tmp_path / "out", "--scheduler", address)).refused(address, "does not answer")


def test_scheduler(world, tmp_path):
    from distributed import LocalCluster

    local = {"protocol": "tcp://", "host": "127.0.0.1", "dashboard_address": "127.0.0.1:0"}
    with LocalCluster(n_workers=1, threads_per_worker=1, processes=False, **local) as cluster:
        address = cluster.scheduler_address
        out = tmp_path / "out"
        ending = ended(spawn("infer", world.scene, "-m", world.model, "-o", out, "-q", "--scheduler", address))
    assert (ending.code, ending.err) == (0, "")
    assert dict(hashes(out)) == world.hashes


def test_reader_of_the_output_has_gone(world):
    shell = f"'{COMMAND}' info '{world.scene}' | true"
    ending = subprocess.run(["bash", "-c", shell], capture_output=True, text=True, check=False)
    assert ending.stderr == ""


@pytest.mark.parametrize("closed", [">&-", "<&-", "2>&-", ">&- 2>&- <&-"])
def test_streams_that_are_closed(world, closed):
    shell = f"'{sys.executable}' -m geounet info '{world.scene}' {closed}"
    ending = subprocess.run(["bash", "-c", shell], capture_output=True, text=True, check=False, timeout=240)
    assert (ending.returncode, ending.stderr) == (0, "")


def test_help_starts_at_once_and_imports_nothing_heavy():
    code = (
        "import sys; from geounet.cli.main import run; run(['infer', '--help']); "
        "bad = {'torch', 'rasterio', 'distributed', 'numba', 'geopandas', 'yaml', 'numpy'} & set(sys.modules); "
        "sys.exit(str(sorted(bad)) if bad else 0)"
    )
    ending = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (ending.returncode, ending.stderr) == (0, "")


class _Ranges(BaseHTTPRequestHandler):
    """Serves one file by ranges, and remembers what was asked for."""

    path_of: Path
    asked: list[int]

    def do_HEAD(self) -> None:
        self._answer(b"", self.path_of.stat().st_size, 200)

    def do_GET(self) -> None:
        content = self.path_of.read_bytes()
        if not self.path.endswith("big.tif"):
            self.send_error(404)
            return
        found = self.headers.get("Range", "")
        start, _, end = found.removeprefix("bytes=").partition("-")
        piece = content[int(start or 0) : int(end) + 1 if end else None]
        self.asked.append(len(piece))
        self._answer(piece, len(piece), 206 if found else 200, f"bytes {start}-{end}/{len(content)}")

    def _answer(self, body: bytes, length: int, status: int, content_range: str = "") -> None:
        self.send_response(status)
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Content-Length", str(length))
        if content_range:
            self.send_header("Content-Range", content_range)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_args: object) -> None:
        """Silence."""


@pytest.fixture
def server(big):
    call, _ = big
    handler = type("Handler", (_Ranges,), {"path_of": Path(call[1]), "asked": []})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/big.tif", handler.asked
        server.shutdown()


def test_remote(big, server, geounet, world, tmp_path, monkeypatch):
    call, _ = big
    url, asked = server
    monkeypatch.chdir(tmp_path)
    geounet("infer", url, "-m", world.model).refused("is remote", "--allow-remote")
    assert asked == []
    ending = geounet("infer", url, "-m", world.model, "--allow-remote", "--json")
    assert ending.code == 0
    assert sum(asked) < 2 * Path(call[1]).stat().st_size
    local = json.loads((world.folder / "big/plain/landuse.geojson").read_text())
    remote = json.loads((tmp_path / "big_geounet/landuse.geojson").read_text())
    assert remote == local
    geounet("infer", url.replace("big", "gone"), "-m", world.model, "--allow-remote").refused("gone.tif")
