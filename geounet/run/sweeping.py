"""The sweep over a label raster: cleaned, measured beside other rasters, and traced into the spool."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from geounet.io.ground import Ground
from geounet.io.labels import LabelRaster, Rows
from geounet.io.spool import Spool
from geounet.model.spec import Head
from geounet.vector.tracer import OnVertices, Tracer

if TYPE_CHECKING:  # what not every sweep needs is not loaded by every one
    from geounet.io.cleaned import CleanedRows
    from geounet.io.zones import Zones
    from geounet.run.lines import LineMaker
    from geounet.vector.inside import Inside
    from geounet.vector.mapping_unit import MappingUnit

OnRows = Callable[[int, int], None]


@dataclass(frozen=True, kw_only=True)
class Sweep:
    """What a sweep reads, and what it is to do."""

    raster: LabelRaster
    head: Head | None
    min_area: float = 0.0
    """m²; smaller components are absorbed."""
    min_hole: float = 0.0
    """m²; smaller holes are filled."""
    step: int
    """Rows at a time."""
    ahead: bool = True
    """Whether another thread reads the rows that come next."""
    zones: Zones | None = None
    inside: Inside | None = None
    """Where pixels count for confidences and statistics; None: everywhere."""
    progress: OnRows | None = None
    _done: list[int] = field(default_factory=lambda: [0])

    @property
    def cleans(self) -> bool:
        """Whether labels change on the way."""
        return self.min_area > 0 or self.min_hole > 0

    def run(
        self,
        spool: Spool,
        *,
        cleaned: CleanedRows | None = None,
        on_vertices: OnVertices | None = None,
        lines: LineMaker | None = None,
    ) -> None:
        """Sweep the raster from top to bottom; polygons end up in the spool, rows in ``lines``."""
        unit = self._survey() if self.cleans else None
        tracer = Tracer(
            width=self.raster.geobox.width,
            lut=None if unit else self.raster.lut(),
            bands=0 if self.zones is None else len(self.zones.names),
            on_vertices=on_vertices,
        )
        for rows in self.raster.rows(self.step, whole=unit is not None, ahead=self.ahead):
            labels = rows.labels if unit is None else unit.clean(rows.labels, outside=rows.outside)
            if cleaned is not None:
                cleaned.write(labels, outside=rows.outside, rim=rows.rim)
            top = tracer.row
            found = tracer.feed(
                labels,
                confidence=self._confidence(rows, top),
                outside=rows.outside if unit is None else None,
                rim=rows.rim,
                values=self._values(top, labels.shape[0]),
            )
            if lines is not None:
                lines.feed(labels, rows.outside if unit is None else None, rows.confidence)
            spool.add(found)
            self.tell(labels.shape[0])
        spool.add(tracer.close())

    def tell(self, rows: int = 0) -> None:
        """Say how far the sweep is, after some more ``rows``."""
        self._done[0] += rows
        if self.progress is not None:
            self.progress(self._done[0], (2 if self.cleans else 1) * self.raster.geobox.height)

    def _confidence(self, rows: Rows, top: int) -> NDArray[np.uint8] | None:
        if rows.confidence is None or self.inside is None:
            return rows.confidence
        return np.where(self.inside.rows(top, rows.labels.shape[0]), rows.confidence, np.uint8(255))

    def _values(self, top: int, height: int) -> NDArray[np.float64] | None:
        if self.zones is None:
            return None
        values = self.zones.rows(top, height)
        if self.inside is not None:
            values[:, ~self.inside.rows(top, height)] = np.nan
        return values

    def _survey(self) -> MappingUnit:
        """The first of two passes: what is too small, and what becomes of it.

        The 0 of a mask takes part, as it is what small marks are absorbed by; it never becomes a polygon.
        """
        from geounet.vector.mapping_unit import MappingUnit

        ground = Ground(self.raster.geobox)
        middle = np.array([self.raster.geobox.height // 2])
        pixel = float(np.nanmean(ground.pixel_areas(middle)))
        unit = MappingUnit(
            width=self.raster.geobox.width,
            lut=self.raster.lut(whole=True),
            min_area=self.min_area,
            min_hole=self.min_hole,
            density=ground.pixel_areas,
            sides=ground.pixel_sides,
            pixel_area=pixel if np.isfinite(pixel) and pixel > 0 else ground.planar_pixel_area,
            only=1 if self.head is not None and self.head.kind == "mask" else None,
        )
        for rows in self.raster.rows(self.step, whole=True, ahead=self.ahead):
            unit.feed(rows.labels, outside=rows.outside)
            self.tell(rows.labels.shape[0])
        unit.decide()
        return unit
