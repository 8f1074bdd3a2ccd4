"""Which scenes were found, whose turn it is, what became of them.

A row per (content of a scene, model, options): each is processed once. A claim is a lease: who holds it says from
time to time that it is alive; a lease that has run out, or whose process is known to be gone, goes to the next.
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import psutil

from geounet.errors import ConfigError, WorkError
from geounet.schedule.database import Database, Row
from geounet.schedule.entry import STATES, Entry, Found, State

MOST_DEATHS = 10
"""Runs that may die over one scene before it is set aside: kills are no fault of the scene's, up to a point."""

_VERSION = 1
_ALL = 2**62
_TABLES = (
    """CREATE TABLE IF NOT EXISTS geounet_scenes (
        key TEXT PRIMARY KEY, name TEXT NOT NULL, source TEXT NOT NULL, paths TEXT NOT NULL, time TEXT NOT NULL,
        content TEXT NOT NULL, recipe TEXT NOT NULL, state TEXT NOT NULL, attempts INTEGER NOT NULL,
        deaths INTEGER NOT NULL, not_before DOUBLE PRECISION NOT NULL, owner TEXT, lease DOUBLE PRECISION,
        error TEXT, output TEXT, found DOUBLE PRECISION NOT NULL, started DOUBLE PRECISION,
        finished DOUBLE PRECISION, facts TEXT NOT NULL)""",
    "CREATE INDEX IF NOT EXISTS geounet_scenes_state ON geounet_scenes (recipe, state, not_before)",
    "CREATE INDEX IF NOT EXISTS geounet_scenes_source ON geounet_scenes (source)",
    """CREATE TABLE IF NOT EXISTS geounet_files (
        path TEXT PRIMARY KEY, stamp TEXT NOT NULL, digest TEXT NOT NULL)""",
    "CREATE TABLE IF NOT EXISTS geounet_ledger (version INTEGER PRIMARY KEY)",
)


class TakenOver(WorkError):
    """The claim on a scene has gone to another run, which goes on with it."""


def this_process() -> str:
    """Names this process among all that ever ran: host, number, time of birth."""
    return f"{socket.gethostname()}:{os.getpid()}:{_born(os.getpid())}"


