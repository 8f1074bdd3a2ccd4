"""The ``.aux.xml`` file beside a raster, in which GDAL and QGIS look for class names.

A TIFF has no place for them that GDAL 3.10 reads. Format: GDAL's persistent auxiliary metadata
(https://gdal.org/en/stable/user/raster_data_model.html#pam).
"""

from __future__ import annotations

from geounet.io.xml_text import escape
from geounet.model.spec import Head


def category_names(head: Head) -> str:
    """The content of the ``.aux.xml`` file that names the classes of ``head``."""
    names = "".join(f"      <Category>{escape(c.name)}</Category>\n" for c in head.classes)
    return (
        '<PAMDataset>\n  <PAMRasterBand band="1">\n    <CategoryNames>\n'
        f"{names}    </CategoryNames>\n  </PAMRasterBand>\n</PAMDataset>\n"
    )
