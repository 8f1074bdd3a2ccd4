"""The CUDA engine: raw pixels go to the device, decided labels come back; all between happens there.

Written against ``torch.device`` alone, so that the same code runs on a CPU device, where the tests hold it to the
host engine.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from geounet.errors import ModelError
from geounet.model.canvas import CONFIDENCE_SCALE, THRESHOLD_SLACK, RollingCanvas, RowSink, unreal
from geounet.model.engine import EngineRequest, TileJob
from geounet.model.host import batches
from geounet.model.networks import load_network
from geounet.model.package import Package
from geounet.model.spec import Head, ModelSpec
from geounet.model.symmetry import Symmetry, symmetries
from geounet.model.torch_forward import channels_last, example_tile, folded

_AUTO_BATCH = 8  # a constant: what happens to be free must not decide which kernels compute the answer
_HALF = {"auto": torch.float16, "fp16": torch.float16, "bf16": torch.bfloat16}


class DeviceCanvas(RollingCanvas):
    """Sums of weighted probabilities ``(channels, rows, width)`` in device memory."""

    def __init__(
        self, spec: ModelSpec, *, tile: int, width: int, top: int, on_rows: RowSink, device: torch.device
    ) -> None:
        super().__init__(top=top, on_rows=on_rows)
        self._spec = spec
        self._sums = torch.zeros(spec.channels, tile, width, device=device)

    def add(self, weighted: Tensor, *, col: int) -> None:
        """Add ``(channels, tile, tile)``, its first row at the top, without what lies beside the canvas."""
        left, right = max(0, col), min(self._sums.shape[2], col + weighted.shape[2])
        self._sums[:, :, left:right] += weighted[:, :, left - col : right - col]

    @torch.inference_mode()
    def _finish(self, count: int) -> NDArray[np.uint8]:
        rows = min(count, self._sums.shape[1])
        finished = np.zeros((2 * len(self._spec.heads), count, self._sums.shape[2]), np.uint8)
        finished[:, :rows] = decide_on_device(self._sums[:, :rows], self._spec).cpu().numpy()
        remaining = torch.zeros_like(self._sums)
        remaining[:, : self._sums.shape[1] - rows] = self._sums[:, rows:]
        self._sums = remaining
        return finished


class DeviceEngine:
    """Runs the network in batches on one torch device."""

    def __init__(self, package: Package, request: EngineRequest, *, device: str) -> None:
        self._device = torch.device(device)
        self._spec = package.spec
        self._tile = request.tile
        self._symmetries = symmetries(request.tta)
        on_cuda = self._device.type == "cuda"
        self._half = _HALF.get(request.precision) if on_cuda or request.precision != "auto" else None
        self._network = channels_last(folded(load_network(package), example_tile(package, request))).to(
            self._device
        )
        self._mean = torch.tensor([b.mean for b in package.spec.bands], device=device).view(1, -1, 1, 1)
        self._scale = torch.tensor([1 / b.std for b in package.spec.bands], device=device).view(1, -1, 1, 1)
        # cuDNN's benchmark would choose kernels by the clock, another run perhaps others, with other roundings;
        # and its float32 is TF32 unless it is told that float32 is meant
        self._kernels = {
            "enabled": True,
            "benchmark": False,
            "deterministic": True,
            "allow_tf32": self._half is not None,
        }
        self.batch = request.batch or (_AUTO_BATCH if on_cuda else 1)
        half = str(self._half).removeprefix("torch.") if self._half else "float32"
        self.name = f"torch {device} {half}"

    def new_canvas(self, *, width: int, top: int, on_rows: RowSink) -> DeviceCanvas:
        """An empty canvas of ``width`` columns whose first row is scene row ``top``."""
        return DeviceCanvas(self._spec, tile=self._tile, width=width, top=top, on_rows=on_rows, device=self._device)

    @torch.inference_mode()
    def blend(self, jobs: Iterable[TileJob], canvas: RollingCanvas) -> Iterator[None]:
        """Compute jobs batch by batch and add them in order; yields once per tile.

        The device works behind: while it computes one batch, the host gathers the next.
        """
        assert isinstance(canvas, DeviceCanvas)
        for batch in batches(jobs, self.batch):
            for weighted, job in zip(self._predict(batch), batch, strict=False):
                canvas.advance(job.row)
                canvas.add(weighted, col=job.col)
                yield

    def device_memory(self) -> int:
        """Bytes of CUDA memory at the peak."""
        return int(torch.cuda.max_memory_allocated(self._device)) if self._device.type == "cuda" else 0

    def close(self) -> None:
        """Free the device memory."""
        del self._network
        if self._device.type == "cuda":
            torch.cuda.empty_cache()

    def _predict(self, batch: list[TileJob]) -> list[Tensor]:
        """Weighted probabilities of the batch; when memory runs out, smaller batches do, from then on."""
        weighted: list[Tensor] = []
        while len(weighted) < len(batch):
            part = batch[len(weighted) : len(weighted) + self.batch]
            try:
                with torch.backends.cudnn.flags(**self._kernels):
                    weighted.extend(self._weighted(part))
            except torch.cuda.OutOfMemoryError as error:
                self._halve_batch(error)
        return weighted

    def _halve_batch(self, error: Exception) -> None:
        if self.batch == 1:
            raise ModelError(
                f"{self._device} has too little memory for one tile of {self._tile}; use a smaller --tile or "
                "--device cpu"
            ) from error
        self.batch //= 2
        if self._device.type == "cuda":
            torch.cuda.empty_cache()

    def _weighted(self, batch: list[TileJob]) -> Tensor:
        images = self._upload(batch)
        rows = self._to_device(np.stack([job.row_weights for job in batch]))
        cols = self._to_device(np.stack([job.col_weights for job in batch]))
        probabilities = torch.stack([self._probabilities(images, s) for s in self._symmetries]).mean(dim=0)
        return probabilities[: len(batch)] * (rows[:, None, :, None] * cols[:, None, None, :])

    def _upload(self, batch: list[TileJob]) -> Tensor:
        """Scaled pixels ``(batch, bands, tile, tile)``, short batches filled up with zeros."""
        raw = self._to_device(np.stack([transferable(job.pixels) for job in batch]))
        valid = self._to_device(np.stack([job.valid for job in batch]))
        values = raw.int().bitwise_and(0xFFFF) if batch[0].pixels.dtype == np.uint16 else raw
        scaled = (values.float() - self._mean) * self._scale
        scaled.masked_fill_(~valid[:, None], 0.0)
        missing = self.batch - len(batch)
        return torch.nn.functional.pad(scaled, (0, 0, 0, 0, 0, 0, 0, missing)) if missing else scaled

    def _probabilities(self, images: Tensor, symmetry: Symmetry) -> Tensor:
        """Probabilities ``(batch, channels, tile, tile)`` seen through one symmetry."""
        moved = images.flip(-1) if symmetry.mirror else images
        moved = torch.rot90(moved, symmetry.quarters, (-2, -1)).contiguous(memory_format=torch.channels_last)
        mixed = (
            torch.autocast(self._device.type, self._half) if self._half is not None else contextlib.nullcontext()
        )
        with mixed:
            logits = self._network(moved)
        logits = torch.rot90(logits.float(), -symmetry.quarters, (-2, -1))
        logits = logits.flip(-1) if symmetry.mirror else logits
        parts = [
            _finite(logits[:, channels]).sigmoid() if head.kind == "mask" else logits[:, channels].softmax(dim=1)
            for head, channels in self._spec.head_slices()
        ]
        return torch.cat(parts, dim=1)

    def _to_device(self, array: NDArray[Any]) -> Tensor:
        tensor = torch.from_numpy(array)
        if self._device.type != "cuda":
            return tensor.to(self._device)
        return tensor.pin_memory().to(self._device, non_blocking=True)


def transferable(pixels: NDArray[Any]) -> NDArray[Any]:
    """Raw pixels in the smallest dtype that torch computes with; uint16 travels as int16 bits."""
    if pixels.dtype == np.uint16:
        return pixels.view(np.int16)
    if pixels.dtype in (np.uint32, np.float64):
        with np.errstate(over="ignore"):
            return pixels.astype(np.float32)
    return pixels


def decide_on_device(probabilities: Tensor, spec: ModelSpec) -> Tensor:
    """``canvas.decide`` for a tensor ``(channels, rows, width)``, without nodata: ``(2 * heads, rows, width)``."""
    bands = [band for head, channels in spec.head_slices() for band in _decide_head(probabilities[channels], head)]
    return torch.stack(bands)


def _finite(logits: Tensor) -> Tensor:
    """What has overflowed is no confident answer: NaN, as in ``canvas.activate``."""
    return torch.where(logits.isinf(), torch.nan, logits)


def _decide_head(p: Tensor, head: Head) -> tuple[Tensor, Tensor]:
    """Labels and confidences of one head. Raises WorkError where a probability is not a number."""
    if head.kind == "mask":
        labels = p[0] >= head.threshold - THRESHOLD_SLACK
        best = torch.where(labels, p[0], 1.0 - p[0])
    else:
        best, labels = p.max(dim=0)
    if count := int((~best.isfinite()).sum()):
        raise unreal(count, best.numel(), head)
    confidence = (best * CONFIDENCE_SCALE).round().clamp(0, CONFIDENCE_SCALE)
    return labels.to(torch.uint8), confidence.to(torch.uint8)
