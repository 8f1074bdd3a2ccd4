"""Where scenes come from: a folder that fills, a list, a STAC catalogue."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

from geounet.errors import ConfigError
from geounet.io.access import is_remote, safe_stem
from geounet.schedule.candidate import Candidate
from geounet.schedule.config import SourceConfig
from geounet.schedule.stac import stac_candidates

_HIDDEN = (".", "~")
_PARTIAL = (".part", ".partial", ".tmp", ".crdownload", ".filepart")


def candidates(config: SourceConfig, *, allow_remote: bool, warn: Callable[[str], None]) -> Iterator[Candidate]:
    """The scenes that are there now, in order of name (of a STAC catalogue: in its own).

    Raises ConfigError where the place itself cannot be looked at; a scene that cannot be read is told by ``warn``.
    """
    if config.folder is not None:
        yield from _of_folder(config.folder, config)
    elif config.list is not None:
        yield from _of_list(config.list)
    else:
        yield from stac_candidates(config, allow_remote=allow_remote, warn=warn)


def _of_folder(folder: Path, config: SourceConfig) -> Iterator[Candidate]:
    if not folder.is_dir():
        raise ConfigError(f"source.folder {folder} is no folder; expected the folder in which scenes appear")
    before = time.time() - config.settle
    for path in sorted(folder.glob(config.glob)):
        if path.name.startswith(_HIDDEN) or path.name.endswith(_PARTIAL):
            continue
        stat = _settled(path, before)
        if stat is not None:
            yield _local(path, stat)


def _settled(path: Path, before: float) -> float | None:
    """The time of a file (of a product folder: of its newest file) that no longer changes; None while it may."""
    try:
        stat = path.stat()
        if path.is_dir():
            times = [file.stat().st_mtime for file in path.rglob("*")]
            newest = max([stat.st_mtime, *times])
        elif not stat.st_size:
            return None
        else:  # a copy may keep the times of its original: what counts is the later one
            newest = max(stat.st_mtime, stat.st_ctime)
    except FileNotFoundError:  # renamed between the look and the question
        return None
    return stat.st_mtime if newest <= before else None


def _of_list(file: Path) -> Iterator[Candidate]:
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"source.list {file} cannot be read: {error}") from error
    for line in dict.fromkeys(line.strip() for line in lines):
        if not line or line.startswith("#"):
            continue
        if is_remote(line):
            yield Candidate(name=safe_stem(line), source=line, paths=(line,), time=datetime.now(UTC))
            continue
        path = file.parent / Path(line).expanduser()
        modified = path.stat().st_mtime if path.exists() else time.time()
        yield _local(path, modified)


def _local(path: Path, modified: float) -> Candidate:
    path = path.absolute()
    return Candidate(
        name=safe_stem(path),
        source=str(path),
        paths=(str(path),),
        time=datetime.fromtimestamp(int(modified), UTC),
    )
