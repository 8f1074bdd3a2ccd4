"""Vectors as class values on a scene's grid, window by window: polygons, and lines with a width."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from geounet.errors import ConfigError, SceneError
from geounet.grid.geobox import GeoBox
from geounet.grid.window import Window
from geounet.io.features import read_column, read_near

if TYPE_CHECKING:
    from affine import Affine
    from geopandas import GeoDataFrame, GeoSeries

Points = NDArray[np.float64]

_FINE = 1024.0
"""Corners lie on this fraction of a pixel: then moving them by whole pixels rounds nothing, and a window that is
burnt alone has the very pixels that it has within the scene."""
_EDGE = 256
"""Pixels; longer edges are cut before they go to another CRS, where a straight line is not straight."""


@dataclass(frozen=True, kw_only=True)
class BurnLayer:
    """A layer of a vector file, and what its features stand for."""

    path: Path
    layer: str | None = None
    value: int | None = None
    """Class value of all features; None: ``field`` says."""
    field: str | None = None
    values: Mapping[str, int] | None = None
    """Class value by the text in ``field``."""
    width: float | None = None
    """Metres across a line."""
    width_field: str | None = None


class Burner:
    """The shapes of all layers on a scene; later ones lie over earlier ones.

    Keeps the features that lie on the scene in memory, and nothing of the size of its pixels.
    """

    def __init__(self, layers: Sequence[BurnLayer], grid: GeoBox, *, label: str) -> None:
        """Raises ConfigError for a file that cannot serve, SceneError where no feature lies on the scene."""
        from shapely import STRtree

        if grid.crs is None:
            raise SceneError(f"{label} has no CRS, so vectors cannot be laid on it; give a raster of labels")
        read = [_read(layer, grid) for layer in layers]
        if not sum(len(shapes) for shapes, _ in read):
            files = ", ".join(str(layer.path) for layer in layers)
            raise SceneError(f"{label}: no feature of {files} lies on it; check the files and their CRS")
        self._shapes: NDArray[Any] = np.concatenate([shapes for shapes, _ in read])
        self._values = np.concatenate([values for _, values in read])
        self._tree = STRtree(self._shapes)

    def burn(self, labels: NDArray[np.uint8], window: Window) -> None:
        """Write class values into ``labels`` ``(height, width)`` where a pixel's centre lies in a shape."""
        from rasterio.features import rasterize
        from rasterio.transform import Affine
        from shapely import box

        found = np.sort(self._tree.query(box(window.col_off, window.row_off, window.right, window.bottom)))
        if not found.size:
            return
        pairs = zip(self._shapes[found], self._values[found].tolist(), strict=True)
        place = Affine.translation(window.col_off, window.row_off)
        rasterize(pairs, out=labels, transform=place, dtype="uint8")


def _read(layer: BurnLayer, grid: GeoBox) -> tuple[NDArray[Any], NDArray[np.uint8]]:
    """Polygons of a layer in pixels of ``grid``, and the class value of each."""
    import shapely

    frame = read_near(layer.path, layer.layer, _footprint(grid, margin=_widest(layer)))
    for column in filter(None, (layer.field, layer.width_field)):
        if column not in frame.columns:
            known = ", ".join(str(c) for c in frame.columns if c != frame.geometry.name)
            raise ConfigError(
                f"{layer.path} has no column {column!r}; expected one of {known or 'none: it has none'}"
            )
    frame = frame[~(frame.geometry.isna() | frame.geometry.is_empty)]
    values = _values(layer, frame)
    shapes = _polygons(layer, frame, grid)
    shapes = shapely.transform(shapes, _to_pixels(grid))
    kept = ~shapely.is_empty(shapes)
    return shapes[kept], values[kept]


def _widest(layer: BurnLayer) -> float:
    """Metres: a line beside the scene reaches into it by half of that, also where a column says how wide it is."""
    told = layer.width or 0.0
    if layer.width_field is None:
        return told
    numbers = _numbers(read_column(layer.path, layer.layer, layer.width_field))
    return max(told, float(numbers[np.isfinite(numbers)].max(initial=0.0)))


def _footprint(grid: GeoBox, *, margin: float) -> GeoSeries:
    """The scene's outline, a little wider; with corners enough to be sent to another CRS."""
    import geopandas
    from shapely import Polygon, segmentize, transform

    across, down = grid.pixel_size
    side = max(grid.width * across, grid.height * down)
    corners = [(0, 0), (grid.width, 0), (grid.width, grid.height), (0, grid.height)]
    outline = transform(Polygon(corners), _moved_by(grid.affine))
    pixels = margin / (grid.gsd() or 1.0)
    wider = segmentize(outline, side / 32).buffer(side / 256 + 2 * pixels * max(across, down))
    return geopandas.GeoSeries([wider], crs=grid.crs)


