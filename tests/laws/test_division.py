"""The answer does not depend on how the work was divided: blocks, order, carried canvases, batches, threads."""

from __future__ import annotations

import random
import tempfile
import weakref
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from packages import (
    CountingScene,
    Result,
    compute,
    gather,
    save,
    slanted,
    slanted_scene,
    texture,
    tiny_spec,
    unet,
    work_for,
    write_scene,
)

from geounet.grid.blocks import Partition
from geounet.grid.lattice import Lattice
from geounet.grid.window import Window
from geounet.model.canvas import RollingCanvas
from geounet.model.device import DeviceEngine
from geounet.model.engine import Engine, EngineRequest, TileJob, open_engine
from geounet.model.package import load_model
from geounet.run.block import BlockRunner
from geounet.run.part import part_name
from geounet.run.rows import read_bands

SHAPE = (231, 187)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A U-Net whose receptive field is larger than the overlap, so that every seam is a chance to fail."""
    spec = tiny_spec(hyperparameters={"depth": 2, "width": 4}, divisor=4)
    return save(tmp_path_factory.mktemp("models") / "unet", unet(spec, seed=1), spec)


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return slanted_scene(tmp_path_factory.mktemp("scenes"), SHAPE)


@pytest.fixture(scope="module")
def reference(model: Path, scene: Path, tmp_path_factory: pytest.TempPathFactory) -> Result:
    """The whole scene as one block."""
    result = compute(scene, tmp_path_factory.mktemp("parts"), model=str(model), block=1000)
    assert [len(np.unique(band)) for band in result.bands[::2]] == [4, 3]  # every class, and nodata
    return result


@given(st.integers(3, 260), st.integers(3, 220), st.sampled_from(["down", "up", "any"]), st.integers(0, 99))
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_blocks_in_any_order(
    model: Path, scene: Path, reference: Result, height: int, width: int, order: str, seed: int
) -> None:
    """Sides that are no multiple of the stride, blocks smaller than a tile, canvases carried or not."""
    height, width = max(height, SHAPE[0] // 7), max(width, SHAPE[1] // 5)
    partition = Partition(height=SHAPE[0], width=SHAPE[1], block_height=height, block_width=width)

    def ordered(count: int) -> Iterable[int]:
        blocks = list(range(count))
        if order == "any":
            random.Random(seed).shuffle(blocks)
        return blocks[::-1] if order == "up" else blocks

    with tempfile.TemporaryDirectory() as folder:
        result = compute(scene, Path(folder), partition=partition, order=ordered, model=str(model))
    assert np.array_equal(result.bands, reference.bands)
    if order == "up":
        assert sum(r.reused for r in result.receipts) == 0


def test_a_canvas_is_carried_down_a_column_and_saves_tiles(
    model: Path, scene: Path, reference: Result, tmp_path: Path
) -> None:
    partition = Partition(height=SHAPE[0], width=SHAPE[1], block_height=48, block_width=SHAPE[1])
    result = compute(scene, tmp_path, partition=partition, model=str(model))
    assert sum(r.reused for r in result.receipts) > 0
    assert sum(r.tiles for r in result.receipts) == reference.receipts[0].tiles
    assert np.array_equal(result.bands, reference.bands)


def test_one_canvas_at_a_time_also_where_a_column_begins(
    model: Path, scene: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A canvas is as wide as a block; two of them side by side would make wide scenes take more memory."""
    _, work = work_for(scene, tmp_path, model=str(model), block=96)
    assert work.partition.cols > 1
    runner = BlockRunner(work)
    canvases: list[weakref.ref[RollingCanvas]] = []
    real = runner._engine.new_canvas

    def watched(**options: Any) -> RollingCanvas:
        assert all(canvas() is None for canvas in canvases)
        canvas = real(**options)
        canvases.append(weakref.ref(canvas))
        return canvas

    monkeypatch.setattr(runner._engine, "new_canvas", watched)
    for block in range(len(work.partition)):
        runner.run(block)
    runner.close()
    assert len(canvases) == work.partition.cols


