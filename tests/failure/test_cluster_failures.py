"""What may happen to a cluster: the run ends right, or says in one line why not, and goes on when asked again."""

from __future__ import annotations

import os
import re
import signal
import time
from pathlib import Path

import psutil
import pytest
from dask_processes import Case, Cluster, StartCluster, goes_on, right
from packages import hashes


@pytest.mark.slow
def test_one_worker_is_killed(case: Case, cluster: StartCluster, tmp_path: Path) -> None:
    there = cluster(workers=1, worker=("--no-nanny",))
    second = there.start_worker("--no-nanny")
    client = there.client(*case.call(), output=tmp_path / "out")
    client.wait_for(lambda: client.receipts() >= 2)
    os.kill(second.pid, signal.SIGKILL)
    right(case, client, client.ended())


@pytest.mark.slow
def test_a_worker_whose_nanny_starts_it_again(case: Case, cluster: StartCluster, tmp_path: Path) -> None:
    there = cluster(workers=0)
    nanny = there.start_worker()
    client = there.client(*case.call(), output=tmp_path / "out")
    for receipts in (2, 5):
        client.wait_for(lambda n=receipts: client.receipts() >= n)
        there.computing(nanny).kill()
    right(case, client, client.ended())


@pytest.mark.slow
def test_every_worker_is_killed(case: Case, cluster: StartCluster, tmp_path: Path) -> None:
    there = cluster(workers=2, worker=("--no-nanny",))
    client = there.client(*case.call(), output=tmp_path / "out", patience="_PATIENCE=2 _REFRESH=0.5")
    client.wait_for(lambda: client.receipts() >= 2)
    for worker in there.processes[1:3]:
        worker.kill()
    ended = client.ended()
    assert ended.code == 1
    assert "workers have gone" in ended.said
    there.start_worker("--no-nanny")
    goes_on(case, there, client)


def test_every_worker_is_killed_and_others_come_in_time(case: Case, cluster: StartCluster, tmp_path: Path) -> None:
    there = cluster(workers=2, worker=("--no-nanny",))
    client = there.client(*case.call(), output=tmp_path / "out")
    client.wait_for(lambda: client.receipts() >= 2)
    for worker in there.processes[1:3]:
        worker.kill()
    there.start_worker("--no-nanny")
    right(case, client, client.ended())


@pytest.mark.slow
def test_a_poison_block(case: Case, cluster: StartCluster, tmp_path: Path) -> None:
    """Each worker that tries it dies. It is reported with its place; all the others are finished."""
    there = cluster(workers=2)
    there.trouble(seconds=0.1, deadly=[4])
    client = there.client(*case.call(), output=tmp_path / "out")
    ended = client.ended()
    assert ended.code == 1
    assert re.search(r"1 of 12 blocks of scene failed, .* block 4 \(columns \d+ to \d+, rows", ended.said), ended
    assert "worker" in ended.said
    assert client.receipts() == case.blocks - 1
    there.trouble(seconds=0)
    goes_on(case, there, client)


@pytest.mark.slow
def test_a_poison_block_among_quick_ones(case: Case, cluster: StartCluster, tmp_path: Path) -> None:
    """It kills the worker with all that travelled with it; it alone is blamed, and what was finished counts."""
    there = cluster(workers=2)
    there.trouble(seconds=0, deadly=[20])
    quick = [*case.call()[:-1], 32]
    client = there.client(*quick, output=tmp_path / "out")
    ended = client.ended()
    assert ended.code == 1
    assert re.search(r"1 of 90 blocks of scene failed, .* block 20 \(columns \d+ to \d+, rows", ended.said), ended
    assert client.receipts() == 89
    there.trouble(seconds=0)
    again = there.client(*quick, output=client.output)
    right(case, again, again.ended())
    assert again.receipts() == 90


@pytest.mark.slow
def test_the_scheduler_is_killed(case: Case, cluster: StartCluster, tmp_path: Path) -> None:
    there = cluster(workers=2, worker=("--no-nanny",))
    client = there.client(*case.call(), output=tmp_path / "out")
    client.wait_for(lambda: client.receipts() >= 2)
    there.processes[0].kill()
    ended = client.ended()
    assert ended.code == 1
    assert "scheduler" in ended.said
    for worker in there.processes[1:3]:
        worker.wait(timeout=200)  # nobody's worker ends by itself
    there.start_scheduler()
    there.start_worker("--no-nanny")
    goes_on(case, there, client)


@pytest.mark.slow
def test_the_scheduler_is_killed_and_started_again(case: Case, cluster: StartCluster, tmp_path: Path) -> None:
    there = cluster(workers=2, worker=("--no-nanny",))
    client = there.client(*case.call(), output=tmp_path / "out")
    client.wait_for(lambda: client.receipts() >= 2)
    there.processes[0].kill()
    there.start_scheduler()
    there.start_worker("--no-nanny")
    ended = client.ended()
    if ended.code:
        assert "scheduler" in ended.said
        goes_on(case, there, client)
    else:
        right(case, client, ended)


@pytest.mark.slow
def test_the_client_is_killed(case: Case, cluster: StartCluster, tmp_path: Path) -> None:
    there = cluster(workers=2)
    client = there.client(*case.call(), output=tmp_path / "out")
    client.wait_for(lambda: client.receipts() >= 3)
    client.kill()
    assert [p.poll() for p in there.processes[:3]] == [None] * 3, "scheduler and workers are the operator's"
    goes_on(case, there, client)
    assert not list(client.output.rglob(".geounet-*"))


@pytest.mark.slow
@pytest.mark.parametrize("nanny", [(), ("--no-nanny",)])
def test_a_worker_is_stopped_for_longer_than_its_time(
    case: Case, cluster: StartCluster, tmp_path: Path, nanny: tuple[str, ...]
) -> None:
    """It stands still with a result in its hands; the others finish; then it wakes."""
    env = {"DASK_DISTRIBUTED__SCHEDULER__WORKER_TTL": "5s"}
    there = cluster(workers=2, worker=nanny, env=env)
    there.trouble(seconds=0.2, stops=[3])
    client = there.client(*case.call(), output=tmp_path / "out")
    ended = client.ended()
    right(case, client, ended)
    wake(there)
    time.sleep(1)
    assert hashes(client.output) == case.undisturbed
    assert not list(client.output.rglob(".geounet-*"))
    again = there.client(*case.call(), output=client.output)
    right(case, again, again.ended())


def wake(there: Cluster) -> None:
    stopped = int(there.trouble_file.with_suffix(".pid").read_text())
    if psutil.pid_exists(stopped):  # the nanny may have replaced it
        os.kill(stopped, signal.SIGCONT)


@pytest.mark.slow
def test_a_late_result_of_another_partition(case: Case, cluster: StartCluster, tmp_path: Path) -> None:
    """A worker wakes in the middle of a later run that cuts the same scene otherwise, with the same numbers."""
    env = {"DASK_DISTRIBUTED__SCHEDULER__WORKER_TTL": "5s"}
    there = cluster(workers=1, worker=("--no-nanny",), env=env)
    there.trouble(seconds=0.1, stops=[3])
    client = there.client(*case.call(), output=tmp_path / "out")
    client.wait_for(there.trouble_file.with_suffix(".pid").exists)
    client.kill()
    there.start_worker("--no-nanny")
    there.trouble(seconds=0.4)
    other = [*case.call()[:-1], 48, "--fresh"]
    second = there.client(*other, output=client.output)
    second.wait_for(lambda: second.receipts() >= 12)
    wake(there)
    right(case, second, second.ended())
    assert second.receipts() == 42
    assert not list(client.output.rglob(".geounet-*"))
