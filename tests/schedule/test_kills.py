"""Many small scenes through ``geounet run``, which is killed every few seconds: none is lost, none is done twice.

``GEOUNET_KILLS_SCENES=1000 python -m pytest -m slow tests/schedule/test_kills.py -s`` takes as many as that.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from packages import hashes
from places import Place

import geounet

SCENES = int(os.environ.get("GEOUNET_KILLS_SCENES", "30"))
SECONDS = (0.5, float(os.environ.get("GEOUNET_KILLS_SECONDS", "4")))
"""How long a run lives once it has begun its first scene: at least, at most."""


def life(there: Place, seconds: float | None) -> tuple[int | None, list[dict[str, Any]]]:
    """One run, killed some seconds after it began to work (None: never); its exit code and what it told."""
    process, told = there.start("--json"), []
    assert process.stdout is not None
    for line in process.stdout:
        if not line.endswith("\n"):
            break
        told.append(json.loads(line))
        if told[-1]["event"] == "begin" and seconds is not None:
            threading.Timer(seconds, kill, (process.pid,)).start()
            seconds = None
    process.communicate()
    return process.returncode, told


def kill(group: int) -> None:
    """kill -9, unless it has ended."""
    with suppress(ProcessLookupError):
        os.killpg(group, signal.SIGKILL)


def published(there: Place) -> dict[str, tuple[int, int]]:
    """The folders that are whole, by name, with what changes when one is made again."""
    found = {}
    for folder in there.out.iterdir() if there.out.is_dir() else ():
        if folder.is_dir() and not folder.name.startswith("."):
            stat = (folder / "item.json").stat()  # whole from the moment that it is there
            found[folder.name] = (stat.st_ino, stat.st_mtime_ns)
    return found


@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_a_kill_every_few_seconds(place: Callable[..., Place]) -> None:
    there, rng, kills, started = place(), random.Random(5), 0, time.monotonic()
    for number in range(SCENES):
        there.add(f"s{number:04}", seed=number, shape=(64, 64))
    told: Counter[str] = Counter()
    before: dict[str, tuple[int, int]] = {}
    while True:
        code, events = life(there, rng.uniform(*SECONDS))
        told.update(event["scene"] for event in events if event["event"] == "published")
        assert not [event for event in events if event["event"] == "failed"], events
        now = published(there)
        assert {name: now.get(name) for name in before} == before, "published results were made again"
        before = now
        if code == 0:
            break
        assert code == -signal.SIGKILL
        kills += 1
    seconds = time.monotonic() - started
    code, events = life(there, None)
    assert (code, [event["event"] for event in events]) == (0, ["found", "done"])
    with sqlite3.connect(there.out / "ledger.sqlite") as ledger:
        assert ledger.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        rows = ledger.execute("SELECT name, key, state, owner, attempts, deaths FROM geounet_scenes").fetchall()
    assert {row[0] for row in rows} == set(before) == {f"s{number:04}" for number in range(SCENES)}
    assert {(state, owner, attempts) for _, _, state, owner, attempts, _ in rows} == {("done", None, 0)}
    assert sum(row[5] for row in rows) <= kills
    assert max(told.values()) == 1, "published twice"
    marks = there.out.glob("*/.geounet/published.json")
    assert {mark.parts[-3]: json.loads(mark.read_text())["key"] for mark in marks} == {
        row[0]: row[1] for row in rows
    }
    assert not list(there.out.glob(".geounet-*"))
    collection = json.loads((there.out / "collection.json").read_text())
    assert sum(link["rel"] == "item" for link in collection["links"]) == SCENES
    for name in rng.sample(sorted(before), min(5, SCENES)):
        _same_as_undisturbed(there, there.scenes / f"{name}.tif")
    print(f"\n{SCENES} scenes, {kills} kills, {seconds:.0f} s; {sum(row[5] for row in rows)} deaths in the ledger")


def _same_as_undisturbed(there: Place, scene: Path) -> None:
    plain = there.folder / "plain" / scene.stem
    geounet.infer(scene, model=str(there.model), output=plain, device="cpu", threads=1)
    assert hashes(there.out / scene.stem) == hashes(plain)
