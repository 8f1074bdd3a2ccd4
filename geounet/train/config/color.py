"""Colours in files."""

from __future__ import annotations

Color = str
"""``#rrggbb``."""