def _values(layer: BurnLayer, frame: GeoDataFrame) -> NDArray[np.uint8]:
    if layer.value is not None:
        return np.full(len(frame), layer.value, np.uint8)
    assert layer.field is not None
    known = layer.values or {}
    texts = [_text(value) for value in frame[layer.field]]
    strange: dict[str, int] = {}
    for text in texts:
        if text not in known:
            strange[text] = strange.get(text, 0) + 1
    if strange:
        most = sorted(strange.items(), key=lambda item: -item[1])
        listed = ", ".join(f"{repr(text) if text else 'nothing'} ({count} features)" for text, count in most[:4])
        more = f" and {len(most) - 4} more" if len(most) > 4 else ""
        raise ConfigError(
            f"{layer.path}: column {layer.field!r} holds {listed}{more}, which no class has; expected one of "
            f"{', '.join(known)}, or say in classes what they mean"
        )
    return np.array([known[text] for text in texts], np.uint8)


def _text(value: Any) -> str:
    """A value of a column as people write it: 3 for 3.0, empty for none (NULL)."""
    if value is None or value != value:  # noqa: PLR0124 - NaN
        return ""
    return str(int(value)) if isinstance(value, float) and value == int(value) else str(value)


def _polygons(layer: BurnLayer, frame: GeoDataFrame, grid: GeoBox) -> NDArray[Any]:
    """Features in the scene's CRS, lines as wide as they are."""
    import shapely
    from geopandas import GeoSeries

    from geounet.io.areas import valid_areas

    shapes = shapely.force_2d(frame.geometry.to_numpy())
    dimensions = shapely.get_dimensions(shapes)
    if (dimensions == 0).any():
        raise ConfigError(f"{layer.path} has points; expected polygons, or lines with a width")
    lines = dimensions == 1
    if lines.any():
        local = _local_crs(grid)
        widths = _widths(layer, frame[lines])
        wide = GeoSeries(shapes[lines], crs=frame.crs).to_crs(local).to_numpy()
        _check_finite(layer, wide)
        shapes[lines] = GeoSeries(shapely.buffer(wide, widths / 2), crs=local).to_crs(frame.crs).to_numpy()
    shapes = valid_areas(shapes)
    edge = _EDGE * _units_per_pixel(grid, frame)
    placed = GeoSeries(shapely.segmentize(shapes, edge), crs=frame.crs).to_crs(grid.crs).to_numpy()
    _check_finite(layer, placed)
    return placed


def _check_finite(layer: BurnLayer, shapes: NDArray[Any]) -> None:
    import shapely

    there = shapes[~shapely.is_empty(shapes)]
    if there.size and not np.isfinite(shapely.total_bounds(there)).all():
        raise ConfigError(f"{layer.path} has coordinates that do not fit its CRS, or lies far from the scene")


def _units_per_pixel(grid: GeoBox, frame: GeoDataFrame) -> float:
    """About how long a pixel is in the vectors' CRS."""
    metres = grid.gsd() or 1.0
    axis = frame.crs.axis_info[0] if frame.crs.axis_info else None
    if frame.crs.is_geographic:
        return metres / 111_000
    return metres / (axis.unit_conversion_factor if axis is not None else 1.0)


def _widths(layer: BurnLayer, frame: GeoDataFrame) -> NDArray[np.float64]:
    """Metres across each line."""
    widths = np.full(len(frame), np.nan)
    if layer.width_field is not None:
        widths = _numbers(list(frame[layer.width_field]))
    if layer.width is not None:
        widths[~(widths > 0)] = layer.width
    without = int((~(widths > 0) | ~np.isfinite(widths)).sum())
    if without:
        there = (
            f", {len(frame) - without} of them with a number in {layer.width_field!r}" if layer.width_field else ""
        )
        raise ConfigError(
            f"{layer.path} has {len(frame)} lines{there}; expected the metres across them: add width or width_field"
        )
    return widths


def _numbers(values: list[Any]) -> Points:
    """Numbers, also those written as text; NaN for all else."""
    import pandas as pd

    return pd.to_numeric(pd.Series(values, dtype=object), errors="coerce").to_numpy(np.float64, copy=True)


def _local_crs(grid: GeoBox) -> Any:
    """A transverse Mercator through the middle of the scene: metres are metres (0.05 % too long 200 km away)."""
    from pyproj import CRS, Transformer

    x, y = grid.affine @ (grid.width / 2, grid.height / 2)
    lon, lat = Transformer.from_crs(grid.crs, "OGC:CRS84", always_xy=True).transform(x, y)
    return CRS.from_proj4(f"+proj=tmerc +lat_0={lat:.6f} +lon_0={lon:.6f} +ellps=WGS84 +units=m +type=crs")


def _to_pixels(grid: GeoBox) -> Callable[[Points], Points]:
    """CRS coordinates to pixels of ``grid``, on whole fractions of one."""
    move = _moved_by(~grid.affine)
    return lambda xy: np.round(move(xy) * _FINE) / _FINE


def _moved_by(affine: Affine) -> Callable[[Points], Points]:
    """``(n, 2)`` points through an affine."""
    a, b, c, d, e, f = tuple(affine)[:6]
    return lambda xy: np.stack([a * xy[:, 0] + b * xy[:, 1] + c, d * xy[:, 0] + e * xy[:, 1] + f], axis=1)
