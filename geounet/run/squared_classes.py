"""Which classes ``--regularize`` means, and where their squared outlines go; light enough for a plan."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from geounet.errors import ConfigError
from geounet.model.spec import Head

Asked = str | int | Sequence[str | int]
"""Names or values of classes; a text may hold several, parted by commas."""


def squared_layer(name: str) -> str:
    """What the layer of squared outlines is called beside the layer ``name``."""
    return f"{name}_regularized"


def regularized_paths(paths: Mapping[str, Path]) -> dict[str, Path]:
    """Beside the polygons of each format the file of the squared ones."""
    return {name: path.with_name(squared_layer(path.stem) + path.suffix) for name, path in paths.items()}


def classes_to_square(asked: Asked, names: Mapping[int, str], *, strict: bool = False) -> tuple[int, ...]:
    """Pixel values, ascending. ConfigError where no class is called so; ``strict``: or none has that value."""
    return tuple(sorted({_value(one, names, strict=strict) for one in _each(asked)}))


def squared_by_head(asked: Asked, heads: Sequence[Head]) -> dict[str, tuple[int, ...]]:
    """Pixel values by head, of the classes of a model that become polygons; heads without one are left out.

    Raises ConfigError where no head has such a class, or several have a class of that value.
    """
    out: dict[str, set[int]] = {}
    shown = {head.name: {c.value: c.name for c in head.classes if c.value in head.vector_values} for head in heads}
    for one in _each(asked):
        named = {head: [v for v, name in known.items() if name == one] for head, known in shown.items()}
        if not any(named.values()):
            number = _number(one)
            named = {head: [number] if number in known else [] for head, known in shown.items()}
            if sum(map(bool, named.values())) > 1:
                raise ConfigError(
                    f"--regularize {one}: {' and '.join(h for h, v in named.items() if v)} have a class of that "
                    "value; give its name"
                )
        if not any(named.values()):
            known = ", ".join(dict.fromkeys(name for own in shown.values() for name in own.values()))
            raise ConfigError(f"--regularize {one}: the model has no such class; expected some of {known}")
        for head, values in named.items():
            out.setdefault(head, set()).update(v for v in values if v is not None)
    return {head: tuple(sorted(values)) for head, values in out.items() if values}


def _each(asked: Asked) -> list[str]:
    parts = asked.split(",") if isinstance(asked, str) else [asked] if isinstance(asked, int) else list(asked)
    texts = [str(part).strip() for part in parts]
    if not texts or not all(texts):
        raise ConfigError(f"--regularize {asked!r}: expected names or values of classes, parted by commas")
    return texts


def _value(one: str, names: Mapping[int, str], *, strict: bool) -> int:
    by_name = {name: value for value, name in names.items()}
    number = _number(one)
    if one in by_name:
        return by_name[one]
    if number is None or (strict and number not in names):
        known = ", ".join(by_name) or "none has a name here"
        raise ConfigError(f"--regularize {one}: expected names or values of classes ({known})")
    return number


def _number(text: str) -> int | None:
    return int(text) if text.lstrip("-").isdecimal() else None
