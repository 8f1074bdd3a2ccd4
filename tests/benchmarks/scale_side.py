"""The client of a run over very many blocks, which looks at itself and at scheduler and workers meanwhile."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread
from typing import Any

import psutil

from geounet.config import build_options
from geounet.run.adopt import with_partition_of
from geounet.run.context import RunContext
from geounet.run.execute import compute_blocks
from geounet.run.journal import Journal, Record, hold
from geounet.run.options import InferOptions
from geounet.run.outputs import journal_key
from geounet.run.pipeline import plan_scene
from geounet.run.plan import Plan
from geounet.run.progress import Progress
from geounet.run.stitch import stitch_parts
from geounet.run.vectors import vectorize_labels

SHARES = (0.1, 0.5, 1.0)
"""Of the blocks, when the memory is looked at."""


def run_stages(
    scene: Path,
    *,
    model: Path,
    output: Path,
    block: int,
    scheduler: str | None,
    pids: Mapping[str, Sequence[int]],
    last: Sequence[str] = ("stitch", "vectors"),
) -> dict[str, Any]:
    """Plan, compute, compute again with all blocks there, and the ``last`` stages; seconds, and what it took.

    ``pids``: scheduler and workers, whose memory and CPU time are told beside the client's.
    """
    said: dict[str, Any] = {}
    given = {"model": str(model), "tile": block, "overlap": 0, "block": block, "threads": 1, "output": output}
    options = build_options({}, given if scheduler is None else {**given, "scheduler": scheduler})
    with _timed(said, "plan"):
        plan = plan_scene([scene], options)
    said["blocks"] = len(plan.partition)
    with hold(plan.output) as state:
        with _timed(said, "open"):
            context = _context(state, plan, options)
        with _watched(said, context, {"client": [os.getpid()], **pids}), _timed(said, "compute"):
            compute_blocks(context, meanwhile=_nothing)
        said["journal"] = (context.journal.folder / "journal.jsonl").stat().st_size
        with _timed(said, "resume"):
            context = _context(state, plan, options)
            compute_blocks(context, meanwhile=_nothing)
        assert context.resumed == len(plan.partition), "blocks were computed twice"
        for stage in last:
            with _timed(said, stage):
                {"stitch": stitch_parts, "vectors": vectorize_labels}[stage](context)
    return said


def _nothing() -> None:
    """The later stages are not made ready beside the blocks: what that costs is no cost of a block."""


def _context(state: Path, plan: Plan, options: InferOptions) -> RunContext:
    journal = Journal(state, journal_key(plan, options))
    return RunContext(
        plan=with_partition_of(journal, plan, options),
        options=options,
        journal=journal,
        record=Record(state),
        progress=Progress(),
    )


@contextmanager
def _timed(said: dict[str, Any], what: str) -> Iterator[None]:
    started, cpu = time.perf_counter(), time.process_time()
    yield
    said[what], said[f"{what}_cpu"] = time.perf_counter() - started, time.process_time() - cpu


@contextmanager
def _watched(said: dict[str, Any], context: RunContext, pids: Mapping[str, Sequence[int]]) -> Iterator[None]:
    """Tell the CPU time of every side in the body, and its memory when ``SHARES`` of the blocks are done."""
    sides = {name: [psutil.Process(pid) for pid in of] for name, of in pids.items()}
    total, before, over = len(context.plan.partition), _each(sides, _cpu), Event()
    said["memory"] = {}

    def look() -> None:
        for share in SHARES:
            while len(context.journal.receipts) < share * total and not over.wait(0.05):
                pass
            said["memory"][str(share)] = _each(sides, lambda process: process.memory_info().rss)

    watcher = Thread(target=look, name="watcher")
    watcher.start()
    try:
        yield
    finally:
        over.set()
        watcher.join()
        said["cpu"] = {name: value - before[name] for name, value in _each(sides, _cpu).items()}


def _each(sides: Mapping[str, list[psutil.Process]], what: Callable[[psutil.Process], float]) -> dict[str, float]:
    return {name: sum(what(process) for process in processes) for name, processes in sides.items()}


def _cpu(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


if __name__ == "__main__":
    given = json.loads(sys.argv[1])
    paths = {name: Path(given.pop(name)) for name in ("scene", "model", "output")}
    print(json.dumps(run_stages(paths.pop("scene"), **paths, **given)))
