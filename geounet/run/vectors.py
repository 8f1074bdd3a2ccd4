"""The third stage: label rasters become polygons."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable
from concurrent.futures import FIRST_EXCEPTION, CancelledError, ThreadPoolExecutor, wait
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any

from geounet.io.aoi import AROUND
from geounet.io.atomic import publish
from geounet.io.vectors import SUFFIXES
from geounet.model.spec import Head
from geounet.run.context import RunContext
from geounet.run.cores import usable_cores
from geounet.run.outputs import GEOPACKAGE, VECTORS, cleaned_file, vector_files, vector_key
from geounet.run.plan import Plan
from geounet.run.squared_classes import squared_by_head, squared_layer
from geounet.run.stitch import confidence_source, label_source
from geounet.run.sweeping import OnRows
from geounet.run.vector_result import NO_CRS, VectorResult
from geounet.run.vectorize import vectorize

_WIDE = 16_384
"""Columns; heads of wider rasters come one after the other, as what a sweep holds grows with the width."""


def vectorize_labels(context: RunContext) -> None:
    """Write the vector files of every head, from its finished COG."""
    plan, options, record = context.plan, context.options, context.record
    key = vector_key(plan, options)
    if record.finished(VECTORS, key, plan.output) is not None:
        return
    features: dict[str, int] = {}
    areas: dict[str, dict[str, float]] = {}
    lengths: dict[str, float] = {}
    found: list[str] = []
    heads = plan.package.spec.heads
    squared = squared_by_head(options.regularize, heads) if options.regularize else {}
    passes = 2 if options.min_area > 0 or options.min_hole > 0 else 1
    total = passes * len(heads) * plan.native_geobox.height
    context.progress.start("vectors", total=total, unit="rows", note=_why_slow(context))
    for head, result in zip(heads, _results(context), strict=True):
        features[head.name] = result.feature_count
        areas[head.name] = {
            head.classes[value].name: round(area, 3) for value, area in result.area_by_class.items()
        }
        if head.lines:
            features |= {f"{head.name}_lines": result.line_count, f"{head.name}_nodes": result.node_count}
            lengths[f"{head.name}_lines"] = result.length
        if head.name in squared:
            features[squared_layer(head.name)] = result.regularized_count
        known = (*found, NO_CRS)  # of that a scene has told when it was opened
        found += [w for w in result.warnings if w not in known]
    for warning in found:
        context.progress.warn(warning)
    facts: dict[str, Any] = {"features": features, "area_by_class": areas, "length": lengths, "warnings": found}
    record.finish(VECTORS, key, plan.output, vector_files(plan, options), facts)
    context.progress.finish()


def _why_slow(context: RunContext) -> str:
    still = context.preparing is not None and context.preparing.is_alive()
    return "compiling what draws polygons, once on a new machine: up to a minute" if still else ""


def _results(context: RunContext) -> list[VectorResult]:
    """What became of every head, in their order; as many at a time as there are threads for."""
    heads = context.plan.package.spec.heads
    budget = context.options.threads or usable_cores()
    # GDAL writes into one file at a time, and its date is the process's (`geounet.io.ogr`)
    in_turn = {"gpkg", "shp"} & set(context.options.formats) or context.plan.native_geobox.width > _WIDE
    side_by_side = 1 if in_turn else min(len(heads), budget)
    rows = _Rows(context)
    with _geopackage(context) as container:
        calls = [
            _call(
                context,
                number,
                head,
                container,
                budget if side_by_side == 1 else max(2, budget // side_by_side),
                rows.counter(),
            )
            for number, head in enumerate(heads)
        ]
        if side_by_side == 1:
            return [call() for call in calls]
        # the writers' own filters of warnings end in any order; this one puts back what was there
        with warnings.catch_warnings(), ThreadPoolExecutor(side_by_side, thread_name_prefix="vectors") as pool:
            waiting = [pool.submit(call) for call in calls]
            try:
                wait(waiting, return_when=FIRST_EXCEPTION)
                return [call.result() for call in waiting if call.done()]
            finally:  # after an error, or a key that was pressed, the others stop at their next rows
                rows.stopped = True
                pool.shutdown(cancel_futures=True)


class _Rows:
    """Tells the progress of the rows of all heads, and a head that works for nothing to stop."""

    def __init__(self, context: RunContext) -> None:
        self._progress = context.progress
        self._lock = threading.Lock()
        self.stopped = False

    def counter(self) -> OnRows:
        """For one head."""
        done = 0

        def on_rows(rows: int, _total: int) -> None:
            nonlocal done
            if self.stopped:
                raise CancelledError
            with self._lock:
                self._progress.advance(rows - done)
            done = rows

        return on_rows


def _call(  # noqa: PLR0917
    context: RunContext, number: int, head: Head, container: Path | None, threads: int, on_rows: OnRows
) -> Callable[[], VectorResult]:
    """The call that vectorizes a head."""
    plan, options = context.plan, context.options
    squared = squared_by_head(options.regularize, plan.package.spec.heads) if options.regularize else {}
    return partial(
        vectorize,
        label_source(context, number, head),
        output=plan.output / f"{head.name}{SUFFIXES[options.formats[0]]}",
        head=head,
        confidence=confidence_source(context, number, head),
        min_area=options.min_area,
        min_hole=options.min_hole,
        simplify=options.simplify,
        smooth=options.smooth,
        stats=options.stats,
        cleaned=plan.output / cleaned_file(head) if options.cleaned else None,
        formats=options.formats,
        aoi=options.aoi,
        around=None if options.aoi is None else _pixels_around(plan),
        lines=1 if head.lines else False,
        bridge=options.bridge,
        spur=options.spur,
        regularize=squared.get(head.name),
        threads=threads,
        overwrite=True,  # what must not be overwritten was refused before the run began
        container=container,
        progress=on_rows,
    )


def _pixels_around(plan: Plan) -> int:
    """Pixels of the results around the area of interest that are surely known, where tiles are of another size."""
    finer = plan.geobox.height / plan.native_geobox.height
    return AROUND if finer <= 1 else int(AROUND / finer) - 1


def _geopackage(context: RunContext) -> AbstractContextManager[Path | None]:
    """The one GeoPackage of a run, in the making, where it is wanted."""
    if "gpkg" not in context.options.formats:
        return nullcontext()
    return publish(context.plan.output / GEOPACKAGE)
