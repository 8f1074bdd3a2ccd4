"""Sizes and lengths of time as people write them: ``4GiB``, ``500 MB``; ``90s``, ``10m``, ``2h``, ``1d``."""

from __future__ import annotations

import re
from typing import Any

_UNITS = {
    "": 1,
    "b": 1,
    "kib": 2**10,
    "mib": 2**20,
    "gib": 2**30,
    "tib": 2**40,
    "kb": 10**3,
    "mb": 10**6,
    "gb": 10**9,
}
_SECONDS = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def parse_size(value: Any) -> int:
    """Bytes from ``4GiB``, ``500 MB`` or a number. ValueError otherwise."""
    match = re.fullmatch(r"\s*([0-9.]+)\s*([a-zA-Z]*)\s*", str(value))
    if match is None or match[2].lower() not in _UNITS:
        raise ValueError(f"{value!r}; expected a size such as 4GiB")
    size = int(float(match[1]) * _UNITS[match[2].lower()])
    if size < 1:
        raise ValueError(f"{value!r}; expected a byte or more")
    return size


def parse_duration(value: object) -> float:
    """Seconds from ``10m``, ``1.5h`` or a number of seconds. ValueError otherwise."""
    match = re.fullmatch(r"\s*([0-9]+(?:\.[0-9]+)?)\s*([smhd]?)\s*", str(value))
    if match is None or isinstance(value, bool):
        raise ValueError(f"{value!r}; expected a length of time such as 30s, 10m, 2h or 1d")
    return float(match[1]) * _SECONDS[match[2]]
