"""Pretrained weights: on a photograph, from any state dict, for any number of bands."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from geounet.errors import ConfigError
from geounet.model.smp import build_smp, import_smp
from geounet.train.pretrained import LITE0, adapt_bands, lite0_tensors, load_encoder

UNET = {"encoder_name": "tu-tf_efficientnet_lite0", "decoder_channels": [32, 16, 16, 8, 8]}
CATS = {281, 282, 283, 284, 285, 287}
"""ImageNet's tabby, tiger cat, Persian cat, Siamese cat, Egyptian cat and lynx."""
CUPS = {504, 505, 567, 967, 968}
"""Coffee mug, coffeepot, frying pan (a dish with a handle), espresso, cup."""


def unet(bands: int = 3) -> nn.Module:
    return build_smp("Unet", bands=bands, channels=2, options=UNET)


def lite0(*, encoder: nn.Module) -> nn.Module:
    """timm's classifier with the weights that stand in ``encoder``; the last layers come from the file."""
    import_smp()
    import timm

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = timm.create_model("tf_efficientnet_lite0", pretrained=False).eval()
    wanted = [name for name in model.state_dict() if not name.endswith("num_batches_tracked")]
    state = dict(zip(wanted, lite0_tensors(), strict=True))
    ours = {name.removeprefix("model."): tensor for name, tensor in encoder.state_dict().items()}
    state |= {name: ours[name] for name in wanted if name in ours}
    assert len(ours.keys() & set(wanted)) == len([n for n in ours if not n.endswith("num_batches_tracked")])
    model.load_state_dict(state, strict=False)
    return model


@pytest.mark.parametrize(("picture", "expected"), [("chelsea", CATS), ("coffee", CUPS)])
def test_the_encoder_knows_a_photograph(picture: str, expected: set[int]) -> None:
    """A cat and an espresso: after mapping by order, the encoder sees what it was taught."""
    from skimage import data, transform

    network = unet()
    loaded = load_encoder(network, LITE0, Path())
    assert loaded.doubt is None
    image = getattr(data, picture)()
    side = min(image.shape[:2])
    top, left = (image.shape[0] - side) // 2, (image.shape[1] - side) // 2
    small = transform.resize(image[top : top + side, left : left + side], (224, 224), anti_aliasing=True)
    pixels = torch.from_numpy(small).float().permute(2, 0, 1)[None]
    assert isinstance(network.encoder, nn.Module)
    with torch.inference_mode():
        logits = lite0(encoder=network.encoder)((pixels - 0.498) / 0.502)
        torch.manual_seed(0)
        fresh = lite0(encoder=unet().encoder)((pixels - 0.498) / 0.502)  # type: ignore[arg-type]
    assert int(logits.argmax()) in expected
    share, chance = (z.softmax(1)[0, sorted(expected)].sum().item() for z in (logits, fresh))
    assert share > 0.5
    assert chance < 0.1  # the test can fail: fresh weights know nothing


@pytest.mark.parametrize("bands", [1, 2, 5, 6])
def test_a_first_convolution_for_other_bands_answers_grey_alike(bands: int) -> None:
    kernel, grey = torch.randn(4, 3, 3, 3), torch.randn(1, 1, 8, 8)
    expected = nn.functional.conv2d(grey.repeat(1, 3, 1, 1), kernel)
    got = nn.functional.conv2d(grey.repeat(1, bands, 1, 1), adapt_bands(kernel, bands))
    torch.testing.assert_close(got, expected, atol=1e-5, rtol=1e-4)
    again = adapt_bands(kernel, bands, "repeat")
    torch.testing.assert_close(again[:, 0], kernel[:, 0] * 3 / bands)
    if bands == 6:  # whole repetitions answer grey alike too
        torch.testing.assert_close(
            nn.functional.conv2d(grey.repeat(1, 6, 1, 1), again), expected, atol=1e-5, rtol=1e-4
        )


@pytest.mark.parametrize("prefix", ["encoder.model.", "encoder.", ""])
def test_any_state_dict_in_safetensors_fits_by_name(tmp_path: Path, prefix: str) -> None:
    """As a backbone of timm saves itself, as part of a network of smp, or under our own names."""
    source, target = unet(), unet(bands=5)
    state: dict[str, Any] = {
        name: tensor.contiguous()
        for name, tensor in source.state_dict().items()
        if name.startswith("encoder.") and tensor.is_floating_point()
    }
    save_file({name.removeprefix(prefix): tensor for name, tensor in state.items()}, tmp_path / "w.safetensors")
    loaded = load_encoder(target, "w.safetensors", tmp_path)
    assert loaded.tensors == loaded.wanted == len(state)
    got = target.state_dict()
    first = "encoder.model.conv_stem.weight"
    torch.testing.assert_close(got.pop(first), adapt_bands(state.pop(first), 5))
    assert all(torch.equal(got[name], tensor) for name, tensor in state.items())


def test_weights_that_fit_in_part_are_doubted_and_those_that_do_not_are_refused(tmp_path: Path) -> None:
    state = {n: t.contiguous() for n, t in unet().state_dict().items() if n.startswith("encoder.model.blocks.0")}
    save_file({n: t for n, t in state.items() if t.is_floating_point()}, tmp_path / "part.safetensors")
    doubt = load_encoder(unet(), "part.safetensors", tmp_path).doubt
    assert doubt is not None
    assert "the others stay random" in doubt
    save_file({"strange": torch.zeros(3)}, tmp_path / "strange.safetensors")
    with pytest.raises(ConfigError, match="no tensor fits the network"):
        load_encoder(unet(), "strange.safetensors", tmp_path)
    with pytest.raises(ConfigError, match="need a network with an encoder"):
        load_encoder(nn.Conv2d(3, 3, 1), LITE0, Path())
