"""How many tiles are computed more than once, as the plan says."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.benchmarks import material
from tests.benchmarks.settings import Settings
from tests.benchmarks.table import Result, Table

if TYPE_CHECKING:
    from geounet.run.plan import Plan


def measure(settings: Settings) -> Table:
    """Tiles computed ÷ tiles of the lattice, for scenes of several sizes; no clock is involved."""
    import geounet

    scenes = {times: material.repeated(settings.size, times) for times in (1, 4, 16)}
    plans = {
        (times, workers): geounet.plan(scene, model=settings.model, device="cpu", workers=workers)
        for times, scene in scenes.items()
        for workers in (0, 2)
    }
    return Table(
        title="recomputed tiles",
        about="Tiles that the blocks compute ÷ tiles of the lattice, from `geounet plan`.",
        results=tuple(_result(settings.size * times, workers, plan) for (times, workers), plan in plans.items()),
    )


def _result(side: int, workers: int, plan: Plan) -> Result:
    block = plan.partition
    return Result(
        what=f"{side:,} × {side:,}, {f'{workers} workers' if workers else 'threads'}",
        value=plan.costs.recompute_factor,
        unit="x",
        target=1.05,
        note=f"{plan.costs.tiles:,} tiles, {len(block):,} blocks up to {block.block_width} × {block.block_height}",
    )
