"""Parts for tests, written as a run writes them, and the heads they belong to."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import rasterio

from geounet.grid.geobox import GeoBox
from geounet.grid.window import Window
from geounet.io.cog import Mosaic
from geounet.model.spec import Head, LabelClass

UTM = GeoBox(width=0, height=0, transform=(0.5, 0.0, 300000.0, 0.0, -0.5, 2800000.0), crs="EPSG:32640")

LANDUSE = Head(
    name="landuse",
    kind="classes",
    classes=tuple(
        LabelClass(value=i, name=name, color=color)
        for i, (name, color) in enumerate(
            [("building", "#d7483b"), ("land", "#d9c7a0"), ("road & rail", "#4a4a55"), ("water", "#3f88c5")]
        )
    ),
)
ROAD = Head(
    name="road",
    kind="mask",
    classes=(
        LabelClass(value=0, name="other", color="#ffffff"),
        LabelClass(value=1, name="road", color="#4a4a55"),
    ),
)


def blobs(shape: tuple[int, int], *, seed: int = 0, nodata: float = 0.1) -> np.ndarray:
    """Labels 0..3 in patches, with noise, and a corner and specks of nodata."""
    rng = np.random.default_rng(seed)
    height, width = shape
    coarse = rng.integers(0, 4, (height // 7 + 1, width // 7 + 1), dtype=np.uint8)
    labels = np.kron(coarse, np.ones((7, 7), np.uint8))[:height, :width]
    noisy = rng.random(shape) < 0.1
    labels[noisy] = rng.integers(0, 4, int(noisy.sum()), dtype=np.uint8)
    labels[: height // 3, : width // 4] = 255 if nodata else 0
    labels[rng.random(shape) < nodata / 10] = 255
    return labels


def confidences(labels: np.ndarray, *, seed: int = 1) -> np.ndarray:
    """Any confidences 0..250, nodata where the labels are."""
    values = np.random.default_rng(seed).integers(0, 251, labels.shape).astype(np.uint8)
    return np.where(labels == 255, np.uint8(255), values)


def write_parts(
    folder: Path, bands: np.ndarray, geobox: GeoBox, *, block: tuple[int, int], leave_out_empty: bool = True
) -> Mosaic:
    """Cut ``bands`` (bands, h, w) into parts of ``block`` (height, width)."""
    folder.mkdir(parents=True, exist_ok=True)
    count, height, width = bands.shape
    parts = []
    for top in range(0, height, block[0]):
        for left in range(0, width, block[1]):
            window = Window(top, left, min(block[0], height - top), min(block[1], width - left))
            pixels = bands[:, *window.slices()]
            if leave_out_empty and (pixels == 255).all():
                continue
            path = folder / f"part <{top}> & {left}.tif"
            with rasterio.open(
                path, "w", driver="GTiff", width=window.width, height=window.height, count=count,
                dtype="uint8", tiled=True, blockxsize=256, blockysize=256, compress="deflate", nodata=255,
                transform=rasterio.Affine(*geobox.crop(window).transform) * rasterio.Affine.scale(1.0001),
            ) as file:  # fmt: skip
                file.write(pixels)
            parts.append((window, path))
    return Mosaic(geobox=geobox, parts=tuple(parts))
