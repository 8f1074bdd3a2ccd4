"""Centre-lines of a mask: what the sweep over its rows collects, and the two layers that become of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import shapely
from numpy.typing import NDArray

from geounet.grid.window import Window
from geounet.io.ground import Ground
from geounet.io.labels import LabelRaster
from geounet.io.line_layers import LineLayer, lengths, write_layer
from geounet.io.styles import line_style, node_style
from geounet.model.canvas import CONFIDENCE_SCALE
from geounet.run.line_options import LineOptions
from geounet.vector.centrelines import CentreLines, centre_lines
from geounet.vector.cutting import cut_lines
from geounet.vector.skeleton import Skeleton, Thinner, join

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class LineTotals:
    """What was written."""

    lines: int
    nodes: int
    length: float
    """Metres; pixels without a CRS."""
    dropped: int
    """Lines without a place on the globe, left out of GeoJSON."""


class LineMaker:
    """Takes the rows of labels as the sweep meets them; in the end gives out the centre-lines of one class.

    It works on a thread of its own, beside the sweep and what follows, on one strip of rows after the other. What
    goes wrong there is raised by the next call. A context manager: at its end nothing of it runs any more.
    """

    def __init__(self, raster: LabelRaster, ground: Ground, options: LineOptions) -> None:
        self._raster, self._ground, self._options = raster, ground, options
        self._thinner = Thinner(width=raster.geobox.width)
        self._parts: list[Skeleton] = []
        self._row = 0
        self._sides = row_sides(ground)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="geounet-lines")
        self._working: Future[None] | None = None
        self._finished: Future[CentreLines] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._thread.shutdown(cancel_futures=True)

    @property
    def value(self) -> int:
        """Of the pixels that are road."""
        return self._options.value

    def feed(
        self, labels: NDArray[Any], outside: NDArray[np.bool_] | None, confidence: NDArray[np.uint8] | None
    ) -> None:
        """Take the next rows ``(h, width)`` of labels; ``outside`` is True where there is none.

        They must not change later. Waits for the rows before, so that one strip at most is held.
        """
        self._wait()
        self._working = self._thread.submit(self._thin, labels, outside, confidence)

    def _thin(
        self, labels: NDArray[Any], outside: NDArray[np.bool_] | None, confidence: NDArray[np.uint8] | None
    ) -> None:
        mask = labels == self._options.value
        if outside is not None:
            mask &= ~outside
        rows = np.arange(self._row, self._row + mask.shape[0])
        self._row += mask.shape[0]
        self._parts.append(self._thinner.feed(mask, sides=self._sides(rows), confidence=confidence))

    def close(self) -> None:
        """There are no more rows: begin with the graph."""
        self._wait()
        self._finished = self._thread.submit(self._graph)

    def finish(self, area: shapely.Geometry | None = None) -> CentreLines:
        """The graph; with ``area``, in pixel coordinates, what of it lies inside, cut exactly."""
        if self._finished is None:
            self.close()
        assert self._finished is not None
        lines = self._finished.result()
        return lines if area is None else cut_lines(lines, area)

    def _wait(self) -> None:
        if self._working is not None:
            self._working.result()

    def _graph(self) -> CentreLines:
        skeleton = join([*self._parts, self._thinner.close()])
        self._parts = []
        box, options = self._raster.geobox, self._options
        return centre_lines(
            skeleton,
            shape=box.shape,
            sides=self._sides,
            spur=options.spur,
            bridge=options.bridge,
            likelihood=self._likelihood if self._raster.has_confidence else None,
            simplify=options.simplify,
            marks=self._marks,
        )

    def _marks(self, window: Window) -> NDArray[np.bool_]:
        """Which pixels are road."""
        return self._raster.values(window) == self._options.value

    def _likelihood(self, places: IntArray) -> FloatArray:
        """How likely the pixels at ``places`` are road, as the confidence raster tells."""
        rows, columns = places // self._raster.geobox.width, places % self._raster.geobox.width
        labels, confidence = self._raster.at(rows, columns)
        sure = confidence.astype(np.float64) / CONFIDENCE_SCALE
        return np.where(confidence == 255, np.nan, np.where(labels == self._options.value, sure, 1.0 - sure))


def row_sides(ground: Ground) -> Callable[[IntArray], FloatArray]:
    """Metres ``(n, 2)`` of a pixel's sides along rows and along columns, by row; 1 without a CRS."""
    middle = np.array([ground.geobox.height // 2])
    size = np.array(ground.metres_per_pixel) / ground.pixel_sides(middle)[0]
    return lambda rows: ground.pixel_sides(rows) * size


def write_lines(
    lines: CentreLines,
    ground: Ground,
    *,
    name: str,
    paths: Mapping[str, tuple[Path, Path]],
    color: str | None = None,
    container: Path | None = None,
) -> LineTotals:
    """Write the lines and their nodes to ``paths`` by format: the file of the lines, and that of the nodes.

    ``color``: of the lines, where they are to have a style. ``container``: a GeoPackage in the making that takes
    both layers instead of files of their own.
    """
    edges, nodes = layers_of(lines, ground, name=name)
    styles = (None, None) if color is None else (line_style(color), node_style())
    of_edges, of_nodes = ({f: p[k] for f, p in paths.items()} for k in range(2))
    dropped = write_layer(edges, of_edges, ground, style=styles[0], container=container)
    write_layer(nodes, of_nodes, ground, style=styles[1], container=container)
    return LineTotals(
        lines=edges.geometry.size,
        nodes=nodes.geometry.size,
        length=round(float(np.nansum(edges.columns["length_m"])), 3),
        dropped=dropped,
    )


def layers_of(lines: CentreLines, ground: Ground, *, name: str) -> tuple[LineLayer, LineLayer]:
    """``<name>_lines`` and ``<name>_nodes``, numbered from 1."""
    xy = ground.coordinates(lines.xy)
    count = lines.starts.size - 1
    owner = np.repeat(np.arange(count), np.diff(lines.starts))
    columns: dict[str, NDArray[Any]] = {
        "id": np.arange(1, count + 1),
        "length_m": np.round(lengths(ground, xy, lines.starts), 2),
        "width_m": np.round(lines.width, 2),
        "width_sd_m": np.round(lines.width_sd, 2),
    }
    if lines.confidence is not None:
        columns["confidence_mean"] = np.round(lines.confidence / CONFIDENCE_SCALE, 4)
    columns |= {
        "from_node": lines.ends[:, 0].astype(np.int64) + 1,
        "to_node": lines.ends[:, 1].astype(np.int64) + 1,
    }
    shapes = shapely.linestrings(xy, indices=owner) if count else np.zeros(0, object)
    points = shapely.points(ground.coordinates(lines.node_xy)) if len(lines.node_xy) else np.zeros(0, object)
    about_nodes: dict[str, NDArray[Any]] = {
        "id": np.arange(1, len(lines.node_xy) + 1),
        "degree": lines.degree.astype(np.int64),
    }
    if lines.cut is not None:
        about_nodes["cut"] = lines.cut
    return (
        LineLayer(name=f"{name}_lines", geometry=np.asarray(shapes), columns=columns, kind="LineString"),
        LineLayer(name=f"{name}_nodes", geometry=np.asarray(points), columns=about_nodes, kind="Point"),
    )
