"""Tables for people, and JSON lines for machines."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from geounet.errors import ReaderGone


def json_line(event: str, **facts: Any) -> None:
    """Print one JSON object in one line. Raises ReaderGone as `say`."""
    say(json.dumps({"event": event, **facts}, default=_plain, ensure_ascii=False))


def say(line: str, *, err: bool = False) -> None:
    """Print a line of what happens while work goes on.

    Raises ReaderGone where nobody reads it: a run stops then as on Ctrl-C, and no scene is blamed for it.
    """
    try:
        click.echo(line, err=err)
    except BrokenPipeError as error:
        raise ReaderGone("nobody reads what is printed") from error


def _plain(value: Any) -> Any:
    if isinstance(value, Path):
        return str(value)
    if hasattr(value, "__dict__"):
        return vars(value)
    return str(value)


def table(rows: Sequence[tuple[str, str]], *, indent: str = "  ") -> None:
    """Print two aligned columns."""
    width = max((len(name) for name, _ in rows), default=0)
    for name, value in rows:
        click.echo(f"{indent}{name:<{width}}  {value}")
