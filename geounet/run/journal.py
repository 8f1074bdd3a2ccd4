"""What a run has finished: receipts on disk, so that a killed run goes on where it stopped."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from geounet.errors import BusyError, ConfigError, cannot_write
from geounet.io.atomic import publish_text, sweep, sync
from geounet.run.part import file_digest
from geounet.run.receipts import Receipts
from geounet.run.work import Receipt

STATE = ".geounet"
"""Folder of a run's own files inside the results folder."""

JOURNAL = "journal.jsonl"
"""Receipts of a run, in a folder named by its key inside the state folder."""
RASTERS_FILE = "rasters.json"
"""Beside a journal without parts: which rasters hold what the parts held, in the order of their bands."""

_FINISHED = "finished"


@contextmanager
def hold(output: Path) -> Iterator[Path]:
    """Make the results folder ours until the body ends; yields its state folder.

    The lock is the kernel's (flock), so that it is gone with the process that held it, however that ended.
    Raises BusyError while another run holds the folder, ConfigError where it cannot be written.
    """
    state = output / STATE
    lock = _locked(output, state / "lock")
    try:
        sweep(output)
        yield state
    except BaseException:
        sweep(output)  # threads that are not waited for write to files without a name from now on
        raise
    finally:
        os.close(lock)


def _locked(output: Path, path: Path) -> int:
    """The lock file, open and ours."""
    while True:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            lock = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            raise cannot_write(output, error) from error
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(lock)
            raise BusyError(
                f"another run is writing to {output}; wait for it, or choose another --output"
            ) from error
        with suppress(FileNotFoundError):
            if path.stat().st_ino == os.fstat(lock).st_ino:
                return lock
        os.close(lock)  # whoever had it has removed the folder: the file that is locked has no name any more


class Journal:
    """The receipts of one run, by block. Parts of another scene, model or option never mix with it."""

    def __init__(
        self, state: Path, key: str, *, fresh: bool = False, overwrite: bool = False, base: Path | None = None
    ) -> None:
        """Open the journal of ``key``; ``fresh`` forgets it, and parts of other runs go only if told to.

        Those in the folder ``base`` stay: this run begins from them.

        Raises ConfigError where another run's blocks would be lost.
        """
        self.folder = folder_of(state, key)
        if not (fresh or overwrite):
            _refuse_to_lose_parts(state, but=self.folder)
        if base is not None and base.parent == state:
            (base / _FINISHED).touch()  # in nobody's way from now on
        self.parts = self.folder / "parts"
        forget_parts(state, but=(None if fresh else self.folder, base))
        self.parts.mkdir(parents=True, exist_ok=True)
        for folder in (self.parts, *self.parts.iterdir()):
            sweep(folder)
        self._file = self.folder / JOURNAL
        self.receipts = Receipts(self._file)

    def record(self, receipt: Receipt) -> None:
        """Write a receipt down; a power cut takes those since the last flush, a killed process none."""
        self.receipts.add(receipt)

    def settle(self) -> None:
        """Everything recorded survives a power cut from now on."""
        self.receipts.settle()

    def missing(self, blocks: int) -> list[int]:
        """Blocks without a part that agrees with its receipt, in order."""
        whole = {receipt.block for receipt in self.receipts.each() if self._is_whole(receipt)}
        return [block for block in range(blocks) if block not in whole]

    def missing_quick(self, blocks: int) -> list[int]:
        """Blocks without a receipt, in order; does not look at the parts."""
        return [block for block in range(blocks) if block not in self.receipts]

    def forget(self) -> None:
        """Drop all receipts; the blocks are computed again."""
        self.receipts.settle()
        self._file.unlink(missing_ok=True)
        self.receipts = Receipts(self._file)

    @property
    def is_finished(self) -> bool:
        """Whether the run that made these parts was finished, and kept them for a run with other polygons."""
        return (self.folder / _FINISHED).exists()

    def _is_whole(self, receipt: Receipt) -> bool:
        part = self.parts / receipt.file
        return part.is_file() and part.stat().st_size == receipt.bytes and file_digest(part) == receipt.digest


