"""One run under way: its plan, what it has finished, and what it has counted."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Thread

from geounet import heap
from geounet.run.journal import Journal, Record
from geounet.run.options import InferOptions
from geounet.run.plan import Plan
from geounet.run.progress import Progress


@dataclass(kw_only=True)
class RunContext:
    """What the stages of a run share."""

    plan: Plan
    options: InferOptions
    journal: Journal
    record: Record
    progress: Progress
    timings: dict[str, float] = field(default_factory=dict)
    """Seconds of wall time, by stage."""
    tiles: int = 0
    """Tiles that this run computed."""
    pixels: int = 0
    """Pixels of the blocks that this run computed."""
    resumed: int = 0
    """Blocks that an earlier run had finished."""
    base: Path | None = None
    """Folder of an earlier run's journal, whose parts may be taken over."""
    as_before: int = 0
    """Blocks that took over a part of it."""
    preparing: Thread | None = None
    """What makes the later stages ready beside the network."""

    @contextmanager
    def timed(self, stage: str) -> Iterator[None]:
        """Add the body's wall time to a stage; what it no longer needs is the next one's."""
        started = time.perf_counter()
        try:
            yield
        finally:
            heap.trim()
            self.timings[stage] = self.timings.get(stage, 0.0) + time.perf_counter() - started
