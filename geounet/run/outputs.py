"""Which files a run leaves, under which keys, and what to do where some are there already."""

from __future__ import annotations

from pathlib import Path

from geounet import __version__
from geounet.errors import ConfigError
from geounet.io.vectors import files_of
from geounet.model.spec import Head
from geounet.run.journal import STATE, Record, drop_parts, folder_of, keep_parts
from geounet.run.options import InferOptions
from geounet.run.plan import Plan, key_of
from geounet.run.result import Run, area_unit
from geounet.run.squared_classes import squared_by_head, squared_layer

RASTERS, CONFIDENCES, VECTORS, DESCRIPTIONS = "rasters", "confidences", "vectors", "descriptions"
"""Stages, as the record names them."""

GEOPACKAGE = "vectors.gpkg"
"""All vector layers of a run."""

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


def raster_files(plan: Plan) -> list[str]:
    """Label rasters that the run leaves, with their sidecars."""
    labels = [label_file(head) for head in plan.package.spec.heads]
    return [
        *labels,
        *(f"{name}.aux.xml" for name in labels),
        *(f"{head.name}.qml" for head in plan.package.spec.heads),
    ]


def confidence_files(plan: Plan, options: InferOptions) -> list[str]:
    """Confidence rasters that the run leaves."""
    return [confidence_file(head) for head in plan.package.spec.heads if options.confidence]


def vector_files(plan: Plan, options: InferOptions) -> list[str]:
    """Vector files that the run leaves."""
    has_crs = plan.native_geobox.crs is not None
    squared = squared_by_head(options.regularize, plan.package.spec.heads) if options.regularize else {}
    files = []
    for head in plan.package.spec.heads:
        layers = [head.name, *((f"{head.name}_lines", f"{head.name}_nodes") if head.lines else ())]
        layers += [squared_layer(head.name)] if head.name in squared else []
        for form in options.formats:
            if form != "gpkg":
                files += [name for layer in layers for name in files_of(form, layer, has_crs=has_crs)]
        if set(options.formats) != {"gpkg"}:  # the style of the head's own layer comes with its raster
            files += [f"{layer}.qml" for layer in layers[1:]]
        files += [cleaned_file(head)] if options.cleaned else []
    return [*files, GEOPACKAGE] if "gpkg" in options.formats else files


def raster_key(plan: Plan, options: InferOptions) -> str:
    """Names the content of the rasters, labels and confidences alike."""
    asked = {} if options.threshold is None else {"threshold": options.threshold}
    return key_of(rasters=plan.raster_key, aoi=_content(plan, options), **asked)


def journal_key(plan: Plan, options: InferOptions) -> str:
    """Names the content of the parts, which another version of the software may not continue."""
    return key_of(rasters=plan.raster_key, aoi=_content(plan, options), software=_software(plan))


def parts_recipe(plan: Plan) -> str:
    """Names what makes a part of what its block reads: parts of one recipe may stand in for each other."""
    return key_of(recipe=plan.recipe_key, software=_software(plan))


def _software(plan: Plan) -> list[str]:
    from importlib.metadata import version

    return [__version__, version("onnxruntime" if plan.engine == "onnx" else "torch")]


def vector_key(plan: Plan, options: InferOptions) -> str:
    """Names the content and the set of the vectors."""
    asked = {"regularize": sorted(set(options.regularize))} if options.regularize else {}
    return key_of(
        rasters=raster_key(plan, options),
        min_area=options.min_area,
        min_hole=options.min_hole,
        simplify=options.simplify,
        lines={
            "bridge": options.bridge,
            "spur": options.spur,
            "of": [h.name for h in plan.package.spec.heads if h.lines],
        },
        smooth=options.smooth,
        stats=_statistics(options),
        cleaned=options.cleaned,
        formats=sorted(options.formats),
        **asked,
    )


def description_key(plan: Plan, options: InferOptions) -> str:
    """Names what the descriptions tell of: the vectors, and which files there are."""
    item = {} if plan.item_id is None else {"item": plan.item_id}
    return key_of(vectors=vector_key(plan, options), confidence=options.confidence, **item)


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
    from geounet.io.aoi import AROUND, area_key

    return f"{area_key(options.aoi, plan.native_geobox.crs)} {AROUND}"


