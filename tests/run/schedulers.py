"""Schedulers and workers of Dask as a user starts them: processes of their own, on loopback."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def scheduler(folder: Path, *options: str) -> Iterator[str]:
    """The address of a scheduler on loopback."""
    log = folder / f"scheduler-{time.monotonic_ns()}.log"
    command = [sys.executable, "-m", "distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", "0"]
    with _process([*command, "--no-dashboard", *options], log):
        yield _told(log, r"Scheduler at:\s+(\w+://127\.0\.0\.1:\d+)")


@contextmanager
def worker(
    address: str, folder: Path, *options: str, env: Mapping[str, str] | None = None, cwd: Path | None = None
) -> Iterator[int]:
    """The process of a worker that has registered; without a nanny, so that killing it kills it."""
    log = folder / f"worker-{time.monotonic_ns()}.log"
    command = [sys.executable, "-m", "distributed.cli.dask_worker", address, "--no-nanny", "--no-dashboard"]
    settled = [
        "--memory-limit",
        "0",
        "--host",
        "127.0.0.1",
        *(() if "--nthreads" in options else ("--nthreads", "2")),
    ]
    with _process([*command, *settled, *options], log, env=env, cwd=cwd or folder) as process:
        _told(log, r"(Registered to):")
        yield process.pid


@contextmanager
def _process(
    command: Sequence[str], log: Path, *, env: Mapping[str, str] | None = None, cwd: Path | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("w") as stream:
        process = subprocess.Popen(
            command,
            stdout=stream,
            stderr=stream,
            cwd=cwd,
            env={**os.environ, **(env or {})},
            start_new_session=True,
        )
    try:
        yield process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _told(log: Path, pattern: str) -> str:
    deadline = time.monotonic() + 240
    while time.monotonic() < deadline:
        if found := re.search(pattern, log.read_text()):
            return found[1]
        time.sleep(0.05)
    raise AssertionError(log.read_text())
