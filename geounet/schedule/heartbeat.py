"""The sign of life of a run that works on a scene."""

from __future__ import annotations

import _thread
import threading
from types import TracebackType

from geounet.errors import GeounetError
from geounet.schedule.ledger import Ledger

_SIGNS = 3  # per lease, so that two may go wrong


class Heartbeat:
    """Prolongs a claim while the body runs; when the claim is lost, the body gets a KeyboardInterrupt."""

    def __init__(self, ledger: Ledger, key: str, *, lease: float) -> None:
        self._ledger, self._key, self._lease = ledger, key, lease
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="heartbeat", daemon=True)
        self.lost = False
        """Whether another run has taken the scene over."""

    def __enter__(self) -> Heartbeat:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()

    def _beat(self) -> None:
        ledger = None
        try:
            while not self._over.wait(self._lease / _SIGNS):
                try:
                    ledger = ledger or self._ledger.again()
                    alive = ledger.beat(self._key, lease=self._lease)
                except GeounetError:  # the ledger cannot be reached: perhaps at the next sign
                    ledger = None
                    continue
                if not alive:
                    self.lost = True
                    _thread.interrupt_main()
                    return
        finally:
            if ledger is not None:
                ledger.close()
