"""Parts in, one Cloud Optimized GeoTIFF per head out.

The parts are laid side by side in a virtual raster, its overviews are computed in one pass, and GDAL's COG
driver copies both. Nothing that goes into the file depends on the parts' number, shape or order, on the
thread count or on the clock, so equal pixels give equal bytes.

Options of the driver (https://gdal.org/en/stable/drivers/raster/cog.html), with the reason of each:

    COMPRESS=DEFLATE   every reader has it; ZSTD saves 6 % of the bytes and no time worth it
    LEVEL              1: level 6 takes four times as long to save a fifth of the bytes
    PREDICTOR=NO       neighbouring class numbers have no meaningful difference
    BLOCKSIZE=512      what readers over HTTP expect
    BIGTIFF=IF_SAFER   files that could pass 4 GB
    OVERVIEWS          ours (FORCE_USE_EXISTING); see geounet.io.overviews
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from rasterio.errors import NotGeoreferencedWarning
from rasterio.shutil import copy as gdal_copy
from rasterio.windows import Window as RioWindow

from geounet.grid.geobox import GeoBox
from geounet.grid.window import Window
from geounet.io import pam
from geounet.io.aoi import AreaMask
from geounet.io.atomic import publish, publish_text, scratch_folder
from geounet.io.levels import ANY_TRANSFORM, create, gdal, write_overviews
from geounet.io.mosaic import BLOCK, MosaicPart, write_vrt
from geounet.io.overviews import Halve, halve_mean, halve_mode
from geounet.io.regrid import nearest_indices
from geounet.io.whole import verify_blocks
from geounet.model.canvas import CONFIDENCE_SCALE
from geounet.model.spec import NODATA, Head, LabelClass

_LEVEL = 1


@dataclass(frozen=True, kw_only=True)
class Mosaic:
    """The finished parts of a scene."""

    geobox: GeoBox
    """The grid that the parts' windows count in."""
    parts: tuple[tuple[Window, Path], ...]
    """Window and file of every block that has valid pixels; where a part is missing is nodata."""
    shown: AreaMask | None = None
    """Where the raster shows what the parts hold; None: everywhere."""


@dataclass(frozen=True, kw_only=True)
class _Kind:
    """What tells one kind of raster from another."""

    halve: Halve
    classes: tuple[LabelClass, ...] = ()
    sidecar: str | None = None
    """Content of the ``.aux.xml`` file beside the raster."""
    scale: float | None = None
    description: str
    tags: Mapping[str, str]
    threads: int


def write_label_cog(
    path: str | Path,
    mosaic: Mosaic,
    *,
    band: int,
    head: Head,
    tags: Mapping[str, str],
    threads: int = 1,
    target: GeoBox | None = None,
) -> Path:
    """Write the labels of ``head`` as a COG: uint8, nodata 255, colour table, class names, overviews by mode.

    Args:
        path: the COG; beside it ``<path>.aux.xml`` says the class names where GDAL and QGIS look for them.
        mosaic: parts whose band ``band`` (from 1) holds the labels.
        band: the band of the parts, from 1.
        head: gives colours and names.
        tags: provenance, written into the default metadata domain.
        threads: used for overviews and compression; the bytes do not depend on it.
        target: the grid to write on, where it is not the mosaic's own; see `nearest_indices`.

    Raises:
        WorkError: GDAL could not write the file (disk full, a part is damaged).
    """
    kind = _Kind(
        halve=halve_mode,
        classes=head.classes,
        sidecar=pam.category_names(head),
        description=head.name,
        tags={**tags, **class_tags(head)},
        threads=threads,
    )
    return _write(Path(path), mosaic, band, kind, target)


def write_confidence_cog(
    path: str | Path,
    mosaic: Mosaic,
    *,
    band: int,
    head: Head,
    tags: Mapping[str, str],
    threads: int = 1,
    target: GeoBox | None = None,
) -> Path:
    """Write the confidences of ``head`` as a COG: uint8, 0..250 (scale 1/250), nodata 255, overviews by mean.

    Arguments and errors as in `write_label_cog`.
    """
    kind = _Kind(
        halve=halve_mean,
        scale=1 / CONFIDENCE_SCALE,
        description=f"{head.name} confidence",
        tags=tags,
        threads=threads,
    )
    return _write(Path(path), mosaic, band, kind, target)


