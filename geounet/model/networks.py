"""From a spec to a torch network, and its weights in and out."""

from __future__ import annotations

import difflib
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from geounet.errors import ModelError
from geounet.model.package import Package
from geounet.model.smp import build_smp
from geounet.model.spec import ModelSpec
from geounet.model.unet import UNet, UNetConfig


def build_network(spec: ModelSpec) -> torch.nn.Module:
    """The network of ``spec`` with fresh weights: ``(N, bands, H, W)`` float32 → logits ``(N, channels, H, W)``.

    Raises ModelError for an architecture or hyperparameters that cannot be built.
    """
    bands, channels = len(spec.bands), spec.channels
    if spec.architecture == "unet":
        return UNet(_unet_config(spec, bands, channels))
    if spec.architecture.startswith("smp:"):
        name = spec.architecture.removeprefix("smp:")
        return build_smp(name, bands=bands, channels=channels, options=spec.hyperparameters)
    raise ModelError(f"architecture {spec.architecture!r} has no torch network; expected unet or smp:<name>")


def _unet_config(spec: ModelSpec, bands: int, channels: int) -> UNetConfig:
    known = [f.name for f in fields(UNetConfig) if f.name not in ("bands", "channels")]
    if strange := [name for name in spec.hyperparameters if name not in known]:
        near = difflib.get_close_matches(strange[0], known, n=1, cutoff=0.0)[0]
        raise ModelError(f"U-Net: unknown hyperparameter {strange[0]!r}; did you mean {near!r}?")
    try:
        return UNetConfig(bands=bands, channels=channels, **spec.hyperparameters)
    except TypeError as error:
        raise ModelError(f"U-Net hyperparameters {dict(spec.hyperparameters)}: {error}") from error


def load_network(package: Package) -> torch.nn.Module:
    """The package's network with its weights in float32, in evaluation mode.

    Raises ModelError where the weights do not belong to the architecture.
    """
    if package.weights is None:
        raise ModelError(f"model {package.origin!r} is a bare ONNX graph; it runs on onnxruntime only")
    network = build_network(package.spec)
    try:
        state = read_weights(package.weights)
    except Exception as error:  # safetensors and torch raise many types
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise ModelError(f"weights {package.weights} cannot be read: {reason}; save the model again") from error
    try:
        missing, unexpected = network.load_state_dict(state, strict=False)
    except (RuntimeError, AttributeError) as error:  # other shapes, or no state dict at all
        reason = str(error).splitlines()[-1].strip()
        raise ModelError(
            f"model {package.origin!r}: weights do not fit {package.spec.architecture}: {reason}"
        ) from error
    missing = [name for name in missing if not name.endswith("num_batches_tracked")]
    if missing or unexpected:
        raise ModelError(
            f"model {package.origin!r}: weights do not fit {package.spec.architecture}: "
            f"{len(missing)} missing ({', '.join(missing[:3])}), {len(unexpected)} unexpected "
            f"({', '.join(unexpected[:3])})"
        )
    return network.eval().float()


def read_weights(path: Path) -> dict[str, torch.Tensor]:
    """A state dict in float32 from safetensors, or from a torch file with ``weights_only``."""
    if path.suffix == ".safetensors":
        from safetensors.torch import load_file

        state = load_file(path)
    else:
        state = torch.load(path, map_location="cpu", weights_only=True)
    return {name: t.float() if t.is_floating_point() else t for name, t in state.items()}


def state_arrays(network: torch.nn.Module, *, half: bool = False) -> dict[str, NDArray[Any]]:
    """The network's state dict as arrays for a package; ``half`` stores convolution weights as float16.

    Normalisation statistics stay float32: they are small, and a variance below 6e-8 would become zero.
    Counters of batches are left out: inference never reads them.
    """
    arrays: dict[str, NDArray[Any]] = {}
    for name, tensor in network.state_dict().items():
        if name.endswith("num_batches_tracked"):
            continue
        array = tensor.detach().cpu().numpy()
        arrays[name] = array.astype(np.float16) if half and array.ndim > 1 else array
    return arrays
