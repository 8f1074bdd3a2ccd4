"""The folder of what an operator installs, and a small model."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "tests" / "schedule"), str(Path(__file__).resolve().parent)]
from packages import save, texture, tiny_spec, unet, write_scene  # noqa: E402


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network of a few hundred weights for red, green and blue, with land use and roads."""
    from geounet.model.spec import InputBand

    bands = tuple(InputBand(name=name, mean=128.0, std=64.0) for name in ("red", "green", "blue"))
    spec = tiny_spec(hyperparameters={"depth": 1, "width": 4}, divisor=2, bands=bands)
    return save(tmp_path_factory.mktemp("models") / "tiny", unet(spec, seed=1), spec)


@pytest.fixture
def script() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs a script of ``workflows/scripts`` as an operator does."""

    def start(name: str, *arguments: object, code: int = 0) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [sys.executable, str(ROOT / "workflows" / "scripts" / name), *map(str, arguments)],
            capture_output=True,
            text=True,
            check=False,
            timeout=240,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        assert done.returncode == code, (done.returncode, done.stdout, done.stderr)
        assert "Traceback" not in done.stderr
        return done

    return start


@pytest.fixture
def county_module(monkeypatch: pytest.MonkeyPatch):
    """`road_map_of_a_county.py` as a module."""
    monkeypatch.syspath_prepend(str(ROOT / "workflows" / "scripts"))
    import road_map_of_a_county

    return road_map_of_a_county


@pytest.fixture
def week_api(tmp_path: Path) -> Iterator[str]:
    """Address of a STAC API with a scene of the last week of May, a cloudy one and one of April."""
    pytest.importorskip("pystac_client", reason="the extra stac is not installed")
    from range_server import serving
    from stac_server import StacHandler, StacServer, item

    bands = ("red", "green", "blue")
    state = StacServer(tmp_path / "served")
    found = {"clear": ("2026-05-27", 5), "cloudy": ("2026-05-28", 90), "older": ("2026-04-28", 5)}
    with serving(state, StacHandler):
        for seed, (name, (day, cloud)) in enumerate(found.items()):
            pixels = texture((90, 80), bands=3, seed=seed)
            for number, band in enumerate(bands):
                file = state.folder / "files" / f"{name}_{band}.tif"
                file.parent.mkdir(parents=True, exist_ok=True)
                write_scene(file, pixels[number : number + 1])
            assets = {band: {"href": f"{state.url}/files/{name}_{band}.tif"} for band in bands}
            state.items.append(item(name, time=f"{day}T10:00:00Z", cloud=cloud, assets=assets))
        yield str(state.url)
