"""Numbers as people read them, and JSON lines as machines do."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click


def json_line(event: str, **facts: Any) -> None:
    """Print one JSON object in one line."""
    click.echo(json.dumps({"event": event, **facts}, default=_plain, ensure_ascii=False))


def _plain(value: Any) -> Any:
    if isinstance(value, Path):
        return str(value)
    if hasattr(value, "__dict__"):
        return vars(value)
    return str(value)


def size(number: float) -> str:
    """Bytes with a binary unit."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if number < 1024:
            return f"{number:.0f} {unit}" if unit == "B" else f"{number:.1f} {unit}"
        number /= 1024
    return f"{number:.1f} TiB"


def count(number: int, thing: str) -> str:
    """``1 polygon``, ``1,733 polygons``."""
    return f"{number:,} {thing}{'' if number == 1 else 's'}"


def duration(seconds: float) -> str:
    """Seconds as ``4.2 s``, ``3 min 05 s`` or ``2 h 07 min``."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"


def area(square_metres: float, unit: str = "m²") -> str:
    """m², hectares or km²; pixels where that is the unit."""
    if unit != "m²":
        return f"{square_metres:,.0f} {unit}"
    if square_metres < 1e4:
        return f"{square_metres:,.0f} m²"
    return f"{square_metres / 1e4:,.2f} ha" if square_metres < 1e7 else f"{square_metres / 1e6:,.2f} km²"


def table(rows: Sequence[tuple[str, str]], *, indent: str = "  ") -> None:
    """Print two aligned columns."""
    width = max((len(name) for name, _ in rows), default=0)
    for name, value in rows:
        click.echo(f"{indent}{name:<{width}}  {value}")
