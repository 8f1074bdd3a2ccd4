"""What stays on the disk: blocks of the newest version of a scene, for a while, and none where there is no room."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from places import COMMAND

from geounet.errors import WorkError
from geounet.io.atomic import publish_text
from geounet.run.journal import STATE, hold
from geounet.schedule.config import ScheduleConfig
from geounet.schedule.database import connect
from geounet.schedule.entry import Entry, Found
from geounet.schedule.ledger import Ledger
from geounet.schedule.publish import free_bytes
from geounet.schedule.retention import BLOCKS_IN, Retention

DAY = 86400.0


@dataclass
class Shelf:
    """A destination and its ledger, with results that hold nothing but blocks."""

    root: Path
    ledger: Ledger

    def add(self, name: str, *, source: str, state: str = "done", days: float = 0.0, recipe: str = "r") -> Path:
        """Somebody's results, or what a scene that was set aside has finished, so many days ago."""
        key, folder = f"{name}-key", self.root / (name if state == "done" else f".geounet-work-{name}")
        part = folder / STATE / "a1b2" / "parts" / "000" / "000000-cafe.tif"
        part.parent.mkdir(parents=True)
        part.write_bytes(bytes(1000))
        (folder / "landuse.tif").write_bytes(b"the map")
        found = Found(key=key, name=name, source=source, paths=(), time="", content=name, recipe=recipe)
        self.ledger.offer([found])
        assert self.ledger.claim(recipe, lease=60) is not None
        facts = {BLOCKS_IN: str(folder), "pixels": 7}
        if state == "done":
            self.ledger.finish(key, output=str(folder), facts=facts)
        else:
            self.ledger.fail(key, error="no", attempts=1, wait=0)
            self.ledger.note(key, facts)
        self.ledger._db.rows("UPDATE geounet_scenes SET finished = :now - ? WHERE key = ?", [days * DAY, key])
        return folder

    def retention(self, **keep: Any) -> Retention:
        told = {"source": {"folder": "in"}, "destination": f"{self.root}/{{scene}}", "keep": keep}
        return Retention(ScheduleConfig.model_validate(told), self.ledger)

    def blocks(self) -> set[str]:
        """Whose blocks there are, by folder; the ledger says the same."""
        there = {path.parts[-6] for path in self.root.rglob("*.tif") if path.name.startswith("000000")}
        known = {Path(entry.facts[BLOCKS_IN]).name for entry in self.ledger.entries() if BLOCKS_IN in entry.facts}
        assert there == known
        return there

    def entry(self, name: str) -> Entry:
        (found,) = self.ledger.matching(name)
        return found


@pytest.fixture
def shelf(tmp_path: Path) -> Iterator[Shelf]:
    (tmp_path / "out").mkdir()
    ledger = Ledger(connect(str(tmp_path / "ledger.sqlite")))
    yield Shelf(tmp_path / "out", ledger)
    ledger.close()


def test_blocks_stay_for_thirty_days_by_default(shelf: Shelf) -> None:
    folder = shelf.add("old", source="a", days=31)
    shelf.add("young", source="b", days=29)
    shelf.retention().tidy()
    assert shelf.blocks() == {"young"}
    assert (folder / "landuse.tif").read_bytes() == b"the map"
    assert shelf.entry("old").facts == {"pixels": 7}


@pytest.mark.parametrize(("parts", "left"), [(True, {"old"}), (False, set()), ("90d", {"old"}), ("1h", set())])
def test_as_long_as_is_asked_for(shelf: Shelf, parts: object, left: set[str]) -> None:
    shelf.add("old", source="a", days=31)
    retention = shelf.retention(parts=parts)
    assert retention.keeps_blocks is bool(parts)
    retention.tidy()
    assert shelf.blocks() == left


def test_of_a_source_the_newest_version_keeps_its_blocks(shelf: Shelf) -> None:
    """With each model; and what broke since."""
    shelf.add("first", source="a", days=3)
    shelf.add("broke", source="a", days=2.5, state="failed")
    shelf.add("second", source="a", days=2)
    shelf.add("other", source="a", days=3, recipe="another model")
    shelf.add("late", source="a", days=1, state="failed")
    shelf.retention().tidy()
    assert shelf.blocks() == {"second", "other", ".geounet-work-late"}
    assert not (shelf.root / ".geounet-work-broke").exists()
    assert (shelf.root / "first" / "landuse.tif").exists()
    earlier = {path.name for path in shelf.retention().earlier("a")}
    assert earlier == {"first", "second", "other", ".geounet-work-late"}, "rasters may serve, too"


def test_blocks_that_somebody_works_on_stay(shelf: Shelf) -> None:
    folder = shelf.add("old", source="a", days=31)
    with hold(folder):
        shelf.retention().tidy()
    assert shelf.blocks() == {"old"}


def test_blocks_make_room_the_oldest_first(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(4):
        shelf.add(f"s{number}", source=str(number), days=number)
    shelf.retention(free=1).make_room()
    assert len(shelf.blocks()) == 4

    def free(_root: Path) -> int:
        """A disk that holds four scenes' blocks and nothing else."""
        return 4000 - 1000 * len(list(shelf.root.rglob("000000*.tif")))

    monkeypatch.setattr("geounet.schedule.retention.free_bytes", free)
    shelf.retention(free=2000).make_room()
    assert shelf.blocks() == {"s0", "s1"}
    with pytest.raises(WorkError, match="no scene is begun"):
        shelf.retention(free=4001).make_room()
    assert shelf.blocks() == set()


def test_of_another_destination_nothing_is_touched(shelf: Shelf, tmp_path: Path) -> None:
    shelf.add("old", source="a", days=31)
    other = Shelf(tmp_path / "elsewhere", shelf.ledger).retention(free=free_bytes(tmp_path) * 2)
    other.tidy()
    with pytest.raises(WorkError):
        other.make_room()
    assert shelf.blocks() == {"old"}


def test_of_another_destination_no_results_are_withdrawn(shelf: Shelf, tmp_path: Path) -> None:
    theirs = shelf.add("theirs", source="a")
    publish_text(theirs / STATE / "published.json", '{"key": "theirs-key"}')
    told = {"source": {"folder": "in"}, "destination": f"{tmp_path}/elsewhere/{{scene}}/{{run}}"}
    other = Retention(ScheduleConfig.model_validate(told), shelf.ledger)
    other.published(shelf.ledger.of_source("a", "done"), tmp_path / "elsewhere" / "a" / "1")
    assert theirs.exists()
    assert shelf.entry("theirs").state == "done"


@pytest.mark.parametrize("state", ["done", "failed", "waiting"])
def test_forgetting_a_scene_leaves_its_results_alone(shelf: Shelf, tmp_path: Path, state: str) -> None:
    folder = shelf.add("a", source="a", state="done" if state == "done" else "failed")
    if state == "waiting":
        shelf.ledger.retry(["a-key"])
    command: Callable[..., Any] = subprocess.run
    command([*COMMAND, "ledger", "forget", str(tmp_path / "ledger.sqlite"), "a", "-q"], check=True)
    assert folder.exists() == (state == "done")
    assert shelf.ledger.entries() == []
