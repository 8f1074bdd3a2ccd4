"""Losses over logits, each with its paper; pixels whose truth is unknown never count and have no gradient."""

from geounet.train.losses.heads import balance, class_weights, head_loss
from geounet.train.losses.pixel import cross_entropy, focal_loss, pixel_weights
from geounet.train.losses.region import dice_loss, jaccard_loss, lovasz_loss, tversky_loss
from geounet.train.losses.seen import Seen
from geounet.train.losses.shape import border_map, boundary_loss, cldice_loss, signed_distances, soft_skeleton

__all__ = [
    "Seen",
    "balance",
    "border_map",
    "boundary_loss",
    "class_weights",
    "cldice_loss",
    "cross_entropy",
    "dice_loss",
    "focal_loss",
    "head_loss",
    "jaccard_loss",
    "lovasz_loss",
    "pixel_weights",
    "signed_distances",
    "soft_skeleton",
    "tversky_loss",
]
