"""What runs a network over tiles: the contract of all engines, and the choice among them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from geounet.errors import ConfigError, ModelError
from geounet.model.canvas import RollingCanvas, RowSink
from geounet.model.package import Package

Precision = Literal["auto", "fp32", "bf16", "fp16"]
Augmentation = Literal["none", "flips", "d4"]


@dataclass(frozen=True, kw_only=True)
class TileJob:
    """One tile to compute, and where its prediction belongs."""

    pixels: NDArray[Any]
    """Raw values ``(bands, tile, tile)`` in the scene's dtype."""
    valid: NDArray[np.bool_]
    """``(tile, tile)``; invalid pixels reach the network as the training mean."""
    row: int
    """First row, in scene pixels."""
    col: int
    """First column, in canvas pixels; may be negative where the tile belongs to two blocks."""
    row_weights: NDArray[np.float32]
    """``(tile,)``, :meth:`geounet.grid.lattice.Axis.weights`."""
    col_weights: NDArray[np.float32]
    """``(tile,)``."""


class Engine(Protocol):
    """A loaded network. One per process; a canvas belongs to the thread that runs it."""

    @property
    def name(self) -> str:
        """Library, device and precision, as the journal and the reports name it."""
        ...

    @property
    def batch(self) -> int:
        """Tiles per forward pass; constant, short batches are filled up."""
        ...

    def new_canvas(self, *, width: int, top: int, on_rows: RowSink) -> RollingCanvas:
        """An empty canvas of ``width`` columns whose first row is scene row ``top``."""
        ...

    def blend(self, jobs: Iterable[TileJob], canvas: RollingCanvas) -> Iterator[None]:
        """Compute jobs and add them in their order; yields once per tile added.

        Rows above a job's first row leave the canvas before the job is added.
        """
        ...

    def device_memory(self) -> int:
        """Bytes of device memory that it has taken at most so far; 0 on a CPU."""
        ...

    def close(self) -> None:
        """Free threads and device memory."""
        ...


@dataclass(frozen=True, kw_only=True)
class EngineRequest:
    """Which engine is asked for; small and picklable, so that every worker opens the same."""

    device: str = "auto"
    precision: Precision = "auto"
    tile: int = 512
    batch: int | None = None
    """None: 1 on a CPU, 8 on CUDA; halved where device memory runs out."""
    threads: int = 1
    tta: Augmentation = "none"


def engine_kind(package: Package, request: EngineRequest, *, here: bool = True) -> str:
    """``cuda``, ``onnx`` or ``torch-cpu``: which engine the request gets, without loading any library.

    The ONNX graph is the fastest path on a CPU (docs/benchmarks.md) and is taken wherever the package has one
    and float32 is asked for.
    """
    device = resolve_device(request.device, package, here=here)
    if device.startswith("cuda"):
        if package.weights is None:
            raise ModelError(f"model {package.origin!r} is a bare ONNX graph; it runs with --device cpu only")
        return "cuda"
    runs = not package.spec.graph_is_bound_to_tile or request.tile == package.spec.tile
    if package.graph is not None and runs and request.precision in ("auto", "fp32"):
        return "onnx"
    if package.weights is None:
        raise ModelError(f"model {package.origin!r} is a bare ONNX graph; it runs with --precision fp32 only")
    if request.precision == "fp16":
        raise ConfigError("--precision fp16 on a CPU: expected fp32 or bf16; fp16 needs --device cuda")
    return "torch-cpu"


def resolve_device(device: str, package: Package, *, here: bool = True) -> str:
    """``cpu`` or ``cuda:N``. ``auto`` takes the first CUDA device that torch can use, else the CPU.

    torch is imported only where a CUDA driver is present or CUDA was asked for by name. Where the network
    will not run ``here``, this machine's devices are not counted.
    """
    if device == "cpu":
        return "cpu"
    if device != "auto" and not device.startswith("cuda"):
        raise ConfigError(f"--device {device}: expected auto, cpu, cuda or cuda:N")
    if device == "auto" and (package.weights is None or not _has_cuda_driver()):
        return "cpu"
    number = device.removeprefix("cuda").removeprefix(":") or "0"
    if not here and number.isdigit():
        return f"cuda:{number}"
    import torch

    count = cuda_devices()
    if device == "auto":
        return "cuda:0" if count else "cpu"
    if not number.isdigit() or int(number) >= count:
        raise ConfigError(
            f"--device {device}: torch {torch.__version__} sees {count} CUDA devices; use --device cpu"
        )
    return f"cuda:{number}"


def device_of_worker(device: str, worker: int, count: int) -> str:
    """Where the ``worker``-th process of a machine with ``count`` CUDA devices computes: they take them in turn."""
    return f"cuda:{worker % count}" if device.startswith("cuda") and count else device


def cuda_devices() -> int:
    """How many CUDA devices torch sees."""
    import torch

    return torch.cuda.device_count() if torch.cuda.is_available() else 0


def sharing_warning(device: str, workers: int, count: int) -> str | None:
    """What to say where several worker processes have fewer devices than they are."""
    if not device.startswith("cuda") or workers <= count:
        return None
    return (
        f"{workers} workers share {count} CUDA device{'s' * (count != 1)}: each holds a network there, and "
        f"more than --workers {count} are rarely faster"
    )


def _has_cuda_driver() -> bool:
    """Without torch, which takes a second to load, and ``ctypes.util.find_library``, which runs a compiler."""
    import ctypes
    import sys

    try:
        ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
    except OSError:
        return False
    return True


def check_tile(tile: int, package: Package) -> None:
    """ConfigError where the network cannot take square tiles of this side, with the nearest one that works."""
    divisor = package.spec.divisor
    if tile < 1 or tile % divisor:
        nearest = max(divisor, round(tile / divisor) * divisor)
        raise ConfigError(
            f"--tile {tile}: model {package.spec.name!r} needs a multiple of {divisor}; the nearest is {nearest}"
        )


def open_engine(package: Package, request: EngineRequest) -> Engine:
    """Load the network into the engine that fits the request.

    Raises ModelError or ConfigError where the request cannot work.
    """
    check_tile(request.tile, package)
    kind = engine_kind(package, request)
    if kind == "cuda":
        from geounet.model.device import DeviceEngine

        return DeviceEngine(package, request, device=resolve_device(request.device, package))
    from geounet.model.host import HostEngine

    if kind == "onnx":
        from geounet.model.onnx_forward import onnx_forward

        return HostEngine(
            package.spec, request, forward=onnx_forward(package, request), name="onnxruntime cpu fp32"
        )
    from geounet.model.torch_forward import torch_forward

    precision: Literal["fp32", "bf16"] = "bf16" if request.precision == "bf16" else "fp32"
    forward = torch_forward(package, request, precision=precision)
    return HostEngine(package.spec, request, forward=forward, name=f"torch cpu {precision}")
