"""What decides the numbers of an evaluation, checked once."""

from __future__ import annotations

import difflib
import math
from dataclasses import dataclass

from geounet.errors import ConfigError

KINDS = ("auto", "labels", "mask", "lines", "polygons")


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Options of :func:`geounet.evaluate`."""

    kind: str = "auto"
    """What to compare: one of `KINDS`; ``auto`` looks at the files."""
    classes: tuple[str, ...] = ()
    """Names or numbers of the classes that count, or ``NUMBER=NAME``; empty: all."""
    buffer: float = 4.0
    """Metres that a road line may lie beside the true one; SpaceNet's width."""
    boundary: int = 3
    """Pixels from a border that count for boundary IoU."""
    resample: bool = False
    """Whether a prediction on another grid is taken by its nearest pixels."""
    draws: int = 1000
    """Bootstrap draws; 0: no intervals."""
    seed: int = 0
    """Of the bootstrap, and of the control points of APLS."""
    rows: int | None = None
    """Rows to read at once; None: as the files ask for. It changes no number."""

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            near = difflib.get_close_matches(self.kind, KINDS, n=1)
            hint = f"did you mean {near[0]}? " if near else ""
            raise ConfigError(f"--kind {self.kind!r} is not known; {hint}expected {', '.join(KINDS)}")
        if not (math.isfinite(self.buffer) and self.buffer > 0):
            raise ConfigError(f"--buffer {self.buffer}: expected metres above 0")
        if not 1 <= self.boundary <= 1000:
            raise ConfigError(f"--boundary {self.boundary}: expected pixels from 1 to 1000")
        if not 0 <= self.draws <= 100_000:
            raise ConfigError(f"--draws {self.draws}: expected 0 to 100000")
        if self.seed < 0:
            raise ConfigError(f"--seed {self.seed}: expected 0 or more")
