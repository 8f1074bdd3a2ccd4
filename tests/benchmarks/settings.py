"""What every benchmark is told."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tests.benchmarks import material


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Sizes, repeats and the model."""

    size: int = 8192
    """Side of the sample scene in pixels."""
    repeats: int = 3
    """Rounds; medians are shown."""
    model: str = "landuse-roads"
    threads: int = 2
    """Tiles side by side; the cores of the machine."""
    blocks: int = 5000
    """Blocks of the run that measures what a block costs besides its network."""
    batches: int = 12
    """Drawn by each side of ``training``; a step for every fourth."""
    large: bool = False
    """Also what takes many minutes."""

    @property
    def scene(self) -> Path:
        """The sample scene."""
        return material.sample(self.size)

    @property
    def outputs(self) -> Path:
        """Where runs leave their results."""
        return material.cache() / "out"
