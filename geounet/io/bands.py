"""Names of bands, and the choice among them."""

from __future__ import annotations

import re
from collections.abc import Sequence

from geounet.errors import SceneError

BandChoice = Sequence[str | int]

# Common names of the STAC electro-optical extension: https://github.com/stac-extensions/eo#common-band-names
SENTINEL2 = {
    "B01": "coastal",
    "B02": "blue",
    "B03": "green",
    "B04": "red",
    "B05": "rededge071",
    "B06": "rededge075",
    "B07": "rededge078",
    "B08": "nir",
    "B8A": "nir08",
    "B09": "nir09",
    "B10": "cirrus",
    "B11": "swir16",
    "B12": "swir22",
}
LANDSAT_OLI = {
    "B1": "coastal",
    "B2": "blue",
    "B3": "green",
    "B4": "red",
    "B5": "nir08",
    "B6": "swir16",
    "B7": "swir22",
    "B8": "pan",
    "B9": "cirrus",
    "B10": "lwir11",
    "B11": "lwir12",
}
LANDSAT_TM = {
    "B1": "blue",
    "B2": "green",
    "B3": "red",
    "B4": "nir08",
    "B5": "swir16",
    "B6": "lwir",
    "B7": "swir22",
    "B8": "pan",
}
_ALIASES = {"near infrared": "nir", "nir1": "nir", "panchromatic": "pan"}
_LETTERS = {"r": "red", "g": "green", "b": "blue", "n": "nir"}
_STAND_INS = {"nir": ("nir08",), "nir08": ("nir",)}
"""A sensor without this band has one that shows the same (Landsat's nir08 is what others call nir)."""
_COMMON = {*SENTINEL2.values(), *LANDSAT_OLI.values(), *LANDSAT_TM.values()}


def common_names(raw: Sequence[str | None], colours: Sequence[str]) -> tuple[str, ...]:
    """One name per band: what the band shows where that is known, else its description, else ``band<n>``.

    ``raw`` are descriptions, ``colours`` GDAL colour interpretations, in band order. Sentinel-2 ids count
    only where one of them has its leading zero, since ``B4`` is another thing on each Landsat.
    """
    tokens = [(text or "").strip() for text in raw]
    is_sentinel2 = any(re.fullmatch(r"B0\d|B8A", t.upper()) for t in tokens)
    names = []
    for number, (token, colour) in enumerate(zip(tokens, colours, strict=True), start=1):
        known = _known_name(token, is_sentinel2=is_sentinel2)
        fallback = colour if colour in _COMMON else f"band{number}"
        names.append(known or token or fallback)
    return _unique(names)


def _known_name(token: str, *, is_sentinel2: bool) -> str | None:
    lower = token.lower()
    lower = _ALIASES.get(lower, lower)
    if lower in _COMMON:
        return lower
    return SENTINEL2.get(token.upper()) if is_sentinel2 else None


def _unique(names: list[str]) -> tuple[str, ...]:
    """The names with ``_2``, ``_3``, … after those that came before."""
    seen: dict[str, int] = {}
    out = []
    for name in names:
        seen[name] = seen.get(name, 0) + 1
        out.append(name if seen[name] == 1 else f"{name}_{seen[name]}")
    return tuple(out)


def parse_choice(bands: str | BandChoice | None) -> tuple[str, ...] | None:
    """``"4,3,2"``, ``("red", "green")`` or ``[4, 3]`` as a tuple of texts; None stays None."""
    if bands is None:
        return None
    parts = bands.split(",") if isinstance(bands, str) else [str(b) for b in bands]
    chosen = tuple(p.strip() for p in parts)
    if not chosen or not all(chosen):
        raise SceneError(f"bands {bands!r}: expected indices or names, such as 4,3,2 or red,green,blue")
    return chosen


def pick(chosen: Sequence[str], names: Sequence[str], raw: Sequence[str | None], *, label: str) -> tuple[int, ...]:
    """0-based places of the ``chosen`` bands.

    A number is a 1-based index; else a common name, then a description, is looked for, whatever the case.
    Raises SceneError that lists what there is.
    """
    return tuple(_place(want, names, raw, label=label) for want in chosen)


def _place(want: str, names: Sequence[str], raw: Sequence[str | None], *, label: str) -> int:
    if re.fullmatch(r"\d+", want, re.ASCII):
        if 1 <= int(want) <= len(names):
            return int(want) - 1
        raise SceneError(f"{label}: there is no band {want}; there are {_list(names, raw)}")
    key = want.lower()
    meant = _ALIASES.get(key) or _LETTERS.get(key) or key
    wanted = [key, meant, *_STAND_INS.get(meant, ())]
    for key in wanted:
        for candidates in (names, raw):
            lowered = [(c or "").strip().lower() for c in candidates]
            if key in lowered:
                return lowered.index(key)
    raise SceneError(f"{label}: there is no band {want!r}; there are {_list(names, raw)}")


def _list(names: Sequence[str], raw: Sequence[str | None]) -> str:
    def one(number: int, name: str, text: str | None) -> str:
        extra = f" ({text.strip()})" if text and text.strip() and text.strip().lower() != name.lower() else ""
        return f"{number} {name}{extra}"

    shown = [one(i, n, r) for i, (n, r) in enumerate(zip(names, raw, strict=True), start=1)]
    more = f" and {len(shown) - 30} more" if len(shown) > 30 else ""
    return ", ".join(shown[:30]) + more
