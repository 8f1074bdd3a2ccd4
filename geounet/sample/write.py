"""The sample scene and its truth, as files."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from geounet.errors import RequestError
from geounet.grid.geobox import GeoBox, parse_crs
from geounet.grid.window import Window

if TYPE_CHECKING:
    from geounet.sample.climate import Climate
    from geounet.sample.paint import Painted
    from geounet.sample.town import Town

GSD = 0.5
"""Metres per pixel."""
CRS = "EPSG:32640"
CENTRE = (334000.0, 2781000.0)
"""Easting and northing of the scene's middle, in metres: UTM zone 40 north."""
NODATA_LABEL = 255
VERSION = "1"
"""Version of the drawing: the same seed, size and version are the same bytes."""
SMALLEST, LARGEST = 64, 200_000
CLASSES = ("building", "land", "road", "vegetation", "water")
COLOURS = ((215, 75, 59), (217, 199, 160), (74, 74, 85), (95, 160, 82), (63, 136, 197))
STRIP, CHUNK = 512, 2048
"""Rows and columns that are painted at a time, in pixels."""


@dataclass(frozen=True, kw_only=True)
class SamplePaths:
    """The files of a sample."""

    scene: Path
    """RGB, uint8, nodata 0."""
    truth_landuse: Path
    """Class values 0..4, nodata 255."""
    truth_road: Path
    """1 on roads, 0 elsewhere, nodata 255."""
    road_lines: Path
    """Centre-lines with ``width_m`` and ``kind``, GeoJSON."""
    polygons: Path
    """Buildings, water and parks as they were drawn, GeoJSON."""


def sample_paths(path: str | Path) -> SamplePaths:
    """Where a sample's files lie, given the scene's path."""
    scene = Path(path)
    beside = {
        "truth_landuse": "_landuse.tif",
        "truth_road": "_road.tif",
        "road_lines": "_road_lines.geojson",
        "polygons": "_polygons.geojson",
    }
    return SamplePaths(scene=scene, **{name: scene.with_name(scene.stem + end) for name, end in beside.items()})


