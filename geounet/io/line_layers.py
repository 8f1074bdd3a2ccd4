"""Lines and points out: layers of a few columns, whole or not at all, in every vector format.

There are far fewer lines than polygons in a scene, so a layer is held in memory and handed to each format at once.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from geounet.io.ground import Ground
from geounet.io.styles import write_style_beside
from geounet.io.vectors import publish_vectors

FloatArray = NDArray[np.float64]
DECIMALS = 7
"""Of degrees, about a centimetre (RFC 7946, section 11.2)."""
_TEXT = ("geojson", "geojsonseq", "geojsons")


@dataclass(frozen=True, kw_only=True)
class LineLayer:
    """A layer of lines or points."""

    name: str
    geometry: NDArray[np.object_]
    """``(n,)`` shapely LineStrings or Points in the scene's CRS."""
    columns: Mapping[str, NDArray[Any]]
    """Attributes by name, ``(n,)`` each; NaN where unknown."""
    kind: str
    """``LineString`` or ``Point``."""


def lengths(ground: Ground, xy: FloatArray, starts: NDArray[np.int64]) -> FloatArray:
    """``(lines,)`` metres along lines in CRS coordinates, on the CRS's ellipsoid; map units times their size where
    there is none, NaN where a place is not on the globe.
    """
    count = starts.size - 1
    if not count:
        return np.zeros(0)
    owner = np.repeat(np.arange(count), np.diff(starts))
    inner = owner[1:] == owner[:-1]
    if ground.geodetic is None or ground.crs is None or ground.geodetic.ellipsoid is None:
        side = ground.metres_per_pixel[0] / ground.geobox.pixel_size[0]
        step = np.hypot(*np.diff(xy, axis=0).T) * side
    else:
        step = _geodesic(ground, xy)
    return np.asarray(np.bincount(owner[1:][inner], weights=step[inner], minlength=count), np.float64)


def _geodesic(ground: Ground, xy: FloatArray) -> FloatArray:
    """``(n - 1,)`` from each point to the next."""
    from pyproj import Geod

    assert ground.geodetic is not None
    ellipsoid = ground.geodetic.ellipsoid
    assert ellipsoid is not None
    lon, lat = ground._to_own.transform(xy[:, 0], xy[:, 1])
    unit = ground.geodetic.axis_info[0].unit_conversion_factor
    lon, lat = np.degrees(np.asarray(lon) * unit), np.degrees(np.asarray(lat) * unit)
    lost = ~(np.isfinite(lon) & np.isfinite(lat))
    lon, lat = np.where(lost, 0.0, lon), np.where(lost, 0.0, lat)
    geod = Geod(a=ellipsoid.semi_major_metre, b=ellipsoid.semi_minor_metre)
    step = np.asarray(geod.inv(lon[:-1], lat[:-1], lon[1:], lat[1:])[2], np.float64)
    step[lost[:-1] | lost[1:]] = np.nan
    return step


def write_layer(
    layer: LineLayer,
    paths: Mapping[str, Path],
    ground: Ground,
    *,
    style: str | None = None,
    container: Path | None = None,
) -> int:
    """Write a layer to ``paths`` by format; returns how many features have no place on the globe (of GeoJSON).

    ``style``: QML, for the GeoPackage and beside the others. ``container``: a GeoPackage in the making that takes
    the layer instead of a file of its own.
    """
    dropped = 0
    for name, path in paths.items():
        if name == "gpkg" and container is not None:
            _write_ogr(layer, container, ground, name, style)
            continue
        with publish_vectors(name, path) as temporary:
            if name in _TEXT:
                dropped = _write_geojson(layer, temporary, ground, name)
            elif name == "parquet":
                _frame(layer, ground).to_parquet(temporary)
            else:
                _write_ogr(layer, temporary, ground, name, style)
    if style is not None:
        write_style_beside(paths.values(), style)
    return dropped


def _write_ogr(layer: LineLayer, path: Path, ground: Ground, name: str, style: str | None) -> None:
    from geounet.io.ogr import OgrWriter, ShapefileWriter

    crs = ground.geobox.crs
    writer: OgrWriter
    if name == "shp":
        writer = ShapefileWriter(path, layer=path.stem, crs=crs, kind=layer.kind)
    else:
        driver = "GPKG" if name == "gpkg" else "FlatGeobuf"
        qml = (lambda: style) if name == "gpkg" else None
        writer = OgrWriter(path, driver=driver, layer=layer.name, crs=crs, kind=layer.kind, style=qml)
    writer.put(np.asarray(shapely.to_wkb(layer.geometry), object), dict(layer.columns))
    writer.close()


