"""``model.json``: a model's spec as a STAC Item with the MLM extension, and back.

MLM: https://github.com/stac-extensions/mlm (v1.4). What it has no field for stands under ``geounet:``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from geounet.errors import ModelError
from geounet.model.spec import Head, InputBand, LabelClass, ModelSpec

MLM = "https://crim-ca.github.io/mlm-extension/v1.4.0/schema.json"
FORMAT = 1
"""Version of the folder's layout; a newer one is refused."""


def to_item(spec: ModelSpec, *, assets: Mapping[str, Any], digest: str, created: str) -> dict[str, Any]:
    """The STAC item of a package; ``created`` is an RFC 3339 time, ``assets`` the files with their digests."""
    properties: dict[str, Any] = {
        "datetime": created,
        "description": spec.description,
        "license": spec.license or "other",
        "mlm:name": spec.name,
        "mlm:architecture": spec.architecture,
        "mlm:tasks": ["semantic-segmentation"],
        "mlm:framework": "ONNX" if spec.architecture == "onnx" else "PyTorch",
        "mlm:hyperparameters": dict(spec.hyperparameters),
        "mlm:batch_size_suggestion": 1,
        "mlm:input": [_input(spec)],
        "mlm:output": [_output(head, spec.tile) for head in spec.heads],
        "version": spec.version,
        "geounet:format": FORMAT,
        "geounet:digest": digest,
        "geounet:tile": spec.tile,
        "geounet:overlap": spec.overlap,
        "geounet:divisor": spec.divisor,
        "geounet:gsd_range": list(spec.gsd_range) if spec.gsd_range else None,
        "geounet:provenance": dict(spec.provenance),
    }
    if spec.stretch is not None:  # left out elsewhere, so that older digests hold
        properties["geounet:stretch"] = list(spec.stretch)
    if spec.receptive_field is not None:
        properties["geounet:receptive_field"] = spec.receptive_field
    if spec.gsd is not None:
        properties["gsd"] = spec.gsd
    return {
        "type": "Feature",
        "stac_version": "1.1.0",
        "stac_extensions": [MLM],
        "id": spec.name,
        "geometry": None,
        "properties": properties,
        "links": [],
        "assets": dict(assets),
    }


def _input(spec: ModelSpec) -> dict[str, Any]:
    return {
        "name": "image",
        "bands": [{"name": band.name} for band in spec.bands],
        "input": {
            "shape": [-1, len(spec.bands), spec.tile, spec.tile],
            "dim_order": ["batch", "bands", "height", "width"],
            "data_type": spec.dtype,
        },
        "value_scaling": [{"type": "z-score", "mean": b.mean, "stddev": b.std} for b in spec.bands],
    }


def _output(head: Head, tile: int) -> dict[str, Any]:
    return {
        "name": head.name,
        "tasks": ["semantic-segmentation"],
        "result": {
            "shape": [-1, head.channels, tile, tile],
            "dim_order": ["batch", "classification", "height", "width"],
            "data_type": "float32",
        },
        "classification:classes": [
            {"value": c.value, "name": c.name, "color_hint": c.color.removeprefix("#").upper()}
            for c in head.classes
        ],
        "geounet:kind": head.kind,
        "geounet:threshold": head.threshold,
        **({"geounet:lines": True} if head.lines else {}),  # left out elsewhere, so that older digests hold
    }


def from_item(item: Mapping[str, Any], *, origin: str) -> ModelSpec:
    """The spec that a ``model.json`` describes; ``origin`` names it in errors. Inverse of :func:`to_item`."""
    try:
        properties = item["properties"]
        if int(properties.get("geounet:format", FORMAT)) > FORMAT:
            raise ModelError(f"{origin} was made by a newer geounet; run: pip install -U geounet")
        return _read_properties(properties)
    except (KeyError, TypeError, ValueError, IndexError, AttributeError, OverflowError) as error:
        raise ModelError(
            f"{origin} is not a model card of geounet: {type(error).__name__} {error}; expected a STAC item "
            "with the MLM extension's fields"
        ) from error


def _read_properties(p: Mapping[str, Any]) -> ModelSpec:
    given = p["mlm:input"][0]
    scaling = given["value_scaling"]
    if len(scaling) != len(given["bands"]):
        raise ValueError(f"{len(given['bands'])} bands but {len(scaling)} value scalings")
    gsd_range, stretch = p.get("geounet:gsd_range"), p.get("geounet:stretch")
    return ModelSpec(
        name=p["mlm:name"],
        version=str(p.get("version", "0")),
        description=p.get("description", ""),
        license=p.get("license", ""),
        architecture=p["mlm:architecture"],
        hyperparameters=p.get("mlm:hyperparameters", {}),
        bands=tuple(
            InputBand(name=_band_name(band), mean=_finite(s["mean"]), std=_finite(s["stddev"]))
            for band, s in zip(given["bands"], scaling, strict=True)
        ),
        dtype=given["input"]["data_type"],
        stretch=(_finite(stretch[0]), _finite(stretch[1])) if stretch else None,
        heads=tuple(_read_head(output) for output in p["mlm:output"]),
        tile=int(p.get("geounet:tile", given["input"]["shape"][-1])),
        overlap=int(p.get("geounet:overlap", 128)),
        divisor=int(p.get("geounet:divisor", 32)),
        gsd=_finite(p["gsd"]) if p.get("gsd") is not None else None,
        gsd_range=(_finite(gsd_range[0]), _finite(gsd_range[1])) if gsd_range else None,
        receptive_field=p.get("geounet:receptive_field"),
        provenance=p.get("geounet:provenance", {}),
    )


def _read_head(output: Mapping[str, Any]) -> Head:
    return Head(
        name=output["name"],
        kind=output.get("geounet:kind", "classes"),
        threshold=float(output.get("geounet:threshold", 0.5)),
        lines=output.get("geounet:lines", False),
        classes=tuple(
            LabelClass(value=int(c["value"]), name=str(c["name"]), color=f"#{c['color_hint'].lower()}")
            for c in output["classification:classes"]
        ),
    )


def _band_name(band: Any) -> str:
    return str(band["name"]) if isinstance(band, Mapping) else str(band)


def _finite(value: Any) -> float:
    number = float(value)
    if not math.isfinite(number):
        raise ValueError(f"{value!r} is not a finite number")
    return number