def _refuse_to_lose_parts(state: Path, *, but: Path) -> None:
    for journal in state.glob(f"*/{JOURNAL}"):
        if (journal.parent / _FINISHED).exists():
            continue  # its results are there, and were looked at by `refuse_to_overwrite`
        if journal.parent != but and (blocks := len(journal.read_bytes().splitlines())):
            raise ConfigError(
                f"{state.parent} keeps {blocks} finished block{'s' * (blocks != 1)} of an interrupted run with "
                "another scene, model or options; repeat that command to go on with it, or add --overwrite to "
                "drop them"
            )


def folder_of(state: Path, key: str) -> Path:
    """Where the parts of ``key`` are, or would be."""
    return state / key[:24]


def results_of(folder: Path) -> Path:
    """The results folder that a journal's folder belongs to."""
    return folder.parent.parent


def keep_parts(state: Path, key: str) -> None:
    """Mark the parts of a finished run, if there are any, and remove those of all others."""
    folder = folder_of(state, key)
    kept = (folder / JOURNAL).is_file()
    if kept:
        (folder / _FINISHED).touch()
    forget_parts(state, but=[folder if kept else None])


def drop_parts(state: Path) -> None:
    """Remove all parts of a state folder; a journal stays where rasters hold what its parts held."""
    for folder in state.iterdir():
        if (folder / RASTERS_FILE).is_file():
            shutil.rmtree(folder / "parts", ignore_errors=True)
        elif folder.is_dir():
            shutil.rmtree(folder)


def forget_parts(state: Path, *, but: Sequence[Path | None] = ()) -> None:
    """Remove the parts of every run in a state folder, ``but`` for some."""
    for folder in state.iterdir():
        if folder.is_dir() and folder not in but:
            shutil.rmtree(folder)


class Record:
    """What the results folder holds, stage by stage: a finished stage with the same key is not done again."""

    def __init__(self, state: Path) -> None:
        self._path = state / "run.json"
        self._stages: dict[str, dict[str, Any]] = _read_stages(self._path)

    def finished(self, stage: str, key: str, output: Path) -> dict[str, Any] | None:
        """Facts of a stage that was finished under this key and whose files are all still as it left them."""
        entry = self._stages.get(stage)
        if entry is None or entry["key"] != key or entry["facts"] is None:
            return None
        whole = all(stamp(output / name) == found for name, found in entry["files"].items())
        return entry["facts"] if whole else None

    def claim(self, stage: str, key: str, files: list[str], *, fresh: bool) -> None:
        """Remember whose files these will be, before the first of them is written.

        A run that is killed between its files finds its own again, and nobody takes the old and the new for one.
        A stage that was finished under this key stays finished, unless ``fresh``.
        """
        entry = self._stages.get(stage)
        if fresh or entry is None or entry["key"] != key:
            self._stages[stage] = {"key": key, "files": dict.fromkeys(files), "facts": None}
            self._write()

    def conflicts(self, stage: str, key: str, output: Path, files: list[str]) -> list[str]:
        """Files that exist and were not left by this stage under this key."""
        entry = self._stages.get(stage)
        ours = entry["files"] if entry is not None and entry["key"] == key else {}
        return [name for name in files if (output / name).exists() and name not in ours]

    def remains(self, keys: Mapping[str, str], output: Path) -> list[str]:
        """Files that finished stages left under other ``keys`` than these, and that nobody has touched since."""
        return [
            name
            for stage, entry in self._stages.items()
            if entry["key"] != keys.get(stage)
            for name, found in entry["files"].items()
            if found is not None and Path(name).name == name and stamp(output / name) == found
        ]

    def finish(self, stage: str, key: str, output: Path, files: list[str], facts: dict[str, Any]) -> None:
        """Remember a finished stage."""
        stamps = {name: stamp(output / name) for name in files}
        self._stages[stage] = {"key": key, "files": stamps, "facts": facts}
        self._write()

    def _write(self) -> None:
        publish_text(self._path, json.dumps(self._stages, indent=1, sort_keys=True))
        sync(self._path.parent)


def _read_stages(path: Path) -> dict[str, dict[str, Any]]:
    """What a record holds; nothing where it is missing or damaged."""
    try:
        stages = json.loads(path.read_text(encoding="utf-8"))
        return {
            name: {"key": str(entry["key"]), "files": dict(entry["files"]), "facts": entry["facts"]}
            for name, entry in stages.items()
        }
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return {}


def stamp(path: Path) -> list[int] | None:
    """Size and modification time of a file; None where there is none."""
    try:
        status = path.stat()
    except OSError:
        return None
    return [status.st_size, status.st_mtime_ns]
