"""How long a run will take and how much memory the network wants: a few tiles are computed and measured."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

import numpy as np
import psutil

from geounet.model.engine import Engine, TileJob, open_engine
from geounet.run.cores import usable_cores
from geounet.run.plan import Plan

_ROUNDS = 2


@dataclass(frozen=True, kw_only=True)
class Forecast:
    """What a few tiles told."""

    engine: str
    """Library, device and precision."""
    batch: int
    seconds: float
    """Wall time of all tiles, estimated: as fast as the few tiles were, side by side on this machine's cores.

    Reading, writing and vectors come on top.
    """
    memory: int
    """Host bytes that network, libraries and activations added to this process."""
    device_memory: int
    """Bytes of device memory; 0 on a CPU."""


def forecast(plan: Plan) -> Forecast:
    """Compute a few tiles of noise as the run would, and measure the fastest of two rounds.

    The threads of all local processes work at once, on no more cores than there are: processes share the cores and
    their memory as threads do, so that nothing is divided by a number of workers.
    """
    process = psutil.Process()
    before = process.memory_info().rss
    threads = min(plan.workers * plan.request.threads, usable_cores())
    engine = open_engine(plan.package, replace(plan.request, threads=threads))
    try:
        jobs = [_noise(plan)] * (engine.batch * threads)
        fastest = min(_timed(engine, jobs, plan.lattice.tile) for _ in range(_ROUNDS))
        return Forecast(
            engine=engine.name,
            batch=engine.batch,
            seconds=fastest / len(jobs) * plan.costs.tiles_computed,
            memory=max(0, process.memory_info().rss - before),
            device_memory=engine.device_memory(),
        )
    finally:
        engine.close()


def _timed(engine: Engine, jobs: list[TileJob], tile: int) -> float:
    canvas = engine.new_canvas(width=tile, top=0, on_rows=lambda _top, _bands: None)
    started = time.perf_counter()
    for _ in engine.blend(jobs, canvas):
        pass
    canvas.advance(tile)  # waits for a device that works behind
    return time.perf_counter() - started


def _noise(plan: Plan) -> TileJob:
    tile = plan.lattice.tile
    noise = np.random.default_rng(0).integers(0, 255, (len(plan.package.spec.bands), tile, tile))
    weights = np.ones(tile, np.float32)
    return TileJob(
        pixels=noise.astype(np.uint8),
        valid=np.ones((tile, tile), bool),
        row=0,
        col=0,
        row_weights=weights,
        col_weights=weights,
    )
