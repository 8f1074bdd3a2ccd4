"""Memory, disks, folders and pixels that fail under a run over several processes."""

from __future__ import annotations

import os
import re
import resource
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import rasterio
from dask_processes import Case, StartCluster, goes_on, right
from packages import hashes, texture, write_scene
from small_disks import small_disk_at

pytestmark = pytest.mark.slow

GIB = 2**30


@pytest.mark.parametrize("limit", ["rlimit", "nanny"])
def test_a_worker_out_of_memory(case: Case, cluster: StartCluster, tmp_path: Path, limit: str) -> None:
    """Refused by the kernel, or killed by its nanny: the block is reported, the others are finished."""
    there = cluster(workers=0)
    there.trouble(seconds=0.05, greedy=[4], bytes=(40 if limit == "rlimit" else 3) * GIB)
    if limit == "rlimit":
        bound = (32 * GIB, 32 * GIB)
        there.start_worker(before=lambda: resource.setrlimit(resource.RLIMIT_AS, bound))
    else:
        there.start_worker("--memory-limit", "2GiB")
    client = there.client(*case.call(), output=tmp_path / "out")
    ended = client.ended(seconds=300)
    assert ended.code == 1
    assert re.search(r"1 of 12 blocks of scene failed, .* block 4 \(columns .* failed 3 times", ended.said), ended
    assert ("MemoryError" if limit == "rlimit" else "out of memory") in ended.said
    assert client.receipts() == case.blocks - 1
    there.trouble(seconds=0)
    goes_on(case, there, client)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Of 400 KiB."""
    yield from small_disk_at(tmp_path / "disk", "400k")


def test_a_disk_that_fills_up(case: Case, cluster: StartCluster, small_disk: Path) -> None:
    """It ends at once, rather than to try every block three times; the rest is kept."""
    there = cluster(workers=2)
    client = there.client(*case.call(), output=small_disk / "out")
    client.wait_for(lambda: client.receipts() >= 3)
    with (small_disk / "ballast").open("wb", buffering=0) as ballast:
        try:
            while ballast.write(bytes(1024)):
                pass
        except OSError:
            pass
    begun = time.monotonic()
    ended = client.ended()
    assert time.monotonic() - begun < 60
    assert ended.code == 1
    assert "No space left" in ended.said
    assert "free some space" in ended.said
    subprocess.run(["mount", "-o", "remount,size=40m", str(small_disk)], check=True)
    goes_on(case, there, client)


def test_results_that_are_away_for_a_while(case: Case, cluster: StartCluster, tmp_path: Path) -> None:
    """No block fails for it: the run waits."""
    there = cluster(workers=2)
    out, away = tmp_path / "out", tmp_path / "away"
    client = there.client(*case.call(), output=out)
    client.wait_for(lambda: client.receipts() >= 3)
    out.rename(away)
    time.sleep(4)
    assert client.popen.poll() is None
    assert not out.exists(), "nobody makes it anew"
    away.rename(out)
    right(case, client, client.ended())


def test_results_that_do_not_come_back_in_time(case: Case, cluster: StartCluster, tmp_path: Path) -> None:
    there = cluster(workers=1)
    out, away = tmp_path / "out", tmp_path / "away"
    client = there.client(*case.call(), output=out, patience="AWAY=1")
    client.wait_for(lambda: client.receipts() >= 3)
    out.rename(away)
    ended = client.ended()
    assert ended.code == 1
    assert "out" in ended.said
    assert "has gone" in ended.said
    assert not out.exists()
    away.rename(out)
    goes_on(case, there, client)


def test_scenes_that_are_away_for_a_while(case: Case, cluster: StartCluster, tmp_path: Path) -> None:
    """A worker that comes while they are away waits for them, too."""
    folder, away = tmp_path / "scenes", tmp_path / "away"
    folder.mkdir()
    scene = folder / "scene.tif"
    scene.write_bytes(case.scene.read_bytes())
    os.utime(scene, ns=(0, case.scene.stat().st_mtime_ns))
    there = cluster(workers=1, worker=("--no-nanny",))
    client = there.client(*case.call(scene=scene), output=tmp_path / "out")
    client.wait_for(lambda: client.receipts() >= 3)
    folder.rename(away)
    there.processes[1].kill()
    there.start_worker("--no-nanny")
    time.sleep(3)
    assert client.popen.poll() is None
    away.rename(folder)
    right(case, client, client.ended())


def test_a_damaged_tile_of_the_source(case: Case, cluster: StartCluster, tmp_path: Path) -> None:
    """File and place are named, what lies elsewhere is kept; with the file mended the rest is done."""
    shape = (300, 260)
    layout = {"tiled": True, "blockxsize": 32, "blockysize": 32, "compress": "deflate"}
    scene = write_scene(tmp_path / "scene.tif", texture(shape, seed=6), nodata=0, **layout)
    whole, stat = scene.read_bytes(), scene.stat()
    with rasterio.open(scene) as file:
        offset = int(file.get_tag_item("BLOCK_OFFSET_4_4", "TIFF", bidx=1))
    scene.write_bytes(whole[:offset] + bytes(40) + whole[offset + 40 :])
    os.utime(scene, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    there = cluster(workers=2)
    there.trouble()
    client = there.client(*case.call(scene=scene), output=tmp_path / "out")
    ended = client.ended()
    assert ended.code == 2
    found = re.search(r"(\d+) of 12 blocks of scene failed, .* block \d+ \(columns \d+ to \d+, rows", ended.said)
    assert found, ended
    assert "scene.tif" in ended.said
    assert client.receipts() == case.blocks - int(found[1]) > 0
    scene.write_bytes(whole)
    os.utime(scene, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    again = there.client(*case.call(scene=scene), output=client.output)
    assert again.ended().code == 0
    fresh = there.client(*case.call(scene=scene), output=tmp_path / "fresh")
    assert fresh.ended().code == 0
    assert hashes(client.output) == hashes(fresh.output)


NET = "geounet-test"


@pytest.fixture
def cable() -> Iterator[str]:
    """A second host by the name of a network namespace, at 10.93.7.2, with a cable from 10.93.7.1 to it."""
    setup = f"""
        ip netns add {NET}
        ip link add gt0 type veth peer name gt1 netns {NET}
        ip addr add 10.93.7.1/30 dev gt0
        ip link set gt0 up
        ip -n {NET} addr add 10.93.7.2/30 dev gt1
        ip -n {NET} link set gt1 up
        ip -n {NET} link set lo up
    """
    done = subprocess.run(["bash", "-ec", setup], capture_output=True, text=True, check=False)
    try:
        if done.returncode:
            pytest.skip(f"no network namespaces here: {done.stderr.strip()}")
        yield "gt0"
    finally:
        subprocess.run(["ip", "netns", "del", NET], capture_output=True, check=False)
        subprocess.run(["ip", "link", "del", "gt0"], capture_output=True, check=False)


def test_a_worker_whose_cable_is_cut(case: Case, cluster: StartCluster, tmp_path: Path, cable: str) -> None:
    """Its blocks go to the others; when the cable is whole again, its late results do no harm."""
    env = {"DASK_DISTRIBUTED__COMM__TIMEOUTS__TCP": "14s", "DASK_DISTRIBUTED__SCHEDULER__WORKER_TTL": "20s"}
    there = cluster(workers=1, host="10.93.7.1", env=env, worker=("--no-nanny",))
    far = there.start_worker("--no-nanny", prefix=("ip", "netns", "exec", NET))
    there.trouble(seconds=0.5)
    client = there.client(*case.call(), output=tmp_path / "out")
    client.wait_for(lambda: client.receipts() >= 4)
    subprocess.run(["ip", "link", "set", cable, "down"], check=True)
    right(case, client, client.ended())
    subprocess.run(["ip", "link", "set", cable, "up"], check=True)
    far.wait(timeout=240)  # it was left out, and ends
    assert hashes(client.output) == case.undisturbed
    assert not list(client.output.rglob(".geounet-*"))


def test_a_client_that_is_stopped_for_a_while(case: Case, cluster: StartCluster, tmp_path: Path) -> None:
    there = cluster(workers=2)
    client = there.client(*case.call(), output=tmp_path / "out", patience="_SILENCE=3")
    client.wait_for(lambda: client.receipts() >= 2)
    client.popen.send_signal(signal.SIGSTOP)
    time.sleep(8)
    client.popen.send_signal(signal.SIGCONT)
    right(case, client, client.ended())


def test_a_worker_that_gives_no_sign_of_life(case: Case, cluster: StartCluster, tmp_path: Path) -> None:
    """It lives, and answers, and computes nothing: as on a share that hangs."""
    there = cluster(workers=1)
    there.trouble(seconds=0.1, hangs=[5])
    there.start_worker()
    client = there.client(*case.call(), output=tmp_path / "out", patience="_SILENCE=10 _REFRESH=1")
    right(case, client, client.ended())
