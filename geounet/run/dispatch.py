"""Hands blocks to workers and gathers their receipts; what becomes of workers that go and of blocks that fail."""

from __future__ import annotations

import itertools
import queue
import time
import uuid
from asyncio import CancelledError as AsyncCancelledError
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError
from contextlib import suppress
from dataclasses import dataclass

from distributed import Client, Future
from distributed.scheduler import KilledWorker

from geounet.errors import Interrupted, NoWorkers, RequestError, SceneError, WorkError
from geounet.run.flights import Flight, Flights
from geounet.run.lookout import Departure, Lookout
from geounet.run.muster import Muster
from geounet.run.patience import wait_for
from geounet.run.stretches import Stretches
from geounet.run.verdict import is_full_disk, is_transient, reason
from geounet.run.work import Receipt, Work
from geounet.run.worker import TASK, close_runner, compute_blocks, stop_runner

ATTEMPTS = 3
"""How often a block is tried where trying again can help."""

_IN_FLIGHT = 2  # tasks per worker: one that runs and one that waits, so that no worker idles for a round trip
_MOST = 200  # blocks in a task, however quick they are
_PATIENCE = 60.0  # seconds to wait for a worker when all have gone
_ANSWER = 60.0  # seconds that the scheduler may take to answer, or to be found again
_SILENCE = 900.0  # seconds without a finished tile after which a worker is given up; see docs/clusters.md
_REFRESH = 5.0  # seconds between looks at which workers there are
_LOST = (
    OSError,
    CancelledError,
    AsyncCancelledError,
    UnboundLocalError,
)  # the last is what Dask's sync() makes of it
_FAREWELL = 10.0  # seconds that workers may take to free a network; one that stands still is not waited for


@dataclass(frozen=True, kw_only=True)
class Failure:
    """A block that kept failing."""

    block: int
    error: str
    attempts: int
    is_scene: bool
    """Whether the scene could not be read there, rather than the work went wrong."""


def run_blocks(
    client: Client,
    work: Work,
    missing: Sequence[int],
    *,
    on_receipt: Callable[[Receipt], None],
    on_tiles: Callable[[int], None],
    on_warning: Callable[[str], None] = lambda _text: None,
) -> list[Failure]:
    """Compute blocks on the client's workers; failed ones are retried, and returned when they keep failing.

    Each worker goes down its own stretch of neighbouring blocks, so that it can reuse the canvas rows that two
    of them share; whoever is done first takes over half of the longest stretch left. A bounded number of
    tasks is in flight; quick blocks share one. A KeyboardInterrupt cancels what is in flight and passes through.

    Raises RequestError where a worker finds that the request cannot work at all (another model, no such device),
    WorkError where no worker is left, or scheduler, disk or a folder are gone: what is finished is kept.
    A worker that joins later and cannot take part gets no block, and ``on_warning`` hears why.
    """
    dispatcher = _Dispatcher(client, work, missing, on_tiles=on_tiles, on_warning=on_warning)
    try:
        with dispatcher.lookout:
            for receipt in dispatcher.receipts():
                on_receipt(receipt)
    except BaseException:
        dispatcher.cancel()
        raise
    finally:
        with suppress(Exception):
            client.run(close_runner, work.key, callback_timeout=_FAREWELL)
    return dispatcher.failures


