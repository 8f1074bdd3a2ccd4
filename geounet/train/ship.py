"""What a training leaves: the model package with its story."""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Callable, Sequence
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

import geounet
from geounet.errors import MissingExtraError
from geounet.io.atomic import naming, publish_bytes
from geounet.model import package
from geounet.model.export import export_graph
from geounet.model.networks import state_arrays
from geounet.model.receptive import with_field
from geounet.train import checkpoint
from geounet.train.config import resolved
from geounet.train.job import Job
from geounet.train.log import draw_curves
from geounet.train.scenes import TrainScene
from geounet.train.state import BEST, CURVES, METRICS, Training
from geounet.train.validate import validate

FINISH_METRICS = "finish.csv"


def settle(training: Training, *, again: bool = False) -> None:
    """Make the running mean what the file ships: the best validated weights, or the last ones.

    ``again``: score it, unless it is what was scored already.
    """
    wanted = training.config.ship == "best"
    best = checkpoint.load(training.folder / BEST, digest=training.digest) if wanted else None
    if best is not None:
        training.average.load_state_dict(best["average"])
        training.scores = best["scores"]  # of a training that was killed, perhaps newer than its last checkpoint
    elif again and training.scores.get("step") != training.step:
        _score(training)


def _score(training: Training) -> None:
    """Scores of the running mean as it is, where there is anything to score it on."""
    if training.validation:
        scores = validate(training.average, training.validation, training.spec, training.marks)
        training.scores = {"step": training.step, **scores}


def mix_start(training: Training, after: Training | None = None) -> None:
    """Mix what training began with into what it ends with, where the file says so, and score that.

    ``after`` is what went on from it: mixed too, without scores.
    """
    share = training.config.mix_start
    if not share:
        return
    training.mix(training.start, share)
    if after is not None:
        after.mix(training.start, share)
    step = training.scores.get("step", training.step)
    _score(training)
    training.scores |= {"step": step} if training.scores else {}


def ship(job: Job, warn: Callable[[str], None], *, scored: Job | None = None) -> Path:
    """The package from the settled weights of a training, with its story.

    ``scored`` is the training before it, if this one went on on all scenes: the package lies in its folder, has its
    scores, and says so.
    """
    first = scored or job
    training, config = first.training, first.training.config
    network = job.training.average.cpu().eval()
    spec = replace(training.spec, provenance=_provenance(first, after=job if scored else None))
    tensors = state_arrays(network, half=config.half)
    try:
        graph = export_graph(network, spec, package.serialize(tensors))
    except MissingExtraError as error:
        graph = None
        warn(f"the package has no {package.GRAPH} and runs on torch only, slower on CPUs: {error}")
    target = training.folder / config.name
    story = _story(training, warn)
    if scored:
        story[FINISH_METRICS] = (job.training.folder / METRICS).read_bytes()
    seen = with_field(spec, network)
    with naming(target):
        package.save_package(target, seen, tensors, graph=graph, beside=story, overwrite=True)
    return target


def _story(training: Training, warn: Callable[[str], None]) -> dict[str, bytes]:
    """The curves and the resolved file; beside the checkpoints too."""
    metrics = training.folder / METRICS
    story = {"train.yaml": resolved(training.config).encode(), METRICS: metrics.read_bytes()}
    curves = draw_curves(metrics)
    if curves is None:
        warn("no curves are drawn: matplotlib is not installed; run: pip install 'geounet[train]'")
    else:
        story[CURVES] = curves
        publish_bytes(training.folder / CURVES, curves)
    publish_bytes(training.folder / "resolved.yaml", story["train.yaml"])
    return story


def _provenance(job: Job, *, after: Job | None) -> dict[str, Any]:
    """The story of a training; ``after`` is what followed its scores."""
    training, material = job.training, job.material
    config, scores = training.config, training.scores
    return {
        **config.notes,
        "trained_on": data_of((after or job).material.learned),
        "validated_on": data_of(material.held),
        "scores": scores,
        "step": scores.get("step", training.step) if config.ship == "best" else training.step,
        "steps": config.optimiser.steps,
        **({} if after is None else {"finish": _finish(after)}),
        "seconds": round(training.seconds, 1),
        "device": _device_name(training),
        "seed": config.seed,
        "class_weights": dict(zip([h.name for h in config.heads], training.class_weights, strict=True)),
        "head_weights": training.head_weights(),
        "config": config.model_dump(mode="json", exclude={"notes"}),
        "config_digest": config.digest,
        "data_digest": training.digest,
        "versions": {
            "geounet": geounet.__version__,
            **{name: version(name) for name in ("torch", "lightning", "numpy")},
            "python": platform.python_version(),
        },
    }


def _finish(job: Job) -> dict[str, Any]:
    """What followed the scores."""
    return {
        "scores": "of the weights before these steps, which went on with what was validated on as well: "
        "nothing was left to score the shipped weights on",
        "steps": job.training.step,
        "seconds": round(job.training.seconds, 1),
        "data_digest": job.training.digest,
    }


def _device_name(training: Training) -> str:
    name = torch.cuda.get_device_name(training.device) if training.device.type == "cuda" else "cpu"
    return name if training.devices == 1 else f"{training.devices} × {name}"


def data_of(scenes: Sequence[TrainScene]) -> list[dict[str, Any]]:
    """Of each scene what it is and a digest of its bytes; the chips of a folder are one for each group."""
    found: dict[tuple[str, str], list[TrainScene]] = {}
    for scene in scenes:
        found.setdefault((scene.origin or scene.name, scene.group), []).append(scene)
    return [_describe(name, group, members) for (name, group), members in found.items()]


def _describe(name: str, group: str, members: Sequence[TrainScene]) -> dict[str, Any]:
    height, width = members[0].shape
    pixels = sum(scene.shape[0] * scene.shape[1] for scene in members)
    size = {"height": height, "width": width} if len(members) == 1 else {"images": len(members), "pixels": pixels}
    contents = "".join(scene.content + scene.truth for scene in members)
    return {
        "name": name,
        "group": group,
        **size,
        "drawn": members[0].synthetic,
        "digest": hashlib.sha256(contents.encode()).hexdigest(),
    }
