"""Ctrl-C and SIGTERM ask for an end between two steps, so that no step is cut in two."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class StopRequests:
    """``asked`` is set by the first request; a second one stops at once, as Python would."""

    def __init__(self) -> None:
        self.asked = False

    def listen(self) -> None:
        """From now on; signals reach the main thread only."""
        if threading.current_thread() is threading.main_thread():
            for number in _SIGNALS:
                signal.signal(number, self._ask)

    def _ask(self, number: int, frame: FrameType | None) -> None:
        if self.asked:
            signal.default_int_handler(number, frame)
        self.asked = True

    @contextmanager
    def left_alone_afterwards(self) -> Iterator[None]:
        """Whatever handlers were there come back."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.getsignal(number) for number in _SIGNALS}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
