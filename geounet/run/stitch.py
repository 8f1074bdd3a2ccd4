"""The second stage: parts become one COG per head."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from geounet import __version__
from geounet.grid.window import Window
from geounet.io.cog import Mosaic, write_confidence_cog, write_label_cog
from geounet.io.mosaic import Source, write_vrt
from geounet.io.styles import write_style
from geounet.model.spec import Head
from geounet.run.context import RunContext
from geounet.run.outputs import RASTERS, confidence_file, label_file, raster_files, raster_key
from geounet.run.plan import usable_cores


def stitch_parts(context: RunContext) -> None:
    """Write the label COG of every head, and its confidence where that was asked for."""
    plan, options, record = context.plan, context.options, context.record
    key = raster_key(plan, options)
    if record.finished(RASTERS, key, plan.output) is not None:
        return
    heads = plan.package.spec.heads
    context.progress.start("stitch", total=len(heads) * (1 + options.confidence), unit="rasters")
    mosaic = mosaic_of(context)
    target = plan.native_geobox if plan.geobox != plan.native_geobox else None
    tags, threads = provenance(context), usable_cores()
    for number, head in enumerate(heads):
        path = plan.output / label_file(head)
        write_label_cog(path, mosaic, band=2 * number + 1, head=head, tags=tags, threads=threads, target=target)
        write_style(path.with_suffix(".qml"), head)
        context.progress.advance()
        if options.confidence:
            path = plan.output / confidence_file(head)
            write_confidence_cog(
                path, mosaic, band=2 * number + 2, head=head, tags=tags, threads=threads, target=target
            )
            context.progress.advance()
    record.finish(RASTERS, key, plan.output, raster_files(plan, options), {})
    context.progress.finish()


def confidence_source(context: RunContext, number: int, head: Head) -> Path:
    """A raster of the head's confidences on the grid of the results, made from the parts where none is kept."""
    plan = context.plan
    kept = plan.output / confidence_file(head)
    if context.options.confidence and kept.is_file():
        return kept
    scratch = context.journal.folder
    if plan.geobox != plan.native_geobox:
        path = scratch / confidence_file(head)
        write_confidence_cog(
            path, mosaic_of(context), band=2 * number + 2, head=head, tags={}, target=plan.native_geobox
        )
        return path
    path = scratch / f"{head.name}_confidence.vrt"
    sources = (Source(window=w, path=p, band=2 * number + 2) for w, p in mosaic_of(context).parts)
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
