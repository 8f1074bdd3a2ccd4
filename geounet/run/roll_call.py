"""Whether a worker can take part in a run: the same software, the same model, and it sees the same files.

What travels is a :class:`Roll`. `geounet.run.muster` asks all workers before the first block, and those that join
later before they get one; each looks at it once more before its own first block.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from geounet import __version__
from geounet.errors import ModelError, RequestError
from geounet.io.access import is_remote
from geounet.model.package import load_model

_ADVICE = "install the same on every machine, or leave that worker out"
_ENGINES = {"onnx": ("onnxruntime",), "torch-cpu": ("torch",), "cuda": ("torch",)}
"""Libraries in which an engine rounds."""


@dataclass(frozen=True, kw_only=True)
class Roll:
    """What every worker of a run must have."""

    software: tuple[tuple[str, str], ...]
    """What decides the bytes of a result, with the version that the run has."""
    files: tuple[tuple[str, int], ...]
    """Absolute paths that the worker opens, with their sizes; -1: a folder."""
    parts: str
    """Folder that it writes to."""
    model: str
    model_digest: str
    allow_pickle: bool


def software(names: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """The versions of ``names`` in this process."""
    return tuple((name, _version(name)) for name in names)


def deciding(engine: str, *, aoi: bool) -> list[str]:
    """Names of the software that decides the bytes of a result that ``engine`` computes.

    Reading (GDAL decodes), computing and, with an area of interest, the projection that places it.
    """
    names = ["geounet", "Python", "architecture", "numpy", "rasterio", "GDAL", *_ENGINES[engine]]
    return [*names, "pyproj"] if aoi else names


def _version(name: str) -> str:
    if name == "geounet":
        return __version__
    if name == "Python":
        return ".".join(platform.python_version_tuple()[:2])
    if name == "architecture":
        return platform.machine()
    if name == "GDAL":
        import rasterio

        return str(rasterio.__gdal_version__)
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(name)
    except PackageNotFoundError:
        return "none"


def sized(paths: Sequence[str | None]) -> tuple[tuple[str, int], ...]:
    """The local ones of ``paths`` with their sizes."""
    local = [path for path in paths if path is not None and not is_remote(path)]
    return tuple((path, _size(path)) for path in local)


def _size(path: str) -> int:
    return -1 if Path(path).is_dir() else Path(path).stat().st_size


def why_unfit(roll: Roll, worker: str) -> str | None:
    """Why this process, the ``worker`` of that name, cannot take part; None where it can. In one line."""
    who = f"worker {worker} on {platform.node()}"
    for name, expected in roll.software:
        if (found := _version(name)) != expected:
            return f"{who} has {name} {found}, this run has {name} {expected}; {_ADVICE}"
    for path, size in roll.files:
        try:
            if (found_size := _size(path)) != size:
                return f"{who} sees another {path}: {found_size:,} bytes, here {size:,}; expected the same file"
        except OSError as error:
            return f"{who} does not see {path} ({error.strerror}); {_SHARED}"
    if not (Path(roll.parts).is_dir() and os.access(roll.parts, os.W_OK)):
        return f"{who} cannot write to {roll.parts}, where its results belong; {_SHARED}"
    return _why_another_model(roll, who)


_SHARED = "expected the same absolute path on every machine, such as a shared folder"


def _why_another_model(roll: Roll, who: str) -> str | None:
    try:
        digest = load_model(roll.model, allow_pickle=roll.allow_pickle).digest
    except ModelError as error:
        return f"{who}: {error}; {_SHARED}"
    if digest != roll.model_digest:
        return (
            f"{who} has another model {roll.model!r}: digest {digest[:12]}…, the run has {roll.model_digest[:12]}…"
            "; expected the same package on every machine"
        )
    return None


def refuse_unfit(roll: Roll | None) -> None:
    """RequestError where this Dask worker cannot take part."""
    if roll is None:
        return
    from distributed import get_worker

    if (reason := why_unfit(roll, str(get_worker().name))) is not None:
        raise RequestError(reason)


async def answer(roll: Roll, dask_worker: Any = None) -> str | None:
    """:func:`why_unfit` on a worker, beside its event loop; Dask fills in ``dask_worker``."""
    import asyncio

    return await asyncio.to_thread(why_unfit, roll, str(dask_worker.name))


def call(client: Any, roll: Roll, workers: Sequence[str]) -> Mapping[str, str]:
    """Ask workers, by address; the reasons of those that cannot take part."""
    answers = client.run(answer, roll, workers=list(workers), on_error="return")
    reasons = {}
    for address, said in answers.items():
        if isinstance(said, OSError):  # it has gone meanwhile
            continue
        if isinstance(said, BaseException):
            reasons[address] = f"worker {address} has another geounet, or none ({_first_line(said)}); {_ADVICE}"
        elif said is not None:
            reasons[address] = said
    return reasons


def _first_line(error: BaseException) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]
