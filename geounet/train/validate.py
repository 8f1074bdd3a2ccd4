"""Whole labelled scenes through the network, tile by tile with blending, as inference does it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from geounet.grid.lattice import Lattice
from geounet.model.spec import NODATA, Head, ModelSpec
from geounet.model.stretch import stretched
from geounet.train import metrics
from geounet.train.data import Scaling, head_targets
from geounet.train.scenes import EMPTY, TrainScene
from geounet.train.stretch import limits_of

Counts = NDArray[np.int64]


def validate(
    network: nn.Module,
    scenes: Sequence[TrainScene],
    spec: ModelSpec,
    marks: Sequence[int | None],
    *,
    gather: Callable[[Counts], Counts] = lambda counts: counts,
) -> dict[str, float]:
    """Scores of the scenes together: ``<head>_<score>`` for every head, and ``score``, their mean.

    A head of classes counts with its mean IoU, a mask with the IoU of what it marks. ``gather`` adds the counts of
    the processes that have other scenes.
    """
    totals = [np.zeros((len(h.classes), len(h.classes)), np.int64) for h in spec.heads]
    for scene in scenes:
        predictions = predict(network, scene, spec)
        targets = head_targets(_known_labels(scene), marks)
        for i, (target, labels) in enumerate(zip(targets, predictions, strict=True)):
            totals[i] += metrics.confusion(target.numpy(), labels, len(spec.heads[i].classes))
    out: dict[str, float] = {}
    counted = []
    for head, total in zip(spec.heads, map(gather, totals), strict=True):
        named = metrics.scores(total, [c.name for c in head.classes])
        counted.append(named["mean_iou"] if head.kind == "classes" else named.get(mask_key(head), 0.0))
        out |= {f"{head.name}_{key}": value for key, value in named.items()}
    return {"score": round(float(np.mean(counted)), 4), **out}


def mask_key(head: Head) -> str:
    """Name of the score of what a mask marks."""
    return f"iou_{head.classes[1].name}"


@torch.inference_mode()
def predict(network: nn.Module, scene: TrainScene, spec: ModelSpec) -> list[NDArray[np.uint8]]:
    """Labels ``(height, width)`` of every head; memory grows with the scene's width, not its height."""
    height, width = scene.labels.shape
    lattice = Lattice.over(height=height, width=width, tile=spec.tile, overlap=spec.overlap)
    labels = [np.full((height, width), NODATA, np.uint8) for _ in spec.heads]
    dtype = str(scene.image.dtype)
    forward = _forward(network, stretched(spec, limits_of(scene, spec), dtype=dtype), dtype)
    canvas = torch.zeros(spec.channels, spec.tile, width)
    starts = lattice.rows.starts
    for row, top in enumerate(starts):
        _add_row(canvas, scene, lattice, row, forward)
        done = (starts[row + 1] if row + 1 < len(starts) else height) - top
        for out, blended in zip(labels, _decide(canvas[:, :done], spec), strict=True):
            out[top : top + done] = blended[: height - top]
        canvas = torch.cat([canvas[:, done:], torch.zeros_like(canvas[:, :done])], 1)
    return labels


def _forward(network: nn.Module, spec: ModelSpec, dtype: str) -> Callable[[Tensor, Tensor], Tensor]:
    """Raw pixels and "has no data" of a tile to probabilities of all channels."""
    scaling = Scaling.of(spec.bands, dtype)
    device = next(network.parameters()).device

    def run(raw: Tensor, empty: Tensor) -> Tensor:
        scaled = scaling.scale(raw).masked_fill(empty, 0.0)[None]
        logits = network(scaled.to(device, memory_format=torch.channels_last))[0].float().cpu()
        parts = [
            logits[at].softmax(0) if head.kind == "classes" else logits[at].sigmoid()
            for head, at in spec.head_slices()
        ]
        return torch.cat(parts)

    return run


def _add_row(
    canvas: Tensor, scene: TrainScene, lattice: Lattice, row: int, forward: Callable[[Tensor, Tensor], Tensor]
) -> None:
    tile = lattice.tile
    for col, left in enumerate(lattice.cols.starts):
        window = lattice.tile_window(row, col)
        at = np.s_[window.row_off : window.bottom, left : window.right]
        inside = scene.labels[at].shape
        raw = np.zeros((*(tile, tile), scene.image.shape[2]), np.float32)
        raw[: inside[0], : inside[1]] = scene.image[at]
        empty = np.ones((tile, tile), bool)
        empty[: inside[0], : inside[1]] = scene.labels[at] == EMPTY
        probabilities = forward(torch.from_numpy(raw).permute(2, 0, 1), torch.from_numpy(empty))
        weights = np.outer(lattice.rows.weights(row), lattice.cols.weights(col))
        blended = probabilities * torch.from_numpy(weights)
        canvas[:, :, left : left + inside[1]] += blended[:, :, : inside[1]]


def _decide(probabilities: Tensor, spec: ModelSpec) -> list[NDArray[np.uint8]]:
    return [
        (probabilities[at].argmax(0) if head.kind == "classes" else probabilities[at][0] >= head.threshold)
        .to(torch.uint8)
        .numpy()
        for head, at in spec.head_slices()
    ]


def _known_labels(scene: TrainScene) -> Tensor:
    labels = np.array(scene.labels)
    labels[labels == EMPTY] = NODATA
    return torch.from_numpy(labels)
