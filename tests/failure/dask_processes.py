"""A scheduler, workers and a client as processes of their own, each of which can be killed, stopped or cut off."""

from __future__ import annotations

import ctypes
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
from packages import hashes
from slow_blocks import PRELOAD, TROUBLE, tell

CLIENT = """
import os, sys
from geounet.run import dispatch, patience
for name, value in dict(pair.split("=") for pair in os.environ.get("PATIENCE", "").split()).items():
    setattr(patience if name == "AWAY" else dispatch, name, float(value))  # seconds: a test has fewer than a user
from geounet.cli.main import main
main(sys.argv[1:])
"""


def _die_with_the_tests() -> None:
    """SIGKILL once the tests are gone, however they ended: ``PR_SET_PDEATHSIG`` of prctl(2)."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)


@dataclass
class Ended:
    """How a client ended."""

    code: int
    events: list[dict[str, Any]]
    err: str

    @property
    def said(self) -> str:
        """The line on standard error."""
        assert self.err.count("\n") <= 1, self.err
        return self.err.strip()


@dataclass
class Client:
    """One ``geounet infer`` over a scheduler."""

    popen: subprocess.Popen[str]
    output: Path

    def receipts(self) -> int:
        """Whole lines in the journal."""
        return sum(p.read_bytes().count(b"\n") for p in self.output.glob(".geounet/*/journal.jsonl"))

    def wait_for(self, condition: Callable[[], Any], *, seconds: float = 240) -> None:
        """Wait until ``condition()``; fails where the client ends before that."""
        deadline = time.monotonic() + seconds
        while not condition():
            assert self.popen.poll() is None, f"ended too early: {self.popen.communicate()}"
            assert time.monotonic() < deadline, "waited too long"
            time.sleep(0.01)

    def kill(self) -> None:
        """kill -9."""
        self.popen.kill()
        self.popen.communicate()

    def ended(self, *, seconds: float = 300) -> Ended:
        """Wait for its end; a client that hangs fails the test."""
        out, err = self.popen.communicate(timeout=seconds)
        assert "Traceback" not in err, err
        return Ended(self.popen.returncode, [json.loads(line) for line in out.splitlines()], err)


@dataclass
class Cluster:
    """A scheduler and its workers, in a folder for their logs."""

    folder: Path
    host: str = "127.0.0.1"
    port: int = 0
    env: Mapping[str, str] = field(default_factory=dict)
    """Added to the environment of scheduler and workers."""
    processes: list[subprocess.Popen[str]] = field(default_factory=list)

    @property
    def address(self) -> str:
        return f"tcp://{self.host}:{self.port}"

    @property
    def trouble_file(self) -> Path:
        return self.folder / "trouble.json"

    def trouble(self, **told: Any) -> None:
        """What the blocks are to do from now on; see `slow_blocks`."""
        tell(self.trouble_file, **told)

    def start_scheduler(self) -> subprocess.Popen[str]:
        """Start it, at the same port as before where there was one."""
        log = self.folder / "scheduler.log"
        log.unlink(missing_ok=True)
        process = self._spawn("dask_scheduler", "--host", self.host, "--port", str(self.port), log=log)
        self._wait(lambda: re.search(r"Scheduler at:\s+tcp://[\d.]+:(\d+)", log.read_text()), process)
        found = re.search(r"Scheduler at:\s+tcp://[\d.]+:(\d+)", log.read_text())
        assert found is not None
        self.port = int(found[1])
        return process

    def start_worker(
        self, *options: str, prefix: tuple[str, ...] = (), before: Callable[[], Any] = dict
    ) -> subprocess.Popen[str]:
        """A worker process and, unless told otherwise, a nanny to start it again; ``before`` runs in it first."""
        log = self.folder / f"worker{len(self.processes)}.log"
        given = ("--nthreads", "2", "--memory-limit", "0", "--preload", str(PRELOAD), *options)
        process = self._spawn("dask_worker", self.address, *given, log=log, prefix=prefix, before=before)
        self._wait(lambda: "Registered to:" in log.read_text(), process)
        return process

    def client(self, *arguments: Any, output: Path, patience: str = "") -> Client:
        """Start ``geounet infer`` over the scheduler."""
        call = ["infer", *map(str, arguments), "-o", str(output), "--scheduler", self.address, "--json"]
        popen = subprocess.Popen(
            [sys.executable, "-c", CLIENT, *call],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PATIENCE": patience},
            start_new_session=True,
        )
        self.processes.append(popen)
        return Client(popen, output)

    def computing(self, process: subprocess.Popen[str]) -> psutil.Process:
        """The process that computes blocks: the worker itself, or the child of its nanny."""
        root = psutil.Process(process.pid)
        children = [p for p in root.children(recursive=True) if "spawn_main" in " ".join(p.cmdline())]
        return children[0] if children else root

    def close(self) -> None:
        """kill -9 of everything that was started here and of its children."""
        family: list[psutil.Process] = []
        for process in self.processes:
            try:
                root = psutil.Process(process.pid)
                family += [root, *root.children(recursive=True)]
            except psutil.NoSuchProcess:
                continue
        for member in family:
            try:
                member.send_signal(signal.SIGKILL)
            except psutil.NoSuchProcess:
                continue
        for process in self.processes:
            process.wait(timeout=30)

    def _spawn(
        self,
        program: str,
        *arguments: str,
        log: Path,
        prefix: tuple[str, ...] = (),
        before: Callable[[], Any] = dict,
    ) -> subprocess.Popen[str]:
        with log.open("w") as stream:
            process = subprocess.Popen(
                [*prefix, sys.executable, "-m", f"distributed.cli.{program}", "--no-dashboard", *arguments],
                stdout=stream,
                stderr=stream,
                text=True,
                cwd=self.folder,
                env={**os.environ, TROUBLE: str(self.trouble_file), **self.env},
                start_new_session=True,
                preexec_fn=lambda: (_die_with_the_tests(), before()),  # noqa: PLW1509  one thread here
            )
        self.processes.append(process)
        return process

    def _wait(self, condition: Callable[[], Any], process: subprocess.Popen[str], *, seconds: float = 240) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            assert process.poll() is None, [p.read_text() for p in self.folder.glob("*.log")]
            assert time.monotonic() < deadline, [p.read_text() for p in self.folder.glob("*.log")]
            time.sleep(0.05)


StartCluster = Callable[..., Cluster]


@dataclass(frozen=True)
class Case:
    """What a run needs, and what it must leave."""

    folder: Path
    scene: Path
    model: Path
    undisturbed: Mapping[str, str]
    """sha256 of each raster and vector file."""
    blocks: int = 12

    def call(self, *, scene: Path | None = None) -> tuple[object, ...]:
        """Arguments of a run in twelve blocks of 96 pixels."""
        return (scene or self.scene, "-m", self.model, "--device", "cpu", "--block", 96)


def right(case: Case, client: Client, ended: Ended) -> None:
    """It ended well, without a word, with the bytes of the undisturbed run."""
    assert (ended.code, ended.said) == (0, "")
    assert hashes(client.output) == case.undisturbed


def goes_on(case: Case, cluster: Cluster, client: Client) -> None:
    """The same command finishes, and computes no block again that was finished."""
    finished = client.receipts()
    again = cluster.client(*case.call(), output=client.output)
    right(case, again, again.ended())
    assert again.receipts() == case.blocks
    assert 0 < finished < case.blocks
