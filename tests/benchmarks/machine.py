"""What the numbers were measured on."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import psutil

LIBRARIES = ("numpy", "onnxruntime", "openvino", "torch", "rasterio", "distributed", "numba", "shapely")


def describe() -> list[str]:
    """Machine and versions, a line each."""
    memory = psutil.virtual_memory().total / 2**30
    cores = len(psutil.Process().cpu_affinity())
    return [
        f"{processor()}, {cores} cores, {memory:.0f} GiB; {platform.system()} {platform.release().split('-')[0]}",
        f"Python {platform.python_version()}; " + ", ".join(f"{name} {found(name)}" for name in LIBRARIES),
    ]


def processor() -> str:
    """The processor's name and its widest vector instructions."""
    text = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    name = next((line.split(":")[1].strip() for line in text.splitlines() if line.startswith("model name")), "")
    vectors = "AVX-512" if " avx512f" in text else "AVX2" if " avx2" in text else ""
    return " ".join(part for part in (name or platform.processor() or platform.machine(), vectors) if part)


def found(library: str) -> str:
    """Its version, or that it is not there."""
    try:
        return version(library)
    except PackageNotFoundError:
        return "absent"


def load() -> float:
    """Processes that want a core, mean of the last minute; above 0.5 before we begin, wall times are not ours."""
    return os.getloadavg()[0]
