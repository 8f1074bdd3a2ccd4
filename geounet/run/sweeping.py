"""The sweep over a label raster: cleaned, measured beside other rasters, and traced."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from geounet.grid.window import Window
from geounet.io.ground import Ground
from geounet.io.labels import Rows
from geounet.io.mapped import MappedRoom
from geounet.io.nodata import either
from geounet.vector.polygons import Polygons
from geounet.vector.tracer import OnVertices, Tracer

if TYPE_CHECKING:  # what not every sweep needs is not loaded by every one
    from geounet.io.cleaned import CleanedRows
    from geounet.run.lines import LineMaker
    from geounet.run.vector_sources import Sources
    from geounet.vector.mapping_unit import MappingUnit

OnRows = Callable[[int, int], None]


@dataclass(frozen=True, kw_only=True)
class Sweep:
    """What a sweep reads, and what it is to do."""

    sources: Sources
    min_area: float = 0.0
    """m²; smaller components are absorbed."""
    min_hole: float = 0.0
    """m²; smaller holes are filled."""
    step: int
    """Rows at a time."""
    folder: Path
    """For what outgrows memory."""
    threads: int = 1
    """Where there are several, another one reads the rows that come next."""
    progress: OnRows | None = None
    _done: list[int] = field(default_factory=lambda: [0])

    @property
    def cleans(self) -> bool:
        """Whether labels change on the way."""
        return self.min_area > 0 or self.min_hole > 0

    def run(
        self,
        take: Callable[[Polygons], None],
        *,
        cleaned: CleanedRows | None = None,
        on_vertices: OnVertices | None = None,
        lines: LineMaker | None = None,
    ) -> None:
        """Sweep the raster from top to bottom; ``take`` gets polygons as they end, ``lines`` the rows."""
        raster, area = self.sources.raster, self.sources.area
        unit = self._survey() if self.cleans else None
        known = None if area is None else area.known
        with MappedRoom(self.folder) as room:
            tracer = self._tracer(None if unit else raster.lut(), on_vertices, room)
            for rows in raster.rows(
                self.step, whole=unit is not None, rim=known is not None, ahead=self.threads > 1
            ):
                window = Window(tracer.row, 0, rows.labels.shape[0], raster.geobox.width)
                labels = rows.labels if unit is None else unit.clean(rows.labels, outside=rows.outside)
                outside = rows.outside if unit is None else None
                if cleaned is not None:
                    hidden = None if area is None or area.shown is None else ~area.shown(window)
                    cleaned.write(labels, outside=either(rows.outside, hidden), rim=either(rows.rim, hidden))
                if lines is not None:
                    lines.feed(labels, outside, rows.confidence)
                rim = rows.rim if known is None or rows.rim is None else rows.rim & known(window)
                take(
                    tracer.feed(
                        labels,
                        confidence=self._confidence(rows, window),
                        outside=outside,
                        rim=rim,
                        values=self._values(tracer.row, window.height),
                    )
                )
                self.tell(window.height)
            if lines is not None:
                lines.close()
            take(tracer.close())

    def _tracer(self, lut: NDArray[np.int32] | None, on_vertices: OnVertices | None, room: MappedRoom) -> Tracer:
        zones = self.sources.zones
        return Tracer(
            width=self.sources.raster.geobox.width,
            lut=lut,
            bands=0 if zones is None else len(zones.names),
            on_vertices=on_vertices,
            room=room,
        )

    def tell(self, rows: int = 0) -> None:
        """Say how far the sweep is, after some more ``rows``."""
        self._done[0] += rows
        if self.progress is not None:
            self.progress(self._done[0], (2 if self.cleans else 1) * self.sources.raster.geobox.height)

    def _confidence(self, rows: Rows, window: Window) -> NDArray[np.uint8] | None:
        if rows.confidence is None or self.sources.area is None:
            return rows.confidence
        inside = self.sources.area.inside.rows(window.row_off, window.height)
        return np.where(inside, rows.confidence, np.uint8(255))

    def _values(self, top: int, height: int) -> NDArray[np.float64] | None:
        """Of the other raster, in some rows."""
        if self.sources.zones is None:
            return None
        values = self.sources.zones.rows(top, height)
        if self.sources.area is not None:
            values[:, ~self.sources.area.inside.rows(top, height)] = np.nan
        return values

    def _survey(self) -> MappingUnit:
        """The first of two passes: what is too small, and what becomes of it.

        The 0 of a mask takes part, as it is what small marks are absorbed by; it never becomes a polygon.
        """
        from geounet.vector.mapping_unit import MappingUnit

        ground = Ground(self.sources.raster.geobox)
        middle = np.array([self.sources.raster.geobox.height // 2])
        pixel = float(np.nanmean(ground.pixel_areas(middle)))
        unit = MappingUnit(
            width=self.sources.raster.geobox.width,
            lut=self.sources.raster.lut(whole=True),
            min_area=self.min_area,
            min_hole=self.min_hole,
            density=ground.pixel_areas,
            sides=ground.pixel_sides,
            pixel_area=pixel if np.isfinite(pixel) and pixel > 0 else ground.planar_pixel_area,
            only=1 if self.sources.head is not None and self.sources.head.kind == "mask" else None,
        )
        for rows in self.sources.raster.rows(self.step, whole=True, ahead=self.threads > 1):
            unit.feed(rows.labels, outside=rows.outside)
            self.tell(rows.labels.shape[0])
        unit.decide()
        return unit
