"""A folder in which scenes appear, its configuration, and ``geounet run`` over it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from lockstep import narrow_pipe
from packages import slanted, texture, write_scene

COMMAND = [sys.executable, "-m", "geounet"]


@dataclass
class Place:
    """A folder with scenes, the configuration, and what is published."""

    folder: Path
    model: Path

    @property
    def scenes(self) -> Path:
        return self.folder / "in"

    @property
    def out(self) -> Path:
        return self.folder / "out"

    @property
    def config(self) -> Path:
        return self.folder / "schedule.yaml"

    def add(self, name: str, *, seed: int, shape: tuple[int, int] = (90, 80)) -> Path:
        path = self.scenes / f"{name}.tif"
        path.parent.mkdir(parents=True, exist_ok=True)
        return write_scene(path, np.where(slanted(shape), texture(shape, seed=seed), np.uint8(0)), nodata=0)

    def configure(self, **changes: Any) -> Path:
        values = {
            "source": {"folder": "in", "settle": 0},
            "infer": {"model": str(self.model), "device": "cpu", "threads": 1},
            "destination": "out/{scene}",
            "retry": {"attempts": 2, "backoff": 0},
            "keep": {"free": 1},
        }
        self.config.write_text(yaml.safe_dump({**values, **changes}))
        return self.config

    def start(self, *arguments: object, stdout: int = subprocess.PIPE) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [*COMMAND, "run", str(self.config), *map(str, arguments)],
            stdout=stdout,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
            start_new_session=True,
        )

    def start_in_step(self, *arguments: object) -> subprocess.Popen[str]:
        """A run that waits, before it says something, until what it said before is read."""
        reading, writing = narrow_pipe()
        process = self.start(*arguments, stdout=writing)
        os.close(writing)
        process.stdout = reading
        return process

    def run(self, *arguments: object, code: int = 0) -> list[dict[str, Any]]:
        """The events of one look."""
        process = self.start("--json", *arguments)
        out, err = process.communicate(timeout=300)
        assert process.returncode == code, (out, err)
        assert "Traceback" not in err
        return [json.loads(line) for line in out.splitlines()]

    def ledger(self, *arguments: object) -> list[dict[str, Any]]:
        done = subprocess.run(
            [*COMMAND, "ledger", arguments[0], str(self.config), *map(str, arguments[1:])],
            capture_output=True,
            text=True,
            check=True,
        )
        return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]

    def states(self) -> dict[str, str]:
        return {entry["name"]: entry["state"] for entry in self.ledger("list", "--json")}
