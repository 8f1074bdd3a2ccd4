"""The scores as files: JSON and CSV for machines, HTML for people."""

from __future__ import annotations

import csv
import io
import json
import math
from pathlib import Path

from geounet.errors import ConfigError
from geounet.io.atomic import publish_text
from geounet.score.report import render
from geounet.score.scores import Scores

NAMES = ("metrics.json", "metrics.csv", "report.html")


def write_scores(folder: Path, scores: Scores) -> list[Path]:
    """Write all three into ``folder``, each whole or not at all. Raises ConfigError where it cannot be written."""
    texts = (json.dumps(scores.to_dict(), indent=2, ensure_ascii=False) + "\n", to_csv(scores), render(scores))
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return [publish_text(folder / name, text) for name, text in zip(NAMES, texts, strict=True)]
    except (PermissionError, FileExistsError, NotADirectoryError) as error:
        raise ConfigError(f"{folder} cannot be written: {error.strerror}; choose another --output") from error


def to_csv(scores: Scores) -> str:
    """One line per score: ``class,score,value,low,high``; empty where not defined."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(("class", "score", "value", "low", "high"))
    for name, score, *numbers in scores.rows():
        writer.writerow((name, score, *("" if math.isnan(n) else f"{n:.6f}" for n in numbers)))
    return out.getvalue()
