"""Lengths of time as people write them: ``90s``, ``10m``, ``2h``, ``1d``."""

from __future__ import annotations

import re

_SECONDS = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def parse_duration(value: object) -> float:
    """Seconds from ``10m``, ``1.5h`` or a number of seconds. ValueError otherwise."""
    match = re.fullmatch(r"\s*([0-9]+(?:\.[0-9]+)?)\s*([smhd]?)\s*", str(value))
    if match is None or isinstance(value, bool):
        raise ValueError(f"{value!r}; expected a length of time such as 30s, 10m, 2h or 1d")
    return float(match[1]) * _SECONDS[match[2]]
