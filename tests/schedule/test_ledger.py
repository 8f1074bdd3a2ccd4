"""The ledger on real databases: each scene to one run, leases, retries."""

from __future__ import annotations

import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from geounet.errors import ConfigError, WorkError
from geounet.schedule.database import connect
from geounet.schedule.entry import Entry, Found
from geounet.schedule.ledger import _TABLES, MOST_DEATHS, Ledger, _is_dead, this_process

LEASE = 3600.0
SOON = 0.05


def found(number: int, recipe: str = "r") -> Found:
    return Found(
        key=f"{number:04}-{recipe}",
        name=f"scene{number}",
        source=f"/in/{number}.tif",
        paths=(f"/in/{number}.tif",),
        time="2026-01-02T03:04:05+00:00",
        content=f"c{number}",
        recipe=recipe,
    )


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "sqlite":
        yield str(tmp_path / "ledger.sqlite")
        return
    url = request.getfixturevalue("postgres")
    yield url
    database = connect(url)
    for table in ("geounet_scenes", "geounet_files", "geounet_ledger"):
        database.rows(f"DROP TABLE IF EXISTS {table}")
    database.close()


def test_a_scene_is_offered_once(url: str) -> None:
    ledger = Ledger(connect(url))
    assert ledger.offer([found(1), found(2)]) == 2
    assert ledger.offer([found(1), found(2), found(3)]) == 1
    assert ledger.offer([found(1, recipe="other")]) == 1
    assert ledger.counts()["waiting"] == 4
    assert ledger.counts("r")["waiting"] == 3


def test_runs_that_make_the_ledger_at_once_share_it(url: str) -> None:
    """The second finds no tables while the first one's are not yet there for others to see."""
    first, onlooker = connect(url), connect(url)
    with ThreadPoolExecutor(1) as pool:
        with first.transaction():
            first.alone()
            for statement in _TABLES:
                first.rows(statement)
            second = pool.submit(lambda: Ledger(connect(url)).counts())
            while url.startswith("postgres") and not onlooker.rows("SELECT 1 FROM pg_locks WHERE NOT granted"):
                time.sleep(SOON)
        assert set(second.result(timeout=240).values()) == {0}
    first.close()
    onlooker.close()


def test_a_new_file_is_opened_by_several_at_once(tmp_path: Path) -> None:
    """SQLite answers at once, whatever its patience, where two ask for a write-ahead log of a new file."""
    with ThreadPoolExecutor(3) as pool:
        for number in range(150):  # of about fifty such files one failed
            together = threading.Barrier(3)

            def opened(file: str, together: threading.Barrier = together) -> dict[str, int]:
                together.wait()
                ledger = Ledger(connect(file))
                counts = ledger.counts()
                ledger.close()
                return counts

            file = str(tmp_path / f"{number}.sqlite")
            for done in [pool.submit(opened, file) for _ in range(3)]:
                assert set(done.result(timeout=240).values()) == {0}


