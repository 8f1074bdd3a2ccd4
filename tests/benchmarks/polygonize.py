"""The other way: rasterio's shapes, shapely, GDAL's writer; ``python -m tests.benchmarks.polygonize JSON``."""

from __future__ import annotations

import json
import sys
from pathlib import Path


def main(*, labels: str, output: str) -> None:
    """Write the polygons of a label raster as a script of today does it."""
    import geopandas
    import rasterio
    import rasterio.features
    from shapely.geometry import shape

    with rasterio.open(labels) as file:
        data, mask, transform, crs = file.read(1), file.dataset_mask(), file.transform, file.crs
    shapes, values = [], []
    for geometry, value in rasterio.features.shapes(data, mask=mask, connectivity=4, transform=transform):
        shapes.append(shape(geometry))
        values.append(int(value))
    frame = geopandas.GeoDataFrame({"class": values}, geometry=shapes, crs=crs)
    Path(output).unlink(missing_ok=True)
    if output.endswith(".fgb"):
        frame.to_file(output, driver="FlatGeobuf", engine="pyogrio")
    else:
        frame.to_file(output, driver="GeoJSON", engine="pyogrio", RFC7946="YES")
    print(json.dumps({"features": len(frame)}))


if __name__ == "__main__":
    main(**json.loads(sys.argv[1]))
