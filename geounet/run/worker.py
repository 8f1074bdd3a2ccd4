"""What a Dask worker does: one network per process, one block at a time."""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from dataclasses import asdict, replace

from geounet.errors import SceneError
from geounet.model.engine import cuda_devices, device_of_worker
from geounet.run.block import BlockRunner, RunnerClosed
from geounet.run.roll_call import refuse_unfit
from geounet.run.work import Receipt, Work

TOPIC = "geounet-tiles"
"""Where workers tell of finished tiles, and of a block at its end: ``{"key": work.key, "tiles": n, "receipt": …}``.

Dask pushes it to the client ahead of the news that the task has ended, on the same connection; fetching a result
takes two more round trips through the scheduler, and as much of its time as all the rest of a task.
"""

_runners: dict[str, BlockRunner] = {}
_runners_lock = threading.Lock()
_begun: dict[str, set[int]] = {}
"""Blocks of each run that had their turn here, also in a runner that made room for another run's since."""


def compute_block(work: Work, block: int, after: int | None = None) -> Receipt:
    """Compute one block in this process, once ``after`` has its turn; the task that a worker runs."""
    reporter = _TileReporter(work.key)
    while True:
        with suppress(RunnerClosed):
            try:
                receipt = runner_of(work).run(block, reporter.add, after=after)
            except SceneError as error:
                unreadable = SceneError(str(error))
                break
            reporter.flush(receipt)
            return receipt
        after = None  # two runs that share a worker take turns: what that block left went with its runner
    raise unreadable  # out here it has no context: errors of GDAL's cannot travel


def runner_of(work: Work) -> BlockRunner:
    """This process's runner for a run: one network per process, so another run's is closed after its block."""
    with _runners_lock:
        if work.key not in _runners:
            refuse_unfit(work.roll)
            for key in list(_runners):
                _runners.pop(key).close()
            _runners[work.key] = BlockRunner(_on_this_worker(work), begun=_begun.setdefault(work.key, set()))
        return _runners[work.key]


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


class _TileReporter:
    """Tells the client about finished tiles, twice a second at most."""

    def __init__(self, key: str) -> None:
        self._key = key
        self._count = 0
        self._told = time.monotonic()

    def add(self, count: int) -> None:
        self._count += count
        if time.monotonic() - self._told > 0.5:
            self.flush()

    def flush(self, receipt: Receipt | None = None) -> None:
        if self._count or receipt is not None:
            from distributed import get_worker

            told = None if receipt is None else asdict(receipt)  # an event holds plain values only
            with suppress(Exception):  # progress is no reason to fail, and the receipt is the task's result too
                get_worker().log_event(TOPIC, {"key": self._key, "tiles": self._count, "receipt": told})
        self._count, self._told = 0, time.monotonic()
