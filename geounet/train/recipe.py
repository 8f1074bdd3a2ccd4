"""From a training file to a model package: the story, top to bottom."""

from __future__ import annotations

import hashlib
import os
import platform
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib.metadata import version
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
from geounet.model.spec import Head, InputBand, LabelClass, ModelSpec
from geounet.train import checkpoint
from geounet.train.config import HeadConfig, SampleConfig, SceneConfig, TrainConfig, load_config, resolved
from geounet.train.data import Scaling, WindowSource, normalisation
from geounet.train.log import draw_curves
from geounet.train.losses import class_weights
from geounet.train.plan import TrainPlan
from geounet.train.pretrained import load_encoder
from geounet.train.scenes import LabelTable, TrainScene, load_scene
from geounet.train.state import BEST, CURVES, LAST, METRICS, Training, TrainStep

OFF_COLOR = "#000000"
"""What maps show where a mask head marks nothing."""


def train(
    config_path: str | os.PathLike[str],
    output: str | os.PathLike[str],
    *,
    fresh: bool = False,
    device: str | None = None,
    devices: int = 1,
    threads: int | None = None,
    progress: Callable[[TrainStep], None] | None = None,
    tick: Callable[[int], None] | None = None,
    warn: Callable[[str], None] = warnings.warn,
) -> Path:
    """Train what a file describes; returns the folder of the finished model package, ``<output>/<name>``.

    A training that was stopped goes on where its last checkpoint in ``output`` was taken, unless ``fresh``.
    ``device`` is a torch device, by default the first GPU or else the CPU; ``devices`` so many of them share each
    batch (DDP: Lightning starts this program again for each further one). ``threads`` are those of torch's kernels;
    fewer than there are cores is faster where others compute too, for a kernel's threads wait for the slowest.
    ``progress`` is told every 25 steps and after each validation, ``tick`` the number of every finished step,
    ``warn`` what the package lacks.

    Raises ConfigError, SceneError, ModelError and MissingExtraError before the first step, WorkError where the loss
    is no number or a checkpoint cannot be written, Interrupted on Ctrl-C or SIGTERM.
    """
    file, folder = Path(config_path), Path(output)
    options: dict[str, Any] = {"fresh": fresh, "device": device, "devices": devices, "threads": threads}
    told: dict[str, Any] = {"progress": progress, "tick": tick, "warn": warn}
    return train_config(load_config(file), folder, base=file.parent, cache=folder / "cache", **options, **told)


def train_config(
    config: TrainConfig,
    folder: Path,
    *,
    base: Path,
    cache: Path,
    fresh: bool = False,
    device: str | None = None,
    devices: int = 1,
    threads: int | None = None,
    progress: Callable[[TrainStep], None] | None = None,
    tick: Callable[[int], None] | None = None,
    warn: Callable[[str], None] = warnings.warn,
) -> Path:
    """`train` for a file that was read: ``base`` is its folder, ``cache`` that of the decoded scenes."""
    from geounet.train.loop import fit, helps  # Lightning starts slowly, and says here if it is missing

    with _torch_threads(threads):
        job = prepare(config, folder, base=base, cache=cache, fresh=fresh, device=device, devices=devices)
        if not helps():
            job.tell_doubts(warn)
        if fresh and not helps():
            for name in (LAST, BEST):
                (job.training.folder / name).unlink(missing_ok=True)
        if not fit(job.training, progress, tick):
            raise SystemExit(0)  # a helper of a DDP training: the first process goes on alone
        return _save(job, warn)


def plan_training(
    config_path: str | os.PathLike[str],
    output: str | os.PathLike[str],
    *,
    fresh: bool = False,
    device: str | None = None,
    devices: int = 1,
    threads: int | None = None,
) -> TrainPlan:
    """Read and check everything that :func:`train` would use, and say what it would do; nothing is trained.

    Scenes are decoded into the cache in ``output``, where training finds them. Raises as `train` does.
    """
    file, folder = Path(config_path), Path(output)
    options: dict[str, Any] = {"fresh": fresh, "device": device, "devices": devices}
    with _torch_threads(threads):
        job = prepare(load_config(file), folder, base=file.parent, cache=folder / "cache", **options)
    return TrainPlan.of(job.training, job.learned, job.held, doubts=job.doubts)


@dataclass(frozen=True, kw_only=True)
class Job:
    """A training that is ready to begin, or to go on."""

    training: Training
    learned: Sequence[TrainScene]
    held: Sequence[TrainScene]
    doubts: tuple[str, ...]
    """What is worth a warning before hours are spent."""

    def tell_doubts(self, warn: Callable[[str], None]) -> None:
        """Warn."""
        for doubt in self.doubts:
            warn(doubt)


def prepare(
    config: TrainConfig,
    folder: Path,
    *,
    base: Path,
    cache: Path,
    fresh: bool = False,
    device: str | None = None,
    devices: int = 1,
) -> Job:
    """Read the scenes, split them, build the network, and restore the last checkpoint in ``folder``."""
    where = _device(device)
    _check_devices(config, where, devices)
    scenes = load_scenes(config, root=base / config.data.root, cache=cache)
    learned, held = split(scenes, config)
    return begin(config, learned, held, folder, root=base, device=where, devices=devices, fresh=fresh)


