"""What was found out about a model, as one value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from geounet.score.report import render_parts
from geounet.score.scores import Scores
from geounet.score.write import to_csv, write_texts


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """What :func:`geounet.evaluate_model` returns."""

    model: str
    """Name and version."""
    digest: str
    """Of the model package."""
    scenes: tuple[str, ...]
    """Names of the scenes that were mapped."""
    parts: Mapping[str, Scores]
    """Scores by head (``landuse``, ``road``), and of centre-lines by scene (``road_lines of town``)."""
    settings: Mapping[str, Any]
    """How the network saw the scenes: tile, overlap, test-time augmentation, engine."""
    warnings: tuple[str, ...] = ()

    def __getitem__(self, part: str) -> Scores:
        """``evaluation["landuse"]["mean_iou"]``. Raises KeyError where there is no such part."""
        return self.parts[part]

    def to_dict(self) -> dict[str, Any]:
        """As metrics.json has it."""
        return {
            "model": self.model,
            "digest": self.digest,
            "scenes": list(self.scenes),
            "settings": dict(self.settings),
            "parts": {name: scores.to_dict() for name, scores in self.parts.items()},
            "warnings": list(self.warnings),
        }

    def write(self, folder: Path) -> list[Path]:
        """metrics.json, metrics.csv and report.html. Raises ConfigError where they cannot be written."""
        rows = [(name, *row) for name, scores in self.parts.items() for row in scores.rows()]
        shown = ", ".join(self.scenes[:6]) + (", …" if len(self.scenes) > 6 else "")
        seen = ", ".join(f"{name} {value}" for name, value in self.settings.items())
        page = render_parts(self.model, f"on {shown} ({seen})", self.parts, self.warnings)
        return write_texts(folder, self.to_dict(), to_csv(rows, columns=("part", "class", "score")), page)
