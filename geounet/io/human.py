"""Numbers as people read them, the same in every message, summary and report."""

from __future__ import annotations


def size(number: float) -> str:
    """Bytes with a binary unit, as ``--memory`` takes them: ``285 B``, ``4.5 KiB``, ``1.2 TiB``."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if number < (1024 if unit == "B" else 1023.95):  # which would be 1024.0
            return f"{number:.0f} {unit}" if unit == "B" else f"{number:.1f} {unit}"
        number /= 1024
    return f"{number:,.1f} TiB"


def count(number: int, thing: str) -> str:
    """``1 polygon``, ``1,733 polygons``."""
    return f"{number:,} {thing}{'' if number == 1 else 's'}"


def duration(seconds: float) -> str:
    """Seconds as ``4.2 s``, ``3 min 05 s`` or ``2 h 07 min``."""
    if seconds < 59.95:  # which would be 60.0
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"


def area(number: float, unit: str = "m²") -> str:
    """m² below a hectare, hectares below a square kilometre, km²; pixels where that is the unit."""
    if unit != "m²":
        return f"{number:,.0f} {unit}"
    for larger, square_metres in (("km²", 1e6), ("ha", 1e4)):
        if number >= square_metres:
            return f"{number / square_metres:,.2f} {larger}"
    return f"{number:,.0f} m²" if number >= 100 else f"{number:,.1f} m²"


def lines(number: int, length: float, area_unit: str) -> str:
    """How many centre-lines there are, and how long they are together: ``120 lines, 34.5 km``."""
    if area_unit == "px":
        return f"{count(number, 'line')}, {length:,.0f} px"
    return (
        f"{count(number, 'line')}, {length / 1000:,.2f} km"
        if length >= 1000
        else f"{count(number, 'line')}, {length:,.0f} m"
    )


def squared(done: int, number: int) -> str:
    """How many outlines have right angles now: ``480 of 524 outlines squared``."""
    return f"{done:,} of {count(number, 'outline')} squared"
