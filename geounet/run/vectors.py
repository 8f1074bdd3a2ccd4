"""The third stage: label rasters become polygons."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

from geounet.io.atomic import publish
from geounet.io.vectors import SUFFIXES
from geounet.run.context import RunContext
from geounet.run.outputs import GEOPACKAGE, VECTORS, cleaned_file, label_file, vector_files, vector_key
from geounet.run.squared_classes import squared_by_head, squared_layer
from geounet.run.stitch import confidence_source
from geounet.run.vectorize import vectorize


def vectorize_labels(context: RunContext) -> None:
    """Write the vector files of every head, from its finished COG."""
    plan, options, record = context.plan, context.options, context.record
    key = vector_key(plan, options)
    if record.finished(VECTORS, key, plan.output) is not None:
        return
    features: dict[str, int] = {}
    areas: dict[str, dict[str, float]] = {}
    lengths: dict[str, float] = {}
    warnings: list[str] = []
    heads = plan.package.spec.heads
    squared = squared_by_head(options.regularize, heads) if options.regularize else {}
    context.progress.start("vectors", total=len(heads) * plan.native_geobox.height, unit="rows")
    with _geopackage(context) as container:
        for number, head in enumerate(heads):
            done = 0

            def on_rows(rows: int, _total: int) -> None:
                nonlocal done
                context.progress.advance(rows - done)
                done = rows

            result = vectorize(
                plan.output / label_file(head),
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
                lines=1 if head.lines else False,
                bridge=options.bridge,
                spur=options.spur,
                regularize=squared.get(head.name),
                overwrite=True,  # what must not be overwritten was refused before the run began
                container=container,
                progress=on_rows,
            )
            features[head.name] = result.feature_count
            areas[head.name] = {
                head.classes[value].name: round(area, 3) for value, area in result.area_by_class.items()
            }
            if head.lines:
                features |= {f"{head.name}_lines": result.line_count, f"{head.name}_nodes": result.node_count}
                lengths[f"{head.name}_lines"] = result.length
            if head.name in squared:
                features[squared_layer(head.name)] = result.regularized_count
            warnings += [w for w in result.warnings if w not in warnings]
    for warning in warnings:
        context.progress.warn(warning)
    facts: dict[str, Any] = {"features": features, "area_by_class": areas, "length": lengths, "warnings": warnings}
    record.finish(VECTORS, key, plan.output, vector_files(plan, options), facts)
    context.progress.finish()


def _geopackage(context: RunContext) -> AbstractContextManager[Path | None]:
    """The one GeoPackage of a run, in the making, where it is wanted."""
    if "gpkg" not in context.options.formats:
        return nullcontext()
    return publish(context.plan.output / GEOPACKAGE)
