"""Plain VRTs: read here, as text, before GDAL may open them.

A VRT can name any file or URL, run Python, and read raw bytes as pixels. One is opened only where it has
nothing but the elements below and where every file that it names is a raster of its own folder.
"""

from __future__ import annotations

import os
from pathlib import Path
from xml.etree import ElementTree as Xml  # expat refuses entity bombs; outside entities are never loaded

from geounet.errors import SceneError

_MAX_BYTES = 64 * 2**20
# https://gdal.org/drivers/raster/vrt.html, less what reads anything but the sources (derived, raw and warped
# bands, open options, overview files)
_PLAIN = frozenset(
    [
        "VRTDataset",
        "SRS",
        "GeoTransform",
        "GCPList",
        "GCP",
        "Metadata",
        "MDI",
        "VRTRasterBand",
        "ColorInterp",
        "NoDataValue",
        "HideNoDataValue",
        "ColorTable",
        "Entry",
        "Description",
        "UnitType",
        "Offset",
        "Scale",
        "CategoryNames",
        "Category",
        "Histograms",
        "HistItem",
        "HistMin",
        "HistMax",
        "BucketCount",
        "IncludeOutOfRange",
        "Approximate",
        "HistCounts",
        "SimpleSource",
        "ComplexSource",
        "AveragedSource",
        "SourceFilename",
        "SourceBand",
        "SourceProperties",
        "SrcRect",
        "DstRect",
        "NODATA",
        "ScaleOffset",
        "ScaleRatio",
        "LUT",
        "UseMaskBand",
        "MaskBand",
        "BlockXSize",
        "BlockYSize",
        "OverviewList",
    ]
)


def sources(path: Path) -> tuple[Path, ...]:
    """The files that a plain VRT is made of, sorted. Raises SceneError where it is not plain."""
    root = _parse(path)
    folder = Path(os.path.realpath(path.parent))
    found = set()
    for element in root.iter():
        if element.tag not in _PLAIN or element.get("subClass"):
            what = element.get("subClass") or element.tag
            raise SceneError(
                f"{path}: this VRT has {what[:60]!r}; only plain mosaics are read: gdal_translate it to a COG"
            )
        if element.get("domain") == "OVERVIEWS":
            raise SceneError(f"{path}: this VRT names overviews in other files; gdal_translate it to a COG")
        if element.tag == "SourceFilename":
            found.add(_inside(path, folder, element))
    return tuple(sorted(found))


def _parse(path: Path) -> Xml.Element:
    if path.stat().st_size > _MAX_BYTES:
        raise SceneError(f"{path}: a VRT of {path.stat().st_size} bytes; expected at most {_MAX_BYTES}")
    try:
        return Xml.fromstring(path.read_bytes())  # noqa: S314 - see the import
    except Xml.ParseError as error:
        raise SceneError(f"{path} is no well-formed VRT: {error}") from None


def _inside(path: Path, folder: Path, element: Xml.Element) -> Path:
    """The file that ``element`` names, which must lie in or below the VRT's folder."""
    text = (element.text or "").strip()
    relative = element.get("relativeToVRT", element.get("relativetoVRT", "0")) == "1"
    named = Path(os.path.realpath(path.parent / text if relative else text))
    if not named.is_relative_to(folder) or not named.is_file() or text.startswith("/vsi"):
        raise SceneError(f"{path} refers to {text[:200]!r}; only existing files in the VRT's own folder are read")
    return named
