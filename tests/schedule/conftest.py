"""A small model, and folders in which scenes appear."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

sys.path[:0] = [str(Path(__file__).resolve().parents[1]), str(Path(__file__).resolve().parent)]
from packages import save, tiny_spec, unet  # noqa: E402
from places import Place  # noqa: E402


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    spec = tiny_spec(hyperparameters={"depth": 1, "width": 4}, divisor=2)
    return save(tmp_path_factory.mktemp("models") / "tiny", unet(spec, seed=1), spec)


@pytest.fixture
def place(tmp_path: Path, model: Path) -> Callable[..., Place]:
    def make(**changes: Any) -> Place:
        found = Place(tmp_path, model)
        found.scenes.mkdir(exist_ok=True)
        found.configure(**changes)
        return found

    return make
