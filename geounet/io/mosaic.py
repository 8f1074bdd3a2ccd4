"""One-band virtual rasters (GDAL VRT), written as text.

Format: https://gdal.org/en/stable/drivers/raster/vrt.html
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from geounet.grid.geobox import IDENTITY, GeoBox
from geounet.grid.window import Window
from geounet.io.xml_text import escape, quoteattr
from geounet.model.spec import NODATA, LabelClass

BLOCK = 512
"""Side of the blocks of every raster that we write, in pixels."""


@dataclass(frozen=True, kw_only=True)
class MosaicPart:
    """A file that fills one window of the virtual raster, pixel by pixel."""

    window: Window
    """Where its pixels go, in pixels of the virtual raster; of the file's own shape."""
    path: Path
    band: int = 1


def write_vrt(
    path: Path,
    geobox: GeoBox,
    sources: Iterable[MosaicPart],
    *,
    overviews: Iterable[Path] = (),
    classes: Iterable[LabelClass] = (),
    tags: Mapping[str, str] | None = None,
    scale: float | None = None,
    description: str = "",
) -> None:
    """Write a one-band uint8 VRT over ``sources`` to ``path``; what no source covers is nodata.

    ``overviews`` are one-band files, largest first. ``classes`` become the colour table.
    """
    with path.open("w", encoding="utf-8", newline="\n") as file:
        file.writelines(_dataset(geobox, tags or {}))
        file.writelines(_band_head(tuple(classes), scale, description))
        file.writelines(_source(s) for s in sources)
        file.writelines(_overview(p) for p in overviews)
        file.write("</VRTRasterBand>\n</VRTDataset>\n")


def _dataset(geobox: GeoBox, tags: Mapping[str, str]) -> Iterator[str]:
    yield f'<VRTDataset rasterXSize="{geobox.width}" rasterYSize="{geobox.height}">\n'
    if geobox.crs is not None:
        yield f"<SRS>{escape(geobox.crs)}</SRS>\n"
    if geobox.transform != IDENTITY:  # GDAL reads the identity as "not georeferenced"; so do we
        a, b, c, d, e, f = geobox.transform
        yield f"<GeoTransform>{', '.join(repr(float(v)) for v in (c, a, b, f, d, e))}</GeoTransform>\n"
    yield "<Metadata>\n"
    for key in sorted(tags):
        yield f"<MDI key={quoteattr(key)}>{escape(tags[key])}</MDI>\n"
    yield "</Metadata>\n"


def _band_head(classes: tuple[LabelClass, ...], scale: float | None, description: str) -> Iterator[str]:
    yield f'<VRTRasterBand dataType="Byte" band="1" blockXSize="{BLOCK}" blockYSize="{BLOCK}">\n'
    if description:
        yield f"<Description>{escape(description)}</Description>\n"
    yield f"<NoDataValue>{NODATA}</NoDataValue>\n"
    yield f"<ColorInterp>{'Palette' if classes else 'Gray'}</ColorInterp>\n"
    if scale is not None:
        yield f"<Offset>0</Offset>\n<Scale>{scale!r}</Scale>\n"
    if classes:
        yield "<ColorTable>\n"
        yield from (_entry(c.rgb, 255) for c in classes)
        yield from (_entry((0, 0, 0), 0) for _ in range(len(classes), NODATA + 1))
        yield "</ColorTable>\n"


def _entry(rgb: tuple[int, int, int], alpha: int) -> str:
    return f'<Entry c1="{rgb[0]}" c2="{rgb[1]}" c3="{rgb[2]}" c4="{alpha}"/>\n'


def _source(source: MosaicPart) -> str:
    # SourceProperties let GDAL open a file only when its pixels are wanted.
    w = source.window
    size = f'xSize="{w.width}" ySize="{w.height}"'
    return (
        f"<SimpleSource>{_file(source.path)}<SourceBand>{source.band}</SourceBand>"
        f'<SourceProperties RasterXSize="{w.width}" RasterYSize="{w.height}" DataType="Byte"'
        f' BlockXSize="{BLOCK}" BlockYSize="{BLOCK}"/>'
        f'<SrcRect xOff="0" yOff="0" {size}/><DstRect xOff="{w.col_off}" yOff="{w.row_off}" {size}/>'
        "</SimpleSource>\n"
    )


def _overview(path: Path) -> str:
    return f"<Overview>{_file(path)}<SourceBand>1</SourceBand></Overview>\n"


def _file(path: Path) -> str:
    return f'<SourceFilename relativeToVRT="0">{escape(str(path.resolve()))}</SourceFilename>'
