"""Which files a run leaves, under which keys, and what to do where some are there already."""

from __future__ import annotations

from geounet import __version__
from geounet.errors import ConfigError
from geounet.io.vectors import SUFFIXES
from geounet.model.spec import Head
from geounet.run.journal import Record
from geounet.run.options import InferOptions
from geounet.run.plan import Plan, key_of
from geounet.run.result import Run, area_unit

RASTERS, VECTORS, DESCRIPTIONS = "rasters", "vectors", "descriptions"
"""Stages, as the record names them."""

DESCRIPTION_FILES = ("item.json", "preview.png", "report.html")


def label_file(head: Head) -> str:
    """Name of a head's label raster."""
    return f"{head.name}.tif"


def confidence_file(head: Head) -> str:
    """Name of a head's confidence raster."""
    return f"{head.name}_confidence.tif"


def cleaned_file(head: Head) -> str:
    """Name of a head's label raster after absorbing and filling."""
    return f"{head.name}_cleaned.tif"


def raster_files(plan: Plan, options: InferOptions) -> list[str]:
    """Rasters that the run leaves, with their sidecars."""
    files = []
    for head in plan.package.spec.heads:
        files += [label_file(head), f"{label_file(head)}.aux.xml", f"{head.name}.qml"]
        files += [confidence_file(head)] if options.confidence else []
    return files


def vector_files(plan: Plan, options: InferOptions) -> list[str]:
    """Vector files that the run leaves."""
    heads = plan.package.spec.heads
    cleaned = [cleaned_file(head) for head in heads] if options.cleaned else []
    return [f"{head.name}{SUFFIXES[f]}" for head in heads for f in options.formats] + cleaned


def raster_key(plan: Plan, options: InferOptions) -> str:
    """Names the content and the set of the rasters."""
    asked = {} if options.threshold is None else {"threshold": options.threshold}
    return key_of(rasters=plan.raster_key, aoi=_content(plan, options), confidence=options.confidence, **asked)


def journal_key(plan: Plan, options: InferOptions) -> str:
    """Names the content of the parts, which another version of the software may not continue."""
    return key_of(rasters=plan.raster_key, aoi=_content(plan, options), software=_software(plan))


def _software(plan: Plan) -> list[str]:
    from importlib.metadata import version

    return [__version__, version("onnxruntime" if plan.engine == "onnx" else "torch")]


def vector_key(plan: Plan, options: InferOptions) -> str:
    """Names the content and the set of the vectors."""
    return key_of(
        rasters=raster_key(plan, options),
        min_area=options.min_area,
        min_hole=options.min_hole,
        simplify=options.simplify,
        smooth=options.smooth,
        stats=_statistics(options),
        cleaned=options.cleaned,
        formats=sorted(options.formats),
    )


def _statistics(options: InferOptions) -> list[str] | None:
    """Names the raster of which statistics are told."""
    if options.stats is None:
        return None
    from geounet.io.zones import statistics_key

    return statistics_key(options.stats)


def _content(plan: Plan, options: InferOptions) -> str | None:
    """Names the area of interest."""
    if options.aoi is None:
        return None
    from geounet.io.aoi import area_key

    return area_key(options.aoi, plan.native_geobox.crs)


def finished_run(plan: Plan, options: InferOptions, record: Record) -> Run | None:
    """The run that left everything that is asked for, where there was one and its files are untouched."""
    keys = {RASTERS: raster_key(plan, options), VECTORS: vector_key(plan, options)}
    keys[DESCRIPTIONS] = keys[VECTORS]
    facts = {stage: record.finished(stage, key, plan.output) for stage, key in keys.items()}
    described = facts[DESCRIPTIONS]
    if described is None or any(found is None for found in facts.values()):
        return None
    paths = {name: plan.output / name for name in described["files"]}
    return Run(
        scene=plan.scene_name,
        output=plan.output,
        paths=paths,
        pixels=plan.geobox.window.area,
        tiles=0,
        tiles_skipped=described["tiles_skipped"],
        features=described["features"],
        area_by_class=described["area_by_class"],
        area_unit=area_unit(plan.native_geobox),
        timings={},
        engine=described["engine"],
        warnings=plan.warnings,
        resumed=len(plan.partition),
        reused=True,
    )


def refuse_to_overwrite(plan: Plan, options: InferOptions, record: Record) -> None:
    """ConfigError where files are in the way that this very run did not leave, unless told to replace them."""
    if options.overwrite:
        return
    in_the_way = [
        name
        for stage, key, files in _stages(plan, options)
        for name in record.conflicts(stage, key, plan.output, files)
    ]
    if in_the_way:
        raise ConfigError(
            f"{plan.output} holds results of another run ({', '.join(in_the_way[:3])}"
            f"{', …' if len(in_the_way) > 3 else ''}); add --overwrite to replace them, or choose another --output"
        )


def claim_outputs(plan: Plan, options: InferOptions, record: Record) -> None:
    """Remember that the run's files are its own, before the first of them is written."""
    for stage, key, files in _stages(plan, options):
        record.claim(stage, key, files, fresh=options.fresh)


def _stages(plan: Plan, options: InferOptions) -> list[tuple[str, str, list[str]]]:
    """Every stage with its key and the files that it leaves."""
    return [
        (RASTERS, raster_key(plan, options), raster_files(plan, options)),
        (VECTORS, vector_key(plan, options), vector_files(plan, options)),
        (DESCRIPTIONS, vector_key(plan, options), list(DESCRIPTION_FILES)),
    ]
