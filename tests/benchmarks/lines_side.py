"""One side of ``lines``: ``python -m tests.benchmarks.lines_side '{"side": …, "mask": …}'``."""

from __future__ import annotations

import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any


def ours(path: Path, folder: Path) -> dict[str, Any]:
    """From the raster to two GeoJSON files."""
    from geounet.io.ground import Ground
    from geounet.io.labels import LabelRaster
    from geounet.run.line_options import LineOptions
    from geounet.run.lines import LineMaker, write_lines

    with LabelRaster(path) as raster:
        ground = Ground(raster.geobox)
        with LineMaker(raster, ground, LineOptions()) as maker:
            for rows in raster.rows(raster.strip_rows):
                maker.feed(rows.labels, rows.outside, rows.confidence)
            files = {"geojson": (folder / "lines.geojson", folder / "nodes.geojson")}
            done = write_lines(maker.finish(), ground, name="road", paths=files)
    return {"lines": done.lines, "nodes": done.nodes}


def theirs(path: Path, *, graph: bool) -> dict[str, Any]:
    """Of the whole mask in memory."""
    import rasterio
    from skimage.morphology import skeletonize

    with rasterio.open(path) as file:
        skeleton = skeletonize(file.read(1) == 1)
    if not graph:
        return {}
    import sknw

    return {"lines": sknw.build_sknw(skeleton.astype("uint8"), multi=True).number_of_edges()}


def main() -> None:
    """Do the work once on a small raster, so that all is compiled, then with a clock."""
    import numpy as np
    import rasterio

    arguments = json.loads(sys.argv[1])
    side, mask = arguments["side"], Path(arguments["mask"])
    with tempfile.TemporaryDirectory() as folder:
        small = Path(folder) / "small.tif"
        place = {"crs": "EPSG:32640", "transform": rasterio.Affine(0.5, 0, 334000, 0, -0.5, 2781000)}
        with rasterio.open(
            small, "w", driver="GTiff", width=64, height=64, count=1, dtype="uint8", **place
        ) as file:
            file.write((np.add.outer(np.arange(64), np.arange(64)) % 32 < 9).astype("uint8"), 1)
        for path in (small, mask):
            started = time.perf_counter()
            said = ours(path, Path(folder)) if side == "geounet" else theirs(path, graph=side == "sknw")
            seconds = time.perf_counter() - started
    print(json.dumps({"seconds": seconds, **said}))


if __name__ == "__main__":
    main()
