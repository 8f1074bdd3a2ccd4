"""Whose turn it is in a process: blocks compute one after the other, in the order in which they were sent."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

_PATIENCE = 5.0  # seconds


class Turns:
    """One block computes at a time; while its part is finished, the next one may compute."""

    def __init__(self, begun: set[int]) -> None:
        """``begun``: the blocks that had their turn; it is added to."""
        self._computing = threading.Lock()
        self._finishing = threading.Lock()
        self._begun = begun
        self._begins = threading.Condition()
        self._is_over = False

    @contextmanager
    def mine(self, index: int | None = None, *, after: int | None = None) -> Iterator[Callable[[], None]]:
        """A turn to compute. The function that it gives hands the turn on and goes over to finishing.

        A block waits for the one ``after`` which it was sent, whose canvas it can take over; not for long, as that
        one may have gone to another worker.
        """
        with self._begins:
            self._begins.wait_for(lambda: after is None or after in self._begun or self._is_over, timeout=_PATIENCE)
        held = self._computing
        held.acquire()
        with self._begins:
            if index is not None:
                self._begun.add(index)
            self._begins.notify_all()

        def finishing() -> None:
            nonlocal held
            self._finishing.acquire()
            held.release()
            held = self._finishing

        try:
            yield finishing
        finally:
            held.release()

    def pass_over(self, indices: Iterable[int]) -> None:
        """These had their turn, or will not have it."""
        with self._begins:
            self._begun.update(indices)
            self._begins.notify_all()

    def end(self) -> None:
        """Nobody who is to come is waited for any more."""
        with self._begins:
            self._is_over = True
            self._begins.notify_all()
