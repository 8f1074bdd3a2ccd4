"""What stays on the disk, and for how long: results, the blocks that they were made of, room for what comes."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from geounet.errors import GeounetError, WorkError
from geounet.io import human
from geounet.run.journal import STATE, drop_parts, hold
from geounet.schedule.config import ScheduleConfig
from geounet.schedule.entry import Entry
from geounet.schedule.ledger import Ledger
from geounet.schedule.publish import free_bytes, withdraw

BLOCKS_IN = "blocks_in"
"""Among an entry's facts: the folder that keeps finished blocks, of published results or of a scene set aside."""


class Retention:
    """The quotas of ``keep`` over one ledger's entries."""

    def __init__(self, config: ScheduleConfig, ledger: Ledger) -> None:
        self._config, self._ledger = config, ledger

    @property
    def keeps_blocks(self) -> bool:
        """Whether blocks stay at all."""
        return self._config.keep.parts > 0

    def earlier(self, source: str) -> list[Path]:
        """Folders whose blocks may serve another version of a source's scene."""
        folders = [
            entry.facts.get(BLOCKS_IN) or entry.output for entry in self._ledger.of_source(source, "done", "failed")
        ]
        return [Path(folder) for folder in folders if folder]

    def published(self, before: Sequence[Entry], final: Path) -> None:
        """Of a source's results ``before``, those that ``final`` replaced, or that are more than are kept, go."""
        replaced = [entry for entry in before if entry.output == str(final)]
        others = [entry for entry in before if entry.output != str(final) and self._is_ours(entry.output)]
        too_many = others[self._config.keep.runs - 1 :] if "{run}" in self._config.destination else []
        for entry in too_many:
            withdraw(Path(entry.output or ""))
        self._ledger.retire(entry.key for entry in (*replaced, *too_many))

    def set_aside(self, entry: Entry, work: Path) -> None:
        """A scene failed for good: what it has finished waits for its next try, or for another version of it."""
        if self.keeps_blocks and holds_blocks(work):
            self._ledger.note(entry.key, {BLOCKS_IN: str(work)})
        else:
            shutil.rmtree(work, ignore_errors=True)

    def tidy(self) -> None:
        """Blocks go that are too old, that a newer version of their scene has taken over, or that the disk lacks
        room for."""
        oldest = time.time() - self._config.keep.parts
        newer: set[tuple[str, str, str]] = set()
        for entry in self._with_blocks():
            same = {(entry.source, entry.recipe, state) for state in ("done", entry.state)}
            if same & newer or (entry.finished or 0) < oldest:
                self._forget(entry)
            newer.add((entry.source, entry.recipe, entry.state))
        self._has_room()

    def make_room(self) -> None:
        """Where the disk is fuller than it may be, blocks go, the oldest first.

        Raises WorkError where it still is: no scene is to be begun.
        """
        if not self._has_room():
            root, needed = self._config.root, self._config.keep.free
            raise WorkError(
                f"{root} has {human.size(free_bytes(root))} left; keep.free is {human.size(needed)}: "
                "no scene is begun before there is more room"
            )

    def _has_room(self) -> bool:
        """Whether the disk is no fuller than it may be, if need be without some blocks."""
        root, needed = self._config.root, self._config.keep.free
        if free_bytes(root) >= needed:
            return True
        for entry in reversed(list(self._with_blocks())):
            self._forget(entry)
            if free_bytes(root) >= needed:
                return True
        return False

    def _with_blocks(self) -> Iterator[Entry]:
        """The newest first; of another configuration on this ledger none."""
        there = [entry for entry in self._ledger.entries() if entry.state in ("done", "failed")]
        for entry in sorted(there, key=lambda entry: entry.finished or 0, reverse=True):
            folder = entry.facts.get(BLOCKS_IN)
            if self._is_ours(folder):
                yield entry

    def _is_ours(self, folder: str | None) -> bool:
        """Whether a folder lies in this configuration's destination: others may have the same ledger."""
        return folder is not None and Path(folder).is_relative_to(self._config.root)

    def _forget(self, entry: Entry) -> None:
        if forget_blocks(entry):
            facts = {name: value for name, value in entry.facts.items() if name != BLOCKS_IN}
            self._ledger.note(entry.key, facts)


def forget_blocks(entry: Entry) -> bool:
    """Remove the blocks that an entry kept; False where somebody is at work on them, or they cannot be removed."""
    folder = Path(entry.facts[BLOCKS_IN])
    if not (folder / STATE).is_dir():
        return True
    try:
        with hold(folder) as state:
            if entry.state == "done":
                drop_parts(state)
            else:
                shutil.rmtree(folder, ignore_errors=True)
    except (GeounetError, OSError):
        return False
    return True


def holds_blocks(folder: Path) -> bool:
    """Whether there are parts in a results folder."""
    return any((folder / STATE).glob("*/parts/*"))