def finished_run(plan: Plan, options: InferOptions, record: Record) -> Run | None:
    """The run that left everything that is asked for, where there was one and its files are untouched."""
    facts = {stage: record.finished(stage, key, plan.output) for stage, key, _ in stages(plan, options)}
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
        length=described["length"],
        area_unit=area_unit(plan.native_geobox),
        timings={},
        engine=described["engine"],
        warnings=plan.warnings,
        resumed=len(plan.partition),
        blocks=len(plan.partition),
        reused=True,
    )


def refuse_to_overwrite(plan: Plan, options: InferOptions, record: Record) -> None:
    """ConfigError where files are in the way that this very run did not leave, unless told to replace them."""
    if options.overwrite:
        return
    in_the_way = [
        name
        for stage, key, files in stages(plan, options)
        for name in record.conflicts(stage, key, plan.output, files)
    ]
    if in_the_way:
        raise ConfigError(
            f"{plan.output} holds results of another run ({', '.join(in_the_way[:3])}"
            f"{', …' if len(in_the_way) > 3 else ''}); add --overwrite to replace them, or choose another --output"
        )


def remove_remains(plan: Plan, options: InferOptions, record: Record) -> None:
    """Where results are replaced, what an earlier run of ours left goes, not only what bears the same name.

    Whoever opens the folder would take it for a result of this run. Confidences of these very labels stay: they are
    true, and the next polygons need them.
    """
    if not options.overwrite:
        return
    asked = stages(plan, options)
    keys = {CONFIDENCES: raster_key(plan, options)} | {stage: key for stage, key, _ in asked}
    written = {name for _, _, files in asked for name in files}
    for name in record.remains(keys, plan.output):
        if name not in written:
            (plan.output / name).unlink(missing_ok=True)


def claim_outputs(plan: Plan, options: InferOptions, record: Record) -> None:
    """Remember that the run's files are its own, before the first of them is written."""
    for stage, key, files in stages(plan, options):
        record.claim(stage, key, files, fresh=options.fresh)
    if options.fresh and not options.confidence:  # those of an earlier run are as old as its labels
        record.claim(CONFIDENCES, raster_key(plan, options), [], fresh=True)


def parts_are_needed(plan: Plan, options: InferOptions, record: Record) -> bool:
    """Whether anything that is still to be made needs the parts: rasters do, and vectors for the confidences, and
    for what lies around an area of interest."""
    there = {
        stage for stage, key, _ in stages(plan, options) if record.finished(stage, key, plan.output) is not None
    }
    if RASTERS not in there or (options.confidence and CONFIDENCES not in there):
        return True
    confidences = record.finished(CONFIDENCES, raster_key(plan, options), plan.output)
    return VECTORS not in there and (confidences is None or options.aoi is not None)


def why_again(plan: Plan, options: InferOptions, record: Record) -> str:
    """Why the network must run although the label rasters are there; empty where they are not."""
    if options.fresh or record.finished(RASTERS, raster_key(plan, options), plan.output) is None:
        return ""
    if options.aoi is not None:
        return (
            f"the label rasters are there, but not what lies around the area of interest ({STATE} in the results "
            "folder), from which vectors are made: it is computed again"
        )
    return (
        f"the label rasters are there, but not the confidences of the run that made them ({STATE} in the results "
        "folder): they are computed again; --confidence would keep them as rasters"
    )


def settle_parts(state: Path, plan: Plan, options: InferOptions, record: Record) -> None:
    """The run is finished: its parts stay for a run with other polygons, unless the rasters hold as much.

    Where there is an area of interest they do not: parts reach beyond it.
    """
    keep_parts(state, journal_key(plan, options))
    confidences = record.finished(CONFIDENCES, raster_key(plan, options), plan.output)
    if confidences is None or options.aoi is not None:
        return
    folder = folder_of(state, journal_key(plan, options))
    if folder.is_dir() and plan.geobox == plan.native_geobox and options.threshold is None:
        from geounet.run.kept_rasters import remember_rasters

        heads = plan.package.spec.heads
        remember_rasters(folder, [name for head in heads for name in (label_file(head), confidence_file(head))])
    drop_parts(state)


def stages(plan: Plan, options: InferOptions) -> list[tuple[str, str, list[str]]]:
    """Every stage that was asked for, with its key and the files that it leaves."""
    rasters = raster_key(plan, options)
    return [
        (RASTERS, rasters, raster_files(plan)),
        *([(CONFIDENCES, rasters, confidence_files(plan, options))] if options.confidence else []),
        (VECTORS, vector_key(plan, options), vector_files(plan, options)),
        (DESCRIPTIONS, description_key(plan, options), list(DESCRIPTION_FILES)),
    ]
