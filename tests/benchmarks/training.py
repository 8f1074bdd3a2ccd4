"""What feeds a training against what eats."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.benchmarks import material
from tests.benchmarks.processes import child, geounet, in_turn, median, run
from tests.benchmarks.settings import Settings
from tests.benchmarks.table import Result, Table

_MOST = 2048
_NETWORK, _TRAINER = "the network alone", "the trainer with one reader"
_READERS: dict[str, dict[str, Any]] = {
    "one reader, decoded scenes": {},
    "one reader, decoded scenes, every augmentation": {"everything": True},
    "one reader, straight from the raster": {"direct": True},
    "one reader, straight from raster and polygons": {"direct": True, "labels": "vectors"},
}


def measure(settings: Settings) -> Table:
    """Each side in a process of its own, in turn."""
    size = min(settings.size, _MOST)
    scene = material.sample(size)
    truth = scene.with_name(f"{scene.stem}_landuse")
    if not truth.with_suffix(".geojson").exists():
        run(geounet("vectorize", truth.with_suffix(".tif"), "--quiet", "--overwrite"))
    common = {"scene": scene, "cache": material.cache() / "training"}
    steps = {**common, "count": max(2, settings.batches // 4), "threads": settings.threads}
    sides: dict[str, Callable[[], dict[str, Any]]] = {
        **{
            name: _measured({**common, **how, "what": "read", "count": settings.batches})
            for name, how in _READERS.items()
        },
        _NETWORK: _measured({**steps, "what": "learn"}),
        _TRAINER: _measured({**steps, "what": "train"}),
    }
    found = in_turn(sides, repeats=settings.repeats)
    wall = {name: median(s["wall"] / s["batches"] for s in runs) for name, runs in found.items()}
    cpu = {name: median(s["cpu"] / s["batches"] for s in runs) for name, runs in found.items()}
    ratios = [
        Result(
            what=f"{name} ÷ network",
            value=wall[_NETWORK] / wall[name],
            unit="x",
            target=1.5,
            higher_is_better=True,
            note=f"batches per second; {cpu[_NETWORK] / settings.threads / cpu[name]:.2f} × by CPU time, "
            f"were {settings.threads} cores {settings.threads} times as fast as one",
        )
        for name in _READERS
    ]
    times = [
        Result(what=name, value=1e3 * each, unit="ms", note=f"per batch of 8; {1e3 * cpu[name]:.0f} ms of CPU time")
        for name, each in wall.items()
    ]
    return Table(
        title="training: what feeds it",
        about=(
            f"Batches of 8 windows of 256 × 256 from a sample scene of {size} × {size}, drawn and augmented as "
            "`configs/train/landuse-roads.yaml` says by one reader on one core, against forward, loss, backward "
            f"and optimiser of its network over one batch on {settings.threads} threads; each alone, in a "
            f"process of its own; medians of {settings.repeats} rounds in turn. “The trainer” is `geounet train` "
            "itself, its reader and both heads' losses beside the network, without what comes before the first "
            "step and after the last."
        ),
        results=(*ratios, *times),
    )


def _measured(options: dict[str, Any]) -> Callable[[], dict[str, Any]]:
    command = child("training_side", **options)
    return lambda: run(command).said
