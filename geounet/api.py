"""The calls that a Python program makes: the command line's ``infer`` and ``plan`` with the same options."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Unpack

from geounet.config import Options, build_options, load_config
from geounet.run.pipeline import infer_scene, plan_scene
from geounet.run.plan import Plan
from geounet.run.progress import Progress
from geounet.run.result import Run

ScenePath = str | Path


def infer(
    scene: ScenePath | Sequence[ScenePath],
    *,
    config: str | Path | None = None,
    progress: Progress | None = None,
    **options: Unpack[Options],
) -> Run:
    """Run a model over a scene and leave its maps in a folder: COGs, vectors, a STAC item, a preview, a report.

    ``scene`` is a path; several paths with ``stack=True`` are the bands of one scene. Options are those of
    ``geounet infer`` with underscores (``geounet infer --help``); they win over ``config``, a YAML file, which
    wins over the model's own defaults.

    Raises RequestError where the request cannot work and nothing was touched, WorkError where blocks kept
    failing, Interrupted after a KeyboardInterrupt; after both of these the same call goes on where it stopped.
    """
    return infer_scene(_paths(scene), _options(config, options), progress=progress)


def plan(
    scene: ScenePath | Sequence[ScenePath], *, config: str | Path | None = None, **options: Unpack[Options]
) -> Plan:
    """What :func:`infer` would do with the same arguments, and what it would cost. Touches nothing."""
    return plan_scene(_paths(scene), _options(config, options))


def _paths(scene: ScenePath | Sequence[ScenePath]) -> list[ScenePath]:
    return [scene] if isinstance(scene, str | Path) else list(scene)


def _options(config: str | Path | None, options: Any) -> Any:
    return build_options(load_config(config) if config is not None else {}, options)
