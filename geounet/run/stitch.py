"""The second stage: parts become one COG per head."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

from geounet import __version__
from geounet.grid.window import Window
from geounet.io.cog import Mosaic, write_confidence_cog, write_label_cog
from geounet.io.mosaic import MosaicPart, write_vrt
from geounet.io.styles import write_style
from geounet.model.spec import Head
from geounet.run.context import RunContext
from geounet.run.outputs import (
    CONFIDENCES,
    RASTERS,
    confidence_file,
    confidence_files,
    label_file,
    raster_files,
    raster_key,
)
from geounet.run.plan import usable_cores


def stitch_parts(context: RunContext) -> None:
    """Write the label COG of every head, and its confidence where that was asked for."""
    plan, options, record = context.plan, context.options, context.record
    key = raster_key(plan, options)
    labels = record.finished(RASTERS, key, plan.output) is None
    confidences = options.confidence and record.finished(CONFIDENCES, key, plan.output) is None
    rasters = list(_rasters(context, labels=labels, confidences=confidences))
    if not rasters:
        return
    side_by_side = min(len(rasters), usable_cores())
    threads = max(1, usable_cores() // side_by_side)
    context.progress.start("stitch", total=len(rasters), unit="rasters")
    # the writers' own filters of warnings end in any order; this one puts back what was there
    with warnings.catch_warnings(), ThreadPoolExecutor(side_by_side, thread_name_prefix="stitch") as pool:
        for _ in pool.map(lambda write: write(threads=threads), rasters):
            context.progress.advance()
    if labels:
        for head in plan.package.spec.heads:
            write_style((plan.output / label_file(head)).with_suffix(".qml"), head)
        record.finish(RASTERS, key, plan.output, raster_files(plan), _counts(context))
    if confidences:
        record.finish(CONFIDENCES, key, plan.output, confidence_files(plan, options), {})
    context.progress.finish()


def _counts(context: RunContext) -> dict[str, Any]:
    """What the receipts know and the descriptions tell, for runs that find the rasters and no receipts."""
    receipts = context.journal.receipts.values()
    heads = context.plan.package.spec.heads
    return {
        "pixels": {
            head.name: [sum(c) for c in zip(*(r.pixels[n] for r in receipts), strict=True)]
            for n, head in enumerate(heads)
        },
        "tiles_skipped": sum(r.skipped for r in receipts),
        "engine": next((r.engine for r in receipts), ""),
    }


def _rasters(context: RunContext, *, labels: bool, confidences: bool) -> Iterator[Callable[..., Path]]:
    """A call for every raster that is missing, which takes the ``threads`` that it may use."""
    plan, mosaic, tags = context.plan, mosaic_of(context), provenance(context)
    target = plan.native_geobox if plan.geobox != plan.native_geobox else None
    for number, head in enumerate(plan.package.spec.heads):
        path, band = plan.output / label_file(head), 2 * number + 1
        if labels:
            yield partial(write_label_cog, path, mosaic, band=band, head=head, tags=tags, target=target)
        if confidences:
            path = plan.output / confidence_file(head)
            yield partial(write_confidence_cog, path, mosaic, band=band + 1, head=head, tags=tags, target=target)


def confidence_source(context: RunContext, number: int, head: Head) -> Path:
    """A raster of the head's confidences on the grid of the results, made from the parts where none is kept."""
    plan = context.plan
    if context.record.finished(CONFIDENCES, raster_key(plan, context.options), plan.output) is not None:
        return plan.output / confidence_file(head)
    scratch = context.journal.folder
    if plan.geobox != plan.native_geobox:
        path = scratch / confidence_file(head)
        write_confidence_cog(
            path, mosaic_of(context), band=2 * number + 2, head=head, tags={}, target=plan.native_geobox
        )
        return path
    path = scratch / f"{head.name}_confidence.vrt"
    sources = (MosaicPart(window=w, path=p, band=2 * number + 2) for w, p in mosaic_of(context).parts)
    write_vrt(path, plan.geobox, sources)
    return path


def mosaic_of(context: RunContext) -> Mosaic:
    """The parts of all blocks."""
    return Mosaic(geobox=context.plan.geobox, parts=tuple(_parts(context)))


def _parts(context: RunContext) -> Iterator[tuple[Window, Path]]:
    for block, receipt in sorted(context.journal.receipts.items()):
        yield context.plan.partition[block].core, (context.journal.parts / receipt.file).absolute()


def provenance(context: RunContext) -> dict[str, str]:
    """What made the rasters; nothing in it depends on when, where or in how many pieces."""
    plan = context.plan
    tags = {
        "TIFFTAG_SOFTWARE": f"geounet {__version__}",
        "GEOUNET_SCENE": plan.scene_name,
        "GEOUNET_SCENE_FINGERPRINT": plan.fingerprint,
        "GEOUNET_BANDS": ",".join(plan.scene.bands or ()),
        "GEOUNET_MODEL": f"{plan.package.spec.name} {plan.package.spec.version}",
        "GEOUNET_MODEL_DIGEST": plan.package.digest,
        "GEOUNET_TILE": str(plan.lattice.tile),
        "GEOUNET_OVERLAP": str(plan.lattice.rows.overlap),
        "GEOUNET_TTA": plan.request.tta,
    }
    if plan.scene.gsd is not None:
        tags["GEOUNET_GSD"] = f"{plan.scene.gsd:g}"
    return tags
