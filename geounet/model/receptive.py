"""How far around a pixel a network looks to decide it: the effective receptive field.

W. Luo et al., Understanding the Effective Receptive Field in Deep Convolutional Neural Networks, NeurIPS 2016: the
gradient of an output in the middle with respect to the input, averaged over inputs. What a pixel could see by the
kernels is much more than what matters. The number here is the side of the square that holds 95 % of the sum of the
squared gradients: were every pixel of the input moved by chance, so much of the output's variance would come from
there. (Theirs is a share of the peak, which the finest skip connection alone decides in a U-Net; the sum of
absolute values is led by a faint haze over the whole tile. docs/decisions/0017 has the figures.)

Where two tiles overlap, both count alike in the middle: half an overlap from the rim of either. What the network
needs to see there is half a field, so an overlap of one field shows both what decides their pixels.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geounet.model.engine import EngineRequest
from geounet.model.package import Package
from geounet.model.spec import ModelSpec

SHARE = 0.95
_ROUNDS = 4
_STEP = 1.0
"""Of one pixel, in deviations of the training pixels, where gradients are not to be had."""

FloatArray = NDArray[np.float32]
Influence = Callable[[FloatArray, tuple[int, int], FloatArray], FloatArray]
"""Input ``(bands, h, w)``, a pixel, signs ``(channels,)`` → squared gradient by pixel, ``(h, w)``."""


@dataclass(frozen=True, kw_only=True)
class ReceptiveField:
    """What was measured."""

    side: int
    """Pixels of the square that holds `SHARE` of the influence."""
    shares: tuple[float, ...]
    """Share of the influence within 0, 1, 2, … pixels of the middle, as chess counts distances."""


def measure_package(package: Package) -> ReceptiveField:
    """Measure a package by gradients where torch can load it, else (a bare ONNX graph) by changes of a pixel."""
    if package.weights is None:
        return measure(_by_change(package), bands=len(package.spec.bands), channels=package.spec.channels,
                       side=package.spec.tile)  # fmt: skip
    from geounet.model.networks import load_network

    return measure_network(load_network(package), package.spec)


def measure_network(network: Any, spec: ModelSpec) -> ReceptiveField:
    """Measure a torch network, in evaluation mode, on the CPU, with one thread.

    On a machine that is busy one thread is many times as fast as several, which wait for the slowest.
    """
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return measure(_by_gradient(network), bands=len(spec.bands), channels=spec.channels, side=spec.tile)
    finally:
        torch.set_num_threads(threads)


def with_field(spec: ModelSpec, network: Any) -> ModelSpec:
    """The spec with the field of its network, for the package."""
    return replace(spec, receptive_field=measure_network(network, spec).side)


def measure(influence: Influence, *, bands: int, channels: int, side: int) -> ReceptiveField:
    """Average the influence over `_ROUNDS` inputs, pixels near the middle, and random signs of the channels.

    Random signs, because a softmax does not change when all its logits do; several pixels, because a network that
    halves its grid does not treat all alike. The same everywhere: nothing but the network decides.
    """
    rng = np.random.default_rng(0)
    sums = np.zeros(side)
    for _ in range(_ROUNDS):
        pixels = landscape(rng, bands=bands, side=side)
        row, col = (int(v) for v in side // 2 + rng.integers(-side // 16, side // 16 + 1, 2))
        signs = rng.choice(np.array([-1, 1], np.float32), channels)
        found = influence(pixels, (row, col), signs).astype(np.float64)
        distance = np.maximum(np.abs(np.arange(side) - row)[:, None], np.abs(np.arange(side) - col)[None])
        rings = np.bincount(distance.ravel(), weights=found.ravel(), minlength=side)
        sums += rings[:side] / max(rings.sum(), 1e-30)
    shares = np.cumsum(sums / max(sums.sum(), 1e-30))
    return ReceptiveField(
        side=2 * int(np.searchsorted(shares, SHARE - 1e-9)) + 1, shares=tuple(float(s) for s in shares)
    )


def landscape(rng: np.random.Generator, *, bands: int, side: int) -> FloatArray:
    """Noise whose amplitudes fall with frequency as photographs' do, ``(bands, side, side)``, mean 0, std 1.

    1/f: D. J. Field, Relations between the statistics of natural images and the response properties of cortical
    cells, JOSA A 4 (1987).
    """
    across, down = np.fft.rfftfreq(side)[None], np.fft.fftfreq(side)[:, None]
    frequency = np.hypot(across, down)
    frequency[0, 0] = np.inf
    phases = np.fft.rfft2(rng.standard_normal((bands, side, side)))
    out = np.fft.irfft2(phases / frequency, s=(side, side))
    out -= out.mean((1, 2), keepdims=True)
    return (out / out.std((1, 2), keepdims=True)).astype(np.float32)


def _by_gradient(network: Any) -> Influence:
    import torch

    def influence(pixels: FloatArray, at: tuple[int, int], signs: FloatArray) -> FloatArray:
        given = torch.from_numpy(pixels)[None].requires_grad_()
        with torch.enable_grad():
            output = network(given)[0, :, at[0], at[1]]
            (gradient,) = torch.autograd.grad((output * torch.from_numpy(signs)).sum(), given)
        return np.asarray(gradient[0].square().sum(0).numpy())

    return influence


def _by_change(package: Package) -> Influence:
    """Change one pixel and see which outputs move: away from the rim that is the same map, turned around."""
    from geounet.model.onnx_forward import onnx_forward

    forward = onnx_forward(package, EngineRequest(device="cpu", tile=package.spec.tile, batch=1))

    def influence(pixels: FloatArray, at: tuple[int, int], signs: FloatArray) -> FloatArray:
        before = forward(pixels[None])[0]
        total = np.zeros(pixels.shape[1:], np.float32)
        for band in range(len(pixels)):
            changed = pixels.copy()
            changed[band, at[0], at[1]] += _STEP
            moved = (forward(changed[None])[0] - before) * signs[:, None, None]
            total += moved.sum(0) ** 2
        return total

    return influence
