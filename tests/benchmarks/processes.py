"""Whole processes, with what they cost."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, kw_only=True)
class Finished:
    """A process that ended well."""

    wall: float
    """Seconds."""
    cpu: float
    """Seconds of user and system time, of the process and the children it waited for."""
    peak: int
    """Bytes: largest resident set of the process (or of one of its children)."""
    out: str
    err: str

    @property
    def said(self) -> dict[str, Any]:
        """The last line of its output, which is JSON."""
        answer: dict[str, Any] = json.loads(self.out.strip().splitlines()[-1])
        return answer


def run(command: Sequence[str], *, env: Mapping[str, str] | None = None) -> Finished:
    """Run a command to its end. Raises RuntimeError with what it said where it fails.

    Python keeps what it has compiled of our modules, as it does wherever geounet is installed.
    """
    inherited = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        started = time.perf_counter()
        process = subprocess.Popen(command, stdout=out, stderr=err, cwd=ROOT, env={**inherited, **(env or {})})
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        err.seek(0)
        finished = Finished(
            wall=wall,
            cpu=usage.ru_utime + usage.ru_stime,
            peak=usage.ru_maxrss * 1024,
            out=out.read(),
            err=err.read(),
        )
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with {process.returncode}: {finished.err[-2000:]}")
    return finished


def geounet(*arguments: str | Path) -> list[str]:
    """The command line of ``geounet`` in this very Python."""
    return [sys.executable, "-c", "from geounet.cli.main import main; main()", *map(str, arguments)]


def infer(scene: Path, model: str, output: Path, *options: str) -> list[str]:
    """A run from the beginning, whatever is there."""
    return geounet("infer", scene, "--model", model, "-o", output, "--json", "--fresh", "--overwrite", *options)


def child(program: str, **arguments: Any) -> list[str]:
    """A measuring program of this package (see ``forward``), which answers in JSON."""
    return [sys.executable, "-m", f"tests.benchmarks.{program}", json.dumps(arguments, default=str)]


def in_turn(sides: Mapping[str, Callable[[], Any]], *, repeats: int) -> dict[str, list[Any]]:
    """Call every side once per round, so that all of them see the same weather; results by side."""
    results: dict[str, list[Any]] = {name: [] for name in sides}
    for _ in range(repeats):
        for name, measure in sides.items():
            results[name].append(measure())
    return results


def median(values: Iterable[float]) -> float:
    """The middle one."""
    return statistics.median(values)
