"""Which workers there are, who leaves, and who gives no sign of life."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from geounet.errors import NoWorkers
from geounet.run.work import Receipt
from geounet.run.worker import TOPIC

if TYPE_CHECKING:
    from distributed import Client

_EVERYBODY = "all"  # where a scheduler tells who comes and goes (distributed/scheduler.py, remove_worker)
_KNOCK = 0.1
_ASLEEP = 30.0  # seconds without a look after which this process itself stood still, and nobody else is to blame


@dataclass(frozen=True, kw_only=True)
class Departure:
    """A worker that computes nothing more for us."""

    worker: str
    died: bool
    """With its blocks in its hands, rather than told to go."""
    reason: str = "killed, or out of memory"


class Lookout:
    """Listens to a scheduler while the body runs."""

    def __init__(
        self,
        client: Client,
        key: str,
        *,
        on_tiles: Callable[[int], None],
        on_receipt: Callable[[Receipt], None],
        on_departure: Callable[[Departure], None],
    ) -> None:
        """``on_tiles`` hears of finished tiles of run ``key``, ``on_receipt`` of finished blocks, ahead of the news
        that their task has ended, ``on_departure`` of every worker that leaves: all in the client's own thread."""
        self._client, self._key = client, key
        self._on_tiles, self._on_receipt, self._on_departure = on_tiles, on_receipt, on_departure
        self._signs: dict[str, float] = {}
        self._looked = time.monotonic()

    def __enter__(self) -> Lookout:
        self.listen()
        return self

    def __exit__(self, *_: object) -> None:
        for topic in (TOPIC, _EVERYBODY):
            with suppress(Exception):
                self._client.unsubscribe_topic(topic)

    def listen(self) -> None:
        """Begin to listen, or again, to a scheduler that was lost and found: it has forgotten who listens."""
        self._client.subscribe_topic(TOPIC, self._tiles)
        self._client.subscribe_topic(_EVERYBODY, self._comings)

    def workers(self, *, patience: float) -> Mapping[str, Any]:
        """Who is there, by address, with what the scheduler knows of each.

        Raises OSError (TimeoutError) where it does not say within so many seconds.
        """
        known = self._client.sync(self._client.scheduler.identity, n_workers=-1, callback_timeout=patience)
        workers: Mapping[str, Any] = known["workers"]
        return workers

    def wait_for_scheduler(self, error: BaseException | None, *, patience: float) -> None:
        """Until the connection that was lost with ``error`` is there again. Raises NoWorkers where it does not come
        back, or where the scheduler is there and does not answer."""
        deadline = time.monotonic() + patience
        time.sleep(_KNOCK)
        while self._client.status != "running":  # the client itself looks for it, and closes when it gives up
            if self._client.status in ("closing", "closed") or time.monotonic() > deadline:
                raise NoWorkers(
                    "the Dask scheduler has gone; what is finished is kept; start it and its workers, and run the "
                    "same command again"
                ) from error
            time.sleep(_KNOCK)
        if isinstance(error, TimeoutError):
            raise NoWorkers(
                f"the Dask scheduler has not answered for {patience:.0f} seconds; what is finished is kept; run "
                "the same command again"
            ) from error
        self.listen()

    def heard(self, worker: str) -> None:
        """It gave a sign."""
        self._signs[worker] = time.monotonic()

    def silent(self, busy: Iterable[str], *, patience: float) -> list[str]:
        """Those of the ``busy`` workers that finished no tile, of whichever run, for so many seconds."""
        now = time.monotonic()
        if now - self._looked > _ASLEEP:
            self._signs = {}
        self._looked = now
        return [worker for worker in busy if now - self._signs.setdefault(worker, now) > patience]

    def _tiles(self, event: tuple[float, dict[str, Any]]) -> None:
        told = event[1]
        self.heard(str(told.get("worker")))
        if told["key"] == self._key:
            self._on_tiles(told["tiles"])
            for facts in told["receipts"]:
                self._on_receipt(_receipt(facts))

    def _comings(self, event: tuple[float, Any]) -> None:
        told = event[1]
        if isinstance(told, dict) and told.get("action") == "remove-worker":
            self._on_departure(Departure(worker=str(told.get("worker")), died=not told.get("expected", False)))


def _receipt(facts: Mapping[str, Any]) -> Receipt:
    """As it was sent; Dask makes tuples of lists."""
    return Receipt(**{**facts, "pixels": [list(counts) for counts in facts["pixels"]]})
