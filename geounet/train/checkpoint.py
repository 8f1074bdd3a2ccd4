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
        reason = " ".join(str(error).split())
        raise WorkError(f"checkpoint {path} cannot be written: {reason}; the one before it is kept") from error


def load(path: Path, *, digest: str) -> dict[str, Any] | None:
    """The state, or None where there is none. ConfigError where it belongs to another training file."""
    if not path.exists():
        return None
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises many kinds for a broken file
        reason = " ".join(str(error).split())[:200]
        raise ConfigError(f"checkpoint {path} cannot be read ({reason}); remove it or train afresh") from error
    if state.get("format") != FORMAT or state.get("digest") != digest:
        raise ConfigError(
            f"checkpoint {path} belongs to another training file or data; "
            "choose another output folder or train afresh"
        )
    return dict(state)