def _check_devices(config: TrainConfig, device: torch.device, count: int) -> None:
    """ConfigError where the batch cannot be shared out, or where there are not so many devices."""
    there = torch.cuda.device_count() if device.type == "cuda" else os.cpu_count() or 1
    if not 1 <= count <= there or (count > 1 and device.index is not None):
        raise ConfigError(f"--devices {count}: expected 1 to {there} on --device {device.type}")
    batch, accumulate = config.optimiser.batch, config.optimiser.accumulate
    if batch % (count * accumulate):
        raise ConfigError(
            f"optimiser.batch {batch} cannot be divided among {count} devices in {accumulate} portions; "
            f"expected a multiple of {count * accumulate}"
        )


@contextmanager
def _torch_threads(count: int | None) -> Iterator[None]:
    """So many threads for torch's kernels, freed memory kept; afterwards everything as a caller had it."""
    if count is not None and count < 1:
        raise ConfigError(f"--threads {count}: expected at least 1")
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


def begin(
    config: TrainConfig,
    learned: Sequence[TrainScene],
    held: Sequence[TrainScene],
    folder: Path,
    *,
    root: Path,
    device: torch.device,
    devices: int = 1,
    fresh: bool = False,
) -> Job:
    """One training on one split of the scenes, restored from its last checkpoint in ``folder``, unless ``fresh``.

    Several folds of the same scenes are so many calls, each with a folder of its own.
    """
    _check_scores(config, held)
    spec = make_spec(config, learned)
    torch.manual_seed(config.seed)
    network = build_network(spec)
    doubts = []
    if config.network.encoder_weights is not None:
        loaded = load_encoder(network, config.network.encoder_weights, root, first=config.network.first_convolution)
        doubts = [loaded.doubt] if loaded.doubt else []
    names = [c.name for c in config.classes]
    folder.mkdir(parents=True, exist_ok=True)
    training = Training(
        config=config,
        spec=spec,
        marks=tuple(None if h.marks is None else names.index(h.marks) for h in config.heads),
        class_weights=_class_weights(config, learned),
        network=network,
        source=WindowSource(learned, config, Scaling.of(spec.bands, spec.dtype)),
        validation=held,
        folder=folder,
        digest=_digest(config, [*learned, *held]),
        device=device,
        devices=devices,
    )
    state = None if fresh else checkpoint.load(folder / LAST, digest=training.digest)
    if state is not None:
        training.restore(state)
    return Job(training=training, learned=learned, held=held, doubts=tuple(doubts))


def _check_scores(config: TrainConfig, held: Sequence[TrainScene]) -> None:
    """ConfigError where something waits for scores that nothing gives."""
    waits = "schedule.patience" if config.schedule.patience is not None else None
    waits = "optimiser.lr_schedule plateau" if config.optimiser.lr_schedule == "plateau" else waits
    if waits is not None and not held:
        raise ConfigError(f"{waits} watches the validation score, and nothing is validated; hold scenes out")


def _class_weights(config: TrainConfig, learned: Sequence[TrainScene]) -> tuple[tuple[float, ...] | None, ...]:
    """Of each head; the pixels are counted once, if at all."""
    counts = np.zeros(256, np.int64)
    if any(head.loss.class_weights == "frequency" for head in config.heads):
        for scene in learned:
            counts += np.bincount(np.asarray(scene.labels).ravel(), minlength=256)
    counts = counts[: len(config.classes)]
    names = [c.name for c in config.classes]
    per_head = []
    for head in config.heads:
        marked = 0 if head.marks is None else int(counts[names.index(head.marks)])
        own = counts if head.marks is None else np.array([counts.sum() - marked, marked])
        per_head.append(class_weights(head.loss, own))
    return tuple(per_head)


def _digest(config: TrainConfig, scenes: Sequence[TrainScene]) -> str:
    """A checkpoint belongs to one file and one state of the data."""
    return hashlib.sha256("".join([config.digest, *(s.digest for s in scenes)]).encode()).hexdigest()


def _save(job: Job, warn: Callable[[str], None]) -> Path:
    """The package from the best validated weights, or from the last ones, with the story of the training."""
    training, config = job.training, job.training.config
    best = checkpoint.load(training.folder / BEST, digest=training.digest) if config.ship == "best" else None
    if best is not None:
        training.average.load_state_dict(best["average"])
    spec = _with_provenance(job, step=best["scores"]["step"] if best else training.step)
    network = training.average.cpu().eval()
    tensors = state_arrays(network, half=config.half)
    try:
        graph = export_graph(network, spec, package.serialize(tensors))
    except MissingExtraError as error:
        graph = None
        warn(f"the package has no {package.GRAPH} and runs on torch only, slower on CPUs: {error}")
    target = training.folder / config.name
    package.save_package(target, spec, tensors, graph=graph, beside=_story(training, warn), overwrite=True)
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
        (training.folder / CURVES).write_bytes(curves)
    (training.folder / "resolved.yaml").write_bytes(story["train.yaml"])
    return story


def _with_provenance(job: Job, *, step: int) -> ModelSpec:
    training, config = job.training, job.training.config
    record: dict[str, Any] = {
        **config.notes,
        "trained_on": [_describe(scene) for scene in job.learned],
        "validated_on": [_describe(scene) for scene in job.held],
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


def _describe(scene: TrainScene) -> dict[str, Any]:
    height, width = scene.labels.shape
    return {
        "name": scene.name,
        "group": scene.group,
        "height": height,
        "width": width,
        "drawn": scene.synthetic,
        "digest": scene.digest,
    }
