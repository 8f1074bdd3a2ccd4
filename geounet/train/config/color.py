"""Colours in files."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator

_FORM = re.compile(r"#[0-9a-fA-F]{6}")


def _checked(color: str) -> str:
    if not _FORM.fullmatch(color):
        raise ValueError(f"colour {color!r}; expected #rrggbb")
    return color


Color = Annotated[str, AfterValidator(_checked)]
"""``#rrggbb``."""
