"""The climates that towns are drawn in: their names alone, for a help text that loads nothing."""

from __future__ import annotations

from typing import Literal, get_args

Climate = Literal["dry", "green"]
"""Sand between the houses, or lawns, woods and pitched roofs."""
CLIMATES: tuple[Climate, ...] = get_args(Climate)
