"""What ``geounet run`` adds to the work on a scene: finding it, the ledger, publishing, the catalogue."""

from __future__ import annotations

import json
import shutil
import sys
import time
from pathlib import Path
from typing import Any

import rasterio
import yaml
from rasterio.windows import Window

from tests.benchmarks import material
from tests.benchmarks.processes import Finished, child, geounet, in_turn, median, run
from tests.benchmarks.settings import Settings
from tests.benchmarks.table import Result, Table

_SIDE = 128
_SCENES = 100
_SCENES_IN_FULL = 1000


def measure(settings: Settings) -> Table:
    """Small scenes through ``geounet run``, and the same scenes through the calls that it makes for each."""
    count = _SCENES_IN_FULL if settings.large else _SCENES
    scenes, output = _scenes(count), settings.outputs / "unattended"
    schedule = output.with_suffix(".yaml")

    def bare() -> dict[str, Any]:
        shutil.rmtree(output, ignore_errors=True)
        return run(child("unattended", scenes=scenes, model=settings.model, output=output)).said

    def unattended() -> Finished:
        shutil.rmtree(output, ignore_errors=True)
        schedule.parent.mkdir(parents=True, exist_ok=True)
        values = {
            "source": {"folder": str(scenes), "settle": 0},
            "infer": {"model": settings.model, "threads": 1},
            "destination": f"{output}/{{scene}}",
        }
        schedule.write_text(yaml.safe_dump(values))
        done = run(geounet("run", schedule, "--json"))
        assert done.said["published"] == count, done.said
        return done

    sides = in_turn({"bare": bare, "run": unattended}, repeats=settings.repeats)
    again = run(geounet("run", schedule, "--json"))
    wall, cpu = (median(side[what] for side in sides["bare"]) for what in ("wall", "cpu"))
    whole, whole_cpu = median(r.wall for r in sides["run"]), median(r.cpu for r in sides["run"])
    return Table(
        title=f"unattended: {count} scenes of {_SIDE} × {_SIDE}",
        about=(
            "`geounet run` as a process, against a process that plans, computes and describes the same scenes one "
            "after the other on one cluster, without ledger, digests and publishing; medians of "
            f"{settings.repeats} rounds in turn, one thread."
        ),
        results=(
            Result(what="added per scene", value=(whole - wall) / count, unit="s", target=0.15, note="wall"),
            Result(what="added per scene", value=(whole_cpu - cpu) / count, unit="s", note="CPU time"),
            Result(what="a scene in geounet run", value=whole / count, unit="s", note="wall, everything"),
            Result(what="a look that finds nothing new", value=again.wall, unit="s", note="the whole process"),
            Result(what="peak memory", value=max(r.peak for r in sides["run"]) / 2**20, unit="MiB"),
        ),
    )


def _scenes(count: int) -> Path:
    """A folder of ``count`` different corners of a sample scene."""
    folder = material.cache() / f"small_{count}"
    done = folder / "done"
    if not done.exists():
        folder.mkdir(parents=True, exist_ok=True)
        with rasterio.open(material.sample(4096)) as source:
            across = source.width // _SIDE
            for number in range(count):
                window = Window(number % across * _SIDE, number // across * _SIDE, _SIDE, _SIDE)
                profile = {
                    **source.profile,
                    "width": _SIDE,
                    "height": _SIDE,
                    "transform": source.window_transform(window),
                }
                with rasterio.open(folder / f"scene{number:04}.tif", "w", **profile) as out:
                    out.write(source.read(window=window))
        done.touch()
    return folder


def _bare(scenes: Path, model: str, output: Path) -> dict[str, float]:
    """Seconds for all scenes, in one process on one cluster."""
    from geounet.config import build_options
    from geounet.run.cluster import one_cluster
    from geounet.run.pipeline import infer_plan, plan_scene

    options = build_options({}, {"model": model, "threads": 1, "output": output})
    started, cpu = time.perf_counter(), time.process_time()
    with one_cluster():
        for path in sorted(scenes.glob("*.tif")):
            infer_plan(plan_scene([path], options, several=True), options)
    return {"wall": time.perf_counter() - started, "cpu": time.process_time() - cpu}


if __name__ == "__main__":
    given = json.loads(sys.argv[1])
    print(json.dumps(_bare(Path(given["scenes"]), given["model"], Path(given["output"]))))
