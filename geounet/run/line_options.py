"""How centre-lines are asked for, and where they go; light enough for who wants none."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from math import isfinite
from pathlib import Path

from geounet.errors import ConfigError

_SHOWN = 10
"""Values that a message lists."""


@dataclass(frozen=True, kw_only=True)
class LineOptions:
    """How centre-lines are made."""

    value: int = 1
    """Of the pixels that are road."""
    bridge: float = 0.0
    """Metres."""
    spur: float | None = None
    """Metres; None: the width of the road."""
    simplify: float = 0.0
    """Metres."""

    def __post_init__(self) -> None:
        for name, value in (("--bridge", self.bridge), ("--spur", self.spur)):
            if value is not None and not (isfinite(value) and value >= 0):
                raise ConfigError(f"{name} {value}: expected a number of at least 0")


def class_of(asked: int | str | bool, names: Mapping[int, str]) -> int:
    """The pixel value that ``--lines`` means: a value, a name, or by itself ``road``, else 1.

    Raises ConfigError where no class has that name.
    """
    if asked is True or asked == "":
        return next((v for v, n in names.items() if n == "road"), 1)
    by_name = {n: v for v, n in names.items()}
    if asked in by_name:
        return by_name[str(asked)]
    try:
        return int(asked)
    except ValueError:
        known = ", ".join(by_name) or "none has a name here"
        raise ConfigError(f"--lines {asked}: expected the value or the name of a class ({known})") from None


def no_such_class(value: int, found: Collection[int]) -> str:
    """The warning that there can be no centre-lines of a class; ``found``: values of the polygons."""
    some = ", ".join(map(str, sorted(found)[:_SHOWN])) + (", …" if len(found) > _SHOWN else "")
    return (
        f"no polygon is of class {value}, of which centre-lines were asked for; found {some or 'nothing'} "
        "(--lines CLASS)"
    )


def line_paths(paths: Mapping[str, Path], stem: str | None = None) -> dict[str, tuple[Path, Path]]:
    """Beside the polygons of each format the files of lines and nodes."""
    return {
        name: tuple(path.with_name(f"{stem or path.stem}_{what}{path.suffix}") for what in ("lines", "nodes"))  # type: ignore[misc]
        for name, path in paths.items()
    }