def write_sample(
    path: str | Path,
    *,
    size: int = 4096,
    seed: int = 0,
    climate: Climate = "dry",
    overwrite: bool = False,
    progress: Callable[[int, int], None] | None = None,
    threads: int = 2,
) -> SamplePaths:
    """Write a synthetic scene of ``size`` × ``size`` pixels of 0.5 m, and its truth beside it.

    The same seed, size and climate ("dry" or "green") give the same bytes, whatever ``threads``. ``progress`` is
    called with the number of finished strips and of all strips. Nothing appears under its final name before all
    is whole.

    Raises RequestError if the size cannot be drawn, or if a file exists and ``overwrite`` is False, OSError where
    the disk does not take the files.
    """
    final = sample_paths(path)
    from geounet.sample.town import Town
    from geounet.sample.truth import write_vectors

    _check(final, size=size, seed=seed, climate=climate, overwrite=overwrite)
    final.scene.parent.mkdir(parents=True, exist_ok=True)
    draft = SamplePaths(
        **{name: file.with_name(f".{file.stem}.draft{file.suffix}") for name, file in vars(final).items()}
    )
    try:
        # The vectors go first: what they drew is still there when the pixels ask for it.
        town, corners = Town(seed, climate=climate, keep=300 + size // 24), footprint(size, seed)
        write_vectors(draft.road_lines, draft.polygons, box=sample_geobox(size), corners=corners, town=town)
        _write_rasters(draft, town, size=size, progress=progress, threads=threads)
        for name, file in vars(draft).items():
            file.replace(vars(final)[name])
    finally:
        for file in vars(draft).values():
            file.unlink(missing_ok=True)
    return final


def _check(final: SamplePaths, *, size: int, seed: int, climate: str, overwrite: bool) -> None:
    from geounet.sample.climate import CLIMATES

    if climate not in CLIMATES:
        raise RequestError(
            f"sample climate {climate!r}: expected {' or '.join(CLIMATES)}; choose another --climate"
        )
    if not SMALLEST <= size <= LARGEST:
        raise RequestError(f"sample size {size}: expected {SMALLEST} to {LARGEST} pixels; choose another --size")
    if not 0 <= seed < 2**31:
        raise RequestError(f"sample seed {seed}: expected 0 to {2**31 - 1}; choose another --seed")
    if final.scene.suffix.lower() not in (".tif", ".tiff"):
        raise RequestError(f"sample path {final.scene}: expected a name that ends in .tif; rename it")
    there = [file for file in vars(final).values() if file.exists()]
    if there and not overwrite:
        raise RequestError(f"{there[0]} exists; choose another name or allow overwriting (--overwrite)")


def sample_geobox(size: int) -> GeoBox:
    """The grid of a sample scene."""
    west, north = CENTRE[0] - size // 2 * GSD, CENTRE[1] + size // 2 * GSD
    return GeoBox(
        width=size,
        height=size,
        transform=(GSD, 0.0, west, 0.0, -GSD, north),
        crs=parse_crs(CRS).to_wkt(),
    )


def footprint(size: int, seed: int) -> NDArray[np.float64]:
    """Corners (4, 2) of the slanted rectangle that holds data: x, y in scene pixels, clockwise."""
    rng = np.random.default_rng([seed, 13])
    inset = float(np.round(size * rng.uniform(0.03, 0.09) * 64) / 64)
    if rng.random() < 0.5:
        return np.array([[inset, 0], [size, inset], [size - inset, size], [0, size - inset]])
    return np.array([[0, inset], [size - inset, 0], [size, size - inset], [inset, size]])


def valid_mask(corners: NDArray[np.float64], window: Window) -> NDArray[np.bool_]:
    """Which pixel centres of a scene window lie in the convex, clockwise polygon of ``corners``."""
    y = np.arange(window.row_off, window.bottom)[:, None] + 0.5
    x = np.arange(window.col_off, window.right)[None, :] + 0.5
    inside = np.ones(window.shape, bool)
    for (x0, y0), (x1, y1) in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        inside &= (x1 - x0) * (y - y0) - (y1 - y0) * (x - x0) >= 0
    return inside


def _chunks(size: int) -> Iterator[Window]:
    for top in range(0, size, STRIP):
        for left in range(0, size, CHUNK):
            yield Window.from_bounds(
                top=top, left=left, bottom=min(size, top + STRIP), right=min(size, left + CHUNK)
            )


def _write_rasters(
    paths: SamplePaths, town: Town, *, size: int, progress: Callable[[int, int], None] | None, threads: int
) -> None:
    from geounet.sample.paint import paint

    seed = town.frame.seed
    half, corners = size // 2, footprint(size, seed)

    def work(window: Window) -> Painted:
        world = Window(window.row_off - half, window.col_off - half, window.height, window.width)
        return paint(town, world)

    with ExitStack() as stack:
        files = _open_rasters(stack, paths, size, town)
        pool = stack.enter_context(ThreadPoolExecutor(max(1, threads)))
        for window, painted in _in_order(pool, work, _chunks(size), ahead=max(1, threads) + 1):
            _put(files, window, painted, valid_mask(corners, window))
            if progress is not None and window.right == size:
                progress(-(-window.bottom // STRIP), -(-size // STRIP))


def _in_order(
    pool: ThreadPoolExecutor, work: Callable[[Window], Painted], windows: Iterator[Window], *, ahead: int
) -> Iterator[tuple[Window, Painted]]:
    """Results in the order of the windows, with at most ``ahead`` of them in memory."""
    waiting: list[tuple[Window, Future[Painted]]] = []
    try:
        for window in windows:
            waiting.append((window, pool.submit(work, window)))
            if len(waiting) >= ahead:
                first, future = waiting.pop(0)
                yield first, future.result()
        while waiting:
            first, future = waiting.pop(0)
            yield first, future.result()
    finally:
        for _, future in waiting:
            future.cancel()


def _open_rasters(stack: ExitStack, paths: SamplePaths, size: int, town: Town) -> list[Any]:
    """The three files, open for writing, with everything but their pixels."""
    from geounet.io.whole import created

    box = sample_geobox(size)
    block = 512 if size >= 512 else 16 * (size // 16)
    common: dict[str, Any] = {
        "driver": "GTiff", "width": size, "height": size, "dtype": "uint8", "crs": box.crs, "transform": box.affine,
        "tiled": True, "blockxsize": block, "blockysize": block, "compress": "deflate", "zlevel": 6,
        "bigtiff": "if_safer",
    }  # fmt: skip
    about = {
        "GEOUNET_SYNTHETIC": "yes", "GEOUNET_SAMPLE_SEED": str(town.frame.seed), "GEOUNET_SAMPLE_SIZE": str(size),
        "GEOUNET_SAMPLE_VERSION": VERSION,
        "TIFFTAG_IMAGEDESCRIPTION": "Synthetic scene drawn by geounet sample; it shows no real place",
    }  # fmt: skip
    if town.palette.green:
        about["GEOUNET_SAMPLE_CLIMATE"] = "green"
    # Images gain from the predictor, labels lose by it.
    scene = {
        **common,
        "count": 3,
        "nodata": 0,
        "predictor": 2,
        "interleave": "pixel",
        "photometric": "RGB",
        "zlevel": 1,
    }
    labels = {**common, "count": 1, "nodata": NODATA_LABEL}
    files = [
        stack.enter_context(created(paths.scene, **scene)),
        stack.enter_context(created(paths.truth_landuse, **labels)),
        stack.enter_context(created(paths.truth_road, **labels)),
    ]
    for band, name in enumerate(("red", "green", "blue"), 1):
        files[0].set_band_description(band, name)
    files[1].set_band_description(1, "landuse")
    files[2].set_band_description(1, "road")
    files[1].write_colormap(1, _colour_table(dict(enumerate(COLOURS))))
    files[2].write_colormap(1, _colour_table({0: COLOURS[1], 1: COLOURS[2]}))
    files[1].update_tags(**{f"CLASS_{value}": name for value, name in enumerate(CLASSES)})
    files[2].update_tags(CLASS_0="other", CLASS_1=CLASSES[2])
    for file in files:
        file.update_tags(**about)
    return files


def _colour_table(colours: dict[int, tuple[int, int, int]]) -> dict[int, tuple[int, int, int, int]]:
    return {**{value: (*rgb, 255) for value, rgb in colours.items()}, NODATA_LABEL: (0, 0, 0, 0)}


def _put(files: list[Any], window: Window, painted: Painted, valid: NDArray[np.bool_]) -> None:
    """Write one chunk into the three files."""
    from rasterio.windows import Window as FileWindow

    scene, landuse, road = files
    where = FileWindow(window.col_off, window.row_off, window.width, window.height)
    scene.write(np.where(valid, painted.rgb, 0), window=where)
    landuse.write(np.where(valid, painted.labels, NODATA_LABEL).astype(np.uint8), 1, window=where)
    road.write(np.where(valid, painted.labels == 2, NODATA_LABEL).astype(np.uint8), 1, window=where)
