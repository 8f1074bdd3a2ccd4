"""What `vectorize` reads: the labels, and what lies beside them on the same grid."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from geounet.errors import ConfigError
from geounet.grid.geobox import GeoBox
from geounet.io.aoi import AreaMask, area_mask, read_area
from geounet.io.atomic import scratch_folder
from geounet.io.gdal import smaller_cache
from geounet.io.ground import Ground
from geounet.io.labels import LabelRaster
from geounet.model.spec import Head, LabelClass

if TYPE_CHECKING:  # what not every call needs is not loaded by every one
    from shapely import Geometry

    from geounet.io.threshold import Threshold
    from geounet.io.zones import Zones
    from geounet.vector.inside import Inside


@dataclass(frozen=True, kw_only=True)
class Area:
    """An area of interest."""

    on_map: Geometry
    """In the scene's CRS, prepared."""
    on_pixels: Geometry
    """The same in pixel coordinates."""
    inside: Inside
    """Which pixels have their centre in it."""
    shown: AreaMask | None = None
    """Which pixels rasters show, where they are to be cut;"""
    known: AreaMask | None = None
    """and which are known, where not all are."""


@dataclass(frozen=True, kw_only=True)
class Sources:
    """Open rasters, and what is asked of them."""

    raster: LabelRaster
    head: Head | None
    """What the values mean, where the raster does not say it."""
    ground: Ground
    area: Area | None
    zones: Zones | None
    """Statistics of another raster."""

    @property
    def rows_at_once(self) -> int:
        """Fewer where many bands come along, each with eight bytes a pixel."""
        rows = self.raster.strip_rows
        return rows if self.zones is None else max(1, rows // len(self.zones.names))


def open_sources(
    stack: ExitStack,
    labels: str | Path,
    *,
    head: Head | None,
    confidence: str | Path | None,
    threshold: Threshold | None,
    aoi: str | Path | None,
    around: int | None,
    stats: str | Path | None,
    beside: Path,
) -> Sources:
    """Open everything for as long as ``stack`` is; arguments as of `geounet.run.vectorize.vectorize`.

    A mask at another ``threshold`` is made ``beside`` a file, and removed.
    """
    if threshold is not None:
        labels, confidence, head = _cut_mask(
            labels, confidence, head, threshold, stack.enter_context(scratch_folder(beside))
        )
    raster = stack.enter_context(LabelRaster(labels, head=head, confidence=confidence))
    stack.enter_context(smaller_cache(raster.cache_bytes))
    return Sources(
        raster=raster,
        head=head,
        ground=Ground(raster.geobox),
        area=None if aoi is None else _area(aoi, raster.geobox, around),
        zones=None if stats is None else _zones(stats, raster, stack),
    )


def threshold_of(text: str | float) -> Threshold:
    """Of a text or a number. Raises ConfigError where it is none."""
    from geounet.io.threshold import Threshold

    return Threshold.parse(text)


def _cut_mask(
    labels: str | Path, confidence: str | Path | None, head: Head | None, threshold: Threshold, folder: Path
) -> tuple[Path, Path, Head]:
    """The mask at another threshold, its confidence, and what its values mean."""
    from geounet.io.threshold import Probabilities, write_cut

    mask, sure = folder / "mask.tif", folder / "confidence.tif"
    with Probabilities(labels, confidence, own=None if head is None else head.threshold) as source:
        write_cut(source, threshold, labels=mask, confidence=sure)
        names = source.class_names()
    classes = (("no", "#ffffff"), ("yes", "#000000"))
    plain = tuple(LabelClass(value=v, name=names.get(v, n), color=c) for v, (n, c) in enumerate(classes))
    return mask, sure, head or Head(name="mask", kind="mask", classes=plain)


def _zones(path: str | Path, raster: LabelRaster, stack: ExitStack) -> Zones:
    from geounet.io.zones import Zones

    return stack.enter_context(Zones(path, raster.geobox))


def _area(path: str | Path, geobox: GeoBox, around: int | None) -> Area:
    """The polygons of a file on the scene, which they must meet."""
    import shapely

    from geounet.vector.inside import Inside

    area = read_area(path, geobox)
    scene = shapely.transform(shapely.box(0, 0, geobox.width, geobox.height), Ground(geobox).coordinates)
    if not shapely.intersects(area, scene):
        raise ConfigError(f"--aoi {path}: the area lies outside the scene; check its coordinates and its CRS")
    shapely.prepare(area)
    on_pixels = _on_pixels(area, geobox)
    return Area(
        on_map=area,
        on_pixels=on_pixels,
        inside=Inside(on_pixels, width=geobox.width),
        shown=None if around is None else area_mask(path, geobox),
        known=None if around is None else area_mask(path, geobox, around=around),
    )


def _on_pixels(area: Geometry, geobox: GeoBox) -> Geometry:
    """An area of the map in pixel coordinates."""
    import shapely

    a, b, c, d, e, f = tuple(~geobox.affine)[:6]

    def to_pixels(xy: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.stack([a * xy[:, 0] + b * xy[:, 1] + c, d * xy[:, 0] + e * xy[:, 1] + f], axis=1)

    return shapely.transform(area, to_pixels)
