"""What changed between two scenes of the same ground: a transition matrix in hectares, a raster and polygons."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np
import pyogrio
import rasterio
from common import in_one_line
from numpy.typing import NDArray
from pyproj import CRS, Proj, Transformer
from rasterio.enums import Resampling
from rasterio.vrt import WarpedVRT
from rasterio.windows import Window

import geounet
from geounet.errors import ConfigError

NODATA = 65535
_ROWS = 512
_HECTARE = 1e4  # m²


@click.command()
@click.argument("before", type=click.Path(exists=True))
@click.argument("after", type=click.Path(exists=True))
@click.option("-o", "--output", required=True, type=click.Path(file_okay=False, path_type=Path), help="A folder.")
@click.option("--model", default="landuse-roads", show_default=True)
@click.option("--head", default="landuse", show_default=True, help="Head of the model whose classes are compared.")
@click.option("--aoi", type=click.Path(exists=True), help="Only inside the polygons of this vector file.")
@click.option("--min-area", type=click.FloatRange(min=0), default=0.0, metavar="M2",
              help="Smaller changes are in the matrix and in the raster, and not among the polygons.")  # fmt: skip
@click.option("--overwrite", is_flag=True, help="Replace the results of other options.")
@in_one_line
def main(before: str, after: str, *, output: Path, head: str, min_area: float, **options: Any) -> int:
    """Map BEFORE and AFTER with one model, and compare the maps on the grid of BEFORE.

    \b
    python workflows/scripts/change_between_dates.py 2019.tif 2026.tif -o change --min-area 100

    \b
    change/transitions.csv   from class (rows) to class (columns), hectares on the ellipsoid
    change/change.tif        0 unchanged, else what became what; names are in its tags
    change/change.gpkg       the changed areas as polygons
    change/before/, after/   the two maps, as geounet infer leaves them

    Where either has no data nothing is compared. AFTER on another grid is taken by its nearest pixel. Errors of the
    two maps look like change, too: judge the model first (geounet evaluate). The same command goes on after an
    interruption. Exit codes: 1, some blocks failed; 2, it cannot work; 130, stopped.
    """
    maps = [_map(scene, output / when, head, options) for scene, when in ((before, "before"), (after, "after"))]
    with rasterio.open(maps[0]) as first, rasterio.open(maps[1]) as second:
        names = _class_names(first)
        if _class_names(second) != names:
            raise ConfigError(f"{maps[0]} and {maps[1]} have other classes; expected maps of one model")
        areas = _compare(Comparison(first, second, names), output / "change.tif")
    _write_matrix(output / "transitions.csv", names, areas)
    _write_polygons(output / "change.tif", output / "change.gpkg", min_area)
    changed = float(areas.sum() - np.trace(areas))
    click.echo(f"{changed:.4f} ha of {areas.sum():.4f} ha changed; {output / 'transitions.csv'}")
    return 0


def _map(scene: str, folder: Path, head: str, options: dict[str, Any]) -> Path:
    """The class raster of a scene."""
    given = {key: value for key, value in options.items() if value is not None}
    paths = geounet.infer(scene, output=folder, **given).paths
    if f"{head}.tif" not in paths:
        raise ConfigError(
            f"--head {head}: expected one of {', '.join(n[:-4] for n in paths if n.endswith('.tif'))}"
        )
    return paths[f"{head}.tif"]


def _class_names(raster: Any) -> list[str]:
    """Names by value, from 0."""
    return [str(name) for name in raster.tags()["CLASS_NAMES"].split(",")]


@dataclass(frozen=True)
class Comparison:
    """Two class rasters with the same classes."""

    first: Any
    second: Any
    names: list[str]

    def rows(self) -> Iterator[tuple[Window, NDArray[np.uint8], NDArray[np.uint8]]]:
        """Both, strip by strip, on the grid of the first; 255 is nodata."""
        grid = self.first
        with WarpedVRT(
            self.second,
            crs=grid.crs,
            transform=grid.transform,
            width=grid.width,
            height=grid.height,
            resampling=Resampling.nearest,
            src_nodata=255,
            nodata=255,
        ) as second:
            for top in range(0, grid.height, _ROWS):
                window = Window(0, top, grid.width, min(_ROWS, grid.height - top))
                yield window, grid.read(1, window=window), second.read(1, window=window)


def _compare(pair: Comparison, path: Path) -> NDArray[np.float64]:
    """Write the change raster; hectares ``(classes before, classes after)``."""
    count = len(pair.names)
    areas = np.zeros((count, count))
    row_areas = _pixel_hectares(pair.first)
    profile = {**_PROFILE, **{k: pair.first.profile[k] for k in ("crs", "transform", "width", "height")}}
    part = path.with_name(f".{path.name}.part")
    with rasterio.open(part, "w", **profile) as out:
        for window, before, after in pair.rows():
            known = (before < count) & (after < count)
            code = before.astype(np.int64) * count + after
            top = int(window.row_off)
            for row in range(before.shape[0]):
                counts = np.bincount(code[row][known[row]], minlength=count * count)
                areas += counts.reshape(count, count) * row_areas[top + row]
            changed = np.where(before == after, 0, code + 1)
            out.write(np.where(known, changed, NODATA).astype(np.uint16), 1, window=window)
        out.update_tags(**_names_of_changes(pair.names))
    part.replace(path)
    return areas


_PROFILE = {
    "driver": "GTiff",
    "dtype": "uint16",
    "count": 1,
    "nodata": NODATA,
    "compress": "deflate",
    "tiled": True,
    "blockxsize": 512,
    "blockysize": 512,
}


def _names_of_changes(names: list[str]) -> dict[str, str]:
    """Tags with the name of every value of the change raster, as geounet vectorize reads them."""
    count = len(names)
    values = {0: "unchanged"}
    for i, before in enumerate(names):
        values |= {i * count + j + 1: f"{before} to {after}" for j, after in enumerate(names) if i != j}
    return {f"CLASS_{value}": name for value, name in values.items()}


def _pixel_hectares(raster: Any) -> NDArray[np.float64]:
    """Area on the ellipsoid of the pixel in the middle of each row."""
    if raster.crs is None:
        raise ConfigError(f"{raster.name} has no CRS; without one there are no hectares")
    crs, pixel = CRS(raster.crs), abs(raster.transform.determinant)
    to_map = raster.transform
    x, y = np.array([to_map * (raster.width / 2, row + 0.5) for row in range(raster.height)]).T
    unit = crs.axis_info[0].unit_conversion_factor
    if crs.is_projected:
        lon, lat = Transformer.from_crs(crs, crs.geodetic_crs, always_xy=True).transform(x, y)
        scale = np.asarray(Proj(crs).get_factors(lon, lat).areal_scale)
        return pixel * unit**2 / scale / _HECTARE
    return pixel * unit**2 * _square_radian(crs, y * unit) / _HECTARE


def _square_radian(crs: CRS, lat: NDArray[np.float64]) -> NDArray[np.float64]:
    """m² of the ellipsoid per square radian of longitude and latitude (Snyder 1987, eq. 4-18 and 4-20)."""
    assert crs.ellipsoid is not None
    a, f = crs.ellipsoid.semi_major_metre, 1 / crs.ellipsoid.inverse_flattening
    e2 = f * (2 - f)
    w = 1 - e2 * np.sin(lat) ** 2
    return np.asarray(a * (1 - e2) / w**1.5 * a / np.sqrt(w) * np.cos(lat))


def _write_polygons(raster: Path, path: Path, min_area: float) -> None:
    """The changed areas; smaller ones join the neighbour with which they share the longest border."""
    frame: Any = geounet.vectorize(raster, min_area=min_area)
    part = path.with_name(f".part-{path.name}")
    part.unlink(missing_ok=True)
    pyogrio.write_dataframe(frame[frame["class"] != 0], part, layer="change", geometry_type="Polygon")
    part.replace(path)


def _write_matrix(path: Path, names: list[str], areas: NDArray[np.float64]) -> None:
    part = path.with_name(f".{path.name}.part")
    with part.open("w", encoding="utf-8", newline="") as file:
        lines = csv.writer(file)
        lines.writerow(["from \\ to (ha)", *names])
        lines.writerows([name, *(f"{value:.6f}" for value in row)] for name, row in zip(names, areas, strict=True))
    part.replace(path)


if __name__ == "__main__":
    main()
