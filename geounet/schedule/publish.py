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
from geounet.run.journal import STATE, forget_parts

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


def publish(work: Path, final: Path, key: str, *, keep_parts: bool) -> None:
    """Make the finished results in ``work`` those of ``final``, in place of those that were there.

    Raises WorkError where ``final`` holds something else than published results.
    """
    if final.exists() and published_key(final) is None:
        raise WorkError(
            f"{final} is there and was not published by geounet run; move it away, or choose another destination"
        )
    if not keep_parts:
        forget_parts(work / STATE)
    publish_text(work / STATE / _MARK, json.dumps({"key": key}) + "\n")
    old = final.parent / f"{_OLD}{key[:24]}"
    shutil.rmtree(old, ignore_errors=True)
    if final.exists():
        final.rename(old)
    work.rename(final)
    sync(final.parent)
    shutil.rmtree(old, ignore_errors=True)


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
