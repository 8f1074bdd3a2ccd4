"""Models that were not saved by geounet: smp's ``save_pretrained`` folders and bare ONNX files.

Each needs a small YAML beside it that says what its format does not: ``geounet.yaml`` in the folder, or
``<file>.yaml`` beside ``<file>.onnx``::

    bands: [{name: red, mean: 123.7, std: 58.4}, …]   # raw pixel values
    heads: [{name: landuse, kind: classes, classes: [{name: building, color: "#d7483b"}, …]}]
    tile: 512          # optional, as are overlap, divisor, dtype, gsd, stretch, name, description, license
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from geounet.errors import ModelError
from geounet.model.onnx_data import external_files
from geounet.model.package import Package, digest, read_json
from geounet.model.spec import Head, InputBand, LabelClass, ModelSpec

_FALLBACK_COLORS = ("#d7483b", "#d9c7a0", "#4a4a55", "#5fa052", "#3f88c5", "#b07aa1", "#edc948", "#76b7b2")
_OPTIONAL = ("name", "version", "description", "license", "dtype", "tile", "overlap", "divisor", "gsd")
_SIDECAR_KEYS = {"bands", "heads", "stretch", "provenance", *_OPTIONAL}


def load_onnx_file(path: Path) -> Package:
    """A bare ONNX file with its sidecar ``<file>.yaml``, and the files beside it that hold its tensors.

    ModelError where the sidecar is missing or wrong, or where the tensors lie outside the file's folder.
    """
    sidecar = path.with_suffix(".yaml")
    spec = _spec_from(sidecar, name=path.stem, architecture="onnx", hyperparameters={})
    data = external_files(path)
    return Package(spec=spec, origin=str(path), weights=None, graph=path, digest=digest(spec, path, *data))


def load_smp_folder(folder: Path, *, allow_pickle: bool) -> Package:
    """A folder of ``save_pretrained`` with ``geounet.yaml``. ModelError where something is missing or wrong."""
    config = read_json(folder / "config.json")
    weights = _smp_weights(folder, allow_pickle=allow_pickle)
    architecture = config.pop("_model_class", None)
    if not isinstance(architecture, str):
        raise ModelError(
            f"{folder / 'config.json'} has no _model_class; expected what smp's save_pretrained writes"
        )
    config.pop("encoder_weights", None)
    bands, channels = config.pop("in_channels", 3), config.pop("classes", 1)
    options = {key: value for key, value in config.items() if not key.startswith("_")}
    spec = _spec_from(
        folder / "geounet.yaml",
        name=folder.name.lower(),
        architecture=f"smp:{architecture}",
        hyperparameters=options,
    )
    if (len(spec.bands), spec.channels) != (bands, channels):
        raise ModelError(
            f"{folder / 'geounet.yaml'} describes {len(spec.bands)} bands and {spec.channels} output channels, "
            f"but the network has {bands} and {channels}"
        )
    return Package(spec=spec, origin=str(folder), weights=weights, graph=None, digest=digest(spec, weights))


def _smp_weights(folder: Path, *, allow_pickle: bool) -> Path:
    safe, pickled = folder / "model.safetensors", folder / "pytorch_model.bin"
    if safe.is_file():
        return safe
    if not pickled.is_file():
        raise ModelError(f"model {str(folder)!r} has no model.safetensors; save it again with save_pretrained")
    if not allow_pickle:
        raise ModelError(
            f"{pickled} is a pickle, which can run code when it is read; convert it to safetensors, or give "
            "--allow-pickle (it is then read with weights_only)"
        )
    return pickled


def _spec_from(sidecar: Path, *, name: str, architecture: str, hyperparameters: Mapping[str, Any]) -> ModelSpec:
    if not sidecar.is_file():
        raise ModelError(f"{sidecar} is missing: it must name the model's bands, their scaling and its heads")
    try:
        given = yaml.safe_load(sidecar.read_text(encoding="utf-8"))
        return _read_sidecar(given, name=name, architecture=architecture, hyperparameters=hyperparameters)
    except (yaml.YAMLError, KeyError, TypeError, ValueError, AttributeError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ModelError(f"{sidecar} does not describe a model: {type(error).__name__} {reason}") from error
    except ModelError as error:
        raise ModelError(f"{sidecar}: {error}") from error


def _read_sidecar(given: Mapping[str, Any], *, name: str, **network: Any) -> ModelSpec:
    if not isinstance(given, Mapping):
        raise TypeError(f"it holds {type(given).__name__}; expected lines of 'key: value'")
    unknown = sorted(str(key) for key in set(given) - _SIDECAR_KEYS)
    if unknown:
        raise ValueError(f"unknown keys {', '.join(unknown)}; expected {', '.join(sorted(_SIDECAR_KEYS))}")
    fields: dict[str, Any] = {"name": name, **{key: given[key] for key in _OPTIONAL if key in given}}
    fields.setdefault("overlap", min(128, fields.get("tile", 512) // 4))
    return ModelSpec(
        **fields,
        **network,
        bands=tuple(InputBand(name=b["name"], mean=float(b["mean"]), std=float(b["std"])) for b in given["bands"]),
        stretch=_stretch(given["stretch"]) if "stretch" in given else None,
        heads=tuple(_read_head(head) for head in given["heads"]),
        provenance=given.get("provenance", {}),
    )


def _stretch(given: Any) -> tuple[float, float]:
    low, high = given
    return float(low), float(high)


def _read_head(given: Mapping[str, Any]) -> Head:
    classes = tuple(
        LabelClass(value=value, name=c["name"], color=c.get("color", _FALLBACK_COLORS[value % 8]))
        for value, c in enumerate(given["classes"])
    )
    return Head(
        name=given["name"],
        kind=given.get("kind", "classes"),
        threshold=float(given.get("threshold", 0.5)),
        lines=given.get("lines", False),
        classes=classes,
    )
