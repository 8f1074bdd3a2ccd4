"""What is not a number is an error, wherever it stands, and what is only extreme is not."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from packages import LANDUSE, ROAD, load, save, tiny_spec, unet

from geounet.errors import WorkError
from geounet.model.canvas import decide, weigh
from geounet.model.device import DeviceEngine
from geounet.model.engine import EngineRequest, TileJob

SIDE = 70
ONES = np.ones(SIDE, np.float32)


def on_host(logits):
    spec = tiny_spec()
    out = np.zeros((2 * len(spec.heads), SIDE, SIDE), np.uint8)
    with np.errstate(invalid="ignore"):
        decide(weigh(logits, spec, ONES, ONES), spec, out=out)
    return out


class _Answers(torch.nn.Module):
    """A network that gives these logits, whatever it sees."""

    def __init__(self, logits):
        super().__init__()
        self.logits = torch.from_numpy(logits)

    def forward(self, _images):
        return self.logits[None]


def on_device(logits):
    """The same by the CUDA engine, which runs on a CPU too."""
    spec = tiny_spec()
    with tempfile.TemporaryDirectory() as folder:
        package = load(save(Path(folder) / "model", unet(spec), spec, graph=False))
        engine = DeviceEngine(package, EngineRequest(tile=SIDE, precision="fp32"), device="cpu")
    engine._network = _Answers(logits)
    found = []
    canvas = engine.new_canvas(width=SIDE, top=0, on_rows=lambda _top, bands: found.append(bands))
    pixels, valid = np.zeros((2, SIDE, SIDE), np.uint8), np.ones((SIDE, SIDE), bool)
    job = TileJob(pixels=pixels, valid=valid, row=0, col=0, row_weights=ONES, col_weights=ONES)
    list(engine.blend([job], canvas))
    canvas.advance(SIDE)
    return found[0]


@pytest.mark.parametrize("place", [(0, 0), (31, 69), (32, 0), (69, 69)])
@pytest.mark.parametrize(
    ("channel", "value", "head"),
    [(1, np.nan, LANDUSE), (0, np.inf, LANDUSE), (3, np.nan, ROAD), (3, np.inf, ROAD), (3, -np.inf, ROAD)],
)
@pytest.mark.parametrize("decided", [on_host, on_device])
def test_one_logit_that_is_not_a_number(decided, channel, value, head, place):
    logits = np.zeros((4, SIDE, SIDE), np.float32)
    logits[channel, *place] = value
    with pytest.raises(WorkError, match=f"head '{head.name}' is not a number at 1 of .*--precision fp32") as caught:
        decided(logits)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("decided", [on_host, on_device])
def test_huge_logits_are_answers(decided):
    logits = np.zeros((4, SIDE, SIDE), np.float32)
    logits[1], logits[2], logits[3] = -np.inf, 3e38, -3e38
    out = decided(logits)
    assert [set(np.unique(band).tolist()) for band in out] == [{2}, {250}, {0}, {250}]
