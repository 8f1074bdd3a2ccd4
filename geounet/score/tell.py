"""Scores in words and digits, the same on the screen and in the report."""

from __future__ import annotations

import math

_LABELS = {
    "iou": "IoU",
    "f1": "F1",
    "cldice": "clDice",
    "apls": "APLS",
    "ece": "ECE",
    "dice": "Dice",
    "px": "px",
    "m": "m",
}


def label(name: str) -> str:
    """``mean_boundary_iou`` as ``mean boundary IoU``."""
    return " ".join(_LABELS.get(word, word) for word in name.split("_"))


def number(value: float) -> str:
    """Three digits behind the point; a dash where a score is not defined."""
    return "–" if math.isnan(value) else f"{value:.3f}"


def percent(share: float) -> str:
    """``12.3 %``; whole numbers from ten on would hide what matters near 0 and 100."""
    return f"{100 * share:.1f} %"


def amount(value: float) -> str:
    """``1,234,567``; one digit behind the point for small measures."""
    return f"{value:,.0f}" if value == int(value) or value >= 100 else f"{value:,.1f}"


def fact(name: str, value: float) -> str:
    """How much was compared: ``1,234,567 pixels``, and ``truth 63,047 m`` for what is named ``truth_m``."""
    whose, _, unit = name.rpartition("_")
    return f"{whose} {amount(value)} {unit}".lstrip()
