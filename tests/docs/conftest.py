"""What the documentation shows runs here, on small scenes and a tiny model that stands in for the default one."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))

import docs_stage


@pytest.fixture(scope="session")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with every scene, mask and model that a snippet names; made once."""
    return docs_stage.make_stage(tmp_path_factory.mktemp("stage"))


@pytest.fixture
def reader(stage: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder of a reader of the documentation: the stage's files, and the tiny model by default."""
    folder = tmp_path / "reader"
    shutil.copytree(stage / "files", folder)
    (folder / "configs").symlink_to(docs_stage.ROOT / "configs")
    monkeypatch.setattr("geounet.model.package.ZOO", stage / "zoo")
    monkeypatch.chdir(folder)
    return folder
