"""A measuring program: batches without a trainer, steps without a reader, or both, in a process of its own.

``python -m tests.benchmarks.training_side '{"what": …}'``; see :func:`main` for what it takes and answers.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
import torch.nn.functional as F

from geounet.model.networks import build_network
from geounet.model.spec import NODATA
from geounet.sample.write import sample_paths
from geounet.train.config import TrainConfig, load_config
from geounet.train.data import Scaling, WindowSource
from geounet.train.material import make_spec, read_material
from geounet.train.recipe import train_config
from tests.benchmarks.processes import ROOT

DEFAULT = ROOT / "configs" / "train" / "landuse-roads.yaml"
_KEPT = {"name", "bands", "heads", "head_weights", "network", "optimiser"}
_EVERYTHING = {"elastic": 4, "channel_dropout": 0.1, "cutmix": 0.3}


def configure(scene: Path, *, labels: str, direct: bool, everything: bool) -> TrainConfig:
    """The default model's file, on the sample scene."""
    config = load_config(DEFAULT)
    paths = sample_paths(scene)
    told: Any = str(paths.truth_landuse)
    if labels == "vectors":
        told = {"layers": [{"file": str(scene.with_name(f"{scene.stem}_landuse.geojson")), "field": "name"}]}
    data = {
        "scenes": [{"name": "s", "group": "s", "image": str(scene), "labels": told}],
        "crop": config.data.crop,
        "class_shares": config.data.class_shares,
        "cache_gb": 0 if direct else None,
    }
    plain = [{**c.model_dump(), "label_color": None} for c in config.classes]
    augment = {**config.augment.model_dump(), **(_EVERYTHING if everything else {})}
    kept = config.model_dump(include=_KEPT)
    kept["network"]["encoder_weights"] = None  # those of another training, which is not here
    return TrainConfig.model_validate({**kept, "classes": plain, "data": data, "augment": augment})


def source_of(config: TrainConfig, cache: Path) -> WindowSource:
    """Windows of the scene."""
    material = read_material(config, base=Path("/"), cache=cache)
    spec = make_spec(config, material)
    scaling = Scaling.of(spec.bands, spec.dtype)
    return WindowSource(material.learned, config, scaling, surveys=material.surveys)


def read(config: TrainConfig, *, cache: Path, count: int) -> dict[str, float]:
    """Seconds for ``count`` batches on one core, nothing else running."""
    torch.set_num_threads(1)
    source = source_of(config, cache)
    for step in range(3):
        source.batch(step)
    started, before = time.perf_counter(), time.process_time()
    for step in range(count):
        source.batch(step)
    return {"wall": time.perf_counter() - started, "cpu": time.process_time() - before, "batches": count}


def learn(config: TrainConfig, *, cache: Path, count: int, threads: int) -> dict[str, float]:
    """Seconds for ``count`` steps of the network over one batch that is there already.

    Forward, cross-entropy, backward and AdamW alone, which is less than a trainer does.
    """
    torch.set_num_threads(threads)
    source, spec = source_of(config, cache), make_spec(config, read_material(config, base=Path("/"), cache=cache))
    network = build_network(spec).to(memory_format=torch.channels_last).train()
    optimiser = torch.optim.AdamW(network.parameters())
    pixels, labels = source.batch(0)
    pixels, labels = pixels.to(memory_format=torch.channels_last), labels.long()
    classes = spec.head_slices()[0][1]

    def step() -> None:
        loss = F.cross_entropy(network(pixels)[:, classes], labels, ignore_index=NODATA)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()

    step()
    started, before = time.perf_counter(), time.process_time()
    for _ in range(count):
        step()
    return {"wall": time.perf_counter() - started, "cpu": time.process_time() - before, "batches": count}


def train(config: TrainConfig, *, cache: Path, count: int, threads: int) -> dict[str, float]:
    """Seconds for ``count`` steps of the trainer, after the first two and without the last, which also saves."""
    ticks: list[tuple[float, float]] = []
    optimiser = config.optimiser.model_copy(update={"steps": count + 3})
    schedule = config.schedule.model_copy(update={"save_every": count + 3, "patience": None})
    short = config.model_copy(update={"optimiser": optimiser, "schedule": schedule})
    told: dict[str, Any] = {"tick": lambda _: ticks.append((time.perf_counter(), time.process_time()))}
    with TemporaryDirectory() as folder:
        train_config(short, Path(folder), base=ROOT, cache=cache, device="cpu", threads=threads, **told)
    (begun, before), (ended, after) = ticks[1], ticks[-2]
    return {"wall": ended - begun, "cpu": after - before, "batches": count}


def main(
    *,
    what: str,
    scene: str,
    cache: str,
    count: int,
    threads: int = 1,
    labels: str = "raster",
    direct: bool = False,
    everything: bool = False,
) -> None:
    """Print seconds of wall and of CPU time; ``what``: ``read``, ``learn`` or ``train``."""
    from geounet.heap import keep_freed_memory

    keep_freed_memory()
    config = configure(Path(scene), labels=labels, direct=direct, everything=everything)
    folder = Path(cache) / ("direct" if direct else "decoded")  # each would forget what the other needs
    if what == "read":
        print(json.dumps(read(config, cache=folder, count=count)))
        return
    side = {"learn": learn, "train": train}[what]
    print(json.dumps(side(config, cache=folder, count=count, threads=threads)))


if __name__ == "__main__":
    main(**json.loads(sys.argv[1]))
