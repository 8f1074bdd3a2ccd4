"""Very many blocks through a real scheduler: what each of them costs besides its network, and what grows."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from math import isqrt
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from rasterio.windows import Window

from tests.benchmarks import material
from tests.benchmarks.processes import ROOT, child, run
from tests.benchmarks.settings import Settings
from tests.benchmarks.table import Result, Table

BLOCK = 32  # pixels; a tile each
_WORKERS = 2
_IN_FULL = 99_856  # 316 × 316, as many as one run may have
_STARTS = 60.0  # seconds


def measure(settings: Settings) -> Table:
    """``geounet infer --scheduler`` stage by stage, with a network that returns zeros."""
    scene = scene_of(_IN_FULL if settings.large else settings.blocks)
    output = settings.outputs / "scale"
    shutil.rmtree(output, ignore_errors=True)
    with _cluster() as (address, pids):
        asked = {"scene": scene, "model": material.tiny_model(), "output": output}
        said = run(child("scale_side", **asked, block=BLOCK, scheduler=address, pids=pids)).said
    return table(said)


def table(said: dict[str, Any]) -> Table:
    """What ``scale_side`` said, by block where it grows with them."""
    blocks, memory = said["blocks"], said["memory"]
    first, middle, last = (memory[share] for share in sorted(memory))
    milli = 1000 / blocks
    results = [
        Result(what="wall time per block", value=said["compute"] * milli, unit="ms", target=5, note="see above"),
        *(
            Result(what=f"CPU time per block, {side}", value=spent * milli, unit="ms")
            for side, spent in said["cpu"].items()
        ),
        *(
            Result(
                what=f"memory of the {side}", value=last[side] / 2**20, unit="MiB",
                note=f"{first[side] / 2**20:.1f} at 10 %, {middle[side] / 2**20:.1f} at 50 % of the blocks",
            )
            for side in last if side != "workers"
        ),
        Result(what="journal", value=said["journal"] / blocks, unit="bytes", note="per block"),
        Result(what="plan", value=said["plan"], unit="s", note="opening scene and model included"),
        Result(what="resume", value=said["resume"], unit="s", note="every part read and compared with its receipt"),
        *(
            Result(what=stage, value=said[stage], unit="s", note="two heads")
            for stage in ("stitch", "vectors") if stage in said
        ),
    ]  # fmt: skip
    return Table(
        title=f"scale: {blocks:,} blocks of {BLOCK} × {BLOCK}",
        about=(
            f"A scheduler, {_WORKERS} workers and a client, each a process, on loopback; a network that returns "
            "zeros, all else as in a run: pixels are read, a part is written, flushed and renamed, a receipt "
            "travels and is written down. Wall time counts from the connection to the end of the last block, on "
            "however many cores there are for all four processes."
        ),
        results=tuple(results),
    )


def scene_of(blocks: int) -> Path:
    """A constant scene that is cut into about ``blocks`` blocks, as a square."""
    side = max(1, isqrt(blocks)) * BLOCK
    path = material.cache() / f"constant_{side}.tif"
    if not path.exists():
        profile = {"driver": "GTiff", "width": side, "height": side, "count": 3, "dtype": "uint8", "tiled": True}
        place = {"crs": "EPSG:32640", "transform": rasterio.Affine(10, 0, 333000, 0, -10, 2782000)}
        part = path.with_suffix(".part")
        with rasterio.open(part, "w", **profile, **place, compress="deflate") as file:
            for top in range(0, side, 256):
                rows = min(256, side - top)
                file.write(np.full((3, rows, side), 100, np.uint8), window=Window(0, top, side, rows))
        part.rename(path)
    return path


@contextmanager
def _cluster() -> Iterator[tuple[str, dict[str, list[int]]]]:
    """A scheduler and workers as a user starts them; its address, and the processes by side."""
    cli = [sys.executable, "-m"]
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log"
        here = ["--host", "127.0.0.1", "--no-dashboard"]
        with log.open("w") as stream:
            scheduler = subprocess.Popen(
                [*cli, "distributed.cli.dask_scheduler", *here, "--port", "0"], stdout=stream, stderr=stream
            )
        started = [scheduler]
        try:
            address = _address(log)
            stub = [
                "--nthreads",
                "2",
                "--no-nanny",
                "--memory-limit",
                "0",
                "--preload",
                "tests.benchmarks.scale_stub",
            ]
            for _ in range(_WORKERS):
                command = [*cli, "distributed.cli.dask_worker", address, *here, *stub, "--local-directory", folder]
                quiet = subprocess.DEVNULL
                started.append(subprocess.Popen(command, cwd=ROOT, stdout=quiet, stderr=quiet))
            _wait_for_workers(address)
            yield address, {"scheduler": [scheduler.pid], "workers": [p.pid for p in started[1:]]}
        finally:
            for process in started:
                process.kill()
                process.wait()


def _address(log: Path) -> str:
    deadline = time.monotonic() + _STARTS
    while time.monotonic() < deadline:
        if found := re.search(r"Scheduler at:\s+(tcp://127\.0\.0\.1:\d+)", log.read_text()):
            return found[1]
        time.sleep(0.05)
    raise RuntimeError(f"no scheduler: {log.read_text()}")


def _wait_for_workers(address: str) -> None:
    from distributed import Client

    with Client(address, set_as_default=False) as client:
        client.wait_for_workers(_WORKERS, timeout=_STARTS)
