"""Scenes and networks to measure with, made once and kept outside the repository."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tests.benchmarks.processes import geounet, run

TINY = "tiny"


def cache() -> Path:
    """``$GEOUNET_BENCH``, else ``geounet-bench`` in the folder for temporary files."""
    folder = Path(os.environ.get("GEOUNET_BENCH") or Path(tempfile.gettempdir()) / "geounet-bench")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def sample(size: int) -> Path:
    """A sample scene of ``size`` × ``size`` pixels, three bands of bytes."""
    path = cache() / f"scene_{size}.tif"
    if not path.exists():
        run(geounet("sample", path, "--size", str(size), "--quiet", "--overwrite"))
    return path


def repeated(size: int, times: int) -> Path:
    """The sample scene ``times`` × ``times`` beside each other, as a virtual raster of ``size * times`` pixels."""
    source = sample(size)
    path = source.with_name(f"{source.stem}_{times}x{times}.vrt")
    side = size * times
    lines = [f'<VRTDataset rasterXSize="{side}" rasterYSize="{side}">']
    for band in (1, 2, 3):
        lines.append(f'<VRTRasterBand dataType="Byte" band="{band}"><NoDataValue>0</NoDataValue>')
        for row in range(times):
            for col in range(times):
                lines.append(
                    f'<SimpleSource><SourceFilename relativeToVRT="1">{source.name}</SourceFilename>'
                    f"<SourceBand>{band}</SourceBand>"
                    f'<SrcRect xOff="0" yOff="0" xSize="{size}" ySize="{size}"/>'
                    f'<DstRect xOff="{col * size}" yOff="{row * size}" xSize="{size}" ySize="{size}"/>'
                    "</SimpleSource>"
                )
        lines.append("</VRTRasterBand>")
    lines.append("</VRTDataset>")
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def tiles(scene: Path, spec: object, *, tile: int, count: int) -> NDArray[np.float32]:
    """Scaled tiles of the scene ``(count, bands, tile, tile)``, spread evenly over it."""
    import rasterio
    from rasterio.windows import Window

    mean = np.array([b.mean for b in spec.bands], np.float32)[:, None, None]  # type: ignore[attr-defined]
    std = np.array([b.std for b in spec.bands], np.float32)[:, None, None]  # type: ignore[attr-defined]
    out = np.empty((count, len(mean), tile, tile), np.float32)
    with rasterio.open(scene) as file:
        side = int(np.ceil(np.sqrt(count)))
        for number in range(count):
            row, col = divmod(number, side)
            top, left = (
                int((n + 0.5) * (length - tile) / side) for n, length in zip((row, col), file.shape, strict=True)
            )
            pixels = file.read(list(range(1, len(mean) + 1)), window=Window(left, top, tile, tile))
            out[number] = (pixels - mean) / std
    return out


def tiny_model() -> Path:
    """A package whose network takes almost no time: a small U-Net that tells dark from bright, roughly."""
    folder = cache() / TINY
    if not folder.exists():
        _save_tiny(folder)
    return folder


def _save_tiny(folder: Path) -> None:
    import torch

    from geounet.model.export import export_graph
    from geounet.model.networks import build_network, state_arrays
    from geounet.model.package import save_package, serialize
    from geounet.model.spec import Head, InputBand, LabelClass, ModelSpec

    classes = tuple(LabelClass(value=n, name=f"class{n}", color=f"#{n + 1:02x}8040") for n in range(3))
    yes_no = tuple(LabelClass(value=n, name=name, color=f"#{n:02x}0000") for n, name in enumerate(("not", "road")))
    spec = ModelSpec(
        name=TINY,
        architecture="unet",
        hyperparameters={"depth": 3, "width": 2, "upsampling": "bilinear"},
        bands=tuple(InputBand(name=name, mean=0.0, std=100.0) for name in ("red", "green", "blue")),
        heads=(
            Head(name="landuse", kind="classes", classes=classes),
            Head(name="road", kind="mask", classes=yes_no),
        ),
        tile=512,
        overlap=128,
        divisor=8,
    )
    torch.manual_seed(0)
    network = build_network(spec).eval()
    with torch.inference_mode():
        for kernel in (p for name, p in network.named_parameters() if p.ndim == 4 and not name.startswith("head")):
            kernel.abs_()  # nothing is cut off: all features grow with the brightness
        for up in network.up:  # no skips, so that the answer is as smooth as a map
            up.convolve[0].weight[:, : up.convolve[0].weight.shape[1] // 2] = 0
        network.head.bias -= network(torch.rand(1, 3, 256, 256) + 0.5).mean(dim=(0, 2, 3))
    arrays = state_arrays(network)
    save_package(folder, spec, arrays, graph=export_graph(network, spec, serialize(arrays)))
