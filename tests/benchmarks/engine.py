"""The forward pass alone, in every engine that could run it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from tests.benchmarks import machine, material
from tests.benchmarks.processes import child, in_turn, median, run
from tests.benchmarks.settings import Settings
from tests.benchmarks.table import Result, Table

_TILES = 32
_EAGER = "torch eager, batches of 8"
_OURS = "geounet's engine"


def measure(settings: Settings) -> Table:
    """Every engine in a process of its own, in turn, over the same tiles."""
    engines = _engines()
    sides = in_turn(
        {name: _measured(settings, name, **how) for name, how in engines.items()}, repeats=settings.repeats
    )
    wall = {name: median(s["wall"] / s["tiles"] for s in runs) for name, runs in sides.items()}
    cpu = {name: median(s["cpu"] / s["tiles"] for s in runs) for name, runs in sides.items()}
    eager = np.load(_labels_file(_EAGER))
    results = [
        Result(what="geounet ÷ torch eager", value=wall[_OURS] / wall[_EAGER], unit="x", target=0.40, note="wall"),
        Result(what="geounet ÷ torch eager", value=cpu[_OURS] / cpu[_EAGER], unit="x", note="CPU time"),
        Result(
            what="labels as in torch eager",
            value=100 * float((np.load(_labels_file(_OURS)) == eager).mean()),
            unit="%",
            target=99.9,
            higher_is_better=True,
            note="of the pixels of all heads",
        ),
    ]
    for name in engines:
        equal = 100 * float((np.load(_labels_file(name)) == eager).mean())
        peak = max(s["peak"] for s in sides[name]) / 2**20
        note = f"per tile; {1e3 * cpu[name]:.0f} ms of CPU time; {equal:.3f} % equal labels; peak {peak:.0f} MiB"
        results.append(Result(what=name, value=1e3 * wall[name], unit="ms", note=note))
    return Table(
        title="engine: the forward pass alone",
        about=(
            f"{_TILES} tiles of the sample scene in each engine, {settings.threads} threads, float32, each in a "
            f"process of its own; medians of {settings.repeats} rounds in turn. “Eager” is the network as "
            "segmentation-models-pytorch builds it, in inference mode, with glibc's malloc as it comes."
        ),
        results=tuple(results),
    )


def _engines() -> dict[str, dict[str, Any]]:
    engines: dict[str, dict[str, Any]] = {
        _OURS: {"engine": "geounet_engine"},
        _EAGER: {"engine": "torch_eager", "batch": 8},
        "torch eager, one tile at a time": {"engine": "torch_eager"},
        "torch folded, tiles side by side": {"engine": "torch_folded"},
        "onnxruntime, all threads in a tile": {"engine": "onnxruntime_wide"},
    }
    if machine.found("openvino") != "absent":
        engines["OpenVINO, tiles side by side"] = {"engine": "openvino"}
    return engines


def _measured(settings: Settings, name: str, **how: Any) -> Callable[[], dict[str, Any]]:
    common = {"model": settings.model, "scene": settings.scene, "count": _TILES, "threads": settings.threads}
    command = child("forward", **common, **how, save=_labels_file(name))
    return lambda: run(command).said


def _labels_file(name: str) -> Path:
    folder = material.cache() / "labels"
    folder.mkdir(exist_ok=True)
    return folder / f"{name.replace(' ', '-').replace(',', '')}.npy"