class _Dispatcher:
    """One run's blocks, and where they are."""

    def __init__(
        self,
        client: Client,
        work: Work,
        missing: Sequence[int],
        *,
        on_tiles: Callable[[int], None],
        on_warning: Callable[[str], None],
    ) -> None:
        self._client, self._work = client, work
        self._muster = Muster(client, work, on_warning=on_warning)
        self._stretches = Stretches(missing)
        self._flights = Flights()
        self._pace: dict[str, float] = {}  # seconds that a block takes a worker
        self._hungry: dict[str, None] = {}  # workers that may have room, in order
        self._tries: Counter[int] = Counter()
        self._news: queue.SimpleQueue[Receipt | Future | Departure] = queue.SimpleQueue()
        self.lookout = Lookout(
            client, work.key, on_tiles=on_tiles, on_receipt=self._news.put, on_departure=self._news.put
        )
        self._given_up: set[str] = set()
        self._looked, self._last_seen = float("-inf"), time.monotonic()
        self._name = uuid.uuid4().hex[:12]  # a task of an earlier client that still runs is not ours
        self._numbers = itertools.count()
        self.failures: list[Failure] = []

    def receipts(self) -> Iterator[Receipt]:
        """All receipts, as the blocks finish. Raises WorkError where no worker is left to compute the others."""
        self._look()
        while self._flights or self._stretches:
            self._hand_out()
            try:
                news = self._news.get(timeout=_REFRESH if self._flights.workers else 1.0)
            except queue.Empty:
                news = None
            if isinstance(news, Receipt):
                yield from self._new(news)
            elif isinstance(news, Departure):
                self._departed(news)
            elif news is not None:
                yield from self._settled(news)
            if not self._flights.workers or time.monotonic() - self._looked > _REFRESH:
                self._look()

    def cancel(self) -> None:
        """Give up everything in flight."""
        with suppress(Exception):
            self._client.run(stop_runner, self._work.key, wait=False)
        with suppress(Exception):
            self._client.cancel(self._flights.futures, force=True)

    # who is there

    def _look(self) -> None:
        """Who came, who went unheard, who is silent. Raises WorkError where there has been nobody for too long."""
        self._looked = time.monotonic()
        try:
            alive = self._muster.fit(self.lookout.workers(patience=_ANSWER)) - self._given_up
        except (OSError, RuntimeError, ValueError) as error:  # of a connection that is lost, or closed
            self._find_scheduler(error)
            return
        for gone in (set(self._stretches.workers) | set(self._flights.workers)) - alive:
            self._departed(Departure(worker=gone, died=True))
        busy = [name for name in self._flights.workers if self._flights.at(name)]
        for silent in self.lookout.silent(busy, patience=_SILENCE):
            alive.discard(silent)
            self._given_up.add(silent)
            why = f"{silent} finished no tile in {_SILENCE / 60:.0f} minutes"
            self._departed(Departure(worker=silent, died=True, reason=why))
        self._stretches.join(alive)
        self._hungry.update(dict.fromkeys(sorted(alive)))
        for name in alive:
            self._flights.join(name)
        if alive:
            self._last_seen = time.monotonic()
        elif time.monotonic() - self._last_seen > _PATIENCE:
            raise self._nobody_left()

    def _find_scheduler(self, error: BaseException | None) -> None:
        self.lookout.wait_for_scheduler(error, patience=_ANSWER)
        self._looked = float("-inf")  # it may be another one, with other workers

    def _nobody_left(self) -> WorkError:
        """What to raise: a block may be what killed them."""
        held = ", ".join(map(str, self._stretches.suspects))
        blame = f"; some died with block {held} in their hands" if held else ""
        silent = f" ({len(self._given_up)} gave no sign of life)" if self._given_up else ""
        unfit = f" ({len(self._muster.unfit)} cannot take part)" if self._muster.unfit else ""
        kind = WorkError if held else NoWorkers
        return kind(
            f"the Dask workers have gone{silent}{unfit}{blame}; what is finished is kept; start workers and run "
            "the same command again"
        )

    def _departed(self, news: Departure) -> None:
        """Take back what a worker had; what died with it is tried alone, so that who kills is found out."""
        self._muster.forget(news.worker)
        self._stretches.leave(news.worker)
        self._hungry.pop(news.worker, None)
        self._pace.pop(news.worker, None)
        for flight in self._flights.leave(news.worker):
            with suppress(Exception):
                flight.future.cancel(force=True)
            for block in self._flights.take_back(flight):
                if news.died:
                    self._try_again(block, f"its worker died ({news.reason})", suspect=True)
                else:
                    self._put_back(block)

    # blocks out, receipts in

    def _hand_out(self) -> None:
        """Give every worker that may have room its blocks in flight."""
        if self._hungry and self._client.status != "running":
            self._find_scheduler(None)
        while self._hungry:
            worker = next(iter(self._hungry))
            del self._hungry[worker]
            while self._submit(worker):
                pass

    def _submit(self, worker: str) -> bool:
        """Send the next blocks of a worker's stretch; False where it has enough, or nothing is left to send."""
        there = self._flights.at(worker)
        if worker not in self._flights.workers or len(there) >= _IN_FLIGHT or any(f.alone for f in there):
            return False
        coming = self._stretches.take(worker, idle=not there, most=self._fitting(worker))
        if coming is None:
            return False
        if not there:
            self.lookout.heard(worker)
        future = self._client.submit(
            compute_blocks,
            self._work,
            coming.blocks,
            there[-1].blocks[-1] if there else None,
            key=f"geounet-{self._name}-{coming.blocks[0]}-{next(self._numbers)}",
            workers=[worker],
            resources=self._muster.resources,
            pure=False,
            retries=0,
        )
        self._flights.add(Flight(worker=worker, future=future, blocks=coming.blocks, alone=coming.alone))
        future.add_done_callback(self._news.put)
        return True

    def _fitting(self, worker: str) -> int:
        """How many blocks a worker is expected to finish in a task's time; one where it has finished none yet."""
        pace = self._pace.get(worker, TASK)
        return min(max(1, int(TASK / max(pace, 1e-6))), _MOST)

    def _new(self, receipt: Receipt) -> Iterator[Receipt]:
        """A receipt, where its block is awaited."""
        flight = self._flights.land(receipt.block)
        if flight is not None:
            self._pace[flight.worker] = (self._pace.get(flight.worker, receipt.seconds) + receipt.seconds) / 2
            yield receipt

    def _settled(self, future: Future) -> Iterator[Receipt]:
        """A task has ended; its receipts have come already, but for those that were lost on the way."""
        flight = self._flights.end(future)
        if flight is None:
            return
        self._hungry[flight.worker] = None
        self.lookout.heard(flight.worker)
        if future.status == "finished":
            if self._flights.awaits(flight):
                yield from self._rest(flight)
        elif future.status == "error":
            self._failed(self._flights.take_back(flight), future.exception())
        else:  # cancelled, as by the client itself when it loses the scheduler
            self._find_scheduler(None)
            for block in self._flights.take_back(flight):
                self._try_again(block, "cancelled")

    def _rest(self, flight: Flight) -> Iterator[Receipt]:
        """What a finished task had not told of: blocks that its time did not suffice for, or lost receipts."""
        try:
            for receipt in flight.future.result(timeout=_REFRESH):
                yield from self._new(receipt)
        except _LOST:  # its worker vanished with them, or the scheduler did
            for block in self._flights.take_back(flight):
                self._try_again(block, "its receipt was lost")
        self._stretches.give_back(flight.worker, self._flights.take_back(flight))

    def _put_back(self, block: int, *, suspect: bool = False) -> None:
        self._stretches.put_back(block, suspect=suspect)
        self._hungry.update(dict.fromkeys(self._flights.workers))

    def _failed(self, blocks: Sequence[int], error: BaseException) -> None:
        """A task has failed at one of these blocks."""
        if isinstance(error, Interrupted | KeyboardInterrupt):
            raise Interrupted(str(error))
        if isinstance(error, RequestError) and not is_transient(error):
            raise error
        if is_full_disk(error):
            raise WorkError(f"{reason(error)}; free some space and run the same command again to go on") from error
        if isinstance(error, KilledWorker):
            for block in blocks:
                self._try_again(block, "its worker died (killed, or out of memory)", suspect=True)
        elif is_transient(error) and wait_for(self._work.local_paths()):  # it was not the blocks' fault
            for block in blocks:
                self._put_back(block)
        elif len(blocks) > 1:  # which of them it is shows when each is tried by itself
            for block in blocks:
                self._put_back(block, suspect=True)
        elif is_transient(error):
            self._try_again(blocks[0], reason(error), is_scene=isinstance(error, SceneError))
        else:
            self._give_up(blocks[0], reason(error), attempts=self._tries[blocks[0]] + 1)

    def _try_again(self, block: int, why: str, *, suspect: bool = False, is_scene: bool = False) -> None:
        self._tries[block] += 1
        if self._tries[block] < ATTEMPTS:
            self._put_back(block, suspect=suspect)
        else:
            self._give_up(block, why, attempts=self._tries[block], is_scene=is_scene)

    def _give_up(self, block: int, why: str, *, attempts: int, is_scene: bool = False) -> None:
        self.failures.append(Failure(block=block, error=why, attempts=attempts, is_scene=is_scene))
