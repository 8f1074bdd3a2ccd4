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
from geounet.io.atomic import publish_bytes
from geounet.model import package
from geounet.model.export import export_graph
from geounet.model.networks import state_arrays
from geounet.model.receptive import with_field
from geounet.model.spec import ModelSpec
from geounet.train import checkpoint
from geounet.train.config import resolved
from geounet.train.log import draw_curves
from geounet.train.material import Material
from geounet.train.scenes import TrainScene
from geounet.train.state import BEST, CURVES, METRICS, Training


def ship(training: Training, material: Material, warn: Callable[[str], None]) -> Path:
    """The package from the best validated weights, or from the last ones, with the story of the training."""
    config = training.config
    best = checkpoint.load(training.folder / BEST, digest=training.digest) if config.ship == "best" else None
    if best is not None:
        training.average.load_state_dict(best["average"])
    spec = _with_provenance(training, material, step=best["scores"]["step"] if best else training.step)
    network = training.average.cpu().eval()
    tensors = state_arrays(network, half=config.half)
    try:
        graph = export_graph(network, spec, package.serialize(tensors))
    except MissingExtraError as error:
        graph = None
        warn(f"the package has no {package.GRAPH} and runs on torch only, slower on CPUs: {error}")
    target = training.folder / config.name
    seen = with_field(spec, network)
    package.save_package(target, seen, tensors, graph=graph, beside=_story(training, warn), overwrite=True)
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


def _with_provenance(training: Training, material: Material, *, step: int) -> ModelSpec:
    config = training.config
    record: dict[str, Any] = {
        **config.notes,
        "trained_on": data_of(material.learned),
        "validated_on": data_of(material.held),
        "scores": training.scores,
        "step": step,
        "steps": config.optimiser.steps,
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
    return replace(training.spec, provenance=record)


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
