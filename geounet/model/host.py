"""The CPU engine: tiles side by side, each on one thread.

One tile per thread beats one tile over all threads (docs/benchmarks.md), and a tile's kernels never see how many
threads there are, so the thread count cannot change a bit of the result.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from geounet.heap import keep_freed_memory, return_freed_memory
from geounet.model.canvas import HostCanvas, RollingCanvas, RowSink, weigh
from geounet.model.engine import EngineRequest, TileJob
from geounet.model.spec import ModelSpec
from geounet.model.symmetry import symmetries, transform, undo

Forward = Callable[[NDArray[np.float32]], NDArray[np.float32]]
"""Scaled ``(batch, bands, tile, tile)`` → logits ``(batch, channels, tile, tile)``, on the calling thread."""


class HostEngine:
    """Runs ``forward`` for several tiles at a time and blends them in order."""

    def __init__(self, spec: ModelSpec, request: EngineRequest, *, forward: Forward, name: str) -> None:
        keep_freed_memory()
        self.name = name
        self.batch = request.batch or 1
        self._spec = spec
        self._tile = request.tile
        self._forward = forward
        self._symmetries = symmetries(request.tta)
        self._mean = np.array([b.mean for b in spec.bands], np.float32)[:, None, None]
        self._scale = np.array([1 / b.std for b in spec.bands], np.float32)[:, None, None]
        self._threads = max(1, request.threads)
        self._pool = ThreadPoolExecutor(self._threads, thread_name_prefix="tile")

    def new_canvas(self, *, width: int, top: int, on_rows: RowSink) -> HostCanvas:
        """An empty canvas of ``width`` columns whose first row is scene row ``top``."""
        return HostCanvas(self._spec, tile=self._tile, width=width, top=top, on_rows=on_rows)

    def blend(self, jobs: Iterable[TileJob], canvas: RollingCanvas) -> Iterator[None]:
        """Compute jobs on the pool, add them to the canvas in their order; yields once per tile."""
        assert isinstance(canvas, HostCanvas)
        pending: deque[tuple[list[TileJob], Future[list[NDArray[np.float32]]]]] = deque()
        try:
            for batch in batches(jobs, self.batch):
                pending.append((batch, self._pool.submit(self._predict, batch)))
                if len(pending) > self._threads + 1:  # one more than threads, so that none ever waits
                    yield from _add(*pending.popleft(), canvas)
            while pending:
                yield from _add(*pending.popleft(), canvas)
        finally:
            for _, future in pending:
                future.cancel()

    def device_memory(self) -> int:
        """None is taken: everything is in host memory."""
        return 0

    def close(self) -> None:
        """Stop the pool; what the network held goes back to the system."""
        self._pool.shutdown(wait=True, cancel_futures=True)
        self._forward = _closed
        return_freed_memory()

    def _predict(self, batch: list[TileJob]) -> list[NDArray[np.float32]]:
        """Weighted probabilities ``(channels, tile, tile)`` of every job."""
        images = np.empty((self.batch, len(self._spec.bands), self._tile, self._tile), np.float32)
        for image, job in zip(images, batch, strict=False):
            self._scale_into(image, job)
        images[len(batch) :] = 0.0
        if len(self._symmetries) == 1:
            logits = self._forward(images)
            return [weigh(x, self._spec, j.row_weights, j.col_weights) for x, j in zip(logits, batch, strict=False)]
        sums = [np.zeros((self._spec.channels, self._tile, self._tile), np.float32) for _ in batch]
        for symmetry in self._symmetries:
            logits = self._forward(np.ascontiguousarray(transform(images, symmetry)))
            for total, x, job in zip(sums, undo(logits, symmetry), batch, strict=False):
                weighted = weigh(np.ascontiguousarray(x), self._spec, job.row_weights, job.col_weights)
                np.add(total, weighted, out=total)
        return [total * np.float32(1 / len(self._symmetries)) for total in sums]

    def _scale_into(self, image: NDArray[np.float32], job: TileJob) -> None:
        """``(raw - mean) / std`` into ``image`` ``(bands, tile, tile)``; invalid pixels become 0."""
        with np.errstate(invalid="ignore", over="ignore"):  # invalid pixels may hold anything
            np.subtract(job.pixels, self._mean, out=image, dtype=np.float32, casting="unsafe")
            image *= self._scale
        if not job.valid.all():
            np.copyto(image, 0.0, where=~job.valid)


def _add(batch: list[TileJob], future: Future[list[NDArray[np.float32]]], canvas: HostCanvas) -> Iterator[None]:
    for job, weighted in zip(batch, future.result(), strict=True):
        canvas.advance(job.row)
        canvas.add(weighted, col=job.col)
        yield


def _closed(_images: NDArray[np.float32]) -> NDArray[np.float32]:
    raise RuntimeError("the engine was closed")


def batches(jobs: Iterable[TileJob], size: int) -> Iterator[list[TileJob]]:
    """Jobs in groups of ``size``; the last group may be shorter."""
    group: list[TileJob] = []
    for job in jobs:
        group.append(job)
        if len(group) == size:
            yield group
            group = []
    if group:
        yield group
