"""Results take their folder whole, in whatever moment somebody stops or another scene wants it."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from places import Place

from geounet.errors import Interrupted
from geounet.run.journal import STATE
from geounet.run.progress import Progress
from geounet.schedule.config import load_schedule
from geounet.schedule.once import run_once
from geounet.schedule.publish import Publication, published_key

MakePlace = Callable[..., Place]
NAMESAKES = {"folder": "in", "glob": "**/*.tif", "settle": 0}


def silent(*_: Any, **__: Any) -> None:
    """Whom nobody tells anything."""


def items(place: Place) -> dict[str, str]:
    """The id of the item in every folder of results."""
    return {path.parent.name: json.loads(path.read_text())["id"] for path in place.out.glob("[!.]*/item.json")}


def test_stopped_between_two_renames_what_was_there_is_there_again(tmp_path: Path) -> None:
    final = tmp_path / "a"
    for key in ("k1", "k2"):
        work = tmp_path / f".work-{key}"
        (work / STATE).mkdir(parents=True)
        with suppress(KeyboardInterrupt), Publication(work, final, key) as publication:
            if key == "k2":
                final.rename(tmp_path / f".geounet-old-{key}")
                raise KeyboardInterrupt
            publication.publish(keep_parts=False)
    assert published_key(final) == "k1"
    assert sorted(path.name for path in tmp_path.iterdir()) == [".work-k2", "a"]


def test_namesakes_of_two_runs_at_once_do_not_replace_each_other(place: MakePlace) -> None:
    there = place(source=NAMESAKES)
    there.add("north/a", seed=1)
    there.add("south/a", seed=2)
    config = load_schedule(there.config)
    others: list[int] = []

    def progress() -> Progress:
        """Between the first run's choice of a folder and its results, another run publishes the other scene."""
        if not others:
            others.append(0)
            others.append(run_once(config, tell=silent, limit=1).published)
        return Progress()

    assert run_once(config, tell=silent, progress=progress).published == 1
    assert others == [0, 1]
    names = sorted(items(there))
    assert [name.split("-")[0] for name in names] == ["a", "a"]
    assert items(there) == {name: f"{name}-tiny" for name in names}


def test_a_namesake_that_is_delivered_again_replaces_itself(place: MakePlace) -> None:
    there = place(source=NAMESAKES)
    there.add("north/a", seed=1)
    there.add("south/a", seed=2)
    config = load_schedule(there.config)
    run_once(config, tell=silent)
    before = items(there)
    there.add("south/a", seed=3)
    assert run_once(config, tell=silent).published == 1
    assert items(there) == before


def test_a_file_that_was_touched_after_an_interruption_is_gone_on_with(place: MakePlace) -> None:
    there = place()
    there.configure(infer={"model": str(there.model), "device": "cpu", "threads": 1, "block": 48})
    scene = there.add("a", seed=1, shape=(300, 260))
    config = load_schedule(there.config)

    class Stopped(Progress):
        blocks = 0

        def advance(self, steps: int = 1) -> None:
            self.blocks += threading.current_thread() is threading.main_thread()
            if self.blocks == 5:
                raise KeyboardInterrupt

    with pytest.raises(Interrupted):
        run_once(config, tell=silent, progress=Stopped)
    os.utime(scene, (1, 1))
    told: list[dict[str, Any]] = []
    outcome = run_once(config, tell=lambda event, **facts: told.append({"event": event, **facts}))
    assert (outcome.published, outcome.failed) == (1, 0), told
    assert told[-1]["blocks_as_before"] >= 4
