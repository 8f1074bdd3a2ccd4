"""The scores as files: JSON and CSV for machines, HTML for people."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from geounet.errors import cannot_write
from geounet.io.atomic import publish_text
from geounet.score.report import render
from geounet.score.scores import Scores

NAMES = ("metrics.json", "metrics.csv", "report.html")


def write_scores(folder: Path, scores: Scores) -> list[Path]:
    """Write all three into ``folder``, each whole or not at all. Raises ConfigError where it cannot be written."""
    return write_texts(folder, scores.to_dict(), to_csv(scores.rows()), render(scores))


def write_texts(folder: Path, facts: Mapping[str, Any], table: str, page: str) -> list[Path]:
    """Write metrics.json, metrics.csv and report.html. Raises ConfigError where they cannot be written."""
    texts = (json.dumps(facts, indent=2, ensure_ascii=False) + "\n", table, page)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return [publish_text(folder / name, text) for name, text in zip(NAMES, texts, strict=True)]
    except (PermissionError, FileExistsError, NotADirectoryError) as error:
        raise cannot_write(folder, error) from error


def to_csv(rows: Iterable[Sequence[Any]], *, columns: Sequence[str] = ("class", "score")) -> str:
    """One line per score: ``class,score,value,low,high``; empty where not defined."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow((*columns, "value", "low", "high"))
    for row in rows:
        names, numbers = row[: len(columns)], row[len(columns) :]
        writer.writerow((*names, *("" if math.isnan(n) else f"{n:.6f}" for n in numbers)))
    return out.getvalue()
