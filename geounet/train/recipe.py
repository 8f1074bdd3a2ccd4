"""From a training file to a model package: the story, top to bottom."""

from __future__ import annotations

import hashlib
import os
import platform
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

import geounet
from geounet.errors import ConfigError, MissingExtraError
from geounet.heap import freed_memory_kept
from geounet.model import package
from geounet.model.export import export_graph
from geounet.model.networks import build_network, state_arrays
from geounet.model.receptive import with_field
from geounet.model.spec import Head, InputBand, LabelClass, ModelSpec
from geounet.train import checkpoint
from geounet.train.config import HeadConfig, SampleConfig, SceneConfig, TrainConfig, load_config
from geounet.train.data import Scaling, WindowSource, normalisation
from geounet.train.loop import BEST, LAST, Training, TrainStep, fit
from geounet.train.pretrained import load_encoder
from geounet.train.scenes import LabelTable, TrainScene, load_scene

OFF_COLOR = "#000000"
"""What maps show where a mask head marks nothing."""


def train(
    config_path: str | os.PathLike[str],
    output: str | os.PathLike[str],
    *,
    fresh: bool = False,
    device: str | None = None,
    threads: int | None = None,
    progress: Callable[[TrainStep], None] | None = None,
    warn: Callable[[str], None] = warnings.warn,
) -> Path:
    """Train what a file describes; returns the folder of the finished model package, ``<output>/<name>``.

    A training that was stopped goes on where its last checkpoint in ``output`` was taken, unless ``fresh``.
    ``device`` is a torch device, by default the first GPU or else the CPU. ``threads`` are those of torch's
    kernels; fewer than there are cores is faster where others compute too, for the threads of one kernel wait for
    the slowest. ``progress`` is told every 25 steps and after each validation, ``warn`` what the package lacks.

    Raises ConfigError, SceneError and ModelError before the first step, WorkError where the loss is no number or
    a checkpoint cannot be written, Interrupted on Ctrl-C or SIGTERM.
    """
    file, folder = Path(config_path), Path(output)
    config = load_config(file)
    where = _device(device)
    if threads is not None and threads < 1:
        raise ConfigError(f"--threads {threads}: expected at least 1")
    with _torch_threads(threads):
        scenes = load_scenes(config, root=file.parent / config.data.root, cache=folder / "cache")
        learned, held = split(scenes, config)
        spec = make_spec(config, learned)
        training = _begin(config, spec, learned, held, folder, root=file.parent, device=where)
        if fresh:
            for name in (LAST, BEST):
                (folder / name).unlink(missing_ok=True)
        state = checkpoint.load(folder / LAST, digest=training.digest)
        if state is not None:
            training.restore(state)
        fit(training, progress)
        return _save(training, learned, held, warn)


@contextmanager
def _torch_threads(count: int | None) -> Iterator[None]:
    """So many threads for torch's kernels, freed memory kept; afterwards everything as a caller had it."""
    before = torch.get_num_threads()
    if count is not None:
        torch.set_num_threads(count)
    try:
        with freed_memory_kept():
            yield
    finally:
        torch.set_num_threads(before)


def _device(name: str | None) -> torch.device:
    """The device, tried out. ConfigError where torch has none of that name."""
    if name is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.zeros(1, device=device).cpu()  # a device without memory ("meta") fails here
    except (RuntimeError, AssertionError, NotImplementedError) as error:  # torch raises all of them
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        known = ", ".join(["cpu", *(f"cuda:{n}" for n in range(count))])
        raise ConfigError(f"--device {name!r} cannot be used here; expected one of {known}") from error
    return device


def load_scenes(config: TrainConfig, *, root: Path, cache: Path) -> list[TrainScene]:
    """All scenes of the file, the drawn ones last, decoded into ``cache``."""
    bands, table = len(config.bands), LabelTable.of(config)
    scenes = [load_scene(scene, root=root, bands=bands, table=table, cache=cache) for scene in config.data.scenes]
    values = LabelTable(classes=len(config.classes), colors=None)
    drawn = _write_samples(config, cache / "samples")
    return scenes + [
        load_scene(scene, root=cache, bands=bands, table=values, cache=cache, synthetic=True) for scene in drawn
    ]


def _write_samples(config: TrainConfig, folder: Path) -> list[SceneConfig]:
    """Draw the sample scenes that are not there yet. Their classes are ours, in our order."""
    wanted = config.data.samples
    if wanted.seeds and [c.name for c in config.classes] != ["building", "land", "road", "vegetation", "water"]:
        raise ConfigError("sample scenes show building, land, road, vegetation, water; expected these classes")
    return [_write_sample(folder, wanted, seed) for seed in wanted.seeds]


def _write_sample(folder: Path, wanted: SampleConfig, seed: int) -> SceneConfig:
    from geounet.sample.write import sample_paths, write_sample

    name = f"sample_{wanted.size}_{seed}"
    paths = sample_paths(folder / f"{name}.tif")
    if not (paths.scene.exists() and paths.truth_landuse.exists()):
        write_sample(paths.scene, size=wanted.size, seed=seed, overwrite=True)
    return SceneConfig(
        name=name,
        group=wanted.group,
        image=f"{folder.name}/{paths.scene.name}",
        labels=f"{folder.name}/{paths.truth_landuse.name}",
    )


