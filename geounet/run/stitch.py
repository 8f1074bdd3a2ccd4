"""The second stage: parts become one COG per head."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from geounet import __version__
from geounet.grid.window import Window
from geounet.io.aoi import AreaMask, area_mask
from geounet.io.atomic import publish
from geounet.io.cog import Mosaic, class_tags, write_confidence_cog, write_label_cog
from geounet.io.mosaic import MosaicPart, write_vrt
from geounet.io.styles import write_style
from geounet.io.threshold import Probabilities, Threshold, count_values, write_cut
from geounet.model.spec import Head
from geounet.run.context import RunContext
from geounet.run.cores import usable_cores
from geounet.run.outputs import (
    CONFIDENCES,
    RASTERS,
    confidence_file,
    confidence_files,
    label_file,
    raster_files,
    raster_key,
)


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
    with warnings.catch_warnings(), _impatient_pool(side_by_side) as pool:
        for _ in pool.map(lambda write: write(threads=threads), rasters):
            context.progress.advance()
    if labels:
        for head in plan.package.spec.heads:
            write_style((plan.output / label_file(head)).with_suffix(".qml"), head)
        record.finish(RASTERS, key, plan.output, raster_files(plan), _counts(context))
    if confidences:
        record.finish(CONFIDENCES, key, plan.output, confidence_files(plan, options), {})
    context.progress.finish()


@contextmanager
def _impatient_pool(threads: int) -> Iterator[ThreadPoolExecutor]:
    """A pool that Ctrl-C does not wait for: GDAL cannot be stopped, but nobody needs its file (see `hold`)."""
    pool, wait = ThreadPoolExecutor(threads, thread_name_prefix="stitch"), True
    try:
        yield pool
    except KeyboardInterrupt:
        wait = False
        raise
    finally:
        pool.shutdown(wait=wait, cancel_futures=True)


def _counts(context: RunContext) -> dict[str, Any]:
    """What the receipts know and the descriptions tell, for runs that find the rasters and no receipts."""
    heads = context.plan.package.spec.heads
    pixels = {head.name: [0] * len(head.classes) for head in heads}
    skipped, engine = 0, ""
    for receipt in context.journal.receipts.each():
        skipped, engine = skipped + receipt.skipped, engine or receipt.engine
        for head, counts in zip(heads, receipt.pixels, strict=True):
            pixels[head.name] = [sum(pair) for pair in zip(pixels[head.name], counts, strict=True)]
    for number, head in enumerate(heads):
        cut_anew = context.options.threshold is not None and head.kind == "mask"  # the network saw it at its own
        if cut_anew or context.options.aoi is not None:
            labels = layers_of(context, number, head)[0]
            pixels[head.name] = count_values(
                labels.mosaic.parts, len(head.classes), band=labels.band, shown=_shown(context)
            )
    return {"pixels": pixels, "tiles_skipped": skipped, "engine": engine}


def _rasters(context: RunContext, *, labels: bool, confidences: bool) -> Iterator[Callable[..., Path]]:
    """A call for every raster that is missing, which takes the ``threads`` that it may use."""
    plan, tags, shown = context.plan, provenance(context), _shown(context)
    target = plan.native_geobox if plan.geobox != plan.native_geobox else None
    for number, head in enumerate(plan.package.spec.heads):
        mask, sure = layers_of(context, number, head)
        if labels:
            path = plan.output / label_file(head)
            mosaic = replace(mask.mosaic, shown=shown)
            yield partial(write_label_cog, path, mosaic, band=mask.band, head=head, tags=tags, target=target)
        if confidences:
            path = plan.output / confidence_file(head)
            yield partial(
                write_confidence_cog,
                path,
                replace(sure.mosaic, shown=shown),
                band=sure.band,
                head=head,
                tags=tags,
                target=target,
            )


def _shown(context: RunContext) -> AreaMask | None:
    """Which pixels the rasters show: those that the area of interest touches, where there is one."""
    aoi = context.options.aoi
    return None if aoi is None else area_mask(aoi, context.plan.geobox)


@dataclass(frozen=True)
class Band:
    """One band of parts side by side."""

    mosaic: Mosaic
    band: int

    def vrt(self, path: Path, *, head: Head | None = None, tags: Mapping[str, str] | None = None) -> Path:
        """The band as a virtual raster at ``path``, with the colours and names of a ``head``."""
        sources = (MosaicPart(window=w, path=p, band=self.band) for w, p in self.mosaic.parts)
        told = {} if head is None else {**(tags or {}), **class_tags(head)}
        write_vrt(path, self.mosaic.geobox, sources, classes=() if head is None else head.classes, tags=told)
        return path


def layers_of(context: RunContext, number: int, head: Head) -> tuple[Band, Band]:
    """Labels and confidences of a head: what the parts hold, or the mask as it was cut anew."""
    mosaic = mosaic_of(context)
    found = Band(mosaic, 2 * number + 1), Band(mosaic, 2 * number + 2)
    if context.options.threshold is None or head.kind != "mask":
        return found
    labels, confidence = _cut_anew(context, head, *found)
    whole = context.plan.geobox
    one, other = (Mosaic(geobox=whole, parts=((whole.window, path),)) for path in (labels, confidence))
    return Band(one, 1), Band(other, 1)


def _cut_anew(context: RunContext, head: Head, labels: Band, confidence: Band) -> tuple[Path, Path]:
    """The files of a mask at the threshold that was asked for, made once; the parts keep the model's own."""
    threshold = Threshold.parse(context.options.threshold or "")
    folder, stem = context.journal.folder, f"{head.name}_{threshold.strong:g}_{threshold.weak:g}"
    mask, sure = folder / f"{stem}.tif", folder / f"{stem}_confidence.tif"
    if not (mask.is_file() and sure.is_file()):
        sources = labels.vrt(folder / f"{stem}_parts.vrt"), confidence.vrt(folder / f"{stem}_parts_confidence.vrt")
        with Probabilities(*sources, own=head.threshold) as source, publish(mask) as one, publish(sure) as other:
            write_cut(source, threshold, labels=one, confidence=other)
    return mask, sure


