"""Model packages on disk: find, load, verify, save. Imports no torch, so that engines that need none start at once.

A package is a folder: ``model.json`` (the card, :mod:`geounet.model.card`), ``weights.safetensors``, and
optionally ``graph.onnx``, the same network for onnxruntime. The graph carries no weights: its tensors are ONNX
external data that point into the safetensors file, so there is one copy of the weights.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geounet.errors import ModelError
from geounet.model import card
from geounet.model.onnx_data import external_files
from geounet.model.spec import ModelSpec

CARD, WEIGHTS, GRAPH = "model.json", "weights.safetensors", "graph.onnx"
ZOO = Path(__file__).parent / "zoo"
DEFAULT_MODEL = "landuse-roads"


@dataclass(frozen=True, kw_only=True)
class Package:
    """A model that was found, read and verified."""

    spec: ModelSpec
    origin: str
    """What the user called it: a name of the zoo or a path."""
    weights: Path | None
    """safetensors (or, with ``allow_pickle``, a torch file); None for a bare ONNX file."""
    graph: Path | None
    """ONNX graph, where there is one."""
    digest: str
    """sha256 over the spec, the weights and the graph: names the results."""


def models() -> list[str]:
    """Names of the models that come with geounet."""
    return sorted(path.parent.name for path in ZOO.glob(f"*/{CARD}"))


def load_model(model: str | os.PathLike[str] = DEFAULT_MODEL, *, allow_pickle: bool = False) -> Package:
    """Find a model by zoo name, package folder, smp folder or ``.onnx`` file, and verify it.

    Raises ModelError where there is none, where a digest disagrees, or where weights are a pickle and
    ``allow_pickle`` was not given.
    """
    from geounet.model import foreign

    path = Path(model)
    if str(model) in models():  # a plain name means ours; a folder of that name is ./name
        path = ZOO / str(model)
    if path.is_dir() and (path / CARD).is_file():
        return _load_folder(path, origin=str(model))
    if path.is_dir() and (path / "config.json").is_file():
        return foreign.load_smp_folder(path, allow_pickle=allow_pickle)
    if path.is_file() and path.suffix == ".onnx":
        return foreign.load_onnx_file(path)
    if not path.exists():
        raise ModelError(
            f"model {str(model)!r} not found: expected one of {', '.join(models()) or 'no zoo models'}, "
            "a model folder or an .onnx file"
        )
    raise ModelError(
        f"model {str(model)!r} is not a model: expected a folder with {CARD} (geounet) or config.json "
        "(segmentation-models-pytorch's save_pretrained), or an .onnx file"
    )


def _load_folder(folder: Path, *, origin: str) -> Package:
    item = read_json(folder / CARD)
    spec = card.from_item(item, origin=str(folder / CARD))
    weights, graph = folder / WEIGHTS, folder / GRAPH
    if not weights.is_file():
        raise ModelError(f"model {origin!r} has no {WEIGHTS}; copy the whole folder again")
    package = Package(
        spec=spec,
        origin=origin,
        weights=weights,
        graph=graph if graph.is_file() else None,
        digest=digest(spec, weights, graph if graph.is_file() else None),
    )
    recorded = item["properties"].get("geounet:digest")
    if recorded != package.digest:
        raise ModelError(
            f"model {origin!r} is damaged or was edited: digest {package.digest[:12]}…, its card says "
            f"{str(recorded)[:12]}…; copy the folder again, or save it anew with geounet.model.package.save_package"
        )
    if graph.is_file() and any(path.name != WEIGHTS for path in external_files(graph)):
        raise ModelError(f"model {origin!r}: {GRAPH} reads other files than {WEIGHTS}; save the model anew")
    return package


def save_package(
    folder: str | os.PathLike[str],
    spec: ModelSpec,
    tensors: Mapping[str, NDArray[Any]],
    *,
    graph: bytes | None = None,
    beside: Mapping[str, bytes] | None = None,
    overwrite: bool = False,
) -> Package:
    """Write a package folder, whole or not at all.

    ``tensors`` is the network's state dict as arrays (float16 is fine: engines compute in float32); ``graph``
    an ONNX graph from :func:`geounet.model.export.export_graph` over the same tensors; ``beside`` further files by
    name, for people to read, which the digest does not cover.
    Raises ModelError where the folder exists and ``overwrite`` was not given, or where it is no model package:
    nothing but a package is ever replaced.
    """
    target = package_folder(folder, overwrite=overwrite)
    target.parent.mkdir(parents=True, exist_ok=True)
    staging = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    try:
        _write_folder(staging, spec, tensors, graph)
        for name, content in (beside or {}).items():
            (staging / name).write_bytes(content)
        _swap(staging, target)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return _load_folder(target, origin=str(target))


def package_folder(folder: str | os.PathLike[str], *, overwrite: bool = False) -> Path:
    """Where a package will be, as an absolute path; ModelError where :func:`save_package` could not save it."""
    target = Path(os.path.abspath(folder))  # noqa: PTH100  links stay, ".." goes: the name is renamed
    if target.exists() and not overwrite:
        raise ModelError(f"{target} exists; choose another folder, or allow overwriting (--overwrite)")
    if target.is_symlink() or (target.exists() and not (target / CARD).is_file()):
        raise ModelError(f"{target} is there and is no model package (it has no {CARD}); choose another folder")
    return target


def _swap(staging: Path, target: Path) -> None:
    """Put ``staging`` in the place of ``target``; the old package is deleted last, and comes back on failure."""
    staging.chmod(0o777 & ~_umask())  # mkdtemp makes folders for one user only
    for path in (*staging.iterdir(), staging):
        _sync(path)
    if not target.exists():
        staging.rename(target)
        return
    aside = Path(tempfile.mkdtemp(prefix=f".{target.name}.old.", dir=target.parent))
    try:
        target.rename(aside / target.name)
        try:
            staging.rename(target)
        except OSError:
            (aside / target.name).rename(target)
            raise
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    _sync(target.parent)


def _umask() -> int:
    mask = os.umask(0o077)  # it can only be asked by setting it
    os.umask(mask)
    return mask


def _sync(path: Path) -> None:
    """Flush a file, or the names in a folder, to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _write_folder(folder: Path, spec: ModelSpec, tensors: Mapping[str, NDArray[Any]], graph: bytes | None) -> None:
    (folder / WEIGHTS).write_bytes(serialize(tensors))
    if graph is not None:
        (folder / GRAPH).write_bytes(graph)
    whole = digest(spec, folder / WEIGHTS, folder / GRAPH if graph is not None else None)
    assets = {
        "weights": {
            "href": f"./{WEIGHTS}",
            "type": "application/octet-stream; application=safetensors",
            "roles": ["mlm:model", "mlm:weights"],
            "mlm:artifact_type": "safetensors",
        }
    }
    if graph is not None:
        assets["graph"] = {
            "href": f"./{GRAPH}",
            "type": "application/octet-stream; application=onnx",
            "roles": ["mlm:model", "mlm:compiled"],
            "mlm:artifact_type": "onnx",
        }
    created = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    item = card.to_item(spec, assets=assets, digest=whole, created=created)
    (folder / CARD).write_text(json.dumps(item, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def serialize(tensors: Mapping[str, NDArray[Any]]) -> bytes:
    """The bytes of ``weights.safetensors``: a function of the tensors alone."""
    from safetensors.numpy import save

    return save({name: np.ascontiguousarray(tensors[name]) for name in sorted(tensors)})


def tensor_offsets(serialized: bytes) -> dict[str, tuple[str, list[int], int, int]]:
    """Where each tensor lies in a safetensors file: ``name → (dtype, shape, first byte, length in bytes)``.

    Format: https://huggingface.co/docs/safetensors (8 bytes header length, JSON header, data).
    """
    header_length = int.from_bytes(serialized[:8], "little")
    header = json.loads(serialized[8 : 8 + header_length])
    start = 8 + header_length
    return {
        name: (
            entry["dtype"],
            entry["shape"],
            start + entry["data_offsets"][0],
            entry["data_offsets"][1] - entry["data_offsets"][0],
        )
        for name, entry in header.items()
        if name != "__metadata__"
    }


def digest(spec: ModelSpec, *files: Path | None) -> str:
    """sha256 over everything in the spec that matters to the result, and the files' bytes.

    How far a network looks follows from its weights: packages with and without that figure are the same model.
    """
    spec = replace(spec, receptive_field=None)
    item = card.to_item(spec, assets={}, digest="", created="")
    item = card.to_item(card.from_item(item, origin=spec.name), assets={}, digest="", created="")  # 127 → 127.0
    total = hashlib.sha256(json.dumps(item, sort_keys=True, ensure_ascii=True).encode())
    for file in files:
        if file is not None:
            with file.open("rb") as stream:
                total.update(hashlib.file_digest(stream, "sha256").digest())
    return total.hexdigest()


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object from a file; ModelError where it is none."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(f"{path} cannot be read as JSON: {error}") from error
    if not isinstance(value, dict):
        raise ModelError(f"{path} holds {type(value).__name__}; expected a JSON object")
    return value
