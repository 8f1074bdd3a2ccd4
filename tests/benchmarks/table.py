"""Results, and how they are shown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Result:
    """One line of the table."""

    what: str
    value: float
    unit: str = ""
    """``x`` for a ratio, else s, ms, MiB, %."""
    target: float | None = None
    higher_is_better: bool = False
    note: str = ""

    @property
    def reached(self) -> bool | None:
        """Whether the target is reached; None where there is none."""
        if self.target is None:
            return None
        return self.value >= self.target if self.higher_is_better else self.value <= self.target

    @property
    def cells(self) -> tuple[str, str, str, str, str]:
        """What, value, target, verdict, note."""
        sign = "≥" if self.higher_is_better else "≤"
        goal = "" if self.target is None else f"{sign} {number(self.target, self.unit)}"
        verdict = {None: "", True: "yes", False: "no"}[self.reached]
        return self.what, number(self.value, self.unit), goal, verdict, self.note


@dataclass(frozen=True, kw_only=True)
class Table:
    """The results of one benchmark."""

    title: str
    about: str
    """What was measured, in one or two sentences."""
    results: tuple[Result, ...]


HEADER = ("", "measured", "target", "reached", "")


def number(value: float, unit: str) -> str:
    """A value with its unit, as exact as it deserves."""
    if unit == "%":
        return f"{value:.3f} %"
    digits = 0 if abs(value) >= 1000 else 1 if abs(value) >= 100 else 2
    text = f"{value:,.{digits}f}"
    return f"{text} ×" if unit == "x" else f"{text} {unit}".rstrip()


def as_text(table: Table) -> str:
    """For a terminal."""
    rows = [result.cells for result in table.results]
    widths = [max(len(row[n]) for row in [HEADER, *rows]) for n in range(len(HEADER) - 1)]
    lines = [_padded(row, widths) for row in [HEADER, *rows]]
    return "\n".join([f"== {table.title}", *lines])


def _padded(row: Sequence[str], widths: Sequence[int]) -> str:
    cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=False)]
    return "  ".join([*cells, row[-1]]).rstrip()


def as_markdown(tables: Iterable[Table]) -> str:
    """For docs/benchmarks.md."""
    parts = []
    for table in tables:
        lines = [_row(("", "measured", "target", "reached", "note")), _row(["---"] * 5)]
        lines += [_row(result.cells) for result in table.results]
        parts.append("\n".join([f"### {table.title}", "", table.about, "", *lines, ""]))
    return "\n".join(parts)


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"
