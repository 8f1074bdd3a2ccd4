"""Small stand-ins for everything that the documentation's snippets name: scenes, masks, areas, models."""

from __future__ import annotations

import json
from pathlib import Path

import markdown_blocks
import numpy as np
import rasterio
import torch
import yaml

from geounet import write_sample
from geounet.model.export import export_graph
from geounet.model.foreign import _read_sidecar
from geounet.model.networks import state_arrays
from geounet.model.package import save_package, serialize
from geounet.model.smp import import_smp
from geounet.model.spec import ModelSpec
from geounet.model.unet import UNet, UNetConfig

ROOT = Path(__file__).resolve().parents[2]
SIZE = 256


def make_stage(folder: Path) -> Path:
    """``folder/files`` (what a reader has) and ``folder/zoo`` (the tiny default model)."""
    files = folder / "files"
    files.mkdir()
    for seed, name in enumerate(("scene", "north", "south")):
        write_sample(files / f"{name}.tif", size=SIZE, seed=seed)
    (files / "scene_landuse.tif").rename(files / "labels.tif")
    write_schedule(files)
    for name in ("ca", "dask", "dask-key"):  # certificates, which Dask only looks for here
        (files / f"{name}.pem").touch()
    write_masks(files)
    with rasterio.open(files / "scene.tif") as scene:
        pixels = scene.read()
    with rasterio.open(
        files / "picture.png", "w", driver="PNG", width=SIZE, height=SIZE, count=3, dtype="uint8"
    ) as png:
        png.write(pixels)
    listed = [
        {"name": "town", "image": "town.tif", "labels": "town_landuse.tif", "lines": "town_road_lines.geojson"}
    ]
    (files / "scenes.yaml").write_text(yaml.safe_dump({"scenes": listed}))
    write_models(files, folder / "zoo")
    return folder


def write_schedule(files: Path) -> None:
    """The schedule that docs/operations.md shows, and a scene that has come in."""
    shown = markdown_blocks.blocks(ROOT / "docs" / "operations.md")
    (files / "schedule.yaml").write_text(next(b.text for b in shown if b.info == ["yaml", "schedule"]))
    (files / "incoming").mkdir()
    (files / "incoming" / "monday.tif").write_bytes((files / "north.tif").read_bytes())


def write_masks(files: Path) -> None:
    """``clouds.tif``, ``district.geojson`` and the bands of a stack, all on the ground of ``scene.tif``."""
    with rasterio.open(files / "scene.tif") as scene:
        profile, pixels = scene.profile, scene.read()
        left, bottom, right, top = scene.bounds
    profile.update(count=1, nodata=None)
    clouds = np.zeros((SIZE, SIZE), np.uint8)
    clouds[40:90, 100:180] = 1
    bands = {"B04.jp2": pixels[0], "B03.jp2": pixels[1], "B02.jp2": pixels[2], "clouds.tif": clouds}
    for name, band in bands.items():  # the format is read from the first bytes, so .jp2 may hold a TIFF here
        with rasterio.open(files / name, "w", **profile) as out:
            out.write(band, 1)
    middle = [left + 30, bottom + 30, right - 30, top - 30]
    write_square(files / "district.geojson", middle, crs=int(profile["crs"].to_epsg()))


def write_square(path: Path, bounds: list[float], *, crs: int) -> None:
    """One square as GeoJSON in degrees."""
    from pyproj import Transformer

    to_degrees = Transformer.from_crs(crs, 4326, always_xy=True)
    x0, y0, x1, y1 = bounds
    ring = [to_degrees.transform(x, y) for x, y in ((x0, y0), (x1, y0), (x1, y1), (x0, y1), (x0, y0))]
    feature = {"type": "Feature", "properties": {}, "geometry": {"type": "Polygon", "coordinates": [ring]}}
    path.write_text(json.dumps({"type": "FeatureCollection", "features": [feature]}))


def write_models(files: Path, zoo: Path) -> None:
    """The tiny default model, a bare ONNX file and an smp folder, with the sidecar that docs/models.md shows."""
    sidecar = next(
        b.text for b in markdown_blocks.blocks(ROOT / "docs" / "models.md") if b.info == ["yaml", "sidecar"]
    )
    network, spec = tiny_network(yaml.safe_load(sidecar))
    arrays = state_arrays(network)
    save_package(zoo / "landuse-roads", spec, arrays, graph=export_graph(network, spec, serialize(arrays)))
    (files / "unet.onnx").write_bytes(export_graph(network, spec, serialize({})))
    (files / "unet.yaml").write_text(sidecar)
    smp = import_smp()
    options = {"encoder_depth": 3, "decoder_channels": (8, 8, 8), "encoder_weights": None}
    small = smp.create_model("unet", encoder_name="timm-mobilenetv3_small_100", classes=6, **options)
    small.save_pretrained(files / "smp-unet")
    (files / "smp-unet" / "geounet.yaml").write_text(sidecar)


def tiny_network(sidecar: dict[str, object]) -> tuple[UNet, ModelSpec]:
    """A U-Net of a few hundred random weights with the bands and heads of the sidecar."""
    torch.manual_seed(0)
    hyperparameters = {"depth": 1, "width": 4}
    kept = {key: sidecar[key] for key in ("bands", "heads", "gsd")}
    extra = {"tile": 128, "overlap": 32, "divisor": 2, "version": "1", "description": "a stand-in of the tests"}
    spec = _read_sidecar(
        {**kept, **extra}, name="landuse-roads", architecture="unet", hyperparameters=hyperparameters
    )
    config = UNetConfig(bands=len(spec.bands), channels=spec.channels, depth=1, width=4)
    return UNet(config).eval(), spec