def class_tags(head: Head) -> dict[str, str]:
    """Class names and colours as tags: ``CLASS_NAMES`` and ``CLASS_<value>`` = ``name #rrggbb``."""
    tags = {"CLASS_NAMES": ",".join(c.name for c in head.classes)}
    return tags | {f"CLASS_{c.value}": f"{c.name} {c.color}" for c in head.classes}


def _write(path: Path, mosaic: Mosaic, band: int, kind: _Kind, target: GeoBox | None) -> Path:
    options: dict[str, Any] = {
        "compress": "deflate",
        "level": _LEVEL,
        "predictor": "no",
        "blocksize": BLOCK,
        "bigtiff": "if_safer",
        "overviews": "force_use_existing",
        "num_threads": max(1, kind.threads),
    }
    with gdal(), scratch_folder(path) as scratch, publish(path) as temporary:
        geobox, sources = _on_target(mosaic, band, target, scratch)
        base = scratch / "base.vrt"
        write_vrt(base, replace(geobox, transform=ANY_TRANSFORM, crs=None), sources)
        levels = write_overviews(base, geobox.shape, halve=kind.halve, threads=kind.threads, folder=scratch)
        whole = scratch / "whole.vrt"
        write_vrt(
            whole, geobox, sources, overviews=levels, classes=kind.classes, scale=kind.scale,
            description=kind.description, tags=kind.tags,
        )  # fmt: skip
        with warnings.catch_warnings():  # a scene without georeference was reported when it was opened
            warnings.simplefilter("ignore", NotGeoreferencedWarning)
            gdal_copy(whole, temporary, driver="COG", **options)
        verify_blocks(temporary)
        if kind.sidecar is not None:
            publish_text(f"{path}.aux.xml", kind.sidecar)
    return path


def _on_target(
    mosaic: Mosaic, band: int, target: GeoBox | None, scratch: Path
) -> tuple[GeoBox, tuple[MosaicPart, ...]]:
    """The grid to write on, and what lies on it; regridded through one intermediate file where needed."""
    sources = tuple(MosaicPart(window=w, path=p, band=band) for w, p in sorted(mosaic.parts))
    if mosaic.shown is not None:
        sources = (_shown(mosaic.geobox, sources, mosaic.shown, scratch),)
    if target is None or target == mosaic.geobox:
        return mosaic.geobox, sources
    working, moved = scratch / "working.vrt", scratch / "target.tif"
    write_vrt(working, replace(mosaic.geobox, transform=ANY_TRANSFORM, crs=None), sources)
    rows, cols = nearest_indices(source=mosaic.geobox, target=target)
    with rasterio.open(working) as source, create(moved, target.shape, tile=BLOCK) as out:
        for top in range(0, target.height, BLOCK):
            index = rows[top : top + BLOCK]
            low, high = int(index.min()), int(index.max()) + 1
            pixels = source.read(1, window=RioWindow(0, low, mosaic.geobox.width, high - low))
            strip = pixels[index - low][:, cols]
            out.write(top, strip[None])
    return target, (MosaicPart(window=target.window, path=moved),)


def _shown(geobox: GeoBox, sources: tuple[MosaicPart, ...], shown: AreaMask, scratch: Path) -> MosaicPart:
    """The sources in one file, nodata where they are not ``shown``."""
    wide, path = scratch / "wide.vrt", scratch / "shown.tif"
    write_vrt(wide, replace(geobox, transform=ANY_TRANSFORM, crs=None), sources)
    with rasterio.open(wide) as source, create(path, geobox.shape, tile=BLOCK) as out:
        for top in range(0, geobox.height, BLOCK):
            window = Window(top, 0, min(BLOCK, geobox.height - top), geobox.width)
            pixels = source.read(1, window=RioWindow(0, top, window.width, window.height))
            out.write(top, np.where(shown(window), pixels, np.uint8(NODATA))[None])
    return MosaicPart(window=geobox.window, path=path)
