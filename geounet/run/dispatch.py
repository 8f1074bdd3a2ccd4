"""Which worker gets which block when, and what becomes of blocks that fail."""

from __future__ import annotations

import itertools
import queue
import time
import uuid
from asyncio import CancelledError
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from distributed import Client, Future
from distributed.scheduler import KilledWorker

from geounet.errors import GeounetError, Interrupted, RequestError, SceneError, WorkError
from geounet.run.roll_call import UnfitWorker, call
from geounet.run.work import Receipt, Work
from geounet.run.worker import TOPIC, close_runner, compute_block, stop_runner

ATTEMPTS = 3
"""How often a block is tried where trying again can help."""

_IN_FLIGHT = 2  # blocks per worker: one that runs and one that waits, so that no worker idles for a round trip
_PATIENCE = 60.0  # seconds to wait for a worker when all have gone
_PAUSE = 0.5  # seconds between looks where no worker can take part
_REFRESH = 5.0  # seconds between looks at which workers there are


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
    futures is in flight. A KeyboardInterrupt cancels what is in flight and passes through.

    Raises RequestError where a worker finds that the request cannot work at all (another model, no such device).
    A worker that joins later and cannot take part gets no block, and ``on_warning`` hears why.
    """
    dispatcher = _Dispatcher(client, work, missing, on_warning)

    def hear(event: tuple[float, dict[str, Any]]) -> None:
        if event[1]["key"] == work.key:
            on_tiles(event[1]["tiles"])
            dispatcher.hear(event[1]["receipt"])

    client.subscribe_topic(TOPIC, hear)
    try:
        for receipt in dispatcher.receipts():
            on_receipt(receipt)
    except BaseException:
        dispatcher.cancel()
        raise
    finally:
        with suppress(Exception):
            client.unsubscribe_topic(TOPIC)
        with suppress(Exception):
            client.run(close_runner, work.key)
    return dispatcher.failures


class _Dispatcher:
    """Hands blocks to workers and gathers receipts."""

    def __init__(
        self, client: Client, work: Work, missing: Sequence[int], on_warning: Callable[[str], None]
    ) -> None:
        self._client = client
        self._warn = on_warning
        self._called: set[str] | None = None  # workers that were asked whether they can take part
        self._unfit: set[str] = set()
        self._resources: dict[str, float] = {}
        self._work = work
        self._stretches: dict[str, deque[int]] = {}
        self._loose: deque[int] = deque(missing)
        self._attempts: dict[int, int] = {}
        self._futures: dict[str, Future] = {}
        self._done: queue.SimpleQueue[Future] = queue.SimpleQueue()
        self._placed: dict[str, tuple[str, int]] = {}
        self._sent: dict[str, list[int]] = {}  # the same by worker, so that no block costs a look at all workers
        self._told: dict[int, Receipt] = {}
        self._looked = float("-inf")
        self._serial = itertools.count()
        self._name = uuid.uuid4().hex[:12]  # a task of an earlier client that still runs is not ours
        self.failures: list[Failure] = []

    def hear(self, facts: Mapping[str, Any] | None) -> None:
        """A worker tells of a block that it has finished; called ahead of the news that its task has."""
        if facts is not None:
            pixels = [list(counts) for counts in facts["pixels"]]  # Dask makes tuples of lists
            self._told[facts["block"]] = Receipt(**{**facts, "pixels": pixels})

    def receipts(self) -> Iterator[Receipt]:
        """All receipts, as the blocks finish. Raises WorkError where no worker is left to compute the others."""
        self._share_out()
        for worker in list(self._stretches):
            for _ in range(_IN_FLIGHT):
                self._submit(worker)
        while self._futures or self._is_work_left():
            if not self._futures:
                self._wait_for_a_worker()
                self._fill()
                continue
            future = self._next()
            receipt, error = None, future.exception() if future.status == "error" else None
            if future.status == "finished":
                receipt = self._told.pop(self._placed[future.key][1], None)
            if future.status == "finished" and receipt is None:
                try:
                    receipt = future.result(timeout=_REFRESH)
                except TimeoutError:  # its worker vanished with the receipt: the block is computed again
                    self._wait_for_a_worker()
                    future.add_done_callback(self._done.put)
                    continue
                except (
                    CancelledError,
                    UnboundLocalError,
                ):  # gone for good, of which Dask's sync() makes the latter
                    pass
            worker, block = self._placed.pop(future.key)
            self._sent[worker].remove(block)
            del self._futures[future.key]
            if receipt is not None:
                yield receipt
            else:
                self._failed(block, error)
            self._fill(idle=worker)

    def _fill(self, *, idle: str | None = None) -> None:
        """Give a worker that has become ``idle`` its blocks in flight; all of them where blocks were shared out."""
        shared = self._share_out()
        for name in self._stretches if shared or idle is None else (idle,):
            while len(self._sent.get(name, ())) < _IN_FLIGHT and self._submit(name):
                pass

    def _is_work_left(self) -> bool:
        return bool(self._loose) or any(self._stretches.values())

    def _next(self) -> Future:
        """The next future that is done; as long as none is, somebody must be there to work on them."""
        while True:
            try:
                return self._done.get(timeout=_REFRESH)
            except queue.Empty:
                self._wait_for_a_worker()
                self._fill()

    def _wait_for_a_worker(self) -> None:
        until = time.monotonic() + _PATIENCE
        try:
            self._client.wait_for_workers(1, timeout=_PATIENCE)
            while not self._fit():
                if time.monotonic() > until:
                    raise TimeoutError
                time.sleep(_PAUSE)
        except OSError as error:  # TimeoutError, or the scheduler itself is gone
            raise WorkError(
                "the Dask workers have gone; what is finished is kept; start workers and run the same command again"
            ) from error
        self._looked = float("-inf")

    def cancel(self) -> None:
        """Give up everything in flight."""
        with suppress(Exception):
            self._client.run(stop_runner, self._work.key, wait=False)
        with suppress(Exception):
            self._client.cancel(list(self._futures.values()), force=True)

    def _failed(self, block: int, error: BaseException | None) -> None:
        attempts = self._attempts[block] = self._attempts.get(block, 0) + 1
        if isinstance(error, Interrupted | KeyboardInterrupt):
            raise Interrupted(str(error))
        if isinstance(error, UnfitWorker) and attempts < ATTEMPTS:  # Dask sent it there before the worker was asked
            self._loose.append(block)
            return
        if isinstance(error, RequestError) and not _is_transient(error):
            raise error
        if attempts < ATTEMPTS and (error is None or _is_transient(error)):
            self._loose.append(block)
            return
        self.failures.append(
            Failure(block=block, error=_reason(error), attempts=attempts, is_scene=isinstance(error, SceneError))
        )

    def _share_out(self) -> bool:
        """Keep one stretch per living worker; blocks of vanished workers and retries go round again.

        Whether a worker may have blocks now that had none before.
        """
        shared, now = False, time.monotonic()
        if now - self._looked > _REFRESH or not self._stretches:
            self._looked = now
            alive = self._fit()
            for gone in set(self._stretches) - alive:
                self._loose.extend(self._stretches.pop(gone))
                self._call_back(gone)
            for name in sorted(alive - set(self._stretches)):
                self._stretches[name], shared = deque(), True
        if self._loose and self._stretches:
            shared = True
            names, blocks = sorted(self._stretches), sorted(self._loose)
            self._loose.clear()
            share = -(-len(blocks) // len(names))
            for number, name in enumerate(names):
                self._stretches[name].extend(blocks[number * share : (number + 1) * share])
        return shared

    def _fit(self) -> set[str]:
        """Workers that are there and can take part. RequestError where one of the first ones cannot."""
        workers = self._client.scheduler_info(n_workers=-1)["workers"]
        if self._resources or (self._work.needs_gpu and any(map(_offers_gpu, workers.values()))):
            self._resources = {"GPU": 1}
            workers = {name: worker for name, worker in workers.items() if _offers_gpu(worker)}
        new = sorted(set(workers) - (self._called or set()))
        if self._work.roll is not None and new:
            reasons = call(self._client, self._work.roll, new)
            for reason in reasons.values():
                if self._called is None:
                    raise RequestError(reason)
                self._warn(f"{reason}; it gets no blocks of this run")
            self._unfit |= set(reasons)
        self._called = (self._called or set()) | set(new)
        return set(workers) - self._unfit

    def _call_back(self, worker: str) -> None:
        """Take back what a vanished worker had, where Dask may not send it to another.

        It may not with resources: it would not ask whether that worker offers them.
        """
        if self._resources:
            lost = [self._futures[key] for key, (name, _) in self._placed.items() if name == worker]
            self._client.cancel(lost, force=True)

    def _submit(self, worker: str) -> bool:
        """Send the next block of a worker's stretch; False where nothing is left to send."""
        if worker not in self._stretches:
            return False
        if not self._stretches[worker]:
            self._take_over(worker)
        if not self._stretches[worker]:
            return False
        block = self._stretches[worker].popleft()
        before = self._sent.setdefault(worker, [])
        future = self._client.submit(
            compute_block,
            self._work,
            block,
            before[-1] if before else None,
            key=f"geounet-{self._name}-{block}-{next(self._serial)}",
            workers=[worker],
            allow_other_workers=not self._resources,
            resources=self._resources or None,
            pure=False,
            retries=0,
        )
        self._futures[future.key] = future
        self._placed[future.key] = (worker, block)
        before.append(block)
        future.add_done_callback(self._done.put)
        return True

    def _take_over(self, worker: str) -> None:
        """Move the lower half of the longest stretch to a worker that has nothing left."""
        longest = max(self._stretches.values(), key=len)
        half = len(longest) // 2
        taken = [longest.pop() for _ in range(half)]
        self._stretches[worker].extend(reversed(taken))


def _offers_gpu(worker: Mapping[str, Any]) -> bool:
    return bool(worker.get("resources", {}).get("GPU", 0) >= 1)


def _reason(error: BaseException | None) -> str:
    if error is None:
        return "cancelled"
    if isinstance(error, OSError) and error.strerror:
        return f"{error.strerror}: {error.filename}" if error.filename else error.strerror
    text = str(error) if isinstance(error, GeounetError) else f"{type(error).__name__}: {error}"
    return text.splitlines()[0]


def _is_transient(error: BaseException) -> bool:
    """Whether trying again can help: input and output, lost workers, memory; never a bug of ours."""
    if isinstance(error, GeounetError):
        return isinstance(error, SceneError)
    return isinstance(error, OSError | MemoryError | KilledWorker)
