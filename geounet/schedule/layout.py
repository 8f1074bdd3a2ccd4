"""Where a scene's results go: a template, filled with names that cannot leave their folder."""

from __future__ import annotations

import string
from datetime import datetime
from pathlib import Path

from geounet.io.access import safe_stem

_BETWEEN = "~"
"""What no name that is filled in can hold (`safe_stem`), and no address minds (RFC 3986, 2.3)."""

FIELDS = {
    "scene": "name of the scene, of its file without suffix",
    "folder": "name of the folder that the scene lies in",
    "year": "of the scene's time",
    "month": "01 to 12",
    "day": "01 to 31",
    "model": "name of the model",
    "run": "eight characters that name scene, model and options together",
}
"""What a template may hold."""


def check_template(template: str) -> None:
    """ValueError where it holds an unknown field, or none that tells scenes apart."""
    try:
        found = [name for _, name, spec, conversion in string.Formatter().parse(template) if name is not None]
        plain = all(not spec and not conversion for _, _, spec, conversion in string.Formatter().parse(template))
    except ValueError as error:
        raise ValueError(f"{template!r}: {error}") from error
    if not plain or any(name not in FIELDS for name in found):
        raise ValueError(f"{template!r}; expected fields among {', '.join('{' + name + '}' for name in FIELDS)}")
    if "scene" not in found and "run" not in found:
        raise ValueError(f"{template!r} is the same folder for every scene; expected {{scene}} or {{run}} in it")
    if ".." in Path(template).parts:
        raise ValueError(f"{template!r}; expected no .. in it")


def fill(template: str, *, scene: str, source: Path, time: datetime, model: str, run: str) -> Path:
    """The folder that a template names; what is filled in holds no separator and is never empty."""
    return Path(
        template.format(
            scene=safe_stem(f"{scene}."),
            folder=safe_stem(f"{source.parent.name}."),
            year=f"{time.year:04}",
            month=f"{time.month:02}",
            day=f"{time.day:02}",
            model=safe_stem(f"{model}."),
            run=run[:8],
        )
    )


def item_id(final: Path, *, root: Path, model: str) -> str:
    """The id of the STAC item of results: no other folder has it, and those that replace them have it again."""
    return f"{_BETWEEN.join(final.relative_to(root).parts)}-{model}"
