"""What a source shows: a scene that may be new."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A scene that a source shows; whether it is new, the ledger knows."""

    name: str
    source: str
    """Names the place: what comes from there later replaces what is there now."""
    paths: tuple[str, ...]
    """Several are bands of one scene, stacked."""
    time: datetime
    """When it was taken, else when its file was made."""
    contents: tuple[str | None, ...] = ()
    """What the source says of the content of each path; None: the file itself, or its address, says it."""