def split(scenes: Sequence[TrainScene], config: TrainConfig) -> tuple[list[TrainScene], list[TrainScene]]:
    """Scenes to learn from and scenes to validate on, by group. ConfigError where that cannot be."""
    groups = {scene.group for scene in scenes}
    strange = sorted(set(config.data.validate_groups) - groups)
    if strange:
        raise ConfigError(
            f"data.validate_groups holds {strange[0]!r}; expected groups of the scenes: {sorted(groups)}"
        )
    learned = [s for s in scenes if s.group not in config.data.validate_groups]
    held = [s for s in scenes if s.group in config.data.validate_groups]
    if not learned:
        raise ConfigError("every scene is in data.validate_groups; expected at least one to learn from")
    dtypes = {str(scene.image.dtype) for scene in scenes}
    if len(dtypes) > 1:
        raise ConfigError(f"the scenes have dtypes {sorted(dtypes)}; expected one")
    return learned, held


def make_spec(config: TrainConfig, learned: Sequence[TrainScene]) -> ModelSpec:
    """The model that will be trained; scaling that the file does not give is computed from the scenes."""
    bands = config.bands
    if all(b.mean is not None and b.std is not None for b in bands):
        values = [(b.mean or 0.0, b.std or 1.0) for b in bands]
    else:
        values = list(zip(*normalisation(learned), strict=True))
    return ModelSpec(
        name=config.name,
        version=config.version,
        description=config.description,
        license=config.license,
        architecture=config.network.architecture,
        hyperparameters=config.network.hyperparameters,
        bands=tuple(InputBand(name=b.name, mean=m, std=s) for b, (m, s) in zip(bands, values, strict=True)),
        dtype=str(learned[0].image.dtype),
        heads=tuple(_head(head, config) for head in config.heads),
        tile=config.schedule.tile,
        overlap=config.schedule.overlap,
        divisor=config.network.divisor,
        gsd=config.gsd,
        gsd_range=config.gsd_range,
    )


def _head(head: HeadConfig, config: TrainConfig) -> Head:
    if head.marks is None:
        classes = [LabelClass(value=i, name=c.name, color=c.color) for i, c in enumerate(config.classes)]
        return Head(name=head.name, kind="classes", classes=tuple(classes))
    marked = next(c for c in config.classes if c.name == head.marks)
    off = LabelClass(value=0, name=f"not-{head.marks}", color=OFF_COLOR)
    on = LabelClass(value=1, name=head.marks, color=head.color or marked.color)
    return Head(name=head.name, kind="mask", classes=(off, on), lines=head.lines)


def _begin(
    config: TrainConfig,
    spec: ModelSpec,
    learned: Sequence[TrainScene],
    held: Sequence[TrainScene],
    folder: Path,
    *,
    root: Path,
    device: torch.device,
) -> Training:
    torch.manual_seed(config.seed)
    network = build_network(spec)
    if config.network.encoder_weights is not None:
        load_encoder(network, config.network.encoder_weights, root)
    names = [c.name for c in config.classes]
    folder.mkdir(parents=True, exist_ok=True)
    return Training(
        config=config,
        spec=spec,
        marks=tuple(None if h.marks is None else names.index(h.marks) for h in config.heads),
        network=network,
        source=WindowSource(learned, config, Scaling.of(spec.bands, spec.dtype)),
        validation=held,
        folder=folder,
        digest=_digest(config, [*learned, *held]),
        device=device,
    )


def _digest(config: TrainConfig, scenes: Sequence[TrainScene]) -> str:
    """A checkpoint belongs to one file and one state of the data."""
    return hashlib.sha256("".join([config.digest, *(s.digest for s in scenes)]).encode()).hexdigest()


def _save(
    training: Training,
    learned: Sequence[TrainScene],
    held: Sequence[TrainScene],
    warn: Callable[[str], None],
) -> Path:
    """The package from the best validated weights, or from the last ones."""
    config = training.config
    best = checkpoint.load(training.folder / BEST, digest=training.digest) if config.ship == "best" else None
    if best is not None:
        training.average.load_state_dict(best["average"])
    spec = _with_provenance(training, learned, held, step=best["scores"]["step"] if best else training.step)
    network = training.average.cpu().eval()
    tensors = state_arrays(network, half=config.half)
    try:
        graph = export_graph(network, spec, package.serialize(tensors))
    except MissingExtraError as error:
        graph = None
        warn(f"the package has no {package.GRAPH} and runs on torch only, slower on CPUs: {error}")
    target = training.folder / config.name
    package.save_package(target, with_field(spec, network), tensors, graph=graph, overwrite=True)
    (training.folder / "resolved.json").write_text(config.model_dump_json(indent=2) + "\n", encoding="utf-8")
    return target


def _with_provenance(
    training: Training, learned: Sequence[TrainScene], held: Sequence[TrainScene], *, step: int
) -> ModelSpec:
    config = training.config
    record: dict[str, Any] = {
        **config.notes,
        "trained_on": [_describe(scene) for scene in learned],
        "validated_on": [_describe(scene) for scene in held],
        "scores": training.scores,
        "step": step,
        "steps": config.optimiser.steps,
        "seed": config.seed,
        "config": config.model_dump(mode="json", exclude={"notes"}),
        "config_digest": config.digest,
        "versions": {
            "geounet": geounet.__version__,
            "torch": torch.__version__,
            "numpy": np.__version__,
            "python": platform.python_version(),
        },
    }
    return replace(training.spec, provenance=record)


def _describe(scene: TrainScene) -> dict[str, Any]:
    height, width = scene.labels.shape
    return {
        "name": scene.name,
        "group": scene.group,
        "height": height,
        "width": width,
        "drawn": scene.synthetic,
    }