def _frame(layer: LineLayer, ground: Ground) -> Any:
    import geopandas

    return geopandas.GeoDataFrame(dict(layer.columns), geometry=layer.geometry, crs=ground.geobox.crs)


def _write_geojson(layer: LineLayer, path: Path, ground: Ground, name: str) -> int:
    """One feature per line of text, as RFC 7946 wants them; how many were left out."""
    globe = _on_the_globe(layer.geometry, ground)
    rows = zip(*(column.tolist() for column in layer.columns.values()), strict=True)
    texts, dropped = [], 0
    for geometry, row in zip(globe, rows, strict=True):
        if geometry is None:
            dropped += 1
            continue
        texts.append(_feature(geometry, dict(zip(layer.columns, map(_plain, row), strict=True))))
    with path.open("w", encoding="utf-8", newline="\n") as file:
        if name != "geojson":
            separator = "\x1e" if name == "geojsons" else ""
            file.writelines(f"{separator}{text}\n" for text in texts)
            return dropped
        title = json.dumps(layer.name, ensure_ascii=False)
        file.write(f'{{"type":"FeatureCollection","name":{title},"features":[\n')
        file.write(",\n".join(texts))
        file.write("\n]}\n")
    return dropped


def _plain(value: Any) -> Any:
    return None if isinstance(value, float) and not np.isfinite(value) else value


def _feature(geometry: Any, properties: dict[str, Any]) -> str:
    about = {"type": geometry.geom_type, "coordinates": _coordinates(geometry)}
    feature = {"type": "Feature", "properties": properties, "geometry": about}
    return json.dumps(feature, ensure_ascii=False, separators=(",", ":"))


def _coordinates(geometry: Any) -> Any:
    if geometry.geom_type == "MultiLineString":
        return [_coordinates(part) for part in geometry.geoms]
    xy = [[x, y] for x, y in geometry.coords]
    if geometry.geom_type == "Point":
        return xy[0]
    # rounding may bring neighbours together, but a line has two points at least
    kept = [p for k, p in enumerate(xy) if k == 0 or p != xy[k - 1]]
    return kept if len(kept) > 1 else [xy[0], xy[-1]]


def _on_the_globe(geometries: NDArray[np.object_], ground: Ground) -> list[Any]:
    """The geometries in degrees, cut at the antimeridian and rounded; None for one without a place there."""
    if ground.geodetic is None or not geometries.size:
        return list(shapely.transform(geometries, lambda xy: np.round(xy, DECIMALS)))
    flat = shapely.transform(geometries, ground.lonlat)
    xy, owner = shapely.get_coordinates(flat, return_index=True)
    lost = np.zeros(flat.size, np.bool_)
    lost[owner[~np.isfinite(xy).all(axis=1)]] = True
    jumps = (np.abs(np.diff(xy[:, 0])) > 180.0) & (owner[1:] == owner[:-1])
    odd = lost.copy()
    odd[owner[1:][jumps]] = odd[owner[np.abs(xy[:, 0]) > 180.0]] = True
    out = list(shapely.transform(flat, lambda xy: np.round(xy, DECIMALS)))
    for k in np.flatnonzero(odd).tolist():
        out[k] = None if lost[k] else shapely.transform(_cut(flat[k]), lambda xy: np.round(xy, DECIMALS))
    return out


def _cut(geometry: Any) -> Any:
    """A line or a point with longitudes from −180 to 180; a line that crosses the antimeridian in parts."""
    xy = shapely.get_coordinates(geometry)
    if geometry.geom_type == "Point":
        return shapely.Point((xy[0, 0] + 180.0) % 360.0 - 180.0, xy[0, 1])
    step = np.diff(xy[:, 0])
    xy[1:, 0] = xy[0, 0] + np.cumsum(step - 360.0 * np.round(step / 360.0))
    low, high = int(np.floor((xy[:, 0].min() + 180) / 360)), int(np.ceil((xy[:, 0].max() + 180) / 360))
    parts: list[Any] = []
    for turn in range(low, max(high, low + 1)):
        piece = shapely.intersection(
            shapely.LineString(xy), shapely.box(-180 + 360 * turn, -90, 180 + 360 * turn, 90)
        )
        inside = [p for p in shapely.get_parts(piece) if p.geom_type == "LineString" and p.length > 0]
        shift = np.array([360.0 * turn, 0.0])
        parts += [shapely.LineString(shapely.get_coordinates(p) - shift) for p in inside]
    return parts[0] if len(parts) == 1 else shapely.MultiLineString(parts)
