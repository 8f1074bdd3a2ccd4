"""Loaded into Dask workers: blocks take a while, and those that are told to end badly.

A real worker that computes real blocks; only the moments at which it waits, dies or stops are chosen. What is to
happen stands in a JSON file that ``TROUBLE`` names and that is read at each block, so that a test can change it.

A run of small blocks is over in a moment, and a test that wants to meet it half-way may be too late on a machine
that is busy with other things. `slowed` is the environment of a run that will still be there.
"""

from __future__ import annotations

import json
import os
import signal
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from geounet.run import block, part

TROUBLE = "GEOUNET_TESTS_TROUBLE"
PRELOAD = Path(__file__)


def slowed(file: Path, *, quick: int, seconds: float = 1.0) -> dict[str, str]:
    """The environment of a run whose blocks from number ``quick`` on take so many seconds longer; see `hurry`."""
    tell(file, seconds=seconds / 2, late=seconds / 2, quick=quick)
    return {TROUBLE: str(file), "DASK_DISTRIBUTED__WORKER__PRELOAD": str(PRELOAD)}


def hurry(file: Path) -> None:
    """Blocks that begin from now on take the time they need."""
    tell(file)


def tell(file: Path, **told: Any) -> None:
    """What the blocks are to do that begin from now on."""
    fresh = file.with_suffix(".new")
    fresh.write_text(json.dumps(told))
    fresh.replace(file)


def _trouble() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(Path(os.environ[TROUBLE]).read_text())
    return found


def _once(what: str) -> bool:
    """Whether this is the first time, for all workers."""
    with suppress(FileExistsError):
        Path(os.environ[TROUBLE]).with_suffix(f".{what}").touch(exist_ok=False)
        return True
    return False


def _slow(real: Any) -> Any:
    def compute(self: Any, found: Any, *given: Any) -> Any:
        told = _trouble()
        if found.index >= told.get("quick", 0):
            time.sleep(told.get("seconds", 0))
        if found.index in told.get("deadly", ()):
            os.kill(os.getpid(), signal.SIGKILL)
        if found.index in told.get("hangs", ()) and _once(f"hung{found.index}"):
            time.sleep(3600)
        if found.index in told.get("greedy", ()):
            held = b"x" * told["bytes"]
            time.sleep(10)  # the nanny looks every 100 ms
            del held
        return real(self, found, *given)

    return compute


def _late(real: Any) -> Any:
    def finish(self: Any) -> Any:
        told, index = _trouble(), int(self._path.name[:6])
        if index >= told.get("quick", 0):
            time.sleep(told.get("late", 0))
        if index in told.get("stops", ()) and _once(f"stopped{index}"):
            Path(os.environ[TROUBLE]).with_suffix(".pid").write_text(str(os.getpid()))
            os.kill(os.getpid(), signal.SIGSTOP)  # its result is ready, and not yet published
        return real(self)

    return finish


def dask_setup(_worker: Any) -> None:
    """Called by Dask."""
    block.BlockRunner._compute = _slow(block.BlockRunner._compute)  # type: ignore[method-assign]
    part.PartWriter.finish = _late(part.PartWriter.finish)  # type: ignore[method-assign]
