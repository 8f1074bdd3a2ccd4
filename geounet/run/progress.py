"""What a run tells while it works. The command line draws it; a library call may ignore it."""

from __future__ import annotations


class Progress:
    """Hears of stages and their steps; this one keeps silent. Subclass it to show them.

    Calls may come from another thread than the one that started the run.
    """

    def start(self, stage: str, *, total: int, unit: str, pixels_per_step: float = 0.0, note: str = "") -> None:
        """A stage of ``total`` steps begins; each step stands for ``pixels_per_step`` scene pixels."""

    def device(self, name: str) -> None:
        """What the network runs on, once that is known."""

    def advance(self, steps: int = 1) -> None:
        """Steps of the current stage are done."""

    def finish(self) -> None:
        """The current stage is done."""

    def warn(self, message: str) -> None:
        """Something the user should know; the run goes on."""
