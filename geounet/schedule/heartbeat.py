"""The sign of life of a run that works on a scene."""

from __future__ import annotations

import threading
from types import TracebackType

from geounet.errors import GeounetError
from geounet.run.progress import Progress
from geounet.schedule.ledger import Ledger, TakenOver

_SIGNS = 3  # per lease, so that two may go wrong


class Heartbeat:
    """Prolongs a claim while the body runs; a claim that is lost ends the work at its next step, see `Guarded`."""

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
                    return
        finally:
            if ledger is not None:
                ledger.close()


class Guarded(Progress):
    """Passes on how the work goes, while the scene is ours; raises TakenOver once it is not.

    No signal: the program itself is not to stop, only the work on this scene.
    """

    def __init__(self, heart: Heartbeat, progress: Progress) -> None:
        self._heart, self._progress = heart, progress

    def start(self, stage: str, *, total: int, unit: str, pixels_per_step: float = 0.0, note: str = "") -> None:
        """A stage begins."""
        self._check()
        self._progress.start(stage, total=total, unit=unit, pixels_per_step=pixels_per_step, note=note)

    def device(self, name: str) -> None:
        """What the network runs on."""
        self._progress.device(name)

    def advance(self, steps: int = 1) -> None:
        """Steps are done."""
        self._check()
        self._progress.advance(steps)

    def finish(self) -> None:
        """The stage is done."""
        self._check()
        self._progress.finish()

    def warn(self, message: str) -> None:
        """Something to know."""
        self._progress.warn(message)

    def _check(self) -> None:
        if self._heart.lost:
            raise TakenOver("another run has taken the scene over; it goes on there")
