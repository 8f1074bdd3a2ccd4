"""Options from YAML and from keywords, checked: unknown keys are refused with the nearest match."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from dataclasses import fields
from os import PathLike
from pathlib import Path
from typing import Any, TypedDict

import yaml

from geounet.errors import ConfigError
from geounet.quantities import parse_size
from geounet.run.options import InferOptions


class Options(TypedDict, total=False):
    """Keywords of ``geounet.infer`` and keys of a configuration file; see :class:`InferOptions`."""

    model: str | Path
    output: str | Path
    tile: int
    overlap: int
    batch: int | str
    block: int | str
    memory: int | str
    device: str
    precision: str
    tta: str
    bands: str | list[int] | list[str]
    stack: bool
    nodata: float
    mask: str | Path
    gsd: float | str
    pixel_size: float
    aoi: str | Path
    workers: int
    threads: int
    scheduler: str
    cluster: Mapping[str, Any]
    min_area: float
    min_hole: float
    simplify: float
    bridge: float
    spur: float
    smooth: bool
    threshold: float | str
    regularize: str | int | list[str] | list[int]
    stats: str | Path
    cleaned: bool
    formats: str | list[str]
    confidence: bool
    base: str | Path
    fresh: bool
    overwrite: bool
    allow_remote: bool
    allow_pickle: bool


def load_config(path: str | Path) -> dict[str, Any]:
    """The options in a YAML file; keys may be written as on the command line. ConfigError in one line."""
    try:
        given = yaml.load(Path(path).read_text(encoding="utf-8"), _Loader)  # noqa: S506  a SafeLoader
    except OSError as error:
        raise ConfigError(f"--config {path} cannot be read: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        reason = " ".join(str(error).split())
        raise ConfigError(f"--config {path} is not YAML that holds plain values: {reason}") from error
    if given is None:
        return {}
    if not isinstance(given, dict):
        raise ConfigError(f"--config {path} holds {type(given).__name__}; expected lines of 'option: value'")
    return options_from(given, where=f"--config {path}", folder=Path(path).absolute().parent)


def options_from(given: Mapping[str, Any], *, where: str, folder: Path) -> dict[str, Any]:
    """The options among values of a file, checked; paths in it start from its folder. ConfigError in one line."""
    options = {_canonical(str(key)): value for key, value in given.items() if value is not None}
    check_keys(options, where=where)
    if "cluster" in options:
        options["cluster"] = _cluster(options["cluster"], where=where, folder=folder)
    for key, value in options.items():
        _convert(key, value, where=where)
    for key in ("output", "mask", "aoi", "stats", "base"):
        if key in options and "://" not in str(options[key]):
            options[key] = folder / _path(options[key])
    if "model" in options and (folder / options["model"]).exists():
        options["model"] = folder / options["model"]
    return options


class _Loader(yaml.SafeLoader):
    """Plain values only, and no key twice: YAML would silently take the last one."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [_canonical(str(key.value)) for key, _ in node.value]
        for key in keys:
            if keys.count(key) > 1:
                raise yaml.YAMLError(f"option {key!r} is there {keys.count(key)} times")
        return super().construct_mapping(node, deep)


def _canonical(key: str) -> str:
    key = key.replace("-", "_")
    return "formats" if key == "format" else key


def check_keys(options: Mapping[str, Any], *, where: str) -> None:
    """ConfigError for the first unknown key, with the nearest known one."""
    known = [field.name for field in fields(InferOptions)]
    for key in options:
        if key not in known:
            near = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
            hint = (
                f"; did you mean {_written(near[0])}?" if near else f"; known are {', '.join(map(_written, known))}"
            )
            raise ConfigError(f"{where}: unknown option {key!r}{hint}")


def build_options(config: Mapping[str, Any], given: Mapping[str, Any]) -> InferOptions:
    """Checked options: those given win over the configuration file. None counts as not given.

    Raises ConfigError, naming the option, the value and what was expected.
    """
    given = {_canonical(key): value for key, value in given.items()}
    check_keys(given, where="infer")
    merged = {**config, **{key: value for key, value in given.items() if value is not None}}
    return InferOptions(**{key: _convert(key, value) for key, value in merged.items()})


