"""From a head's settings to its loss, and from several heads' losses to one."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from geounet.model.spec import Head
from geounet.train.config import LossConfig
from geounet.train.losses.pixel import cross_entropy, focal_loss, pixel_weights
from geounet.train.losses.region import dice_loss, jaccard_loss, lovasz_loss, tversky_loss
from geounet.train.losses.seen import Seen
from geounet.train.losses.shape import border_map, boundary_loss, cldice_loss

_HALF = (torch.float16, torch.bfloat16)


def head_loss(
    logits: Tensor, target: Tensor, head: Head, config: LossConfig, *, weights: Sequence[float] | None = None
) -> Tensor:
    """Weighted sum of one head's losses; scalar.

    ``logits`` is ``(N, head.channels, H, W)``; ``target`` ``(N, H, W)`` uint8 with NODATA where nothing is known.
    ``weights`` are those of the classes, where the settings leave them to the data (:func:`class_weights`).
    """
    seen = Seen.by(head, logits.float() if logits.dtype in _HALF else logits, target)
    border = None
    if config.border is not None and (config.cross_entropy or config.focal):
        value = _border_value(head, config.border.of)
        border = border_map(target, value=value, w0=config.border.w0, sigma=config.border.sigma)
    per_pixel = pixel_weights(seen, weights, border)
    parts: dict[str, Callable[[], Tensor]] = {
        "cross_entropy": lambda: cross_entropy(seen, per_pixel, smoothing=config.label_smoothing),
        "focal": lambda: focal_loss(seen, per_pixel, gamma=config.focal_gamma),
        "dice": lambda: dice_loss(seen),
        "jaccard": lambda: jaccard_loss(seen),
        "tversky": lambda: tversky_loss(seen, alpha=config.tversky_alpha, beta=config.tversky_beta),
        "lovasz": lambda: lovasz_loss(seen),
        "boundary": lambda: boundary_loss(seen),
        "cldice": lambda: cldice_loss(seen, iterations=config.cldice_iterations),
    }
    chosen = [(getattr(config, name), loss) for name, loss in parts.items() if getattr(config, name)]
    return torch.stack([share * loss() for share, loss in chosen]).sum()


def class_weights(config: LossConfig, counts: NDArray[np.int64]) -> tuple[float, ...] | None:
    """The weights of a head's classes: as given, from the pixel counts of its classes, or None for 1 each.

    From the counts: median frequency over frequency (Eigen and Fergus 2015, arXiv:1411.4734, section 6.3.2); a
    class that does not occur weighs 1.
    """
    if config.class_weights != "frequency":
        return config.class_weights
    frequency = counts / max(1, counts.sum())
    occurs = frequency > 0
    middle = float(np.median(frequency[occurs])) if occurs.any() else 1.0
    weights = np.divide(middle, frequency, out=np.ones(len(counts)), where=occurs)
    return tuple(float(w) for w in weights)


def balance(parts: Tensor, log_variances: Tensor | None) -> Tensor:
    """The heads' losses ``(heads,)`` as one: their sum, or ``Σ exp(-s) L + s / 2`` with learned ``s = log σ²``.

    The second is homoscedastic uncertainty (Kendall, Gal, Cipolla 2018, arXiv:1705.07115, equation 10, for
    classification): a head whose loss stays large weighs less, and s / 2 keeps every head from weighing nothing.
    """
    if log_variances is None:
        return parts.sum()
    return (torch.exp(-log_variances) * parts + log_variances / 2).sum()


def _border_value(head: Head, name: str | None) -> int:
    """Value of the class whose objects the border map keeps apart; of a mask, what it marks."""
    if head.kind == "mask":
        return 1
    return next(c.value for c in head.classes if c.name == name)