def test_blocks_that_arrive_together_compute_in_their_order(
    model: Path, scene: Path, reference: Result, tmp_path: Path
) -> None:
    """The lower block's thread is there first, and waits for the one above; one computes while one is finished."""
    partition = Partition(height=SHAPE[0], width=SHAPE[1], block_height=48, block_width=SHAPE[1])
    _, work = work_for(scene, tmp_path, partition=partition, model=str(model))
    runner = BlockRunner(work)
    with ThreadPoolExecutor(len(partition)) as pool:
        futures = [
            pool.submit(runner.run, block, after=block - 1 if block else None)
            for block in reversed(range(len(partition)))
        ]
        receipts = [future.result() for future in futures]
    runner.close()
    assert sum(r.tiles for r in receipts) == reference.receipts[0].tiles
    assert np.array_equal(gather(work), reference.bands)


def test_receipts_count_the_pixels_that_the_parts_show(model: Path, scene: Path, tmp_path: Path) -> None:
    result = compute(scene, tmp_path, model=str(model), block=50)
    for head, classes in enumerate((3, 2)):
        counted = np.sum([r.pixels[head] for r in result.receipts], axis=0)
        assert list(counted) == [int((result.bands[2 * head] == value).sum()) for value in range(classes)]


def test_an_area_of_interest_does_not_see_the_blocks(model: Path, scene: Path, tmp_path: Path) -> None:
    aoi = tmp_path / "aoi.geojson"
    ring = [[300010.3, 2799990.1], [300070.7, 2799970.2], [300040.1, 2799900.9], [300010.3, 2799990.1]]
    aoi.write_text(
        '{"type": "FeatureCollection", "crs": {"type": "name", "properties": {"name": "EPSG:32640"}}, "features": '
        f'[{{"type": "Feature", "properties": {{}}, "geometry": {{"type": "Polygon", "coordinates": [{ring}]}}}}]}}'
    )
    whole = compute(scene, tmp_path / "a", model=str(model), block=1000, aoi=aoi)
    cut = compute(scene, tmp_path / "b", model=str(model), block=37, aoi=aoi)
    assert 0 < (whole.bands[0] != 255).sum() < 0.5 * whole.bands[0].size
    assert np.array_equal(whole.bands, cut.bands)
    assert whole.receipts[0].skipped > 0