def _written(key: str) -> str:
    """An option as it is written on the command line, without the dashes before it."""
    return "format" if key == "formats" else key.replace("_", "-")


def _convert(key: str, value: Any, *, where: str = "") -> Any:
    try:
        return _CONVERTERS[key](value)
    except (TypeError, ValueError, OverflowError) as error:
        option = f"{where}: {_written(key)}" if where else f"--{_written(key)}"
        shown = repr(value) if isinstance(value, str) else str(value)
        raise ConfigError(f"{option} {shown}: expected {_EXPECTED[_CONVERTERS[key]]}") from error


def _cluster(value: Any, *, where: str = "infer", folder: Path | None = None) -> Any:
    from geounet.run.cluster_config import read_cluster

    return read_cluster(value, where=where, folder=folder)


def _whole(value: Any) -> int:
    if isinstance(value, bool) or (isinstance(value, float) and not value.is_integer()):
        raise ValueError(value)
    return int(value)


def _whole_or_auto(value: Any) -> int | None:
    return None if value == "auto" else _whole(value)


def _number(value: Any) -> float:
    if isinstance(value, bool):
        raise TypeError(value)
    return float(value)


def _gsd(value: Any) -> float | str | None:
    if isinstance(value, str) and value in ("auto", "native"):
        return None if value == "auto" else value
    return _number(value)


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise TypeError(value)
    return value


def _names(value: Any) -> tuple[str, ...]:
    parts = value.split(",") if isinstance(value, str) else list(value) if not isinstance(value, int) else [value]
    if any(isinstance(part, bool) or not isinstance(part, str | int) for part in parts):
        raise TypeError(value)
    names = tuple(str(part).strip() for part in parts)
    if not names or not all(names):
        raise ValueError(value)
    return names


def _formats(value: Any) -> tuple[str, ...]:
    return tuple(dict.fromkeys(_names(value)))


def _text(value: Any) -> str:
    if not isinstance(value, str | PathLike) or not str(value):
        raise TypeError(value)
    return str(value)


def _path_or_url(value: Any) -> str:
    """A path, which gets its ``~`` expanded, or an address, which stays as it is."""
    return value if isinstance(value, str) and "://" in value else str(_path(value))


def _path(value: Any) -> Path:
    try:
        return Path(_text(value)).expanduser()
    except RuntimeError as error:  # ~nobody
        raise ValueError(value) from error


def _threshold(value: Any) -> str:
    """``0.6`` or ``0.5:0.3`` as text; what it means is looked at where it is used."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise TypeError(value)
    for part in (parts := str(value).split(":")):
        float(part)
    if len(parts) > 2:
        raise ValueError(value)
    return str(value)


_EXPECTED: dict[Callable[[Any], Any], str] = {
    _whole: "a whole number",
    _whole_or_auto: "a whole number or auto",
    _number: "a number",
    _gsd: "a number of metres, native or auto",
    _threshold: "a probability such as 0.6, or a strong and a weak one such as 0.5:0.3",
    _flag: "true or false",
    _names: "names or numbers separated by commas",
    _formats: "names separated by commas",
    _text: "text",
    _path: "the path of a file or folder",
    _path_or_url: "the path or address of a raster",
    parse_size: "a size such as 4GiB",
}
_BY_TYPE: dict[str, Callable[[Any], Any]] = {
    "str": _text,
    "Precision": _text,
    "Augmentation": _text,
    "int": _whole,
    "float": _number,
    "bool": _flag,
    "Path": _path,
}
_BY_NAME: dict[str, Callable[[Any], Any]] = {
    "cluster": _cluster,
    "batch": _whole_or_auto,
    "block": _whole_or_auto,
    "memory": parse_size,
    "gsd": _gsd,
    "bands": _names,
    "mask": _path_or_url,
    "threshold": _threshold,
    "regularize": _formats,
    "stats": _path_or_url,
    "formats": _formats,
}
_CONVERTERS = {
    field.name: _BY_NAME.get(field.name) or _BY_TYPE[str(field.type).removesuffix(" | None")]
    for field in fields(InferOptions)
}
"""How each option is read: as its type says, but for those that are written in a way of their own."""
