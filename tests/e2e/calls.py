"""Calling the command line, and how it ended."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

COMMAND = str(Path(sys.executable).parent / "geounet")


@dataclass(frozen=True)
class Ending:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def events(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.out.splitlines()]

    def refused(self, *words: str, code: int = 2) -> None:
        """One line on standard error, nothing on standard output, and every word in the line."""
        assert (self.code, self.out) == (code, ""), self
        assert self.err.startswith("geounet: error: "), self
        assert self.err.count("\n") == 1, self
        for word in words:
            assert word in self.err, self


def spawn(*arguments: object, env: Mapping[str, str] | None = None, **options: Any) -> subprocess.Popen[str]:
    """Start the command line in a process of its own, with this added to its environment."""
    return subprocess.Popen(
        [COMMAND, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1", **(env or {})},
        **options,
    )


def ended(process: subprocess.Popen[str], *, timeout: float = 500) -> Ending:
    """Wait for a process; one that hangs fails the test, and is not left behind."""
    try:
        out, err = process.communicate(timeout=timeout)
    finally:
        process.kill()
    return Ending(process.returncode, out, err)
