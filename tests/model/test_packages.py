"""Packages: there and back, tampered with, and made by others."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper
from packages import LANDUSE, compute, pixelwise, pixelwise_logits, save, texture, tiny_spec, unet, write_scene

from geounet.errors import ModelError
from geounet.model import card
from geounet.model.engine import EngineRequest, open_engine
from geounet.model.networks import build_network, load_network, state_arrays
from geounet.model.onnx_data import external_files
from geounet.model.package import load_model, save_package, serialize, tensor_offsets
from geounet.model.spec import Head, InputBand, ModelSpec
from geounet.model.symmetry import symmetries, transform, undo


def one_line(error: BaseException) -> str:
    text = str(error)
    assert text
    assert "\n" not in text
    return text


# --- geounet's own ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("half", [False, True])
def test_a_package_comes_back_as_it_was(tmp_path: Path, half: bool) -> None:
    spec = tiny_spec(
        gsd=0.5, gsd_range=(0.3, 0.8), provenance={"data": "dubai", "scores": [1, 2]}, license="CC0-1.0"
    )
    network = unet(spec)
    package = load_model(save(tmp_path / "m", network, spec, half=half))
    assert replace(package.spec, hyperparameters={}, provenance={}) == replace(
        spec, hyperparameters={}, provenance={}
    )
    assert dict(package.spec.hyperparameters) == dict(spec.hyperparameters)
    assert dict(package.spec.provenance) == dict(spec.provenance)
    for name, tensor in load_network(package).state_dict().items():
        expected = network.state_dict()[name]
        assert tensor.dtype == torch.float32
        if half and expected.ndim > 1:
            expected = expected.half().float()
        assert torch.equal(tensor, expected), name
    assert sorted(p.name for p in (tmp_path / "m").iterdir()) == ["graph.onnx", "model.json", "weights.safetensors"]


def test_the_graph_holds_no_weights(tmp_path: Path) -> None:
    spec = tiny_spec(hyperparameters={"depth": 2, "width": 16}, divisor=4)
    folder = save(tmp_path / "m", unet(spec), spec)
    assert (folder / "graph.onnx").stat().st_size < 0.2 * (folder / "weights.safetensors").stat().st_size


@pytest.mark.parametrize("file", ["weights.safetensors", "graph.onnx", "model.json"])
def test_an_edited_file_is_refused(tmp_path: Path, file: str) -> None:
    folder = save(tmp_path / "m", unet(tiny_spec()), tiny_spec())
    path = folder / file
    if file == "model.json":
        item = json.loads(path.read_text())
        item["properties"]["mlm:input"][0]["value_scaling"][0]["mean"] += 1
        path.write_text(json.dumps(item))
    else:
        content = bytearray(path.read_bytes())
        content[-3] ^= 1
        path.write_bytes(content)
    with pytest.raises(ModelError, match="damaged or was edited"):
        load_model(folder)


@pytest.mark.parametrize("damage", ["[]", "{", "{}", '{"properties": {}}', '{"properties": null}', "\x00\xff"])
def test_a_broken_card_is_one_line(tmp_path: Path, damage: str) -> None:
    folder = save(tmp_path / "m", unet(tiny_spec()), tiny_spec())
    (folder / "model.json").write_text(damage, encoding="latin-1")
    with pytest.raises(ModelError) as caught:
        load_model(folder)
    assert "model.json" in one_line(caught.value)


def test_a_card_from_the_future_is_refused(tmp_path: Path) -> None:
    folder = save(tmp_path / "m", unet(tiny_spec()), tiny_spec())
    item = json.loads((folder / "model.json").read_text())
    item["properties"]["geounet:format"] = 2
    (folder / "model.json").write_text(json.dumps(item))
    with pytest.raises(ModelError, match="newer geounet"):
        load_model(folder)


def test_a_folder_without_weights_and_no_folder_at_all(tmp_path: Path) -> None:
    folder = save(tmp_path / "m", unet(tiny_spec()), tiny_spec())
    (folder / "weights.safetensors").unlink()
    with pytest.raises(ModelError, match=r"no weights\.safetensors"):
        load_model(folder)
    with pytest.raises(ModelError, match="not found"):
        load_model(tmp_path / "nothing")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ModelError, match="is not a model"):
        load_model(tmp_path / "empty")


def test_saving_does_not_replace_unasked(tmp_path: Path) -> None:
    spec = tiny_spec()
    save(tmp_path / "m", unet(spec), spec)
    arrays = state_arrays(unet(spec, seed=2))
    with pytest.raises(ModelError, match="exists"):
        save_package(tmp_path / "m", spec, arrays)
    save_package(tmp_path / "m", spec, arrays, overwrite=True)
    assert not (tmp_path / "m" / "graph.onnx").exists()


def test_saving_replaces_nothing_but_a_package(tmp_path: Path) -> None:
    arrays = state_arrays(unet(tiny_spec()))
    mine = tmp_path / "thesis"
    mine.mkdir()
    (mine / "chapter.txt").write_text("all my work")
    (tmp_path / "note").write_text("a file")
    (tmp_path / "link").symlink_to(save(tmp_path / "m", unet(tiny_spec()), tiny_spec()))
    for target in (mine, mine / "..", tmp_path / "note", tmp_path / "link"):
        with pytest.raises(ModelError, match="no model package"):
            save_package(target, tiny_spec(), arrays, overwrite=True)
    assert (mine / "chapter.txt").read_text() == "all my work"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["link", "m", "note", "thesis"]


def test_the_old_package_stays_where_the_new_one_cannot_come(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = save(tmp_path / "m", unet(tiny_spec()), tiny_spec())
    known = load_model(folder).digest
    rename = Path.rename

    def fail(self: Path, target: Path) -> Path:
        if Path(target) == folder and self.name != folder.name:  # the new one; the old one may come back
            raise OSError("no")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", fail)
    with pytest.raises(OSError, match="no"):
        save_package(folder, tiny_spec(), state_arrays(unet(tiny_spec(), seed=2)), overwrite=True)
    assert load_model(folder).digest == known
    assert [p.name for p in tmp_path.iterdir()] == ["m"]


@pytest.mark.skipif(os.name == "nt", reason="no permission bits there")
def test_others_may_read_a_package_as_the_umask_says(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        folder = save(tmp_path / "m", unet(tiny_spec()), tiny_spec())
    finally:
        os.umask(before)
    assert folder.stat().st_mode & 0o777 == 0o755
    assert {p.stat().st_mode & 0o777 for p in folder.iterdir()} == {0o644}


@pytest.mark.parametrize("change", [{"width": 5}, {"depth": 1}, {"batch_norm": True}, {"colour": 1}, {"depth": -1}])
def test_weights_of_another_architecture_are_one_line(tmp_path: Path, change: dict[str, Any]) -> None:
    spec = tiny_spec()
    other = replace(spec, hyperparameters={**spec.hyperparameters, **change})
    save_package(tmp_path / "m", other, state_arrays(unet(spec)))
    with pytest.raises(ModelError) as caught:
        load_network(load_model(tmp_path / "m"))
    one_line(caught.value)


@given(st.dictionaries(st.text("abc.", min_size=1, max_size=5), st.integers(0, 9), max_size=5))
def test_offsets_point_at_the_tensors(sizes: dict[str, int]) -> None:
    tensors = {name: np.arange(size, dtype=np.float32 if size % 2 else np.float16) for name, size in sizes.items()}
    content = serialize(tensors)
    offsets = tensor_offsets(content)
    assert set(offsets) == set(tensors)
    for name, (_, shape, first, length) in offsets.items():
        assert list(tensors[name].shape) == shape
        assert content[first : first + length] == tensors[name].tobytes()


@given(st.integers(1, 5), st.integers(1, 4), st.booleans())
@settings(deadline=None)
def test_a_card_says_the_whole_spec(bands: int, classes: int, gsd: bool) -> None:
    labels = tuple(replace(LANDUSE.classes[0], value=v, name=f"class {v}") for v in range(classes))
    spec = tiny_spec(
        bands=tuple(InputBand(name=f"b{i}", mean=i / 3, std=1 / (i + 1)) for i in range(bands)),
        heads=(Head(name="a", kind="classes", classes=labels),),
        gsd=0.1 if gsd else None,
    )
    item = json.loads(json.dumps(card.to_item(spec, assets={}, digest="", created="2026-01-01T00:00:00Z")))
    assert card.from_item(item, origin="test") == replace(spec, license="other")


# --- made by others ---------------------------------------------------------------------------------------------

SIDECAR: dict[str, Any] = {
    "bands": [{"name": "red", "mean": 128, "std": 64}, {"name": "green", "mean": 128, "std": 64}],
    "heads": [
        {"name": "landuse", "classes": [{"name": "land"}, {"name": "water"}, {"name": "vegetation"}]},
        {"name": "road", "kind": "mask", "classes": [{"name": "other"}, {"name": "road"}]},
    ],
    "tile": 64,
    "divisor": 1,
}


def onnx_file(path: Path, *, channels: int = 4, side: Any = "h", batch: Any = "n") -> np.ndarray:
    """One 1 × 1 convolution of whole numbers; returns its weights ``(channels, 2)``."""
    weights = np.arange(2 * channels, dtype=np.float32).reshape(channels, 2) % 5 - 2
    graph = helper.make_graph(
        [helper.make_node("Conv", ["x", "w"], ["y"])],
        "tiny",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [batch, 2, side, side])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [batch, channels, side, side])],
        [helper.make_tensor("w", TensorProto.FLOAT, [channels, 2, 1, 1], weights.ravel())],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, str(path))
    path.with_suffix(".yaml").write_text(yaml.safe_dump(SIDECAR))
    return weights


@pytest.mark.parametrize(("side", "batch"), [("h", "n"), (64, "n"), (64, 1)])
def test_an_onnx_file_with_its_sidecar_runs(tmp_path: Path, side: Any, batch: Any) -> None:
    weights = onnx_file(tmp_path / "m.onnx", side=side, batch=batch)
    pixels = texture((90, 70))
    scene = write_scene(tmp_path / "s.tif", pixels)
    bands = compute(scene, tmp_path / "p", model=str(tmp_path / "m.onnx")).bands
    logits = np.einsum("oi,ihw->ohw", weights, (pixels.astype(np.float32) - 128) / 64)
    assert np.array_equal(bands[0], logits[:3].argmax(axis=0))
    assert np.array_equal(bands[2], logits[3] >= 0)


def test_an_onnx_file_that_does_not_fit_its_sidecar_or_the_tiles_is_one_line(tmp_path: Path) -> None:
    onnx_file(tmp_path / "a.onnx", channels=5)
    onnx_file(tmp_path / "b.onnx", side=32)
    (tmp_path / "c.onnx").write_bytes(b"not onnx")
    (tmp_path / "c.yaml").write_text(yaml.safe_dump(SIDECAR))
    for name in "abc":
        with pytest.raises(ModelError) as caught:
            open_engine(load_model(tmp_path / f"{name}.onnx"), EngineRequest(device="cpu", tile=64))
        assert f"{name}.onnx" in one_line(caught.value)


@pytest.mark.parametrize(
    "damage",
    [
        None,
        [],
        3,
        {"bands": None},
        {"bands": []},
        {"bands": [{"name": "red"}]},
        {"bands": [{"name": "red", "mean": "dark", "std": 1}]},
        {"bands": [{"name": "red", "mean": 1, "std": 0}]},
        {"bands": [{"name": "red", "mean": float("nan"), "std": 1}]},
        {"heads": [{"name": "Land Use", "classes": [{"name": "a"}]}]},
        {"heads": [{"name": "a", "classes": [{"name": "a"}], "kind": "other"}]},
        {"heads": [{"name": "a", "classes": [{"name": "a"}], "kind": "mask"}]},
        {"heads": [{"name": "a", "classes": [{"name": "a", "color": "red"}]}]},
        {"heads": [{"name": "a", "classes": [{"name": 3}]}]},
        {"heads": [{"name": "a", "classes": []}]},
        {"heads": [{"name": "a", "classes": [{"name": "x"}]}, {"name": "a", "classes": [{"name": "x"}]}]},
        {"heads": [{"name": "a", "classes": [{"name": "x"}, {"name": "x"}]}]},
        {"heads": [{"name": n, "classes": [{"name": "x"}]} for n in ("road", "road_confidence")]},
        {"heads": [{"name": n, "classes": [{"name": "x"}]} for n in ("road", "road_cleaned")]},
        {"tile": "big"},
        {"tile": 0},
        {"divisor": 0},
        {"gsd": -1},
        {"gsd": "fine"},
        {"colour": 1, "tiles": 2},
        {7: 1},
    ],
)
def test_bad_sidecars_are_one_line_each(tmp_path: Path, damage: Any) -> None:
    onnx_file(tmp_path / "m.onnx")
    content = {**SIDECAR, **damage} if isinstance(damage, dict) else damage
    (tmp_path / "m.yaml").write_text(yaml.safe_dump(content))
    with pytest.raises(ModelError) as caught:
        load_model(tmp_path / "m.onnx")
    assert "m.yaml" in one_line(caught.value)


def test_a_missing_or_unreadable_sidecar_is_one_line(tmp_path: Path) -> None:
    onnx_file(tmp_path / "m.onnx")
    for content in (b"a: [", b"\xff\xfe\x00", b"!!python/object/apply:os.system ['true']"):
        (tmp_path / "m.yaml").write_bytes(content)
        with pytest.raises(ModelError) as caught:
            load_model(tmp_path / "m.onnx")
        assert "m.yaml" in one_line(caught.value)
    (tmp_path / "m.yaml").unlink()
    with pytest.raises(ModelError, match=r"m\.yaml is missing"):
        load_model(tmp_path / "m.onnx")


def outside_data(path: Path, location: str) -> None:
    """Move the weight of an ``onnx_file`` into ``location``, as far as the graph says."""
    model = onnx.load(str(path), load_external_data=False)
    tensor = model.graph.initializer[0]
    for key, value in (("location", location), ("offset", "0"), ("length", "32")):
        tensor.external_data.add(key=key, value=value)
    tensor.data_location = TensorProto.EXTERNAL
    for field in ("float_data", "raw_data"):
        tensor.ClearField(field)
    path.write_bytes(model.SerializeToString())


def test_the_digest_of_a_bare_graph_covers_the_files_that_it_names(tmp_path: Path) -> None:
    weights = onnx_file(tmp_path / "m.onnx")
    outside_data(tmp_path / "m.onnx", "m.data")
    with pytest.raises(ModelError, match=r"m\.data', which is not there"):
        load_model(tmp_path / "m.onnx")
    (tmp_path / "m.data").write_bytes(weights.tobytes())
    first = load_model(tmp_path / "m.onnx")
    open_engine(first, EngineRequest(device="cpu", tile=64)).close()
    (tmp_path / "m.data").write_bytes((weights + 1).tobytes())
    assert load_model(tmp_path / "m.onnx").digest != first.digest


@pytest.mark.parametrize("location", ["../secret", "/etc/hostname", "link"])
def test_a_graph_that_reads_outside_its_folder_is_refused(tmp_path: Path, location: str) -> None:
    (tmp_path / "secret").write_bytes(bytes(32))
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "link").symlink_to(tmp_path / "secret")
    onnx_file(tmp_path / "m" / "m.onnx")
    outside_data(tmp_path / "m" / "m.onnx", location)
    with pytest.raises(ModelError, match="outside its folder"):
        load_model(tmp_path / "m" / "m.onnx")


def test_external_data_is_found_wherever_a_tensor_can_be(tmp_path: Path) -> None:
    def tensor(name: str) -> onnx.TensorProto:
        made = TensorProto(name=name, data_type=TensorProto.FLOAT, data_location=TensorProto.EXTERNAL)
        made.external_data.add(value=name, key="location")
        (tmp_path / name).write_bytes(b"")
        return made

    inner = onnx.GraphProto(initializer=[tensor("inner")])
    node = onnx.NodeProto(attribute=[
        onnx.AttributeProto(t=tensor("t"), g=inner, tensors=[tensor("ts")]),
        onnx.AttributeProto(sparse_tensor=onnx.SparseTensorProto(values=tensor("v"), indices=tensor("i"))),
        onnx.AttributeProto(graphs=[onnx.GraphProto(node=[onnx.NodeProto(attribute=[{"t": tensor("deep")}])])]),
    ])  # fmt: skip
    sparse = onnx.SparseTensorProto(values=tensor("sparse"))
    function = onnx.FunctionProto(node=[onnx.NodeProto(attribute=[onnx.AttributeProto(t=tensor("function"))])])
    model = onnx.ModelProto(
        ir_version=8, graph=onnx.GraphProto(node=[node], sparse_initializer=[sparse]), functions=[function]
    )
    (tmp_path / "m.onnx").write_bytes(model.SerializeToString())
    expected = ["deep", "function", "i", "inner", "sparse", "t", "ts", "v"]
    assert [path.name for path in external_files(tmp_path / "m.onnx")] == expected


def test_a_bare_graph_runs_in_float32_only(tmp_path: Path) -> None:
    onnx_file(tmp_path / "m.onnx")
    with pytest.raises(ModelError, match="fp32 only"):
        open_engine(load_model(tmp_path / "m.onnx"), EngineRequest(device="cpu", tile=64, precision="bf16"))


def smp_folder(folder: Path, architecture: str = "Unet", **options: Any) -> torch.nn.Module:
    from geounet.model.smp import import_smp

    torch.manual_seed(0)
    options = {"encoder_name": "resnet18", **options}
    network = import_smp().create_model(architecture, encoder_weights=None, in_channels=2, classes=4, **options)
    network.eval().save_pretrained(folder)
    (folder / "geounet.yaml").write_text(yaml.safe_dump({**SIDECAR, "divisor": 32}))
    return network


def test_a_folder_of_save_pretrained(tmp_path: Path) -> None:
    network = smp_folder(tmp_path / "m")
    package = load_model(tmp_path / "m")
    assert package.spec.architecture == "smp:Unet"
    image = torch.rand(1, 2, 64, 64)
    with torch.inference_mode():
        assert torch.allclose(load_network(package)(image), network(image), atol=1e-6)
    weights = (tmp_path / "m" / "model.safetensors").read_bytes()
    (tmp_path / "m" / "model.safetensors").write_bytes(weights[:5000])
    with pytest.raises(ModelError) as caught:
        load_network(load_model(tmp_path / "m"))
    one_line(caught.value)


def test_a_pickle_is_refused_unless_allowed_and_then_only_weights(tmp_path: Path) -> None:
    network = smp_folder(tmp_path / "m")
    (tmp_path / "m" / "model.safetensors").unlink()
    torch.save(network.state_dict(), tmp_path / "m" / "pytorch_model.bin")
    with pytest.raises(ModelError, match="--allow-pickle"):
        load_model(tmp_path / "m")
    load_network(load_model(tmp_path / "m", allow_pickle=True))
    torch.save(network, tmp_path / "m" / "pytorch_model.bin")  # whole objects: code
    with pytest.raises(ModelError) as caught:
        load_network(load_model(tmp_path / "m", allow_pickle=True))
    one_line(caught.value)


def test_a_sidecar_of_other_channels_and_a_config_of_nothing(tmp_path: Path) -> None:
    smp_folder(tmp_path / "m")
    (tmp_path / "m" / "geounet.yaml").write_text(yaml.safe_dump({**SIDECAR, "heads": SIDECAR["heads"][:1]}))
    with pytest.raises(ModelError, match="3 output channels, but the network has 2 and 4"):
        load_model(tmp_path / "m")
    (tmp_path / "m" / "config.json").write_text("{}")
    with pytest.raises(ModelError, match="_model_class"):
        load_model(tmp_path / "m")


# --- test-time augmentation -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["none", "flips", "d4"])
def test_symmetries_are_undone_and_are_different(name: str) -> None:
    image = np.arange(2 * 5 * 5).reshape(2, 5, 5)
    group = symmetries(name)
    for symmetry in group:
        assert np.array_equal(undo(transform(image, symmetry), symmetry), image)
        assert np.array_equal(transform(undo(image, symmetry), symmetry), image)
    assert (
        len({transform(image, s).tobytes() for s in group}) == len(group) == {"none": 1, "flips": 4, "d4": 8}[name]
    )


@pytest.mark.parametrize("tta", ["flips", "d4"])
def test_a_symmetric_network_gives_the_same_answer_with_augmentation(tmp_path: Path, tta: str) -> None:
    spec = tiny_spec()
    network = pixelwise(spec, seed=3)
    model = save(tmp_path / "m", network, spec)
    pixels = texture((100, 71))
    scene = write_scene(tmp_path / "s.tif", pixels)
    plain = compute(scene, tmp_path / "a", model=str(model))
    seen = compute(scene, tmp_path / "b", model=str(model), tta=tta)
    assert np.array_equal(plain.bands[::2], seen.bands[::2])
    assert np.array_equal(plain.bands[0], pixelwise_logits(network, pixels)[:3].argmax(axis=0))


def test_an_unknown_architecture_is_one_line() -> None:
    for architecture in ("vgg", "smp:Nothing", "onnx"):
        spec = ModelSpec(
            name="x", architecture=architecture, bands=tiny_spec().bands, heads=(LANDUSE,), hyperparameters={}
        )
        with pytest.raises(ModelError) as caught:
            build_network(spec)
        one_line(caught.value)
