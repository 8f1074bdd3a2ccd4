"""What a label raster calls its values, and how it colours them."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

from rasterio.enums import ColorInterp

from geounet.io.pam import SUFFIX
from geounet.io.raster import Raster

_TAG = re.compile(r"^CLASS_(-?\d+)$")
_COLOUR = re.compile(r"\s+(#[0-9a-fA-F]{6})$")
_MAX_SIDECAR = 2**20


def names_of(raster: Raster) -> dict[int, str]:
    """Class names by pixel value, from a file's ``CLASS_<value>`` tags or category names."""
    tags = raster.dataset.tags() | raster.dataset.tags(raster.indexes[0])
    named = {int(m[1]): _COLOUR.sub("", v) for k, v in tags.items() if (m := _TAG.match(k))}
    if not named and "CLASS_NAMES" in tags:
        named = dict(enumerate(tags["CLASS_NAMES"].split(",")))
    return named or _sidecar_names(Path(raster.source.path))


def colours_of(raster: Raster) -> dict[int, str]:
    """``#rrggbb`` by pixel value, from a file's ``CLASS_<value>`` tags or its colour table; empty without."""
    band = raster.indexes[0]
    tags = raster.dataset.tags() | raster.dataset.tags(band)
    named = {int(m[1]): c[1] for k, v in tags.items() if (m := _TAG.match(k)) and (c := _COLOUR.search(v))}
    if named or raster.dataset.colorinterp[band - 1] != ColorInterp.palette:
        return named
    table = raster.dataset.colormap(band)
    return {value: f"#{r:02x}{g:02x}{b:02x}" for value, (r, g, b, a) in table.items() if a}


def _sidecar_names(path: Path) -> dict[int, str]:
    """Category names of the first band in ``<path>.aux.xml``, as GDAL and QGIS write them; rasterio hides them."""
    sidecar = path.with_name(path.name + SUFFIX)
    if not sidecar.is_file() or sidecar.stat().st_size > _MAX_SIDECAR:
        return {}
    text = sidecar.read_bytes()
    if b"<!DOCTYPE" in text or b"<!ENTITY" in text:
        return {}
    try:
        root = ElementTree.fromstring(text)  # noqa: S314 - no entities, checked above
    except ElementTree.ParseError:
        return {}
    categories = root.findall("./PAMRasterBand[@band='1']/CategoryNames/Category")
    return {i: c.text for i, c in enumerate(categories) if c.text}
