"""The few statements that the ledger needs, on SQLite and on PostgreSQL."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from geounet.errors import ConfigError, MissingExtraError, WorkError

Row = dict[str, Any]

_PATIENCE = 60.0  # seconds that a statement waits for another run's transaction


class Database(Protocol):
    """A connection; one per thread."""

    @property
    def place(self) -> str:
        """What messages call it; no password."""
        ...

    def transaction(self) -> Any:
        """A context in which all statements hold or none."""
        ...

    def alone(self) -> None:
        """In a transaction: from here to its end, nobody else is at this point of theirs."""
        ...

    def rows(self, statement: str, values: Sequence[Any] = ()) -> list[Row]:
        """Run a statement; its rows.

        ``?`` stands for a value, ``:now`` for the seconds since 1970 by the database's own clock (machines' clocks
        differ), ``:lock`` for what a subquery adds so that two claims never see the same row.
        """
        ...

    def again(self) -> Database:
        """Another connection to the same place, for another thread."""
        ...

    def close(self) -> None:
        """Give the connection back."""
        ...


def connect(place: str) -> Database:
    """``postgresql://…`` or the path of a SQLite file, which is made where it is missing.

    Raises ConfigError where it cannot be opened, MissingExtraError where the driver is not installed.
    """
    if place.startswith(("postgresql://", "postgres://")):
        return Postgres(place)
    if "://" in place:
        raise ConfigError(f"ledger {place}: expected the path of a SQLite file or postgresql://user@host/database")
    return Sqlite(Path(place))


class Sqlite:
    """An embedded database in one file, with a write-ahead log: readers never wait."""

    _words: Mapping[str, str] = {":now": "((julianday('now') - 2440587.5) * 86400.0)", ":lock": ""}

    def __init__(self, path: Path, *, make: bool = True) -> None:
        """``make``: the file may be a new one."""
        self._path = path
        try:
            if make:
                path.parent.mkdir(parents=True, exist_ok=True)
            name = f"{path.absolute().as_uri()}?mode={'rwc' if make else 'rw'}"
            self._connection = sqlite3.connect(name, uri=True, timeout=_PATIENCE, isolation_level=None)
            self._connection.row_factory = sqlite3.Row
            self._write_ahead()
            self._connection.execute("PRAGMA synchronous = FULL")  # what is recorded survives a power cut
        except (sqlite3.Error, OSError) as error:
            raise ConfigError(f"ledger {path} cannot be opened: {error}; expected a SQLite file") from error

    def _write_ahead(self) -> None:
        """Of two that make the file at once SQLite lets one fail here, without the patience that it was given."""
        until = time.monotonic() + _PATIENCE
        while True:
            try:
                self._connection.execute("PRAGMA journal_mode = WAL")
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > until:
                    raise
                time.sleep(0.01)
            else:
                return

    @property
    def place(self) -> str:
        """The file."""
        return str(self._path)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Takes the write lock at once, so that what is read stays true until the end."""
        with _told(self.place):
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise
            self._connection.execute("COMMIT")

    def alone(self) -> None:
        """A transaction has the write lock from its beginning."""

    def rows(self, statement: str, values: Sequence[Any] = ()) -> list[Row]:
        """Run a statement; its rows."""
        with _told(self.place):
            return [dict(row) for row in self._connection.execute(_spelt(statement, self._words), tuple(values))]

    def again(self) -> Sqlite:
        """Another connection; none to an empty file in place of one on a share that is away for a while."""
        if not self._path.exists():
            raise ConfigError(f"ledger {self._path} has gone")
        return Sqlite(self._path, make=False)

    def close(self) -> None:
        """Give the connection back."""
        self._connection.close()


def _spelt(statement: str, words: Mapping[str, str]) -> str:
    """The statement in a dialect."""
    for word, spelling in words.items():
        statement = statement.replace(word, spelling)
    return statement


@contextmanager
def _told(place: str) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise WorkError(f"ledger {place}: {error}") from error


class Postgres:
    """A server that several machines share."""

    _words: Mapping[str, str] = {
        ":now": "extract(epoch from clock_timestamp())::float8",
        ":lock": "FOR UPDATE SKIP LOCKED",
        "?": "%s",
    }

    def __init__(self, url: str) -> None:
        try:
            import psycopg
            from psycopg.rows import dict_row
        except ImportError as error:
            raise MissingExtraError("psycopg", "postgres", "a ledger in PostgreSQL") from error
        self._url, self._error = url, psycopg.Error
        try:
            self._connection = psycopg.connect(url, autocommit=True, row_factory=dict_row, connect_timeout=10)
        except psycopg.Error as error:
            raise ConfigError(f"ledger {self.place} does not answer: {' '.join(str(error).split())}") from error

    @property
    def place(self) -> str:
        """The address without user, password and options, among which a password may be too."""
        scheme, where = self._url.split("://", 1)
        return f"{scheme}://{where.rsplit('@', 1)[-1].split('?')[0]}"

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing."""
        try:
            with self._connection.transaction():
                yield
        except self._error as error:
            raise WorkError(f"ledger {self.place}: {' '.join(str(error).split())}") from error

    def alone(self) -> None:
        """Else of two that make the same table at once one fails, also with IF NOT EXISTS."""
        self.rows("SELECT pg_advisory_xact_lock(hashtext('geounet ledger'))")

    def rows(self, statement: str, values: Sequence[Any] = ()) -> list[Row]:
        """Run a statement; its rows."""
        try:
            cursor = self._connection.execute(_spelt(statement, self._words).encode(), tuple(values))
            return list(cursor.fetchall()) if cursor.description else []
        except self._error as error:
            raise WorkError(f"ledger {self.place}: {' '.join(str(error).split())}") from error

    def again(self) -> Postgres:
        """Another connection."""
        return Postgres(self._url)

    def close(self) -> None:
        """Give the connection back."""
        self._connection.close()
