"""Runs in processes of their own, which can be killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from slow_blocks import hurry, slowed

PROGRAM = """
import json, sys
if __name__ == "__main__":
    import geounet
    from geounet.errors import GeounetError
    options = json.loads(sys.argv[1])
    try:
        run = geounet.infer(options.pop("scene"), **options)
    except GeounetError as error:
        print(json.dumps({"error": type(error).__name__, "message": str(error)}))
        sys.exit(error.exit_code)
    print(json.dumps({"tiles": run.tiles, "resumed": run.resumed, "reused": run.reused, "engine": run.engine}))
"""


@dataclass
class Process:
    """One ``geounet.infer`` in a process group of its own."""

    popen: subprocess.Popen[str]
    output: Path
    trouble: Path

    @property
    def journal(self) -> Path | None:
        """The journal of the run, once there is one."""
        return next(iter((self.output / ".geounet").glob("*/journal.jsonl")), None)

    def receipts(self) -> int:
        """Whole lines in the journal."""
        journal = self.journal
        return journal.read_bytes().count(b"\n") if journal else 0

    def wait_for(self, condition: Any, *, seconds: float = 240) -> None:
        """Wait until ``condition()``; fails where the run ends before that."""
        deadline = time.monotonic() + seconds
        while not condition():
            assert self.popen.poll() is None, f"ended too early: {self.popen.communicate()}"
            assert time.monotonic() < deadline, "waited too long"
            time.sleep(0.005)

    def hurry(self) -> None:
        """Blocks that begin from now on take the time they need."""
        hurry(self.trouble)

    def kill(self) -> None:
        """kill -9 of the one process."""
        self.popen.kill()
        self.popen.wait()

    def kill_group(self) -> None:
        """kill -9 of the process and all that it started."""
        os.killpg(self.popen.pid, signal.SIGKILL)
        self.popen.wait()

    def result(self, *, seconds: float = 300) -> dict[str, Any]:
        """What the program printed last, with its exit code."""
        out, err = self.popen.communicate(timeout=seconds)
        lines = [line for line in out.splitlines() if line.startswith("{")]
        assert lines, f"exit {self.popen.returncode}\n{out}\n{err}"
        return {**json.loads(lines[-1]), "exit": self.popen.returncode, "stderr": err}


def start(options: Mapping[str, Any], *, quick: int | None = None) -> Process:
    """Start ``geounet.infer(**options)``; ``scene``, ``model`` and ``output`` must be among them.

    After so many ``quick`` blocks each takes a second longer, so that whoever comes late meets the run half-way.
    """
    trouble = Path(options["model"]).with_name(f"trouble-{time.monotonic_ns()}.json")
    popen = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, json.dumps(options, default=str)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **(slowed(trouble, quick=quick) if quick is not None else {})},
        start_new_session=True,
    )
    return Process(popen, Path(options["output"]), trouble)


@dataclass(frozen=True)
class Case:
    """What a run needs, and what it must leave."""

    scene: Path
    model: Path
    undisturbed: Mapping[str, str]
    """sha256 of each raster and vector file."""
    blocks: int = 42

    def options(self, output: Path, **more: Any) -> dict[str, Any]:
        """Options of a run in 42 blocks of 48 pixels."""
        base = {"scene": str(self.scene), "model": str(self.model), "output": str(output), "device": "cpu"}
        return {**base, "block": 48, "threads": 1, **more}
