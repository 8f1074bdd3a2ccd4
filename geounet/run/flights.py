"""What is in flight: which blocks went to which worker as one task, and of which of them there is no word yet."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from distributed import Future


@dataclass(frozen=True, kw_only=True, eq=False)
class Flight:
    """Some blocks that went out as one task. They run on their worker or nowhere: what becomes of them when that
    dies is ours to say.

    Dask would send them to another one, which is another victim if one of them is to blame; and where the last
    worker goes they would never find the way to a new one (``bulk_schedule_unrunnable_after_adding_worker`` in
    distributed/scheduler.py looks at the address that was wished for, whatever ``allow_other_workers`` says).
    """

    worker: str
    future: Future
    blocks: tuple[int, ...]
    alone: bool
    """Nothing else is in flight on the worker."""


class Flights:
    """All of them. A block is in one at most, and in none once its receipt has come."""

    def __init__(self) -> None:
        self._at: dict[str, list[Flight]] = {}
        self._by_key: dict[str, Flight] = {}
        self._of: dict[int, Flight] = {}

    def __bool__(self) -> bool:
        return bool(self._by_key)

    @property
    def workers(self) -> Collection[str]:
        """Who may have some, in the order in which they joined."""
        return self._at.keys()

    @property
    def futures(self) -> list[Future]:
        """Of all that have not ended."""
        return [flight.future for flight in self._by_key.values()]

    def join(self, worker: str) -> None:
        """It may have some from now on."""
        self._at.setdefault(worker, [])

    def at(self, worker: str) -> Sequence[Flight]:
        """What a worker has, in the order in which it was sent."""
        return self._at.get(worker, ())

    def add(self, flight: Flight) -> None:
        """It was sent."""
        self._by_key[flight.future.key] = flight
        self._at[flight.worker].append(flight)
        self._of |= dict.fromkeys(flight.blocks, flight)

    def land(self, block: int) -> Flight | None:
        """Its receipt is there; with which flight it came, None where it was taken back or has landed before."""
        return self._of.pop(block, None)

    def awaits(self, flight: Flight) -> bool:
        """Whether there is no word yet of some of its blocks."""
        return any(self._of.get(block) is flight for block in flight.blocks)

    def end(self, future: Future) -> Flight | None:
        """The flight of a future that is done; None where it was taken back meanwhile."""
        flight = self._by_key.pop(future.key, None)
        if flight is not None:
            self._at[flight.worker].remove(flight)
        return flight

    def leave(self, worker: str) -> list[Flight]:
        """What a worker had that has gone."""
        flights = self._at.pop(worker, [])
        for flight in flights:
            del self._by_key[flight.future.key]
        return flights

    def take_back(self, flight: Flight) -> list[int]:
        """The blocks of a flight that is over, of which there was no word, in order; they are in flight no more."""
        left = [block for block in flight.blocks if self._of.get(block) is flight]
        for block in left:
            del self._of[block]
        return left