def test_no_empty_ledger_is_made_where_there_was_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A share may go away between a look and the next."""
    ledger = connect(str(tmp_path / "share" / "ledger.sqlite"))
    shutil.rmtree(tmp_path / "share")
    monkeypatch.setattr(Path, "exists", lambda _path: True)
    with pytest.raises(ConfigError, match="cannot be opened"):
        ledger.again()
    monkeypatch.undo()
    assert not (tmp_path / "share").exists()
    ledger.close()


def test_a_step_of_the_clock_kills_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """psutil counts a process's birth from the machine's, which moves with the clock."""
    me, born = this_process(), psutil.Process.create_time
    monkeypatch.setattr(psutil.Process, "create_time", lambda process: born(process) + 3600)
    assert this_process() == me
    assert not _is_dead(me)
    assert _is_dead(f"{me}9")


def test_only_scenes_of_the_recipe_are_claimed(url: str) -> None:
    ledger = Ledger(connect(url))
    ledger.offer([found(1, recipe="other")])
    assert ledger.claim("r", lease=LEASE) is None


def test_a_claim_is_exclusive_until_its_lease_ends(url: str) -> None:
    one, two = Ledger(connect(url), owner="far:1:0"), Ledger(connect(url), owner="further:2:0")
    one.offer([found(1)])
    entry = one.claim("r", lease=LEASE)
    assert entry is not None
    assert two.claim("r", lease=LEASE) is None
    assert one.beat(entry.key, lease=SOON)
    taken = claimed_in_time(two)
    assert (taken.key, taken.deaths) == (entry.key, 1)
    assert not one.beat(entry.key, lease=LEASE)
    with pytest.raises(WorkError, match="taken over"):
        one.finish(entry.key, output="/out/1", facts={})
    two.finish(entry.key, output="/out/1", facts={"pixels": 4})
    (done,) = one.entries(state="done")
    assert (done.output, done.facts) == ("/out/1", {"pixels": 4})


def claimed_in_time(ledger: Ledger) -> Entry:
    """The scene that can be claimed at some time, if not at once."""
    deadline = time.monotonic() + 240
    while (entry := ledger.claim("r", lease=LEASE)) is None:
        assert time.monotonic() < deadline
        time.sleep(SOON)
    return entry


def test_the_claim_of_a_process_that_is_gone_is_free_at_once(url: str) -> None:
    ledger = Ledger(connect(url))
    ledger.offer([found(1)])
    code = (
        "import sys; from geounet.schedule.database import connect; from geounet.schedule.ledger import Ledger;"
        "assert Ledger(connect(sys.argv[1])).claim('r', lease=3600) is not None"
    )
    subprocess.run([sys.executable, "-c", code, url], check=True)
    entry = ledger.claim("r", lease=LEASE)
    assert entry is not None
    assert entry.deaths == 1


def test_a_scene_over_which_runs_die_is_set_aside(url: str) -> None:
    ledger = Ledger(connect(url), owner="far:1:0")
    ledger.offer([found(1)])
    for _ in range(MOST_DEATHS):
        assert ledger.claim("r", lease=-1) is not None
    assert ledger.claim("r", lease=-1) is None
    (entry,) = ledger.entries(state="failed")
    assert "died" in (entry.error or "")


def test_failures_wait_and_are_set_aside(url: str) -> None:
    ledger = Ledger(connect(url))
    ledger.offer([found(1)])
    entry = ledger.claim("r", lease=LEASE)
    assert entry is not None
    assert ledger.fail(entry.key, error="dark", attempts=3, wait=LEASE) == "waiting"
    assert ledger.claim("r", lease=LEASE) is None  # not yet
    assert 0 < (ledger.next_try("r") or 0) <= LEASE
    ledger.retry([entry.key])
    assert ledger.claim("r", lease=LEASE) is not None
    assert ledger.fail(entry.key, error="dark", attempts=2, wait=SOON) == "waiting"
    assert claimed_in_time(ledger).attempts == 1
    assert ledger.fail(entry.key, error="still dark", attempts=2, wait=0) == "failed"
    assert ledger.claim("r", lease=LEASE) is None
    assert ledger.retry([entry.key]) == 1
    again = ledger.claim("r", lease=LEASE)
    assert again is not None
    assert again.attempts == 0
    assert ledger.forget([entry.key]) == 0  # it runs
    ledger.give_back(entry.key)
    assert ledger.forget([entry.key]) == 1
    assert ledger.offer([found(1)]) == 1


def test_a_waiting_scene_may_move(url: str) -> None:
    ledger = Ledger(connect(url))
    scene = found(1)
    ledger.offer([scene])
    moved = Found(**{**vars(scene), "paths": ("/new/1.tif",), "source": "/new/1.tif"})
    assert ledger.offer([moved]) == 0
    entry = ledger.claim("r", lease=LEASE)
    assert entry is not None
    assert entry.paths == ("/new/1.tif",)


CLAIMER = """
import sys
from geounet.schedule.database import connect
from geounet.schedule.ledger import Ledger
ledger = Ledger(connect(sys.argv[1]))
while (entry := ledger.claim("r", lease=600)) is not None:
    print(entry.key, flush=True)
    ledger.finish(entry.key, output="/out/" + entry.key, facts={})
"""


def test_ten_processes_share_a_hundred_scenes(url: str) -> None:
    ledger = Ledger(connect(url))
    ledger.offer([found(n) for n in range(100)])
    processes = [
        subprocess.Popen([sys.executable, "-c", CLAIMER, url], stdout=subprocess.PIPE, text=True) for _ in range(10)
    ]
    claimed = [line for process in processes for line in process.communicate(timeout=300)[0].split()]
    assert all(process.returncode == 0 for process in processes)
    assert sorted(claimed) == [f"{n:04}-r" for n in range(100)]
    assert ledger.counts()["done"] == 100


def test_a_ledger_that_is_no_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    path.write_text("not a database, but long enough to look at " * 30)
    with pytest.raises(ConfigError, match="expected a SQLite file"):
        connect(str(path))


@pytest.mark.parametrize("given", ["me:secret@127.0.0.1:1/maps", "127.0.0.1:1/maps?user=me&password=secret"])
def test_a_server_that_does_not_answer_is_named_without_its_password(given: str) -> None:
    pytest.importorskip("psycopg")
    with pytest.raises(ConfigError) as told:
        connect(f"postgresql://{given}")
    assert "127.0.0.1:1/maps does not answer" in str(told.value)
    assert "secret" not in str(told.value)
