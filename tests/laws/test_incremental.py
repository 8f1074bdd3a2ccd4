"""What was not read differently is not computed again, and the answer is that of a run from the beginning."""

from __future__ import annotations

import json
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, event, example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from packages import gather, save, slanted, texture, tiny_spec, unet, work_for, write_scene

from geounet.grid.blocks import Partition
from geounet.grid.window import Window
from geounet.io.aoi import area_mask
from geounet.io.scene import Pixels, open_scene, open_spec
from geounet.run.block import BlockRunner
from geounet.run.input_digest import digest_of
from geounet.run.journal import Journal
from geounet.run.work import Receipt, Work

SHAPE = (150, 121)
PARTITIONS = [(30, 121), (48, 50), (96, 48)]  # blocks that carry a canvas, some smaller than a tile


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A U-Net whose receptive field is larger than the overlap, so that every seam is a chance to fail."""
    spec = tiny_spec(hyperparameters={"depth": 2, "width": 4}, divisor=4)
    return save(tmp_path_factory.mktemp("models") / "unet", unet(spec, seed=1), spec)


def pixels() -> NDArray[np.uint8]:
    return np.where(slanted(SHAPE), texture(SHAPE, seed=2), np.uint8(0))


@pytest.fixture(scope="module")
def journals(model: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[int, int], Path]:
    """Finished runs over the scene before it changed, by the sides of their blocks."""
    folder = tmp_path_factory.mktemp("before")
    scene = write_scene(folder / "s.tif", pixels(), nodata=0)
    found = {}
    for sides in PARTITIONS:
        journal = Journal(_empty(folder / f"{sides[0]}"), "key")
        _, work = work_for(scene, journal.parts, partition=partition(sides), model=str(model))
        for receipt in run(work):
            journal.record(receipt)
        found[sides] = journal.folder
    return found


def _empty(folder: Path) -> Path:
    folder.mkdir()
    return folder


def partition(sides: tuple[int, int]) -> Partition:
    return Partition(height=SHAPE[0], width=SHAPE[1], block_height=sides[0], block_width=sides[1])


def run(work: Work) -> list[Receipt]:
    runner = BlockRunner(work)
    try:
        return [runner.run(block) for block in range(len(work.partition))]
    finally:
        runner.close()


def seen(work: Work) -> list[NDArray[Any]]:
    """All that the blocks of a run can see: pixels, validity, what is shown."""
    with open_spec(work.scene) as scene:
        whole: Pixels = scene.read(scene.geobox.window)
        area = area_mask(work.aoi, scene.geobox)(scene.geobox.window) if work.aoi else True
    return [whole.data, whole.valid, whole.valid & area]


def change(folder: Path, kind: str, place: Window) -> tuple[Path, dict[str, str]]:
    """The scene after something happened in ``place``, and the options that tell of it."""
    after, options = pixels(), {}
    inside = after[:, *place.slices()]
    if kind == "pixels":
        inside[:] = np.where(inside == 0, 0, 256 - inside.astype(int))
    elif kind == "nodata":
        inside[:] = np.where(inside == 0, 7, 0)
    elif kind == "mask":
        marks = np.zeros((1, *SHAPE), np.uint8)
        marks[0, *place.slices()] = 1
        options["mask"] = str(write_scene(folder / "mask.tif", marks))
    scene = write_scene(folder / "after.tif", after, nodata=0)
    if kind == "area":
        with open_scene(scene) as opened:
            box = opened.geobox
        corners = [(0, 0), (SHAPE[1], 0), (SHAPE[1], SHAPE[0]), (place.right, place.bottom), (0, SHAPE[0]), (0, 0)]
        ring = [list(box.affine * corner) for corner in corners]
        crs = {"type": "name", "properties": {"name": box.crs}}
        polygon = {"type": "Polygon", "coordinates": [ring]}
        features = [{"type": "Feature", "properties": {}, "geometry": polygon}]
        options["aoi"] = str(folder / "area.geojson")
        Path(options["aoi"]).write_text(json.dumps({"type": "FeatureCollection", "crs": crs, "features": features}))
    return scene, options


@st.composite
def places(draw: st.DrawFn) -> Window:
    top, left = draw(st.integers(0, SHAPE[0] - 1)), draw(st.integers(0, SHAPE[1] - 1))
    height, width = draw(st.integers(1, 40)), draw(st.integers(1, 40))
    bottom, right = min(top + height, SHAPE[0]), min(left + width, SHAPE[1])
    return Window.from_bounds(top=top, left=left, bottom=bottom, right=right)


@given(st.sampled_from(["pixels", "nodata", "mask", "area"]), places(), st.sampled_from(PARTITIONS))
@example("pixels", Window(70, 60, 1, 1), (48, 50))  # in a core, and in the halo of its neighbours
@example("pixels", Window(149, 120, 1, 1), (96, 48))
@example("pixels", Window(0, 0, 0, 0), (30, 121))  # the same content in another file
@example("nodata", Window(140, 0, 1, 1), (30, 121))
@example("mask", Window(10, 40, 20, 3), (30, 121))
@example("area", Window(40, 30, 1, 1), (48, 50))
@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_only_blocks_that_read_something_else_are_computed(
    model: Path, journals: dict[tuple[int, int], Path], kind: str, place: Window, sides: tuple[int, int]
) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        before = write_scene(folder / "before.tif", pixels(), nodata=0)
        scene, options = change(folder, kind, place)
        _, old = work_for(before, folder / "old", partition=partition(sides), model=str(model))
        _, work = work_for(scene, folder / "new", partition=partition(sides), model=str(model), **options)
        receipts = run(replace(work, base=str(journals[sides])))
        same = [np.equal(one, other) for one, other in zip(seen(old), seen(work), strict=True)]
        reads = [work.lattice.reads(block.core).slices() for block in work.partition]
        unchanged = [all(one[..., *read].all() for one in same) for read in reads]
        event(f"{kind}, {'all' if all(unchanged) else 'some' if any(unchanged) else 'none'} as before")
        assert [receipt.adopted for receipt in receipts] == unchanged
        bands = gather(work)
        fresh = replace(work, parts=str(_empty(folder / "fresh")), base=None)
        assert [r.input for r in run(fresh)] == [r.input for r in receipts]  # warm, cold or taken over
        assert np.array_equal(bands, gather(fresh))
        for block, receipt in zip(work.partition, receipts, strict=True):
            core = bands[::2, *block.core.slices()]
            assert receipt.pixels == [[int((core[h] == v).sum()) for v in range(n)] for h, n in enumerate((3, 2))]


@given(places(), st.integers(1, 60))
@settings(max_examples=20, deadline=None)
def test_a_digest_does_not_see_how_rows_were_read(reads: Window, rows: int) -> None:
    class Memory:
        def read(self, window: Window) -> Pixels:
            return Pixels(data=data[:, *window.slices()], valid=valid[window.slices()])

    data, valid = pixels(), slanted(SHAPE)
    whole = digest_of(Memory(), reads, rows=1000, wanted=None)
    assert digest_of(Memory(), reads, rows=rows, wanted=None) == whole
    row, col = reads.row_off, reads.right - 1
    for array in (data[1], valid):
        array[row, col] = ~array[row, col]
        assert digest_of(Memory(), reads, rows=rows, wanted=None) != whole
        array[row, col] = ~array[row, col]

    def wanted(window: Window) -> NDArray[np.bool_]:
        return np.ones(window.shape, bool)

    assert digest_of(Memory(), reads, rows=rows, wanted=wanted) == whole  # an area that holds everything is none
