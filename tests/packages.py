"""Tiny real model packages, tiny real scenes, and the route from the one to the other without Dask.

What ships here is small enough to be read: networks of a few hundred weights whose answer is known, and fakes
that count what is asked of them.
"""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import torch
from numpy.typing import NDArray
from rasterio.errors import NotGeoreferencedWarning
from rasterio.transform import Affine

from geounet.config import build_options
from geounet.grid.blocks import Partition
from geounet.grid.window import Window
from geounet.io.scene import Pixels
from geounet.model.export import export_graph
from geounet.model.networks import state_arrays
from geounet.model.package import Package, save_package, serialize
from geounet.model.spec import Head, InputBand, LabelClass, ModelSpec
from geounet.model.unet import UNet, UNetConfig
from geounet.run.block import BlockRunner
from geounet.run.part import part_name
from geounet.run.pipeline import plan_scene
from geounet.run.plan import Plan
from geounet.run.work import Receipt, Work

LANDUSE = Head(
    name="landuse",
    kind="classes",
    classes=(
        LabelClass(value=0, name="land", color="#d9c7a0"),
        LabelClass(value=1, name="water", color="#3f88c5"),
        LabelClass(value=2, name="vegetation", color="#5fa052"),
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
MEAN, STD = 128.0, 64.0
UTM = Affine(0.5, 0.0, 300000.0, 0.0, -0.5, 2800000.0)


# --- models ---------------------------------------------------------------------------------------------------


def tiny_spec(**changes: Any) -> ModelSpec:
    """Two bands in, land use and road out, tiles of 64 that overlap by 16."""
    values: dict[str, Any] = {
        "name": "tiny",
        "architecture": "unet",
        "hyperparameters": {"depth": 0, "width": 4, "batch_norm": False},
        "bands": (InputBand(name="red", mean=MEAN, std=STD), InputBand(name="green", mean=MEAN, std=STD)),
        "heads": (LANDUSE, ROAD),
        "tile": 64,
        "overlap": 16,
        "divisor": 1,
    }
    return ModelSpec(**{**values, **changes})


def save(
    folder: Path, network: torch.nn.Module, spec: ModelSpec, *, graph: bool = True, half: bool = False
) -> Path:
    """A package folder of ``network``, with its ONNX graph where asked for."""
    network = network.eval()
    arrays = state_arrays(network, half=half)
    exported = export_graph(network, spec, serialize(arrays)) if graph else None
    save_package(folder, spec, arrays, graph=exported)
    return folder


def unet(spec: ModelSpec, seed: int = 0) -> UNet:
    """The spec's U-Net with random weights and random normalisation statistics."""
    torch.manual_seed(seed)
    config = UNetConfig(bands=len(spec.bands), channels=spec.channels, **spec.hyperparameters)
    network = UNet(config).eval()
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.weight, 0.5, 1.5)
            torch.nn.init.uniform_(module.bias, -0.2, 0.2)
            assert module.running_mean is not None
            assert module.running_var is not None
            module.running_mean.uniform_(-0.2, 0.2)
            module.running_var.uniform_(0.5, 1.5)
    image = torch.from_numpy(scaled(texture((64, 64), bands=len(spec.bands), seed=seed)))[None]
    with torch.no_grad():  # scale and centre the logits, so that every class is somewhere
        logits = network(image)
        network.head.weight *= (3 / logits.std(dim=(0, 2, 3)))[:, None, None, None]
        network.head.bias -= network(image).mean(dim=(0, 2, 3))
    return network


def pixelwise(spec: ModelSpec, seed: int = 0) -> UNet:
    """A U-Net of depth 0 in which only the middle of each kernel is not zero: a network of 1 × 1 convolutions.

    All weights are small whole numbers over a power of two, so that float32 sums them without rounding and
    numpy's answer is the network's, ties included.
    """
    network = unet(spec, seed)
    rng = np.random.default_rng(seed)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.copy_(torch.from_numpy(rng.integers(-2, 3, parameter.shape).astype(np.float32)))
            if parameter.ndim == 4 and parameter.shape[-1] == 3:
                middle = parameter[:, :, 1, 1].clone()
                parameter.zero_()
                parameter[:, :, 1, 1] = middle
        network.head.bias[-1] = 0.25  # no logit of the mask is 0, so that none lies on the threshold
        network.head.weight /= 8
    return network


def constant(spec: ModelSpec, logits: Iterable[float]) -> UNet:
    """A network that gives the same logits for whatever it sees."""
    network = unet(spec)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.zero_()
        network.head.bias.copy_(torch.tensor(list(logits)))
    return network


def scaled(pixels: NDArray[Any]) -> NDArray[np.float32]:
    """Raw pixels as the network sees them."""
    return (pixels.astype(np.float32) - np.float32(MEAN)) * np.float32(1 / STD)


def pixelwise_logits(network: UNet, pixels: NDArray[Any]) -> NDArray[np.float32]:
    """What :func:`pixelwise` networks answer, by numpy alone: ``(channels, h, w)``."""
    x = scaled(pixels)
    stem = [layer for layer in network.stem if isinstance(layer, torch.nn.Conv2d)]
    for layer in stem:
        assert layer.bias is not None
        kernel, bias = layer.weight.detach().numpy()[:, :, 1, 1], layer.bias.detach().numpy()
        x = np.maximum(np.einsum("oi,ihw->ohw", kernel, x) + bias[:, None, None], 0)
    assert network.head.bias is not None
    kernel, bias = network.head.weight.detach().numpy()[:, :, 0, 0], network.head.bias.detach().numpy()
    return np.einsum("oi,ihw->ohw", kernel, x) + bias[:, None, None]


def labels_of(logits: NDArray[np.float32], valid: NDArray[np.bool_]) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Land use and road labels ``(h, w)`` of ``(4, h, w)`` logits; 255 where not valid."""
    landuse = logits[:3].argmax(axis=0).astype(np.uint8)
    road = (logits[3] >= 0).astype(np.uint8)
    return np.where(valid, landuse, np.uint8(255)), np.where(valid, road, np.uint8(255))


# --- scenes ---------------------------------------------------------------------------------------------------


def texture(shape: tuple[int, int], *, bands: int = 2, dtype: str = "uint8", seed: int = 0) -> NDArray[Any]:
    """Patches with noise ``(bands, h, w)``, values 1..255."""
    rng = np.random.default_rng(seed)
    height, width = shape
    coarse = rng.integers(1, 256, (bands, height // 9 + 1, width // 9 + 1))
    pixels = np.kron(coarse, np.ones((9, 9), int))[:, :height, :width]
    noise = rng.integers(-20, 21, pixels.shape)
    return np.clip(pixels + noise, 1, 255).astype(dtype)


def slanted(shape: tuple[int, int]) -> NDArray[np.bool_]:
    """A footprint with slanted sides and a hole."""
    rows, cols = np.mgrid[: shape[0], : shape[1]]
    inside = (rows * 0.35 < cols) & (cols < shape[1] * 0.9 - 0.2 * (shape[0] - rows))
    hole = (abs(rows - shape[0] * 0.6) < shape[0] * 0.08) & (abs(cols - shape[1] * 0.5) < shape[1] * 0.1)
    return inside & ~hole


def write_scene(path: Path, pixels: NDArray[Any], *, nodata: float | None = None, **profile: Any) -> Path:
    """A GeoTIFF of ``pixels`` ``(bands, h, w)``: UTM, half a metre."""
    options: dict[str, Any] = {"crs": "EPSG:32640", "transform": UTM, "nodata": nodata, **profile}
    count, height, width = pixels.shape
    with rasterio.open(
        path, "w", driver="GTiff", count=count, height=height, width=width, dtype=pixels.dtype, **options
    ) as file:
        file.write(pixels)
    return path


@dataclass
class CountingScene:
    """A scene in memory that counts how often each pixel is read."""

    data: NDArray[Any]
    valid: NDArray[np.bool_]
    reads: NDArray[np.int64] = field(init=False)

    def __post_init__(self) -> None:
        self.reads = np.zeros(self.valid.shape, np.int64)

    def read(self, window: Window) -> Pixels:
        """The pixels of a window."""
        self.reads[window.slices()] += 1
        return Pixels(data=self.data[:, *window.slices()], valid=self.valid[window.slices()])


# --- the route without Dask ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Result:
    """What the blocks of a run made, put together."""

    bands: NDArray[np.uint8]
    """``(2 * heads, h, w)``: labels and confidence of every head."""
    receipts: tuple[Receipt, ...]


def slanted_scene(folder: Path, shape: tuple[int, int]) -> Path:
    """A restless scene with a slanted footprint; nodata is 0."""
    return write_scene(folder / "s.tif", np.where(slanted(shape), texture(shape, seed=2), np.uint8(0)), nodata=0)


def work_for(scene: Path, folder: Path, *, partition: Partition | None = None, **options: Any) -> tuple[Plan, Work]:
    """The plan of a run and what would travel to its workers."""
    plan = plan_scene([scene], build_options({}, {"device": "cpu", "threads": 1, **options}))
    if partition is not None:
        plan = replace(plan, partition=partition)
    folder.mkdir(parents=True, exist_ok=True)
    work = Work(
        key=plan.raster_key,
        scene=plan.scene,
        model=plan.package.origin,
        model_digest=plan.package.digest,
        allow_pickle=False,
        spec=plan.package.spec,
        request=plan.request,
        lattice=plan.lattice,
        partition=plan.partition,
        threads_of_worker=False,
        devices_in_turn=False,
        aoi=str(options["aoi"]) if "aoi" in options else None,
        around=0,
        parts=str(folder),
    )
    return plan, work


def compute(
    scene: Path,
    folder: Path,
    *,
    order: Callable[[int], Iterable[int]] = range,
    partition: Partition | None = None,
    **options: Any,
) -> Result:
    """All blocks of a scene by one :class:`BlockRunner`, in ``order``."""
    _, work = work_for(scene, folder, partition=partition, **options)
    runner = BlockRunner(work)
    try:
        receipts = tuple(runner.run(block) for block in order(len(work.partition)))
    finally:
        runner.close()
    return Result(bands=gather(work), receipts=receipts)


def gather(work: Work) -> NDArray[np.uint8]:
    """The parts of a run as one array."""
    shape = (work.lattice.rows.length, work.lattice.cols.length)
    out = np.full((2 * len(work.spec.heads), *shape), 77, np.uint8)
    for block in work.partition:
        with warnings.catch_warnings():  # parts lie in block pixels
            warnings.simplefilter("ignore", NotGeoreferencedWarning)
            part = rasterio.open(Path(work.parts) / part_name(block.index, work.key))
        with part:
            out[:, *block.core.slices()] = part.read()
    return out


def hashes(folder: Path) -> Mapping[str, str]:
    """sha256 of every raster and vector file of a results folder."""
    files = sorted(p for p in folder.iterdir() if p.suffix in (".tif", ".geojson"))
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


def whole_answer(network: torch.nn.Module, pixels: NDArray[Any], valid: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Logits of the whole scene in one piece ``(channels, h, w)``; invalid pixels are the training mean."""
    image = np.where(valid, scaled(np.where(valid, pixels, 0)), np.float32(0))
    with torch.inference_mode():
        return network(torch.from_numpy(image)[None])[0].numpy()


def load(folder: Path) -> Package:
    """The package of a folder."""
    from geounet.model.package import load_model

    return load_model(folder)
