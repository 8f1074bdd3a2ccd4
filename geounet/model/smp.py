"""The one guarded door to segmentation-models-pytorch (and with it timm and torchvision)."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from functools import lru_cache
from types import ModuleType
from typing import Any

import torch

from geounet.errors import ModelError

_MISSING_SCHEMAS = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
)
_declared: list[torch.library.Library] = []  # a Library undoes its declarations when it is collected


@lru_cache(maxsize=1)
def import_smp() -> ModuleType:
    """The module ``segmentation_models_pytorch``, importable beside any build of torch."""
    make_torchvision_importable()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import segmentation_models_pytorch as smp
    return smp


@lru_cache(maxsize=1)
def make_torchvision_importable() -> None:
    """Before anything imports it: smp, timm, torchmetrics and with that Lightning.

    torchvision's CUDA wheel beside a CPU build of torch fails at import with "operator torchvision::nms does
    not exist", because it registers a fake kernel for an operator that its binary could not bring. Declaring
    the two schemas first is enough: neither is ever called by a segmentation network.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            import torchvision  # noqa: F401
        except RuntimeError as error:
            if "torchvision::nms" not in str(error):
                raise
            _declare_missing_schemas()


def _declare_missing_schemas() -> None:
    library = torch.library.Library("torchvision", "FRAGMENT")
    for schema in _MISSING_SCHEMAS:
        library.define(schema)
    _declared.append(library)


def build_smp(architecture: str, *, bands: int, channels: int, options: Mapping[str, Any]) -> torch.nn.Module:
    """A network of segmentation-models-pytorch that gives logits.

    ``architecture`` is smp's name (``Unet``, ``FPN``, ``DeepLabV3Plus``, …); ``options`` are its keyword
    arguments (``encoder_name``, ``decoder_channels``, …). Pretrained weights are never fetched here.

    Raises ModelError where smp refuses the architecture, the encoder or an option.
    """
    smp = import_smp()
    arguments = {**options, "in_channels": bands, "classes": channels, "encoder_weights": None}
    try:
        return smp.create_model(architecture, **arguments)
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        first_line = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ModelError(
            f"segmentation-models-pytorch cannot build {architecture} with {dict(options)}: {first_line}"
        ) from error
