"""The roads of a county from all scenes that show it, as one network to route on."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import click
import geopandas
import numpy as np
import pandas as pd
import pyogrio
import rasterio
import shapely
from common import in_one_line
from rasterio.features import shapes
from scipy.spatial import KDTree
from shapely.geometry.base import BaseGeometry

import geounet
from geounet.errors import ConfigError, SceneError

_MOST = 2048
"""Pixels a side at which it is seen where a scene has data."""
_SIDES = 64
"""Pieces of a footprint's side: a line that is straight in one CRS is bent in another."""


@click.command()
@click.argument("scenes", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--aoi", required=True, type=click.Path(exists=True, path_type=Path), help="The county's polygons.")
@click.option("-o", "--output", required=True, type=click.Path(dir_okay=False, path_type=Path), metavar="OUT.gpkg")
@click.option("--model", default="landuse-roads", show_default=True, help="With a mask that has centre-lines.")
@click.option("--head", default="road", show_default=True, help="That mask.")
@click.option("--bridge", default=0.0, type=click.FloatRange(min=0), metavar="METRES", help="As of geounet infer.")
@click.option("--join", default=3.0, show_default=True, type=click.FloatRange(min=0), metavar="METRES",
              help="Ends that a seam between two scenes cut are one node where they lie so near.")  # fmt: skip
@click.option("--crs", default="", help="Of the result; that of the newest scene if not given.")
@click.option("--overwrite", is_flag=True, help="Replace OUT.gpkg.")
@in_one_line
def main(
    scenes: Sequence[Path],
    *,
    aoi: Path,
    output: Path,
    head: str,
    join: float,
    crs: str,
    overwrite: bool,
    **options: Any,
) -> int:
    """Map the roads inside the area of interest on all SCENES, and write one road_lines and road_nodes.

    \b
    python workflows/scripts/road_map_of_a_county.py scenes/*.tif --aoi county.geojson -o county.gpkg
    python -c "import geounet; print(geounet.road_graph('county.gpkg'))"

    Where scenes overlap, the newest wins, and only it is computed there: each scene gets what of the county no
    newer one shows. Newest by the time in the file (TIFFTAG_DATETIME), else that of the file; the order in the
    command says nothing. Scenes that show nothing more are left out. Maps of the single scenes stay in
    OUT_scenes/, and the same command goes on after an interruption. Exit codes: 1, some blocks failed; 2, it
    cannot work; 130, stopped.
    """
    if output.exists() and not overwrite:
        raise ConfigError(f"{output} is there; give --overwrite, or another name")
    if output.suffix != ".gpkg":
        raise ConfigError(f"-o {output}: expected a name that ends in .gpkg")
    folder = output.with_name(f"{output.stem}_scenes")
    shares = list(_shares([_look_at(path) for path in dict.fromkeys(scenes)], _read_area(aoi)))
    if not shares:
        raise ConfigError(f"--aoi {aoi}: no scene shows any of it; check its coordinates and its CRS")
    parts = []
    for scene, area in shares:
        click.echo(f"{scene.path}: {area.area / _area_of(aoi):.1%} of the area")
        parts.append(_map(scene, area, folder, head, options))
    lines, nodes = _merge(parts, crs=crs or shares[0][0].crs, join=join)
    _write(output, head, lines, nodes)
    click.echo(f"{output}: {len(lines)} lines, {lines['length_m'].sum() / 1000:.2f} km, {len(nodes)} nodes")
    return 0


@dataclass(frozen=True, kw_only=True)
class Shown:
    """A scene, and what of the ground it shows."""

    path: Path
    time: float
    """Seconds since 1970."""
    crs: str
    footprint: BaseGeometry
    """Of its valid pixels, in degrees."""


def _look_at(path: Path) -> Shown:
    try:
        with rasterio.open(path) as raster:
            if raster.crs is None:
                raise SceneError(f"{path} has no CRS, so nobody knows where it lies")
            return Shown(
                path=path,
                time=_time_of(path, raster.tags().get("TIFFTAG_DATETIME")),
                crs=raster.crs.to_wkt(),
                footprint=_footprint(raster),
            )
    except rasterio.errors.RasterioIOError as error:
        raise SceneError(f"{path} is no raster that GDAL reads: {error}") from error


def _time_of(path: Path, tag: str | None) -> float:
    """TIFFTAG_DATETIME is ``YYYY:MM:DD HH:MM:SS`` (TIFF 6.0, page 31)."""
    try:
        return datetime.strptime(tag or "", "%Y:%m:%d %H:%M:%S").timestamp()
    except ValueError:
        return path.stat().st_mtime


def _footprint(raster: Any) -> BaseGeometry:
    """Where a scene has data, seen at `_MOST` pixels a side or less, in degrees."""
    step = max(1.0, max(raster.shape) / _MOST)
    shape = tuple(max(1, round(side / step)) for side in raster.shape)
    mask = (raster.dataset_mask(out_shape=shape) > 0).astype(np.uint8)
    to_map = raster.transform * raster.transform.scale(raster.width / shape[1], raster.height / shape[0])
    found = [shapely.geometry.shape(s) for s, value in shapes(mask, mask > 0, transform=to_map) if value]
    ground = shapely.union_all(found)
    if ground.is_empty:
        return ground
    bent = shapely.segmentize(ground, max(np.ptp(np.reshape(ground.bounds, (2, 2)), axis=0)) / _SIDES)
    return shapely.make_valid(geopandas.GeoSeries([bent], crs=raster.crs).to_crs(4326).iloc[0])


def _read_area(path: Path) -> BaseGeometry:
    """The union of a file's polygons in degrees."""
    try:
        frame = geopandas.read_file(path)
    except (OSError, RuntimeError, ValueError) as error:
        raise ConfigError(f"--aoi {path} cannot be read as vectors: {error}") from error
    if frame.crs is None:
        raise ConfigError(f"--aoi {path} has no CRS")
    area = shapely.union_all(shapely.make_valid(frame.geometry.to_crs(4326).dropna().to_numpy()))
    if not area.area > 0:
        raise ConfigError(f"--aoi {path} has no polygons")
    return area


def _area_of(aoi: Path) -> float:
    return float(_read_area(aoi).area)


def _shares(scenes: Sequence[Shown], area: BaseGeometry) -> Iterator[tuple[Shown, BaseGeometry]]:
    """From the newest on, every scene with what of the area no newer one shows."""
    for scene in sorted(scenes, key=lambda s: (-s.time, str(s.path))):
        share = _polygons(shapely.intersection(area, scene.footprint))
        if not share.is_empty:
            yield scene, share
            area = shapely.difference(area, scene.footprint)


def _polygons(geometry: BaseGeometry) -> BaseGeometry:
    """Without the lines and points in which areas merely touch."""
    parts = shapely.get_parts(geometry)
    return shapely.union_all([p for p in parts if p.geom_type == "Polygon" and p.area > 0])


def _map(scene: Shown, area: BaseGeometry, folder: Path, head: str, options: dict[str, Any]) -> list[Any]:
    """Lines and nodes of a scene inside its share of the area."""
    folder.mkdir(parents=True, exist_ok=True)
    share = folder / f"{scene.path.stem}_share.geojson"
    feature = {"type": "Feature", "properties": {}, "geometry": shapely.geometry.mapping(area)}
    text = json.dumps({"type": "FeatureCollection", "features": [feature]})
    if not share.exists() or share.read_text(encoding="utf-8") != text:
        share.write_text(text, encoding="utf-8")
    run = geounet.infer(
        scene.path, output=folder / scene.path.stem, aoi=share, formats=["gpkg"], overwrite=True, **options
    )
    if f"{head}_lines" not in run.layers:
        raise ConfigError(f"--head {head}: model {options['model']} has no centre-lines of that name")
    return [run.layers[f"{head}_{kind}"].assign(scene=scene.path.stem) for kind in ("lines", "nodes")]


def _merge(parts: Sequence[list[Any]], *, crs: str, join: float) -> tuple[Any, Any]:
    """All lines and nodes in one CRS, numbered anew; ends that a seam cut are joined."""
    lines, nodes, base = [], [], 0
    for part_lines, part_nodes in parts:
        lines.append(part_lines.to_crs(crs).assign(**{c: part_lines[c] + base for c in ("from_node", "to_node")}))
        nodes.append(part_nodes.to_crs(crs).assign(id=part_nodes["id"] + base))
        base += int(part_nodes["id"].max()) if len(part_nodes) else 0
    every = pd.concat(nodes, ignore_index=True)
    one = _joined(every, join)
    roads = pd.concat(lines, ignore_index=True)
    roads["id"] = np.arange(1, len(roads) + 1)
    roads["from_node"], roads["to_node"] = roads["from_node"].replace(one), roads["to_node"].replace(one)
    every = every[~every["id"].isin(list(one))].copy()
    ends = pd.concat([roads["from_node"], roads["to_node"]]).value_counts()
    every["degree"] = every["id"].map(ends).fillna(0).astype(int)
    return roads, every


def _joined(nodes: Any, join: float) -> dict[int, int]:
    """Of the cut ends of different scenes within ``join`` metres, the nearest pairs: which becomes which."""
    cut = nodes[nodes["cut"].astype(bool)] if "cut" in nodes else nodes.iloc[:0]
    if len(cut) < 2 or join <= 0:
        return {}
    flat = cut.to_crs(cut.estimate_utm_crs())
    xy = np.stack([flat.geometry.x, flat.geometry.y], axis=1)
    pairs = KDTree(xy).query_pairs(join, output_type="ndarray")
    ids, scenes = cut["id"].to_numpy(), cut["scene"].to_numpy()
    pairs = pairs[scenes[pairs[:, 0]] != scenes[pairs[:, 1]]]
    lengths = np.hypot(*(xy[pairs[:, 0]] - xy[pairs[:, 1]]).T)
    found: dict[int, int] = {}
    taken: set[int] = set()
    for a, b in pairs[np.lexsort((pairs[:, 1], pairs[:, 0], lengths))]:
        if not {a, b} & taken:
            taken |= {a, b}
            found[int(ids[b])] = int(ids[a])
    return found


def _write(output: Path, head: str, lines: Any, nodes: Any) -> None:
    part = output.with_name(f".part-{output.name}")
    part.unlink(missing_ok=True)
    pyogrio.write_dataframe(lines, part, layer=f"{head}_lines", geometry_type="LineString")
    pyogrio.write_dataframe(nodes, part, layer=f"{head}_nodes", geometry_type="Point", append=True)
    part.replace(output)


if __name__ == "__main__":
    main()
