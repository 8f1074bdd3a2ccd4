"""What a run hands back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from geounet.errors import ConfigError
from geounet.grid.geobox import GeoBox

if TYPE_CHECKING:
    import networkx
    from geopandas import GeoDataFrame


def area_unit(geobox: GeoBox) -> str:
    """Unit of areas on this grid: without a CRS nobody knows how large a pixel is."""
    return "px" if geobox.crs is None else "m²"


@dataclass(frozen=True, kw_only=True)
class Run:
    """A finished run."""

    scene: str
    output: Path
    """The results folder."""
    paths: Mapping[str, Path]
    """Every file that the run left, by its name."""
    pixels: int
    """Pixels of the scene as the network saw it."""
    tiles: int
    """Tiles computed now; 0 where an earlier run had computed them all."""
    tiles_skipped: int
    """Tiles without a valid pixel."""
    features: Mapping[str, int]
    """Number of vector features, by head."""
    area_by_class: Mapping[str, Mapping[str, float]]
    """In ``area_unit``, by head and class name."""
    length: Mapping[str, float] = field(default_factory=dict)
    """Of the centre-lines in metres (pixels without a CRS), by layer: ``road_lines``."""
    timings: Mapping[str, float]
    """Seconds of wall time, by stage."""
    area_unit: str = "m²"
    """``m²``, or ``px`` where the scene has no CRS."""
    engine: str = ""
    warnings: tuple[str, ...] = ()
    pixels_computed: int = 0
    """Pixels of ``pixels`` that this run computed; the others an earlier one had."""
    resumed: int = 0
    """Blocks that an earlier run had finished."""
    blocks: int = 0
    """Blocks of the scene."""
    as_before: int = 0
    """Blocks that read what they had read in an earlier run, and whose part was taken from it."""
    reused: bool = field(default=False)
    """Whether everything was there already."""

    @property
    def layers(self) -> Mapping[str, GeoDataFrame]:
        """Vector layers by name (``landuse``, ``road``, …) as GeoDataFrames; each is read when it is asked for."""
        from geounet.run.frames import Layers

        return Layers(self.paths)

    def road_graph(self, head: str | None = None) -> networkx.MultiGraph:
        """The centre-lines of a head as a graph, as `geounet.road_graph` has it; None: of the only head with lines.

        Raises ConfigError where the run left no such lines, or those of several heads and none is named.
        """
        from geounet.io.road_graph import road_graph
        from geounet.run.frames import Layers

        layers = Layers(self.paths)
        heads = [name.removesuffix("_lines") for name in layers if name.endswith("_lines")]
        if head is None and len(heads) == 1:
            head = heads[0]
        if head not in heads:
            asked = "no head named" if head is None else f"head {head!r}"
            raise ConfigError(
                f"{asked}: expected one of those with centre-lines ({', '.join(heads) or 'none here'})"
            )
        return road_graph(layers.path(f"{head}_lines"))

    @property
    def seconds(self) -> float:
        """Wall time of all stages."""
        return sum(self.timings.values())
