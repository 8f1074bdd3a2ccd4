"""YAML files with sections: every key is known, every value is checked, a mistake is one line."""

from __future__ import annotations

import difflib
import textwrap
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from geounet.errors import ConfigError

AnySection = TypeVar("AnySection", bound="Section")


class Section(BaseModel):
    """A part of the file; unknown keys are refused with the nearest one that exists."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _refuse_unknown_keys(cls, data: Any) -> Any:
        if isinstance(data, dict):
            for key in data:
                if key not in cls.model_fields:
                    near = difflib.get_close_matches(str(key), cls.model_fields, n=1, cutoff=0.0)
                    raise ValueError(f"unknown key {key!r}; did you mean {near[0]!r}?")
        return data


def read_sections(
    file: Path,
    kind: type[AnySection],
    *,
    prepare: Callable[[dict[str, Any]], Mapping[str, Any]] = lambda raw: raw,
) -> AnySection:
    """Read ``file`` as a ``kind``; ``prepare`` sees the plain values first.

    Raises ConfigError with the first thing that is wrong, in one line.
    """
    return checked(prepare(plain_values(file)), kind, where=str(file))


def plain_values(file: Path, *, option: str = "") -> dict[str, Any]:
    """What stands in a file, by key. Raises ConfigError; ``option`` is what names the file."""
    where = f"{option} {file}".strip()
    try:
        raw = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(f"{where} cannot be read as YAML: {' '.join(str(error).split())}") from error
    if not isinstance(raw, dict):
        found = "is empty" if raw is None else f"holds {type(raw).__name__}"
        raise ConfigError(f"{where} {found}; expected lines of 'key: value'")
    return raw


def checked(raw: Mapping[str, Any], kind: type[AnySection], *, where: str) -> AnySection:
    """The values as a ``kind``. Raises ConfigError with the first that is wrong."""
    try:
        return kind.model_validate(raw)
    except ValidationError as error:
        first = _meant(error.errors())
        place = ".".join(str(part) for part in first["loc"] if not _is_kind(part)) or "top level"
        raise ConfigError(f"{where}: {place}: {_told(first)}") from error


def _meant(errors: Sequence[Any]) -> Any:
    """The first error; where a value may be a text or a section, and is no text, that of the section."""
    first = errors[0]
    if first["type"] != "string_type" or first["loc"][-1] != "str":
        return first
    place = first["loc"][:-1]
    of_section = [e for e in errors if e["loc"][: len(place)] == place and any(map(_is_kind, e["loc"]))]
    return next((e for e in of_section if e["type"] != "model_type"), first | {"loc": place})


def _is_kind(part: int | str) -> bool:
    """Whether a part of a place names a kind of section, which pydantic puts in where there are several."""
    return isinstance(part, str) and part.removesuffix("]").endswith("Config")


def _told(error: Any) -> str:
    """What is wrong, and with which value, where our own message does not say so."""
    what = " ".join(str(error["msg"]).removeprefix("Value error, ").split())
    if error["type"] == "missing":
        return "is required, and not there"
    if error["type"] == "value_error" or isinstance(error["input"], (dict, list, tuple)):
        return what
    return f"{what}; found {textwrap.shorten(repr(error['input']), 60)}"
