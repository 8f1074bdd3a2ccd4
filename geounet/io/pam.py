"""The ``.aux.xml`` file beside a raster, in which GDAL and QGIS look for class names, and note what they measured.

A TIFF has no place for names that GDAL 3.10 reads. Format: GDAL's persistent auxiliary metadata
(https://gdal.org/en/stable/user/raster_data_model.html#pam).
"""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree as Xml  # expat refuses entity bombs; outside entities are never loaded

from geounet.io.xml_text import escape
from geounet.model.spec import Head

SUFFIX = ".aux.xml"
"""Behind the whole name of a raster."""


def read_pam(path: Path) -> bytes:
    """What an ``.aux.xml`` file says of a raster; nothing where it only notes what somebody measured in the pixels.

    To look at a raster in QGIS, or with ``gdalinfo -stats``, leaves statistics and histograms beside it, which
    change nothing of what it is. The whole content where it cannot be understood. Raises OSError.
    """
    content = path.read_bytes()
    try:
        root = Xml.fromstring(content)  # noqa: S314 - see the import
    except Xml.ParseError:
        return content
    return Xml.canonicalize(Xml.tostring(root), strip_text=True).encode() if _said(root) else b""


def _said(element: Xml.Element) -> bool:
    """Take out what was measured; whether anything is left."""
    for part in list(element):
        measured = part.tag == "Histograms" or part.get("key", "").startswith("STATISTICS_")
        holder = part.tag in ("PAMRasterBand", "Metadata")
        if measured or (holder and not _said(part)):
            element.remove(part)
    return len(element) > 0


def category_names(head: Head) -> str:
    """The content of the ``.aux.xml`` file that names the classes of ``head``."""
    names = "".join(f"      <Category>{escape(c.name)}</Category>\n" for c in head.classes)
    return (
        '<PAMDataset>\n  <PAMRasterBand band="1">\n    <CategoryNames>\n'
        f"{names}    </CategoryNames>\n  </PAMRasterBand>\n</PAMDataset>\n"
    )
