"""The state of a training on disk: whole or not at all, and only ever loaded with ``weights_only``."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import torch

from geounet.errors import ConfigError, WorkError

FORMAT = 2


def save(path: Path, state: dict[str, Any], *, digest: str) -> None:
    """Write ``state`` under its final name only when it is whole. WorkError where it cannot be written."""
    staged = path.with_name(f".{path.name}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with staged.open("wb") as stream:
            torch.save({"format": FORMAT, "digest": digest, **state}, stream)
            stream.flush()
            os.fsync(stream.fileno())
        staged.replace(path)
    except (OSError, RuntimeError) as error:  # torch reports a full disk as RuntimeError
        staged.unlink(missing_ok=True)
        kept = "the one before it is kept" if path.is_file() else "there is none before it"
        raise WorkError(
            f"checkpoint {path} cannot be written: {_reason(error)}; {kept}; "
            "once that is mended, the same command goes on"
        ) from error


def _reason(error: BaseException) -> str:
    """What the disk said; torch ends its archive all the same, and complains of its position in the file then."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.strerror:
            return cause.strerror
        cause = cause.__context__
    return " ".join(str(error).split())


def load(path: Path, *, digest: str) -> dict[str, Any] | None:
    """The state, or None where there is none. ConfigError where it belongs to another training file."""
    if not path.exists():
        return None
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises many kinds for a broken file
        reason = " ".join(str(error).split())[:200]
        raise ConfigError(
            f"checkpoint {path} cannot be read ({reason}); remove it, or forget it with --fresh"
        ) from error
    if state.get("format") != FORMAT or state.get("digest") != digest:
        raise ConfigError(
            f"checkpoint {path} belongs to another training file or data; "
            "choose another output folder, or forget it with --fresh"
        )
    return dict(state)