def _born(process: int) -> str:
    """When a process began: where the kernel counts from its start, so that no step of the clock changes it."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii")
        fields = (
            Path(f"/proc/{process}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        )
    except OSError:  # there is no such file, or no such process
        return f"{psutil.Process(process).create_time():.2f}"
    return f"{boot[:8]}.{fields[19]}"  # starttime, see proc(5)


def _is_dead(owner: str) -> bool:
    """Whether the process is known to have ended; of other machines nothing is known."""
    host, number, born = owner.rsplit(":", 2)
    if host != socket.gethostname():
        return False
    try:
        return _born(int(number)) != born
    except psutil.NoSuchProcess:
        return True
    except psutil.Error:
        return False


class Ledger:
    """The rows of one database. A ledger belongs to one thread; see :meth:`again`."""

    def __init__(self, database: Database, *, owner: str | None = None) -> None:
        """Makes the tables where they are missing. Raises ConfigError where another version of them is there."""
        self._db = database
        self.owner = owner or this_process()
        with self._db.transaction():
            self._db.alone()
            for statement in _TABLES:
                self._db.rows(statement)
            found = self._db.rows("SELECT version FROM geounet_ledger")
            if not found:
                self._db.rows("INSERT INTO geounet_ledger (version) VALUES (?)", [_VERSION])
        if found and found[0]["version"] != _VERSION:
            raise ConfigError(
                f"ledger {database.place} is of version {found[0]['version']}, this geounet writes {_VERSION}; "
                "use the geounet that made it, or another ledger"
            )

    def again(self) -> Ledger:
        """The same ledger for another thread."""
        return Ledger(self._db.again(), owner=self.owner)

    def close(self) -> None:
        """Give the connection back."""
        self._db.close()

    # what a look finds

    def digest_of(self, path: str, stamp: str) -> str | None:
        """The digest of a file that was read when it had this size and these times."""
        rows = self._db.rows("SELECT digest FROM geounet_files WHERE path = ? AND stamp = ?", [path, stamp])
        return str(rows[0]["digest"]) if rows else None

    def remember_digest(self, path: str, stamp: str, digest: str) -> None:
        """So that a file is read once."""
        self._db.rows(
            "INSERT INTO geounet_files (path, stamp, digest) VALUES (?, ?, ?) "
            "ON CONFLICT (path) DO UPDATE SET stamp = excluded.stamp, digest = excluded.digest",
            [path, stamp, digest],
        )

    def offer(self, scenes: Iterable[Found]) -> int:
        """Write down scenes that are new; returns how many were. One that still waits may have moved meanwhile."""
        with self._db.transaction():
            return sum(self._offer_one(scene) for scene in scenes)

    def _offer_one(self, scene: Found) -> bool:
        paths = json.dumps(scene.paths)
        new = self._db.rows(
            "INSERT INTO geounet_scenes (key, name, source, paths, time, content, recipe, state, attempts, deaths, "
            "not_before, found, facts) VALUES (?, ?, ?, ?, ?, ?, ?, 'waiting', 0, 0, 0, :now, '{}') "
            "ON CONFLICT (key) DO NOTHING RETURNING key",
            [scene.key, scene.name, scene.source, paths, scene.time, scene.content, scene.recipe],
        )
        if not new:
            self._db.rows(
                "UPDATE geounet_scenes SET name = ?, source = ?, paths = ? WHERE key = ? AND paths <> ? AND "
                "state IN ('waiting', 'failed')",
                [scene.name, scene.source, paths, scene.key, paths],
            )
        return bool(new)

    # whose turn it is

    def is_due(self, recipe: str) -> bool:
        """Whether there is a scene that may be begun now, for whoever claims it first."""
        self._free_abandoned(recipe)
        return bool(
            self._db.rows(
                "SELECT key FROM geounet_scenes WHERE recipe = ? AND state = 'waiting' AND not_before <= :now "
                "LIMIT 1",
                [recipe],
            )
        )

    def claim(self, recipe: str, *, lease: float) -> Entry | None:
        """Take the next scene for ``lease`` seconds; None where none may be begun now."""
        self._free_abandoned(recipe)
        rows = self._db.rows(
            "UPDATE geounet_scenes SET state = 'running', owner = ?, started = :now, "
            "lease = :now + ? WHERE key = (SELECT key FROM geounet_scenes WHERE recipe = ? AND "
            "state = 'waiting' AND not_before <= :now ORDER BY found, name LIMIT 1 :lock) "
            "AND state = 'waiting' RETURNING *",
            [self.owner, lease, recipe],
        )
        return Entry.of(rows[0]) if rows else None

    def _free_abandoned(self, recipe: str) -> None:
        """Scenes of dead runs wait again, or are set aside where too many died over them."""
        running = self._db.rows(
            "SELECT key, owner, lease < :now AS over FROM geounet_scenes WHERE recipe = ? AND state = 'running'",
            [recipe],
        )
        for row in running:
            if row["over"] or _is_dead(row["owner"]):
                self._db.rows(
                    "UPDATE geounet_scenes SET deaths = deaths + 1, owner = NULL, lease = NULL, "
                    "state = CASE WHEN deaths + 1 < ? THEN 'waiting' ELSE 'failed' END, "
                    "error = CASE WHEN deaths + 1 < ? THEN error ELSE ? END "
                    "WHERE key = ? AND owner = ? AND state = 'running'",
                    [
                        MOST_DEATHS,
                        MOST_DEATHS,
                        f"{MOST_DEATHS} runs died while they worked on it (out of memory?)",
                        row["key"],
                        row["owner"],
                    ],
                )

    def beat(self, key: str, *, lease: float) -> bool:
        """Prolong a claim; False where it is no longer ours."""
        return bool(
            self._db.rows(
                "UPDATE geounet_scenes SET lease = :now + ? WHERE key = ? AND owner = ? AND "
                "state = 'running' RETURNING key",
                [lease, key, self.owner],
            )
        )

    def finish(self, key: str, *, output: str, facts: dict[str, Any]) -> None:
        """It is published. Raises TakenOver where it was no longer ours."""
        self._end(key, "state = 'done', error = NULL, output = ?, facts = ?", [output, json.dumps(facts)])

    def fail(self, key: str, *, error: str, attempts: int, wait: float) -> State:
        """It failed: it waits so many seconds for its next try, or is set aside; its new state."""
        rows = self._end(
            key,
            "attempts = attempts + 1, error = ?, state = CASE WHEN attempts + 1 < ? THEN 'waiting' ELSE 'failed' "
            "END, not_before = :now + ?",
            [error, attempts, wait],
        )
        state: State = rows[0]["state"]
        return state

    def give_back(self, key: str) -> None:
        """It was stopped, not failed: the next run may go on with it at once."""
        self._end(key, "state = 'waiting', started = NULL", [])

    def _end(self, key: str, change: str, values: Sequence[Any]) -> list[Row]:
        rows = self._db.rows(
            "UPDATE geounet_scenes SET " + change + ", owner = NULL, lease = NULL, finished = :now "  # noqa: S608
            "WHERE key = ? AND owner = ? AND state = 'running' RETURNING *",  # three constants of this class
            [*values, key, self.owner],
        )
        if not rows:
            raise TakenOver(f"scene {key[:12]} was taken over by another run: this one gave no sign for too long")
        return rows

    # what became of them

    def retire(self, keys: Iterable[str]) -> None:
        """Their results were replaced or removed."""
        with self._db.transaction():
            for key in keys:
                self._db.rows(
                    "UPDATE geounet_scenes SET state = 'gone', output = NULL WHERE key = ? AND state = 'done'",
                    [key],
                )

    def note(self, key: str, facts: dict[str, Any]) -> None:
        """Other facts of an entry that nobody works on."""
        self._db.rows(
            "UPDATE geounet_scenes SET facts = ? WHERE key = ? AND state <> 'running'", [json.dumps(facts), key]
        )

    def of_source(self, source: str, *states: State) -> list[Entry]:
        """Entries of one source in these states, the newest first."""
        rows = self._db.rows("SELECT * FROM geounet_scenes WHERE source = ? ORDER BY finished DESC", [source])
        return [entry for entry in map(Entry.of, rows) if entry.state in states]

    def at_output(self, output: str) -> Entry | None:
        """Whose results lie in a folder."""
        rows = self._db.rows("SELECT * FROM geounet_scenes WHERE output = ? AND state = 'done'", [output])
        return Entry.of(rows[0]) if rows else None

    def entry(self, key: str | None) -> Entry | None:
        """The row of a key."""
        rows = self._db.rows("SELECT * FROM geounet_scenes WHERE key = ?", [key])
        return Entry.of(rows[0]) if rows else None

    def entries(self, *, state: str | None = None, limit: int | None = None) -> list[Entry]:
        """All rows, or those in a state, the newest first."""
        rows = self._db.rows(
            "SELECT * FROM geounet_scenes WHERE ? IN ('', state) ORDER BY found DESC, name LIMIT ?",
            [state or "", _ALL if limit is None else limit],
        )
        return [Entry.of(row) for row in rows]

    def counts(self, recipe: str | None = None) -> dict[State, int]:
        """How many scenes are in each state."""
        rows = self._db.rows(
            "SELECT state, count(*) AS n FROM geounet_scenes WHERE ? IN ('', recipe) GROUP BY state", [recipe or ""]
        )
        found = {row["state"]: int(row["n"]) for row in rows}
        return {state: found.get(state, 0) for state in STATES}

    def next_try(self, recipe: str) -> float | None:
        """Seconds until a waiting scene may be tried; None where none waits."""
        rows = self._db.rows(
            "SELECT min(not_before) - :now AS left FROM geounet_scenes WHERE recipe = ? AND state = 'waiting'",
            [recipe],
        )
        return None if rows[0]["left"] is None else max(0.0, float(rows[0]["left"]))

    def matching(self, text: str) -> list[Entry]:
        """Entries whose key begins with the text, or that have this name, source or output."""
        rows = self._db.rows(
            "SELECT * FROM geounet_scenes WHERE substr(key, 1, length(?)) = ? OR name = ? OR source = ? "
            "OR output = ? ORDER BY found DESC",
            [text, text, text, text, text],
        )
        return [Entry.of(row) for row in rows]

    def retry(self, keys: Iterable[str]) -> int:
        """Scenes that were set aside, or wait for their next try, may begin at once; returns how many."""
        return self._change(
            keys,
            "UPDATE geounet_scenes SET state = 'waiting', attempts = 0, deaths = 0, not_before = 0 "
            "WHERE key = ? AND state IN ('failed', 'waiting') RETURNING key",
        )

    def forget(self, keys: Iterable[str]) -> int:
        """Drop rows, so that the scenes are new when they are seen again; running ones stay. Returns how many."""
        return self._change(keys, "DELETE FROM geounet_scenes WHERE key = ? AND state <> 'running' RETURNING key")

    def _change(self, keys: Iterable[str], statement: str) -> int:
        with self._db.transaction():
            return sum(len(self._db.rows(statement, [key])) for key in keys)