def label_source(context: RunContext, number: int, head: Head) -> Path:
    """The labels from which polygons are made, on the grid of the results.

    They are those of the head's raster; with an area of interest what the parts hold, which is more, so that
    nothing is drawn differently along its border.
    """
    plan = context.plan
    if context.options.aoi is None:
        return plan.output / label_file(head)
    scratch, band = context.journal.folder, layers_of(context, number, head)[0]
    tags = provenance(context)
    if plan.geobox != plan.native_geobox:
        path = scratch / label_file(head)
        write_label_cog(path, band.mosaic, band=band.band, head=head, tags=tags, target=plan.native_geobox)
        return path
    return band.vrt(scratch / f"{head.name}.vrt", head=head, tags=tags)


def confidence_source(context: RunContext, number: int, head: Head) -> Path:
    """A raster of the head's confidences on the grid of the results, made from the parts where none is kept."""
    plan, options = context.plan, context.options
    if (
        options.aoi is None
        and context.record.finished(CONFIDENCES, raster_key(plan, options), plan.output) is not None
    ):
        return plan.output / confidence_file(head)
    scratch, band = context.journal.folder, layers_of(context, number, head)[1]
    if plan.geobox != plan.native_geobox:
        path = scratch / confidence_file(head)
        write_confidence_cog(path, band.mosaic, band=band.band, head=head, tags={}, target=plan.native_geobox)
        return path
    return band.vrt(scratch / f"{head.name}_confidence.vrt")


def mosaic_of(context: RunContext) -> Mosaic:
    """The parts of all blocks."""
    return Mosaic(geobox=context.plan.geobox, parts=tuple(_parts(context)))


def _parts(context: RunContext) -> Iterator[tuple[Window, Path]]:
    for receipt in context.journal.receipts.each():
        yield context.plan.partition[receipt.block].core, (context.journal.parts / receipt.file).absolute()


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
    if plan.stretch is not None:
        tags["GEOUNET_STRETCH"] = plan.stretch
    if context.options.threshold is not None:
        tags["GEOUNET_THRESHOLD"] = str(Threshold.parse(context.options.threshold))
    if plan.scene.gsd is not None:
        tags["GEOUNET_GSD"] = f"{plan.scene.gsd:g}"
    return tags
