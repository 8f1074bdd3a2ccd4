"""A forward pass by torch on the calling thread of a CPU, and the folding that all torch engines share."""

from __future__ import annotations

import contextlib
import copy
import threading
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from geounet.model.engine import EngineRequest
from geounet.model.host import Forward
from geounet.model.networks import load_network
from geounet.model.package import Package


def torch_forward(package: Package, request: EngineRequest, *, precision: Literal["fp32", "bf16"]) -> Forward:
    """Load the package's network, folded and channels-last, one thread per call.

    A program that called us finds torch's number of threads as it was, in this thread and in others.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        network = channels_last(folded(load_network(package), example_tile(package, request)))
    finally:
        torch.set_num_threads(threads)
    here = threading.local()

    def forward(images: NDArray[np.float32]) -> NDArray[np.float32]:
        if not hasattr(here, "is_single"):
            _compute_alone(default=threads)
            here.is_single = True
        mixed = torch.autocast("cpu", torch.bfloat16) if precision == "bf16" else contextlib.nullcontext()
        with torch.inference_mode(), mixed:
            batch = torch.from_numpy(images).contiguous(memory_format=torch.channels_last)
            return network(batch).float().contiguous().numpy()

    return forward


def _compute_alone(*, default: int) -> None:
    """One thread for torch's kernels on the calling thread; ``default`` stays the number of threads to come.

    torch keeps a number per thread, which begins as that of the process; setting the first sets the second, too:
    https://github.com/pytorch/pytorch/blob/v2.5.0/aten/src/ATen/ParallelOpenMP.cpp (``set_num_threads``).
    """
    torch.get_num_threads()  # else this thread's first kernel would take the process's number over ours
    torch.set_num_threads(1)
    restore = threading.Thread(target=torch.set_num_threads, args=(default,))
    restore.start()
    restore.join()


def example_tile(package: Package, request: EngineRequest) -> torch.Tensor:
    """The same noise on every machine, ``(1, bands, tile, tile)``: what is decided on it is decided alike."""
    shape = (1, len(package.spec.bands), request.tile, request.tile)
    return torch.rand(shape, generator=torch.Generator().manual_seed(0))


def channels_last(network: nn.Module) -> nn.Module:
    """The network with its weights laid out for channels-last kernels."""
    return network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def folded(network: nn.Module, example: torch.Tensor) -> nn.Module:
    """The network with every batch normalisation that directly follows a convolution folded into it.

    "Directly follows" is read from the order of the children, which holds for every network that we build;
    whether it really did is checked on ``example``, and a network that does not agree is returned unfolded.
    """
    light = copy.deepcopy(network)
    _fold_children(light)
    with torch.inference_mode():
        same = torch.allclose(light(example), network(example), rtol=1e-3, atol=1e-3)
    return light if same else network


def _fold_children(module: nn.Module) -> None:
    previous: tuple[str, nn.Module] | None = None
    for name, child in list(module.named_children()):
        is_norm = isinstance(child, nn.BatchNorm2d)
        if is_norm and previous is not None and _foldable(previous[1], child):
            setattr(module, previous[0], _fuse(previous[1], child))
            setattr(module, name, _rest(child))
        else:
            _fold_children(child)
        previous = (name, child)


def _foldable(convolution: nn.Module, norm: nn.Module) -> bool:
    return isinstance(convolution, nn.Conv2d) and convolution.out_channels == norm.num_features


def _fuse(convolution: nn.Module, norm: nn.Module) -> nn.Module:
    from torch.nn.utils.fusion import fuse_conv_bn_weights

    assert isinstance(convolution, nn.Conv2d)
    assert isinstance(norm, nn.BatchNorm2d)
    assert norm.running_mean is not None
    assert norm.running_var is not None
    weight, bias = fuse_conv_bn_weights(
        convolution.weight, convolution.bias, norm.running_mean, norm.running_var, norm.eps, norm.weight, norm.bias
    )
    convolution.weight, convolution.bias = weight, bias
    return convolution


def _rest(norm: nn.Module) -> nn.Module:
    """What a normalisation layer does besides normalising: timm's carry their dropout and activation."""
    parts = [getattr(norm, part) for part in ("drop", "act") if isinstance(getattr(norm, part, None), nn.Module)]
    return nn.Sequential(*parts) if parts else nn.Identity()
