"""The first stage: every block that has no whole part yet is computed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING

from geounet.errors import BlocksFailed, Interrupted, SceneError, WorkError
from geounet.io.aoi import AROUND
from geounet.model.package import models
from geounet.run.context import RunContext
from geounet.run.outputs import parts_are_needed, why_again
from geounet.run.plan import Plan, key_of
from geounet.run.roll_call import Roll, deciding, sized, software
from geounet.run.work import Receipt, Work
from geounet.run.worker import prepare_runner

if TYPE_CHECKING:
    from geounet.run.dispatch import Failure


def compute_blocks(context: RunContext, *, meanwhile: Callable[[], object]) -> None:
    """Compute the missing blocks; ``meanwhile`` runs on a thread beside the network's, if there are any.

    Raises BlocksFailed where some kept failing, Interrupted when told to stop.
    """
    plan, journal = context.plan, context.journal
    if not parts_are_needed(plan, context.options, context.record):
        context.resumed = len(plan.partition)
        return
    missing = journal.missing(len(plan.partition))
    context.resumed = len(plan.partition) - len(missing)
    if not missing:
        return
    options, work = context.options, work_of(context)
    if options.processes == 0 and options.elsewhere is None:  # the network is loaded while Dask is imported
        Thread(target=prepare_runner, args=(work,), name="prepare", daemon=True).start()
    from geounet.run.cluster import connect
    from geounet.run.dispatch import run_blocks

    if reason := why_again(plan, context.options, context.record):
        context.progress.warn(reason)
    _start_progress(context, missing)

    def on_receipt(receipt: Receipt) -> None:
        journal.record(receipt)
        context.tiles += receipt.tiles
        if receipt.adopted:
            context.as_before += 1
            return
        context.pixels += plan.partition[receipt.block].core.area
        context.progress.advance(receipt.skipped)

    with connect(workers=options.workers, scheduler=options.scheduler, cluster=options.cluster) as client:
        context.preparing = Thread(target=meanwhile, name="meanwhile", daemon=True)
        context.preparing.start()
        try:
            failures = run_blocks(
                client,
                work,
                missing,
                on_receipt=on_receipt,
                on_tiles=context.progress.advance,
                on_warning=context.progress.warn,
            )
        finally:
            journal.settle()
    context.progress.finish()
    if failures:
        # a scene that cannot be read is a request that cannot work; the blocks elsewhere are kept all the same
        kind = SceneError if all(failure.is_scene for failure in failures) else BlocksFailed
        raise kind(_failure_text(plan, failures))
    if lost := journal.missing_quick(len(plan.partition)):
        raise WorkError(f"blocks {lost[:3]} of {plan.scene_name} never came back; run the same command again")


def _start_progress(context: RunContext, missing: Sequence[int]) -> None:
    plan = context.plan
    share = len(missing) / len(plan.partition)
    note = f"going on: {context.resumed} of {len(plan.partition)} blocks were finished" if context.resumed else ""
    if context.base is not None:
        note = f"{note}{'; ' if note else ''}blocks that are as in an earlier run are taken from it"
    context.progress.device(
        f"{plan.engine} {plan.request.device}" if plan.engine == "onnx" else plan.request.device
    )
    context.progress.start(
        "tiles",
        total=max(1, round(plan.costs.tiles_computed * share)),
        unit="tiles",
        pixels_per_step=plan.geobox.window.area / plan.lattice.count,
        note=note,
    )


@contextmanager
def interruptible(context: RunContext) -> Iterator[None]:
    """Turn a KeyboardInterrupt in any stage into Interrupted, which says how to go on; so with a lost folder."""
    try:
        yield
    except OSError as error:
        if context.plan.output.is_dir():
            raise
        raise WorkError(
            f"{context.plan.output} has gone; what is finished is kept in it; bring it back and run the same "
            "command again"
        ) from error
    except (KeyboardInterrupt, Interrupted) as error:
        total, done = len(context.plan.partition), len(context.journal.receipts)
        raise Interrupted(
            f"stopped; {done} of {total} blocks are finished and kept in {context.plan.output}; run the same "
            "command again to go on"
        ) from error


def _failure_text(plan: Plan, failures: Sequence[Failure]) -> str:
    first = failures[0]
    core = plan.partition[first.block].core
    return (
        f"{len(failures)} of {len(plan.partition)} blocks of {plan.scene_name} failed, the others are kept; block "
        f"{first.block} (columns {core.col_off} to {core.right}, rows {core.row_off} to {core.bottom}) failed "
        f"{first.attempts} times: {first.error}; mend the cause and run the same command again"
    )


def work_of(context: RunContext) -> Work:
    """What travels to the workers."""
    plan, options = context.plan, context.options
    return Work(
        key=key_of(
            parts=context.journal.parts.absolute(),
            partition=plan.partition,
            request=plan.request,
            base=context.base,
        ),
        scene=plan.scene,
        model=_model_path(plan),
        model_digest=plan.package.digest,
        allow_pickle=options.allow_pickle,
        spec=plan.package.spec,
        request=plan.request,
        threads_of_worker=options.elsewhere is not None and options.tiles_at_a_time is None,
        devices_in_turn=options.processes > 0 and options.device in ("auto", "cuda"),
        lattice=plan.lattice,
        partition=plan.partition,
        aoi=str(options.aoi.absolute()) if options.aoi else None,
        around=AROUND,
        parts=str(context.journal.parts.absolute()),
        roll=None if options.elsewhere is None else _roll_of(context),
        needs_gpu=plan.engine == "cuda",
        base=str(context.base.absolute()) if context.base else None,
    )


def _roll_of(context: RunContext) -> Roll:
    plan, options = context.plan, context.options
    aoi = None if options.aoi is None else str(options.aoi.absolute())
    return Roll(
        software=software(deciding(plan.engine, aoi=aoi is not None)),
        files=sized([*plan.scene.paths, plan.scene.mask, aoi]),
        parts=str(context.journal.parts.absolute()),
        model=_model_path(plan),
        model_digest=plan.package.digest,
        allow_pickle=options.allow_pickle,
    )


def _model_path(plan: Plan) -> str:
    """Name or path of the package, as this machine and the workers find it."""
    model = plan.package.origin
    return model if model in models() else str(Path(model).absolute())