def test_an_interrupted_block_leaves_nothing_and_the_runner_goes_on_right(
    model: Path, scene: Path, reference: Result, tmp_path: Path
) -> None:
    from geounet.errors import Interrupted

    partition = Partition(height=SHAPE[0], width=SHAPE[1], block_height=50, block_width=100)
    _, work = work_for(scene, tmp_path, partition=partition, model=str(model))
    runner = BlockRunner(work)
    runner.run(0)

    def stop(_tiles: int) -> None:
        runner.stop.set()

    with pytest.raises(Interrupted):
        runner.run(1, stop)
    assert [p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*.tif")] == [part_name(0, work.key)]
    with pytest.raises(Interrupted):
        runner.run(2)
    runner.stop.clear()
    for block in range(1, len(partition)):
        runner.run(block)
    runner.close()
    assert np.array_equal(gather(work), reference.bands)


# --- batches, threads, engines ----------------------------------------------------------------------------------


@pytest.mark.parametrize("precision", ["auto", "bf16"])
@pytest.mark.parametrize("threads", [2, 4])
def test_threads_do_not_change_a_byte(
    model: Path, scene: Path, tmp_path: Path, threads: int, precision: str
) -> None:
    one = compute(scene, tmp_path / "1", model=str(model), threads=1, precision=precision)
    more = compute(scene, tmp_path / "n", model=str(model), threads=threads, precision=precision)
    assert np.array_equal(one.bands, more.bands)
    assert one.receipts[0].engine == ("torch cpu bf16" if precision == "bf16" else "onnxruntime cpu fp32")


@pytest.fixture(scope="module")
def torch_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same network without a graph: it runs in torch."""
    spec = tiny_spec(hyperparameters={"depth": 2, "width": 4}, divisor=4)
    return save(tmp_path_factory.mktemp("models") / "torch", unet(spec, seed=1), spec, graph=False)


def test_torch_threads_do_not_change_a_byte(torch_model: Path, scene: Path, tmp_path: Path) -> None:
    one = compute(scene, tmp_path / "1", model=str(torch_model), threads=1)
    four = compute(scene, tmp_path / "4", model=str(torch_model), threads=4)
    assert one.receipts[0].engine == "torch cpu fp32"
    assert np.array_equal(one.bands, four.bands)


def test_batches_of_onnxruntime_do_not_change_a_byte(
    model: Path, scene: Path, reference: Result, tmp_path: Path
) -> None:
    """onnxruntime's convolutions on a CPU work image by image, so the batch cannot be seen."""
    three = compute(scene, tmp_path, model=str(model), batch=3)
    assert np.array_equal(three.bands, reference.bands)


def test_batches_of_torch_agree(torch_model: Path, scene: Path, tmp_path: Path) -> None:
    """oneDNN may choose another kernel for another batch: labels agree on all but one in 100,000."""
    one = compute(scene, tmp_path / "1", model=str(torch_model), batch=1)
    three = compute(scene, tmp_path / "3", model=str(torch_model), batch=3)
    assert_labels_agree(one.bands, three.bands)


def test_torch_and_onnxruntime_agree(torch_model: Path, scene: Path, reference: Result, tmp_path: Path) -> None:
    result = compute(scene, tmp_path, model=str(torch_model))
    assert_labels_agree(result.bands, reference.bands)


def assert_labels_agree(ours: np.ndarray, theirs: np.ndarray, share: float = 0.99999) -> None:
    """Labels on at least ``share`` of the pixels; confidences within one step of 1/250."""
    assert (ours[::2] == theirs[::2]).mean() >= share
    assert np.abs(ours[1::2].astype(int) - theirs[1::2]).max() <= 1
    assert ((ours == 255) == (theirs == 255)).all()


def jobs_over(shape: tuple[int, int], *, seed: int = 0, dtype: str = "uint8") -> tuple[list[TileJob], Lattice]:
    """All tiles of a random scene with holes, as a block of the whole scene has them."""
    lattice = Lattice.over(height=shape[0], width=shape[1], tile=64, overlap=16)
    pixels, valid = texture(shape, seed=seed, dtype=dtype), slanted(shape)
    if dtype == "float32":
        pixels[:, ~valid] = np.nan
    jobs = []
    for r, top in enumerate(lattice.rows.starts):
        for c, left in enumerate(lattice.cols.starts):
            window = (slice(top, top + 64), slice(left, left + 64))
            jobs.append(
                TileJob(
                    pixels=pixels[:, *window],
                    valid=valid[window],
                    row=top,
                    col=left,
                    row_weights=lattice.rows.weights(r),
                    col_weights=lattice.cols.weights(c),
                )
            )
    return jobs, lattice


def blended(engine: Engine, jobs: list[TileJob], shape: tuple[int, int]) -> np.ndarray:
    """What an engine decides for all rows."""
    rows: list[tuple[int, np.ndarray]] = []
    canvas = engine.new_canvas(width=shape[1], top=0, on_rows=lambda top, bands: rows.append((top, bands.copy())))
    assert sum(1 for _ in engine.blend(jobs, canvas)) == len(jobs)
    canvas.advance(shape[0])
    engine.close()
    assert [top for top, _ in rows] == list(np.cumsum([0] + [bands.shape[1] for _, bands in rows[:-1]]))
    return np.concatenate([bands for _, bands in rows], axis=1)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16", "float32", "float64", "uint32"])
@pytest.mark.parametrize("tta", ["none", "d4"])
def test_the_device_engine_on_a_cpu_agrees_with_the_host_engine(torch_model: Path, dtype: str, tta: str) -> None:
    shape = (150, 130)
    jobs, _ = jobs_over(shape, dtype=dtype)
    package = load_model(torch_model)
    request = EngineRequest(device="cpu", tile=64, batch=3, tta=tta)  # type: ignore[arg-type]
    host = blended(open_engine(package, request), jobs, shape)
    device = blended(DeviceEngine(package, request, device="cpu"), jobs, shape)
    assert (host[::2] == device[::2]).mean() >= 0.9999  # of 39,000 labels
    assert np.abs(host[1::2].astype(int) - device[1::2]).max() <= 1


def test_when_device_memory_runs_out_smaller_batches_give_the_same(torch_model: Path) -> None:
    """A device that takes two tiles at a time, asked for eight."""
    shape = (150, 130)
    jobs, _ = jobs_over(shape)
    package = load_model(torch_model)
    request = EngineRequest(device="cpu", tile=64, batch=2)
    expected = blended(DeviceEngine(package, request, device="cpu"), jobs, shape)
    engine = DeviceEngine(package, EngineRequest(device="cpu", tile=64, batch=8), device="cpu")
    network, seen = engine._network, []

    def small(images: torch.Tensor) -> torch.Tensor:
        seen.append(len(images))
        if len(images) > 2:
            raise torch.cuda.OutOfMemoryError
        return network(images)

    engine._network = small
    assert np.array_equal(blended(engine, jobs, shape), expected)
    assert seen[:3] == [8, 4, 2]
    assert engine.batch == 2


@pytest.mark.parametrize("which", ["onnx", "torch", "device"])
def test_a_tile_does_not_see_its_batch_mates(model: Path, torch_model: Path, which: str) -> None:
    """The same tile among other tiles, at every place of the batch, to the last bit."""
    package = load_model(model if which == "onnx" else torch_model)
    request = EngineRequest(device="cpu", tile=64, batch=3)
    engine = DeviceEngine(package, request, device="cpu") if which == "device" else open_engine(package, request)
    jobs, _ = jobs_over((150, 130), seed=4)
    one, others = jobs[4], [jobs[0], jobs[7], jobs[8]]

    def at(position: int, mates: list[TileJob]) -> np.ndarray:
        batch = [*mates[:position], one, *mates[position:]][:3]
        with torch.inference_mode():
            return np.asarray(engine._predict(batch)[position])

    alone = at(0, [])
    for position in range(3):
        assert np.array_equal(at(position, others[:2]), alone), position
        assert np.array_equal(at(position, others[1:]), alone), position
    engine.close()


# --- reading ----------------------------------------------------------------------------------------------------


@given(st.integers(1, 200), st.integers(1, 120), st.integers(5, 64), st.data())
@settings(max_examples=40, deadline=None)
def test_every_pixel_is_read_once_and_bands_show_what_is_there(
    height: int, width: int, tile: int, data: st.DataObject
) -> None:
    lattice = Lattice.over(height=height, width=width, tile=tile, overlap=data.draw(st.integers(0, tile - 1)))
    scene = CountingScene(texture((height, width)), slanted((height, width)))
    windows = [
        Window.from_bounds(top=top, left=0, bottom=min(top + tile, height), right=width)
        for top in lattice.rows.starts
    ]
    for window, band in zip(windows, read_bands(scene, windows, above=None, wanted=None), strict=True):
        assert (band.top, band.left) == (window.row_off, 0)
        assert np.array_equal(band.data, scene.data[:, *window.slices()])
        assert np.array_equal(band.valid, scene.valid[window.slices()])
        pixels, valid = band.tile(lattice.cols.starts[-1], tile)
        assert pixels.shape == (2, tile, tile)
        assert valid.shape == (tile, tile)
    assert (scene.reads == 1).all()


def test_tiles_without_data_are_neither_computed_nor_read_twice(model: Path, tmp_path: Path) -> None:
    pixels = np.zeros((2, 400, 300), np.uint8)
    pixels[:, 10:20, 10:20] = 90  # one tile of 8 × 6 shows something
    scene = write_scene(tmp_path / "s.tif", pixels, nodata=0)
    _, work = work_for(scene, tmp_path / "p", model=str(model), block=96)
    runner = BlockRunner(work)
    with runner._reader as reader:
        real = runner._scene
        counting = CountingScene(np.zeros((2, 400, 300), np.uint8), np.zeros((400, 300), bool))

        class Counted:
            """The real scene, counted."""

            def read(self, window: Window):  # type: ignore[no-untyped-def]
                counting.read(window)
                return real.read(window)

        runner._scene = Counted()  # type: ignore[assignment]
        receipts = [runner.run(block) for block in range(len(work.partition))]
        reader.submit(real.close).result()
    assert sum(r.tiles for r in receipts) == 1
    touched = sum(work.lattice.tiles_touching(block.core) for block in work.partition)
    assert sum(r.tiles + r.skipped + r.reused for r in receipts) == touched
    assert sum(map(sum, (r.pixels[0] for r in receipts))) == 100
    columns = work.partition.cols
    assert counting.reads.min() >= 1
    assert counting.reads.max() <= 2  # twice only where the tiles of two columns of blocks overlap
    assert columns == 4
