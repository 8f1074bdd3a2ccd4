"""Fixtures that every part of the tests shares."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

SHARED_DATA = Path(__file__).resolve().parents[1].parent / "shared" / "data"

os.environ.setdefault("PYTHONFAULTHANDLER", "1")  # a program under test that crashes says where

# The clock decides nothing: a machine that stands still for a moment is no fault of the code. The examples are the
# same in every run, so that what fails today was broken today; `make search` looks for new ones.
settings.register_profile("suite", deadline=None, derandomize=True, database=None)
settings.register_profile("search", deadline=None, print_blob=True)
settings.load_profile("suite")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real imagery beside the checkout."""
    return SHARED_DATA


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what this machine lacks, with the reason."""
    no_data = pytest.mark.skip(reason="the real imagery (../shared/data) is absent")
    for item in items:
        if "real" in item.keywords and not SHARED_DATA.is_dir():
            item.add_marker(no_data)
        if "gpu" in item.keywords and not _has_cuda():
            item.add_marker(pytest.mark.skip(reason="no CUDA device"))


def _has_cuda() -> bool:
    import torch

    return torch.cuda.is_available()
