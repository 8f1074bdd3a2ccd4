"""A lease that is lost in the middle of the work: it stops at its next step, and publishes nothing."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from packages import hashes
from places import Place

import geounet
from geounet.errors import Interrupted
from geounet.run.progress import Progress
from geounet.schedule import heartbeat, once
from geounet.schedule.config import load_schedule
from geounet.schedule.database import connect
from geounet.schedule.entry import Found
from geounet.schedule.heartbeat import Guarded, Heartbeat
from geounet.schedule.ledger import Ledger, TakenOver
from geounet.schedule.once import run_once

THIEF = "far:1:0"
LEASE = 0.6


def found(key: str = "k") -> Found:
    return Found(key=key, name="a", source="s", paths=("a",), time="", content="c", recipe="r")


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    made = Ledger(connect(str(tmp_path / "shared" / "ledger.sqlite")))
    made.offer([found()])
    return made


def steal(ledger: Ledger) -> None:
    """The scene goes to another machine, as when a lease has run out there."""
    ledger._db.again().rows(
        "UPDATE geounet_scenes SET owner = ?, lease = :now + 3600 WHERE state = 'running'", [THIEF]
    )


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 240
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_claim_lives_as_long_as_its_heart_beats(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    """A heart that beats often over a long lease: however late a beat is here, none is missed."""
    monkeypatch.setattr(heartbeat, "_SIGNS", 3600 / 0.1)
    other = Ledger(ledger._db.again(), owner=THIEF)

    def left() -> float:
        (row,) = other._db.rows("SELECT lease - :now AS left FROM geounet_scenes")
        return float(row["left"])

    assert ledger.claim("r", lease=1800) is not None
    with Heartbeat(ledger, "k", lease=3600) as heart:
        for _ in range(3):
            wait_for(lambda: left() > 1800)
            assert other.claim("r", lease=3600) is None
            assert not heart.lost
            ledger._db.rows("UPDATE geounet_scenes SET lease = :now + 1800")
    ledger._db.rows("UPDATE geounet_scenes SET lease = :now + ?", [LEASE])
    wait_for(lambda: other.claim("r", lease=3600) is not None)


@pytest.mark.parametrize("step", ["start", "advance", "finish"])
def test_every_step_after_the_loss_raises_and_passes_nothing_on(ledger: Ledger, step: str) -> None:
    calls: list[str] = []

    class Heard(Progress):
        def start(self, stage: str, **_: Any) -> None:
            calls.append("start")

        def advance(self, steps: int = 1) -> None:
            calls.append("advance")

        def finish(self) -> None:
            calls.append("finish")

        def warn(self, message: str) -> None:
            calls.append(message)

    steps: dict[str, Callable[[Progress], None]] = {
        "start": lambda to: to.start("tiles", total=1, unit="tiles"),
        "advance": lambda to: to.advance(),
        "finish": lambda to: to.finish(),
    }
    ledger.claim("r", lease=LEASE)
    with Heartbeat(ledger, "k", lease=LEASE) as heart:
        guarded = Guarded(heart, Heard())
        steps[step](guarded)
        assert calls == [step]
        steal(ledger)
        wait_for(lambda: heart.lost)
        with pytest.raises(TakenOver, match="taken the scene over"):
            steps[step](guarded)
        assert calls == [step]
        guarded.warn("told all the same")
    assert calls == [step, "told all the same"]


def test_a_ledger_that_is_away_for_a_beat_is_no_loss(ledger: Ledger, tmp_path: Path) -> None:
    ledger.claim("r", lease=LEASE)
    shared, away = tmp_path / "shared", tmp_path / "away"
    with Heartbeat(ledger, "k", lease=LEASE) as heart:
        shared.rename(away)
        time.sleep(LEASE)
        assert not shared.exists(), "an empty ledger in its place would say that the claim is gone"
        assert not heart.lost
        away.rename(shared)
        time.sleep(LEASE)
        assert not heart.lost


def test_lost_in_the_middle_of_the_blocks(place: Callable[..., Place], monkeypatch: pytest.MonkeyPatch) -> None:
    there = place(
        retry={"attempts": 2, "backoff": 0, "lease": "1s"},
        infer={"model": str(place().model), "device": "cpu", "threads": 1, "block": 48},
        keep={"free": 1},
    )
    scene = there.add("a", seed=1, shape=(300, 260))
    config = load_schedule(there.config)
    ledger = Ledger(connect(config.ledger_place))
    stages: list[str] = []
    steps: list[float] = []
    hearts: list[Heartbeat] = []

    def heard(*given: Any, **more: Any) -> Heartbeat:
        hearts.append(Heartbeat(*given, **more))
        return hearts[-1]

    monkeypatch.setattr(once, "Heartbeat", heard)

    class Thief(Progress):
        def start(self, stage: str, **_: Any) -> None:
            stages.append(stage)

        def advance(self, steps_done: int = 1) -> None:
            steps.append(time.monotonic())
            if len(steps) == 3:
                steal(ledger)
                wait_for(lambda: hearts[0].lost)

    told: list[tuple[str, dict[str, Any]]] = []
    outcome = run_once(config, tell=lambda event, **facts: told.append((event, facts)), progress=Thief)
    assert (outcome.published, outcome.failed) == (0, 0)
    assert len(steps) < 2 * 42, "the steps after the loss are not passed on"
    assert stages == ["tiles"]
    assert "taken the scene over" in next(facts["message"] for event, facts in told if event == "warning")
    assert [path for path in there.out.iterdir() if path.is_dir() and not path.name.startswith(".")] == []
    assert not list(there.out.rglob("*.geojson"))
    (entry,) = ledger.entries()
    assert (entry.state, entry.owner, entry.attempts, entry.deaths) == ("running", THIEF, 0, 0)
    Ledger(ledger._db.again(), owner=THIEF).give_back(entry.key)
    assert run_once(config, tell=lambda *_args, **_facts: None).published == 1
    geounet.infer(scene, model=str(there.model), output=there.folder / "plain", device="cpu", threads=1)
    assert hashes(there.out / "a") == hashes(there.folder / "plain")


def test_a_key_that_is_pressed_stops_the_run_also_where_the_scene_is_lost(place: Callable[..., Place]) -> None:
    there = place()
    for seed, name in enumerate(("a", "b")):
        there.add(name, seed=seed)
    config = load_schedule(there.config)
    ledger = Ledger(connect(config.ledger_place))

    def lost_and_stopped() -> Progress:
        steal(ledger)
        raise KeyboardInterrupt

    with pytest.raises(Interrupted, match="goes on where it stopped"):
        run_once(config, tell=lambda *_args, **_facts: None, progress=lost_and_stopped)
    assert sorted(entry.state for entry in ledger.entries()) == ["running", "waiting"]
