"""File systems that are soon full."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest


def small_disk_at(disk: Path, size: str) -> Iterator[Path]:
    """For a fixture: a file system of ``size``, as mount takes it; where that cannot be, the test is skipped."""
    disk.mkdir()
    try:
        subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(disk)], check=True, capture_output=True
        )
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("a file system can be mounted only by the superuser")
    yield disk
    subprocess.run(["umount", "-l", str(disk)], check=True)
