"""The last stage: a STAC item, a preview and a report say what the run made, out of what, with what."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Literal
from urllib.parse import quote

from geounet import __version__
from geounet.io.access import is_remote, public_url
from geounet.io.facts import ClassArea, Output, RunFacts
from geounet.io.preview import (
    HeadMap,
    panel_shape,
    read_labels,
    stretch,
    view_window,
    write_preview,
)
from geounet.io.report import write_report
from geounet.io.scene import Scene, open_spec
from geounet.io.stac import write_item
from geounet.io.threshold import count_values
from geounet.io.thumbnail import scene_thumbnail
from geounet.model.spec import Head
from geounet.run.context import RunContext
from geounet.run.outputs import (
    DESCRIPTIONS,
    VECTORS,
    label_file,
    raster_files,
    vector_files,
    vector_key,
)
from geounet.run.result import Run, area_unit
from geounet.run.stitch import layers_of

_NAMED_SOFTWARE = ("onnxruntime", "torch", "rasterio", "numpy", "dask", "shapely")


def describe_results(context: RunContext) -> Run:
    """Write ``item.json``, ``preview.png`` and ``report.html``; the run as its caller sees it."""
    plan, options, record = context.plan, context.options, context.record
    vectors = record.finished(VECTORS, vector_key(plan, options), plan.output) or {}
    warnings = (*plan.warnings, *vectors.get("warnings", ()))
    with open_spec(plan.scene) as scene:
        preview = _preview(context, scene)  # before the facts, which list it
        facts = _facts(context, scene, vectors.get("area_by_class", {}), warnings)
    write_item(plan.output / "item.json", facts)
    write_report(plan.output / "report.html", facts, preview=preview)
    receipts = context.journal.receipts.values()
    described = {
        "files": sorted(_files(context)),
        "features": vectors.get("features", {}),
        "area_by_class": vectors.get("area_by_class", {}),
        "tiles_skipped": sum(r.skipped for r in receipts),
        "engine": next((r.engine for r in receipts), ""),
    }
    names = ["item.json", "preview.png", "report.html"]
    record.finish(DESCRIPTIONS, vector_key(plan, options), plan.output, names, described)
    return Run(
        scene=plan.scene_name,
        output=plan.output,
        paths={name: plan.output / name for name in described["files"]},
        pixels=plan.geobox.window.area,
        tiles=context.tiles,
        tiles_skipped=described["tiles_skipped"],
        features=described["features"],
        area_by_class=described["area_by_class"],
        area_unit=area_unit(plan.native_geobox),
        timings=context.timings,
        engine=described["engine"],
        warnings=warnings,
        resumed=context.resumed,
    )


def _facts(
    context: RunContext, scene: Scene, areas: dict[str, dict[str, float]], warnings: tuple[str, ...]
) -> RunFacts:
    plan = context.plan
    return RunFacts(
        scene=plan.scene_name,
        geobox=plan.native_geobox,
        bands=scene.band_names,
        dtype=plan.dtype,
        nodata=scene.nodata,
        fingerprint=plan.fingerprint,
        datetime=_scene_time(scene),
        model=plan.package.spec,
        model_digest=plan.package.digest,
        outputs=tuple(_outputs(context)),
        areas=tuple(_class_areas(context, areas)),
        settings=_settings(context),
        warnings=warnings,
        software={"geounet": __version__, **{name: version(name) for name in _NAMED_SOFTWARE}},
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
    }


def _class_areas(context: RunContext, areas: dict[str, dict[str, float]]) -> Iterator[ClassArea]:
    for number, head in enumerate(context.plan.package.spec.heads):
        counts = _pixels_by_class(context, number, head)
        for label in head.classes:
            pixels = counts[label.value]
            square_metres = areas.get(head.name, {}).get(label.name)
            known = context.plan.native_geobox.crs is not None
            yield ClassArea(
                head=head.name, value=label.value, pixels=pixels, square_metres=square_metres if known else None
            )


def _pixels_by_class(context: RunContext, number: int, head: Head) -> list[int]:
    """Pixels of each class, as the network saw the scene."""
    if context.options.threshold is None or head.kind != "mask":
        receipts = context.journal.receipts.values()
        return [sum(r.pixels[number][label.value] for r in receipts) for label in head.classes]
    labels = layers_of(context, number, head)[0]
    return count_values(labels.mosaic.parts[0][1], len(head.classes))


def _outputs(context: RunContext) -> Iterator[Output]:
    heads = {head.name for head in context.plan.package.spec.heads}
    for name in _files(context):
        path = context.plan.output / name
        if name in ("item.json", "report.html") or not path.exists():
            continue
        stem = name.partition(".")[0].removesuffix("_confidence").removesuffix("_cleaned")
        yield Output(path=path, bytes=path.stat().st_size, role=_role(name), head=stem if stem in heads else None)


def _role(name: str) -> Literal["labels", "confidence", "polygons", "other"]:
    if name.endswith("_confidence.tif"):
        return "confidence"
    if name.endswith(".tif"):
        return "labels"
    return "other" if name.endswith((".xml", ".qml", ".png", ".html", ".json")) else "polygons"


def _files(context: RunContext) -> list[str]:
    plan, options = context.plan, context.options
    described = ["preview.png", "item.json", "report.html"]
    return [*raster_files(plan, options), *vector_files(plan, options), *described]


def _preview(context: RunContext, scene: Scene) -> Path:
    """Scene, prediction and overlay side by side, from decimated reads."""
    plan = context.plan
    heads = plan.package.spec.heads
    source = plan.output / label_file(heads[0])
    window = view_window(source)
    shape = panel_shape(window, panels=2 + len(heads))
    maps = [
        HeadMap(
            head=head, labels=read_labels(plan.output / label_file(head), head=head, window=window, shape=shape)
        )
        for head in heads
    ]
    image = stretch(*scene_thumbnail(scene, window=window, shape=shape))
    model = f"{plan.package.spec.name} {plan.package.spec.version}"
    return write_preview(plan.output / "preview.png", image, maps, caption=f"{plan.scene_name} · {model}")


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
