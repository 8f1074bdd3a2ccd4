"""The story of a run, top to bottom: open → plan → blocks → stitch → vectorize → describe."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path

from geounet.errors import ConfigError
from geounet.heap import freed_memory_kept
from geounet.model.package import load_model
from geounet.run.adopt import find_base, with_partition_of
from geounet.run.context import RunContext
from geounet.run.execute import compute_blocks, interruptible
from geounet.run.journal import STATE, Journal, Record, hold
from geounet.run.opening import open_for, results_folder
from geounet.run.options import InferOptions
from geounet.run.outputs import (
    claim_outputs,
    finished_run,
    journal_key,
    refuse_to_overwrite,
    remove_remains,
    settle_parts,
)
from geounet.run.plan import Plan, make_plan
from geounet.run.progress import Progress
from geounet.run.result import Run
from geounet.run.squared_classes import squared_by_head
from geounet.run.stitch import stitch_parts


def infer_scene(
    paths: Sequence[str | Path],
    options: InferOptions,
    *,
    progress: Progress | None = None,
    several: bool = False,
) -> Run:
    """Run a model over one scene (several files with ``options.stack``) and leave its maps in a folder.

    ``several`` says that the scene is one of many, so that each gets a folder of its own in ``options.output``.

    Raises RequestError where the request cannot work (nothing was touched), BlocksFailed where some blocks
    kept failing, Interrupted after Ctrl-C; after both, the same call goes on where this one stopped.
    """
    started = time.perf_counter()
    plan = plan_scene(paths, options, several=several)
    return infer_plan(plan, options, progress=progress, started=started)


def infer_plan(
    plan: Plan,
    options: InferOptions,
    *,
    progress: Progress | None = None,
    started: float | None = None,
    earlier: Sequence[Path] = (),
) -> Run:
    """Run what :func:`plan_scene` laid out; raises as :func:`infer_scene` does.

    ``started`` is the ``time.perf_counter()`` that the time of opening counts from; ``earlier`` are results folders
    that may serve as ``options.base`` does, and nobody minds where they do not.
    """
    progress = progress or Progress()
    started = time.perf_counter() if started is None else started
    for warning in plan.warnings:
        progress.warn(warning)
    with hold(plan.output) as state:
        record = Record(state)
        if not options.fresh and (run := finished_run(plan, options, record)) is not None:
            settle_parts(state, plan, options, record)
            return run
        refuse_to_overwrite(plan, options, record)
        plan, journal, base = _begin(state, plan, options, earlier)
        if options.base is not None and base is None:
            progress.warn(
                f"nothing is taken from --base {options.base}: expected a run with the same model, options, blocks "
                "and size of the scene, that kept its parts or its confidences"
            )
        context = RunContext(
            plan=plan,
            options=options,
            journal=journal,
            record=record,
            progress=progress,
            base=base,
            timings={"open": time.perf_counter() - started},
        )
        remove_remains(context.plan, options, record)
        claim_outputs(context.plan, options, record)
        with interruptible(context):
            return work_through(context)


def _begin(
    state: Path, plan: Plan, options: InferOptions, earlier: Sequence[Path]
) -> tuple[Plan, Journal, Path | None]:
    """The plan in its blocks, the run's journal, and that of an earlier run to begin from."""
    key = journal_key(plan, options)
    base, partition = find_base(state, plan, options, earlier) or (None, None)
    journal = Journal(state, key, fresh=options.fresh, overwrite=options.overwrite, base=base)
    plan = with_partition_of(journal, plan, options, partition)
    return plan, journal, base if plan.partition == partition else None


def work_through(context: RunContext) -> Run:
    """All stages of a run, in order; each leaves its files whole or not at all."""
    with freed_memory_kept():
        with context.timed("blocks"):
            compute_blocks(context, meanwhile=lambda: _prepare_later_stages(context))
        describe_results, vectorize_labels = _load_later_stages()
        with context.timed("stitch"):
            stitch_parts(context)
        with context.timed("vectors"):
            vectorize_labels(context)
        with context.timed("describe"):
            run = describe_results(context)
    settle_parts(context.journal.folder.parent, context.plan, context.options, context.record)
    return run


def _prepare_later_stages(context: RunContext) -> None:
    from geounet.run.warm_up import warm_up_vectors

    _load_later_stages()
    options = context.options
    warm_up_vectors(
        absorb=options.min_area > 0 or options.min_hole > 0,
        draw=options.simplify > 0 or options.smooth,
        lines=any(head.lines for head in context.plan.package.spec.heads),
        square=bool(options.regularize),
    )


def _load_later_stages() -> tuple[Callable[[RunContext], Run], Callable[[RunContext], None]]:
    """Describing and vectorizing bring numba, shapely and pillow: a second that a finished run never spends."""
    from geounet.run.describe import describe_results
    from geounet.run.vectors import vectorize_labels

    return describe_results, vectorize_labels


def plan_scene(paths: Sequence[str | Path], options: InferOptions, *, several: bool = False) -> Plan:
    """Open a scene and lay out the run over it. Raises RequestError where it cannot work."""
    package = load_model(options.model, allow_pickle=options.allow_pickle)
    if options.threshold is not None and all(head.kind != "mask" for head in package.spec.heads):
        raise ConfigError(f"--threshold: model {package.spec.name} has no mask; only masks are cut at a threshold")
    if options.regularize:
        squared_by_head(options.regularize, package.spec.heads)
    if options.base is not None and not (options.base / STATE).is_dir():
        raise ConfigError(
            f"--base {options.base} holds no results of geounet; expected the folder of an earlier run"
        )
    with open_for(paths, options, package) as scene:
        if options.aoi is not None:
            from geounet.io.aoi import area_mask

            area_mask(options.aoi, scene.geobox)
        if options.stats is not None:
            from geounet.io.zones import Zones

            Zones(options.stats, scene.geobox).close()
        return make_plan(scene, package, options, output=results_folder(scene, options, several=several))
