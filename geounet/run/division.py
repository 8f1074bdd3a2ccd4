"""What stands beside a journal: how its run divided the scene, and what its parts are made by."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path

from geounet.grid.blocks import Partition
from geounet.io.atomic import publish_text

_FILE = "partition.json"


@dataclass(frozen=True, kw_only=True)
class Division:
    """A partition, and the key of everything that makes a part but the scene's content."""

    partition: Partition
    recipe: str


def read_division(folder: Path) -> Division | None:
    """That of a journal's folder; None where nobody knows it any more."""
    try:
        facts = json.loads((folder / _FILE).read_text(encoding="utf-8"))
        return Division(recipe=str(facts.pop("recipe")), partition=Partition(**facts))
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None


def write_division(folder: Path, division: Division) -> None:
    """Leave it in a journal's folder."""
    publish_text(folder / _FILE, json.dumps({**dataclasses.asdict(division.partition), "recipe": division.recipe}))
