"""The last stage: a STAC item, a preview and a report say what the run made, out of what, with what."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Literal
from urllib.parse import quote

from geounet import __version__
from geounet.io.access import is_remote, public_url
from geounet.io.facts import ClassArea, Output, RunFacts
from geounet.io.panels import paint_confidence, read_confidence
from geounet.io.preview import (
    HeadMap,
    panel_shape,
    read_labels,
    smaller,
    stretch,
    view_window,
    write_preview,
)
from geounet.io.report import write_report
from geounet.io.report_map import map_shape, render_map
from geounet.io.scene import Scene, open_spec
from geounet.io.stac import write_item
from geounet.io.thumbnail import scene_thumbnail
from geounet.run.context import RunContext
from geounet.run.outputs import (
    DESCRIPTION_FILES,
    DESCRIPTIONS,
    RASTERS,
    VECTORS,
    confidence_files,
    description_key,
    label_file,
    raster_files,
    raster_key,
    vector_files,
    vector_key,
)
from geounet.run.plan import Plan
from geounet.run.result import Run, area_unit

_NAMED_SOFTWARE = ("onnxruntime", "torch", "rasterio", "numpy", "dask", "shapely")
_SAMPLE = 7  # of so many pixels one is looked at for the brightness of the pictures


def describe_results(context: RunContext) -> Run:
    """Write ``item.json``, ``preview.png`` and ``report.html``; the run as its caller sees it."""
    plan, options, record = context.plan, context.options, context.record
    rasters = record.finished(RASTERS, raster_key(plan, options), plan.output) or {}
    vectors = record.finished(VECTORS, vector_key(plan, options), plan.output) or {}
    warnings = (*plan.warnings, *vectors.get("warnings", ()))
    with open_spec(plan.scene) as scene:
        preview, drawing = _pictures(context, scene)  # before the facts, which list it
        areas = _class_areas(plan, rasters.get("pixels", {}), vectors.get("area_by_class", {}))
        facts = _facts(context, scene, tuple(areas), vectors.get("length", {}), warnings)
    write_item(plan.output / "item.json", facts)
    write_report(plan.output / "report.html", facts, preview=preview, drawing=drawing)
    described = {
        "files": sorted(_files(context)),
        "features": vectors.get("features", {}),
        "area_by_class": vectors.get("area_by_class", {}),
        "length": vectors.get("length", {}),
        "tiles_skipped": rasters.get("tiles_skipped", 0),
        "engine": rasters.get("engine", ""),
    }
    record.finish(DESCRIPTIONS, description_key(plan, options), plan.output, list(DESCRIPTION_FILES), described)
    return Run(
        scene=plan.scene_name,
        output=plan.output,
        paths={name: plan.output / name for name in described["files"]},
        pixels=plan.geobox.window.area,
        pixels_computed=context.pixels,
        tiles=context.tiles,
        tiles_skipped=described["tiles_skipped"],
        features=described["features"],
        area_by_class=described["area_by_class"],
        length=described["length"],
        area_unit=area_unit(plan.native_geobox),
        timings=context.timings,
        engine=described["engine"],
        warnings=warnings,
        resumed=context.resumed,
        blocks=len(plan.partition),
        as_before=context.as_before,
    )


def _facts(
    context: RunContext,
    scene: Scene,
    areas: tuple[ClassArea, ...],
    lengths: dict[str, float],
    warnings: tuple[str, ...],
) -> RunFacts:
    plan = context.plan
    return RunFacts(
        scene=plan.scene_name,
        geobox=plan.native_geobox,
        bands=scene.band_names,
        dtype=plan.dtype,
        nodata=scene.nodata,
        fingerprint=plan.fingerprint,
        datetime=plan.scene_time or _scene_time(scene),
        model=plan.package.spec,
        model_digest=plan.package.digest,
        outputs=tuple(_outputs(context)),
        areas=areas,
        lengths=lengths,
        settings=_settings(context),
        warnings=warnings,
        software={"geounet": __version__, **{name: version(name) for name in _NAMED_SOFTWARE}},
        item_id=plan.item_id,
        catalog_href=plan.catalog_href,
        scene_href=_href(plan.scene.paths[0], plan.output),
    )


def _settings(context: RunContext) -> dict[str, str]:
    plan, options = context.plan, context.options
    return {
        "tile": str(plan.lattice.tile),
        "overlap": str(plan.lattice.rows.overlap),
        "precision": plan.request.precision,
        "test-time augmentation": plan.request.tta,
        "minimum area": f"{options.min_area:g} m²",
        "minimum hole": f"{options.min_hole:g} m²",
        "simplification": f"{options.simplify:g} m",
        "smoothing": "yes" if options.smooth else "no",
        "threshold of masks": options.threshold or "the model's",
        **({} if plan.stretch is None else {"stretch": plan.stretch}),
        **({"outlines with right angles": ", ".join(options.regularize)} if options.regularize else {}),
        **_line_settings(context),
    }


def _line_settings(context: RunContext) -> dict[str, str]:
    if not any(head.lines for head in context.plan.package.spec.heads):
        return {}
    bridge, spur = context.options.bridge, context.options.spur
    return {
        "gaps bridged": f"up to {bridge:g} m",
        "spurs pruned": "shorter than the road is wide" if spur is None else f"shorter than {spur:g} m",
    }


def _class_areas(
    plan: Plan, pixels: Mapping[str, Sequence[int]], areas: Mapping[str, Mapping[str, float]]
) -> Iterator[ClassArea]:
    """Of every class of every head the pixels (by head and value) and the area in m² (by head and name)."""
    known = plan.native_geobox.crs is not None
    for head in plan.package.spec.heads:
        for label in head.classes:
            yield ClassArea(
                head=head.name,
                value=label.value,
                pixels=pixels[head.name][label.value],
                square_metres=areas.get(head.name, {}).get(label.name) if known else None,
            )


def _outputs(context: RunContext) -> Iterator[Output]:
    heads = {head.name for head in context.plan.package.spec.heads}
    for name in _files(context):
        path = context.plan.output / name
        if name in ("item.json", "report.html") or not path.exists():
            continue
        stem = name.partition(".")[0]
        stem = stem if stem in heads else stem.rpartition("_")[0]  # confidence, lines, nodes … of a head
        yield Output(
            path=path, bytes=path.stat().st_size, role=_role(name, heads), head=stem if stem in heads else None
        )


def _role(name: str, heads: set[str]) -> Literal["labels", "confidence", "polygons", "lines", "nodes", "other"]:
    if name.endswith("_confidence.tif"):
        return "confidence"
    if name.endswith(".tif"):
        return "labels"
    if name.endswith((".xml", ".qml", ".png", ".html", ".json")):
        return "other"
    stem, _, what = name.partition(".")[0].rpartition("_")
    if stem in heads and name.partition(".")[0] not in heads and what in ("lines", "nodes"):
        return "lines" if what == "lines" else "nodes"
    return "polygons"


def _files(context: RunContext) -> list[str]:
    plan, options = context.plan, context.options
    rasters = [*raster_files(plan), *confidence_files(plan, options)]
    return [*rasters, *vector_files(plan, options), *DESCRIPTION_FILES]


def _pictures(context: RunContext, scene: Scene) -> tuple[Path, str]:
    """The preview (scene, prediction and overlay side by side), and a map for the report, from decimated reads."""
    plan = context.plan
    heads = plan.package.spec.heads
    window = view_window(plan.output / label_file(heads[0]))
    sure = confidence_files(plan, context.options)
    large, shape = map_shape(window), panel_shape(window, panels=2 + len(heads) + len(sure))

    def maps(shape: tuple[int, int], **how: int) -> list[HeadMap]:
        files = {head: plan.output / label_file(head) for head in heads}
        return [
            HeadMap(head=head, labels=read_labels(path, head=head, window=window, shape=shape, **how))
            for head, path in files.items()
        ]

    image = stretch(*scene_thumbnail(scene, window=window, shape=large), every=_SAMPLE)  # which reads most
    model = f"{plan.package.spec.name} {plan.package.spec.version}"
    more = [
        (
            f"{name.removesuffix('.tif').replace('_', ' ')} (dark: unsure)",
            paint_confidence(read_confidence(plan.output / name, window=window, shape=shape)),
        )
        for name in sure
    ]
    caption = f"{plan.scene_name} · {model}"
    panels = smaller(image, shape), maps(shape)
    preview = write_preview(plan.output / "preview.png", *panels, more=more, caption=caption)
    return preview, render_map(image, maps(large, fine=2), window=window)


def _scene_time(scene: Scene) -> str | None:
    """When the scene was taken or its file was made, RFC 3339; it must not depend on when the run was."""
    source = scene.rasters[0].source
    tagged = _parse_time(scene.rasters[0].dataset.tags().get("TIFFTAG_DATETIME", ""))
    if tagged is None and source.remote:
        return None
    time = tagged or datetime.fromtimestamp(int(Path(scene.spec.paths[0]).stat().st_mtime), UTC)
    return time.isoformat().replace("+00:00", "Z")


def _parse_time(tag: str) -> datetime | None:
    """TIFF's ``YYYY:MM:DD HH:MM:SS``, which has no time zone and is taken for UTC; None for anything else."""
    try:
        return datetime.strptime(tag.strip(), "%Y:%m:%d %H:%M:%S").replace(tzinfo=UTC)
    except ValueError:
        return None


def _href(path: str, output: Path) -> str:
    """Relative to the output folder; of a URL, what anybody may read."""
    if is_remote(path):
        return public_url(path)
    return quote(Path(os.path.relpath(path, output)).as_posix())
