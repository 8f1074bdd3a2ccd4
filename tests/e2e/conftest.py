"""The command line as a user meets it: a small scene, a small model, and a way to call."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

sys.path[:0] = [str(Path(__file__).resolve().parents[1]), str(Path(__file__).resolve().parent)]
from calls import Ending  # noqa: E402  the line above finds it
from packages import MEAN, STD, hashes, save, texture, tiny_spec, unet, write_scene  # noqa: E402

from geounet.cli.main import run  # noqa: E402
from geounet.model.spec import InputBand  # noqa: E402

SHAPE = (170, 200)


Call = Callable[..., Ending]


@dataclass(frozen=True)
class World:
    """What the tests share: a scene of three bands with zeros in a corner, a model, and the plain result."""

    folder: Path
    scene: Path
    model: Path
    plain: Path

    @property
    def hashes(self) -> dict[str, str]:
        return dict(hashes(self.plain))


@pytest.fixture
def geounet(capfd: pytest.CaptureFixture[str]) -> Call:
    """Call the command line in this process."""

    def call(*arguments: object) -> Ending:
        capfd.readouterr()
        code = run([str(a) for a in arguments])
        out, err = capfd.readouterr()
        return Ending(code, out, err)

    return call


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    folder = tmp_path_factory.mktemp("world")
    bands = tuple(InputBand(name=name, mean=MEAN, std=STD) for name in ("red", "green", "blue"))
    spec = tiny_spec(bands=bands, divisor=4, hyperparameters={"depth": 2, "width": 4}, gsd=0.5)
    model = save(folder / "model", unet(spec, seed=6), spec)
    pixels = texture(SHAPE, bands=3)
    pixels[:, :40, :50] = 0
    scene = write_scene(folder / "scene.tif", pixels, photometric="rgb")
    assert run(["infer", str(scene), "-m", str(model), "-o", str(folder / "plain"), "-q"]) == 0
    assert np.isin(["landuse.tif", "road.geojson"], list(hashes(folder / "plain"))).all()
    return World(folder=folder, scene=scene, model=model, plain=folder / "plain")
