"""Results appear in their folder when they are whole, and leave it when their time is over.

A scene is worked on in a hidden folder beside its destination, on the same disk and at the same depth, so that one
rename publishes it and relative links stay right. A mark in the folder says whose results they are: what geounet
did not publish it never replaces or removes.
"""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

from geounet.errors import WorkError
from geounet.io.atomic import publish_text, sync
from geounet.run.journal import STATE, drop_parts

_MARK = "published.json"
_WORK, _OLD = ".geounet-work-", ".geounet-old-"


def work_folder(final: Path, key: str) -> Path:
    """Where a scene is worked on; the same after a crash, so that its blocks are found again."""
    return final.parent / f"{_WORK}{key[:24]}"


def published_key(folder: Path) -> str | None:
    """The key of the results in a folder; None where geounet did not publish it."""
    try:
        found = json.loads((folder / STATE / _MARK).read_text(encoding="utf-8"))["key"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return str(found)


class Publication:
    """Results that become public, or do not: where the body raises, what was there before is there again.

    The earlier results go when the body has ended well.
    """

    def __init__(self, work: Path, final: Path, key: str) -> None:
        self._work, self._final, self._key = work, final, key
        self._old = final.parent / f"{_OLD}{key[:24]}"
        self.is_out = published_key(final) == key
        """Whether the results are in ``final``, where a run may have died before it said so."""

    @property
    def folder(self) -> Path:
        """Where the results are now."""
        return self._final if self.is_out else self._work

    def publish(self, *, keep_parts: bool) -> None:
        """Make the finished results in ``work`` those of ``final``, in place of those that were there.

        Raises WorkError where ``final`` holds something else than published results.
        """
        if self.is_out:
            return
        if self._final.exists() and published_key(self._final) is None:
            raise WorkError(
                f"{self._final} is there and was not published by geounet run; move it away, or choose another "
                "destination"
            )
        if not keep_parts:
            drop_parts(self._work / STATE)
        publish_text(self._work / STATE / _MARK, json.dumps({"key": self._key}) + "\n")
        shutil.rmtree(self._old, ignore_errors=True)
        if self._final.exists():
            self._final.rename(self._old)
        self._work.rename(self._final)
        self.is_out = True
        sync(self._final.parent)

    def _take_back(self) -> None:
        shutil.rmtree(self._work, ignore_errors=True)
        self._final.rename(self._work)
        if self._old.exists():
            self._old.rename(self._final)
        sync(self._final.parent)

    def __enter__(self) -> Publication:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            shutil.rmtree(self._old, ignore_errors=True)
        elif self.is_out:
            self._take_back()
        elif self._old.exists() and not self._final.exists():  # stopped between two renames
            self._old.rename(self._final)


def withdraw(folder: Path) -> bool:
    """Remove published results; False where the folder is gone or not ours."""
    if published_key(folder) is None:
        return False
    shutil.rmtree(folder)
    return True


def free_bytes(path: Path) -> int:
    """Room on the disk that a folder lies on, or will lie on."""
    while not path.exists():
        path = path.parent
    stat = os.statvfs(path)
    return stat.f_bavail * stat.f_frsize
