"""Networks: the U-Net's sizes, folding, and the exported graph against torch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from packages import save, scaled, texture, tiny_spec, unet

from geounet.model.engine import EngineRequest
from geounet.model.networks import build_network, load_network
from geounet.model.onnx_forward import onnx_forward
from geounet.model.package import load_model
from geounet.model.torch_forward import folded, torch_forward
from geounet.model.unet import UNet, UNetConfig, centre_crop, mirror_indices, mirror_to


@pytest.mark.parametrize("padding", ["same", "valid"])
@pytest.mark.parametrize("upsampling", ["transposed", "bilinear"])
@pytest.mark.parametrize("side", [(1, 1), (1, 7), (5, 3), (33, 17), (16, 16), (31, 64)])
def test_any_side_comes_back(side: tuple[int, int], upsampling: Any, padding: Any) -> None:
    network = UNet(UNetConfig(bands=1, channels=2, depth=3, width=2, upsampling=upsampling, padding=padding)).eval()
    with torch.inference_mode():
        out = network(torch.rand(2, 1, *side))
    assert out.shape == (2, 2, *side)
    assert torch.isfinite(out).all()


def test_the_published_sizes() -> None:
    """Ronneberger et al. 2015, figure 1: 572 in, 388 out, 28 at the bottom."""
    config = UNetConfig(bands=1, channels=2, depth=4, width=1, padding="valid", batch_norm=False)
    assert config.margin == 572 - 388
    network = UNet(config).eval()
    seen: list[tuple[int, ...]] = []
    network.stem.register_forward_hook(lambda _m, i, o: seen.append((i[0].shape[-1], o.shape[-1])))
    network.down[-1].register_forward_hook(lambda _m, i, o: seen.append((i[0].shape[-1], o.shape[-1])))
    network.head.register_forward_hook(lambda _m, i, o: seen.append((i[0].shape[-1], o.shape[-1])))
    with torch.inference_mode():
        out = network(torch.rand(1, 1, 388, 388))
    assert out.shape[-2:] == (388, 388)
    assert seen == [(572, 568), (32, 28), (388, 388)]


def test_mirroring_is_numpys_reflect_and_is_undone() -> None:
    for size, grown in ((5, 9), (5, 8), (2, 11), (7, 7), (1, 4)):
        low = (grown - size) // 2
        expected = np.pad(np.arange(size), (low, grown - size - low), mode="reflect" if size > 1 else "edge")
        assert mirror_indices(size, grown).tolist() == expected.tolist()
    x = torch.rand(1, 2, 5, 6)
    assert torch.equal(centre_crop(mirror_to(x, 11, 9), 5, 6), x)


def test_folding_changes_nothing_but_the_layers() -> None:
    spec = tiny_spec(hyperparameters={"depth": 2, "width": 4})
    network = unet(spec)
    image = torch.rand(2, 2, 64, 64)
    light = folded(network, image)
    with torch.inference_mode():
        assert torch.allclose(light(image), network(image), atol=1e-4)
    assert any(isinstance(m, torch.nn.BatchNorm2d) for m in network.modules())
    assert not any(isinstance(m, torch.nn.BatchNorm2d) for m in light.modules())


def test_a_network_that_cannot_be_folded_is_left_alone() -> None:
    class Odd(torch.nn.Module):
        """Children in another order than they run."""

        def __init__(self) -> None:
            super().__init__()
            self.first = torch.nn.Conv2d(1, 1, 3, padding=1)
            self.norm = torch.nn.BatchNorm2d(1)
            self.norm.running_mean.fill_(3.0)  # type: ignore[union-attr]

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.first(self.norm(x))

    network, image = Odd().eval(), torch.rand(1, 1, 8, 8)
    with torch.inference_mode():
        assert torch.equal(folded(network, image)(image), network(image))


@pytest.mark.parametrize("half", [False, True])
@pytest.mark.parametrize("upsampling", ["transposed", "bilinear"])
@pytest.mark.parametrize("tile", [64, 96])
def test_the_graph_equals_the_network(tmp_path: Path, upsampling: str, half: bool, tile: int) -> None:
    """On other sides than the one it was traced with, too."""
    spec = tiny_spec(hyperparameters={"depth": 2, "width": 4, "upsampling": upsampling}, divisor=4)
    package = load_model(save(tmp_path / "m", unet(spec), spec, half=half))
    request = EngineRequest(device="cpu", tile=tile, batch=2)
    images = np.stack([scaled(texture((tile, tile), seed=s)) for s in (1, 2)])
    with torch.inference_mode():
        expected = load_network(package)(torch.from_numpy(images)).numpy()
    for forward in (onnx_forward(package, request), torch_forward(package, request, precision="fp32")):
        found = forward(images)
        assert np.abs(found - expected).max() <= 1e-4 * max(1.0, np.abs(expected).max())
        assert (found[:, :3].argmax(axis=1) == expected[:, :3].argmax(axis=1)).mean() >= 0.999


def test_half_weights_give_nearly_the_same_labels(tmp_path: Path) -> None:
    spec = tiny_spec(hyperparameters={"depth": 2, "width": 4}, divisor=4)
    network = unet(spec)
    package = load_model(save(tmp_path / "m", network, spec, half=True))
    image = torch.from_numpy(scaled(texture((64, 64))))[None]
    with torch.inference_mode():
        ours, theirs = load_network(package)(image), network(image)
    assert (ours[:, :3].argmax(1) == theirs[:, :3].argmax(1)).float().mean() > 0.98


def test_a_valid_network_runs_at_every_tile(tmp_path: Path) -> None:
    """Its mirrored border depends on the side, which a graph cannot follow: such a package runs on torch."""
    spec = tiny_spec(hyperparameters={"depth": 1, "width": 2, "padding": "valid"})
    package = load_model(save(tmp_path / "m", unet(spec), spec))
    for tile in (64, 50):
        images = scaled(texture((tile, tile)))[None]
        with torch.inference_mode():
            expected = load_network(package)(torch.from_numpy(images)).numpy()
        from geounet.model.engine import engine_kind

        request = EngineRequest(device="cpu", tile=tile)
        forward = (
            onnx_forward(package, request)
            if engine_kind(package, request) == "onnx"
            else torch_forward(package, request, precision="fp32")
        )
        assert np.abs(forward(images) - expected).max() < 1e-4


SMALL = [("Unet", "resnet18"), ("FPN", "mobilenet_v2")]
MORE = [
    ("UnetPlusPlus", "resnet18"),
    ("DeepLabV3Plus", "resnet18"),
    ("Linknet", "resnet18"),
    ("PSPNet", "resnet18"),
]
MORE += [
    ("MAnet", "resnet18"),
    ("PAN", "resnet18"),
    ("Unet", "efficientnet-b0"),
    ("Unet", "tu-mobilenetv3_small_050"),
]
MORE += [("UPerNet", "resnet18"), ("Segformer", "mit_b0")]


@pytest.mark.parametrize(
    ("architecture", "encoder"), [*SMALL, *(pytest.param(*m, marks=pytest.mark.slow) for m in MORE)]
)
def test_architectures_of_smp(tmp_path: Path, architecture: str, encoder: str) -> None:
    """Built, saved, folded, exported: the same logits in torch and in onnxruntime."""
    tile = 256 if architecture == "PAN" else 64  # its attention pools by 8 what the encoder has shrunk by 16
    spec = tiny_spec(
        name="smp",
        architecture=f"smp:{architecture}",
        hyperparameters={"encoder_name": encoder},
        divisor=32,
        tile=tile,
    )
    torch.manual_seed(0)
    package = load_model(save(tmp_path / "m", build_network(spec), spec))
    request = EngineRequest(device="cpu", tile=tile)
    images = scaled(texture((tile, tile)))[None]
    with torch.inference_mode():
        expected = load_network(package)(torch.from_numpy(images)).numpy()
    assert expected.shape == (1, 4, tile, tile)
    for forward in (onnx_forward(package, request), torch_forward(package, request, precision="fp32")):
        assert np.abs(forward(images) - expected).max() <= 1e-4 * max(1.0, np.abs(expected).max())
