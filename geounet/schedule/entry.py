"""A scene as the ledger knows it: what was found, and what became of it."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any, Literal

from geounet.schedule.database import Row

State = Literal["waiting", "running", "done", "failed", "gone"]
STATES: tuple[State, ...] = ("waiting", "running", "done", "failed", "gone")
"""``failed``: set aside with its reason. ``gone``: published once, since replaced or removed by retention."""


@dataclass(frozen=True, kw_only=True)
class Found:
    """A scene that a source offers."""

    key: str
    """Names content, model and options."""
    name: str
    source: str
    """Where it comes from; what comes from the same place replaces what came before."""
    paths: tuple[str, ...]
    time: str
    """RFC 3339, of the scene."""
    content: str
    recipe: str


@dataclass(frozen=True, kw_only=True)
class Entry(Found):
    """A row of the ledger: a scene that was found, and what became of it."""

    state: State
    attempts: int
    """Tries that failed."""
    deaths: int
    """Runs that ended in the middle of it without a word."""
    not_before: float
    owner: str | None
    lease: float | None
    """Until when it is its owner's."""
    error: str | None
    output: str | None
    found: float
    """When, in seconds since 1970, as all times of the ledger."""
    started: float | None
    finished: float | None
    facts: dict[str, Any] = field(default_factory=dict)
    """What the run counted: pixels, seconds, areas by class, warnings."""

    @classmethod
    def of(cls, row: Row) -> Entry:
        """The entry that a row holds."""
        return cls(**{**row, "paths": tuple(json.loads(row["paths"])), "facts": json.loads(row["facts"])})
