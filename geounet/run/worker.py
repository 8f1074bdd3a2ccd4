"""What a Dask worker does: one network per process, one block at a time."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, replace
from typing import Any

from geounet.errors import Interrupted, SceneError
from geounet.model.engine import cuda_devices, device_of_worker
from geounet.run.block import BlockRunner, RunnerClosed
from geounet.run.roll_call import refuse_unfit
from geounet.run.work import Receipt, Work

TOPIC = "geounet-tiles"
"""Where workers tell of finished tiles and blocks: ``{"key": work.key, "tiles": n, "receipts": […]}``.

Dask pushes it to the client ahead of the news that the task has ended, on the same connection; fetching a result
takes two more round trips through the scheduler, and as much of its time as all the rest of a task.
"""

TASK = 2.0
"""Seconds that a task takes, where its blocks are quicker: the scheduler is then asked once for many of them."""

_TELL = 0.05  # seconds between two events

_runners: dict[str, BlockRunner] = {}
_runners_lock = threading.Lock()
_begun: dict[str, set[int]] = {}
"""Blocks of each run that had their turn here, also in a runner that made room for another run's since."""


def compute_blocks(work: Work, blocks: Sequence[int], after: int | None = None) -> list[Receipt]:
    """Compute blocks in this process, in turn, once ``after`` has its own; the task that a worker runs.

    Each is told of as it is finished. How many fit into the time of a task was a guess, by whoever sent them: those
    that do not fit are left.
    """
    reporter, receipts, spent = _Reporter(work.key), list[Receipt](), 0.0
    try:
        for receipt in _receipts(work, blocks, reporter, after):
            reporter.finished(receipt)
            receipts.append(receipt)
            spent += receipt.seconds
            if spent > TASK:
                break
    finally:
        reporter.flush()
        if (runner := _runners.get(work.key)) is not None:
            runner.pass_over(blocks)
    return receipts


def _receipts(work: Work, blocks: Sequence[int], reporter: _Reporter, after: int | None) -> Iterator[Receipt]:
    """One for each block, as it is finished. One runner for all: told to stop, it computes none of the others."""
    left, runner, unreadable = list(blocks), None, None
    while left and unreadable is None:
        try:
            runner = runner or runner_of(work)
            receipt = runner.run(left[0], reporter.add, after=after)
        except RunnerClosed:  # two runs that share a worker take turns: what a block left went with its runner
            runner = after = None
        except SceneError as error:
            unreadable = SceneError(str(error))
        else:
            del left[0]
            yield receipt
    if unreadable is not None:
        raise unreadable  # out here it has no context: errors of GDAL's cannot travel


def runner_of(work: Work) -> BlockRunner:
    """This process's runner for a run: one network per process, so another run's is closed after its block."""
    with _runners_lock:
        if work.key not in _runners:
            refuse_unfit(work.roll)
            for key in list(_runners):
                if (other := _runners.pop(key, None)) is not None:  # unless it was stopped meanwhile
                    other.close()
            _runners[work.key] = BlockRunner(_on_this_worker(work), begun=_begun.setdefault(work.key, set()))
        if (runner := _runners.get(work.key)) is None:
            raise Interrupted("stopped before a block")
        return runner


def prepare_runner(work: Work) -> None:
    """Load the network before the first block asks for it; what goes wrong, that block will tell."""
    with suppress(Exception):
        runner_of(work)


def _on_this_worker(work: Work) -> Work:
    """The work with this worker's own number of threads and device, where that was left to it.

    Neither changes a pixel, as long as the devices are of one kind.
    """
    in_turn = work.devices_in_turn and work.request.device.startswith("cuda")
    if not (work.threads_of_worker or in_turn):
        return work
    from distributed import get_worker

    request = work.request
    if work.threads_of_worker:
        request = replace(request, threads=get_worker().state.nthreads)
    if in_turn:
        number = int(get_worker().name)  # a local cluster counts its workers
        request = replace(request, device=device_of_worker(request.device, number, cuda_devices()))
    return replace(work, request=request)


def stop_runner(key: str) -> None:
    """Make a run's runner in this process give up at the next tile, and forget it."""
    if (runner := _runners.pop(key, None)) is not None:
        runner.stop.set()
        threading.Thread(target=runner.close, daemon=True).start()  # waits for that tile


def close_runner(key: str) -> None:
    """Free a run's network in this process."""
    with _runners_lock:
        _begun.pop(key, None)
        if (runner := _runners.pop(key, None)) is not None:
            runner.close()


class _Reporter:
    """Tells the client about finished tiles and blocks, twenty times a second at most: a block that takes longer
    is told of at once."""

    def __init__(self, key: str) -> None:
        self._key = key
        self._tiles = 0
        self._receipts: list[dict[str, Any]] = []
        self._told = time.monotonic()

    def add(self, tiles: int) -> None:
        self._tiles += tiles
        self._tell()

    def finished(self, receipt: Receipt) -> None:
        self._receipts.append(asdict(receipt))  # an event holds plain values only
        self._tell()

    def _tell(self) -> None:
        if time.monotonic() - self._told > _TELL:
            self.flush()

    def flush(self) -> None:
        if self._tiles or self._receipts:
            from distributed import get_worker

            told = {"key": self._key, "tiles": self._tiles, "receipts": self._receipts}
            with suppress(Exception):  # progress is no reason to fail, and receipts are the task's result too
                get_worker().log_event(TOPIC, told)
        self._tiles, self._receipts, self._told = 0, [], time.monotonic()
