"""The house: imports only go down, heavy libraries stay in their rooms, and start-up loads none of them."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "geounet"
FLOORS = {
    "errors": 1,
    "heap": 1,
    "kernels": 1,
    "quantities": 1,
    "sections": 1,
    "grid": 2,
    "model": 2,
    "vector": 3,
    "io": 4,
    "sample": 4,
    "train": 5,
    "run": 5,
    "score": 5,
    "schedule": 6,
    "judge": 6,
    "config": 6,
    "api": 6,
    "cli": 7,
}
"""docs/architecture.md; ``train`` stands above ``io`` because its datasets read scenes (docs/decisions/0011)."""
ROOMS_OF = {
    "torch": {"model", "train"},
    "distributed": {
        *("run/cluster.py", "run/started.py", "run/scheduler.py", "run/dispatch.py", "run/worker.py"),
        *("run/adapting.py", "run/ssh_cluster.py", "run/queue_cluster.py"),
    },
    "dask": {"run/cluster.py", "run/ssh_cluster.py"},
    "rasterio": {"io", "run/part.py", "sample", "train"},
    "numba": {"kernels.py"},
}
"""Where a heavy library may be imported at all; rooms by folder, or single files."""

FILES = sorted(PACKAGE.rglob("*.py"))


def room(file: Path) -> str:
    return file.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(file: Path, *, top_level_only: bool = False) -> Iterator[str]:
    """Full names of what a file imports, those for type checkers left out."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    typing_only = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        for inner in ast.walk(node)
    }
    lazy = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if id(node) in typing_only or (top_level_only and id(node) in lazy):
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def test_every_room_has_its_floor() -> None:
    rooms = {room(file) for file in FILES} - {"__init__", "__main__", "py.typed"}
    assert rooms <= set(FLOORS), rooms - set(FLOORS)


@pytest.mark.parametrize("file", FILES, ids=lambda f: str(f.relative_to(PACKAGE)))
def test_imports_only_go_down(file: Path) -> None:
    own = room(file)
    if own in ("__init__", "__main__"):
        pytest.skip("the front door names everything, lazily")
    for name in imports(file):
        parts = name.split(".")
        if parts[0] != "geounet" or len(parts) == 1 or parts[1] not in FLOORS:
            continue
        assert FLOORS[parts[1]] <= FLOORS[own], f"{own} (floor {FLOORS[own]}) imports {name}"


@pytest.mark.parametrize("library", sorted(ROOMS_OF))
def test_heavy_libraries_stay_in_their_rooms(library: str) -> None:
    found = {
        file.relative_to(PACKAGE)
        for file in FILES
        if any(name.split(".")[0] == library for name in imports(file, top_level_only=True))
    }
    assert found, f"nothing imports {library}: is the list out of date?"
    homes = ROOMS_OF[library]
    strays = [p.as_posix() for p in found if p.parts[0] not in homes and p.as_posix() not in homes]
    assert not strays


COMMANDS = ", ".join(f"geounet.cli.{file.stem}" for file in FILES if file.parent.name == "cli")
"""All that a help text may ask for."""


@pytest.mark.parametrize("module", ["geounet", "geounet.cli", "geounet.errors", COMMANDS])
def test_starting_loads_nothing_heavy(module: str) -> None:
    heavy = ["torch", "rasterio", "distributed", "numba", "geopandas", "onnxruntime", "pyogrio", "scipy", "numpy"]
    program = f"import {module}, sys, json; print(json.dumps([m for m in {heavy!r} if m in sys.modules]))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == []


def test_tiles_wait_neither_for_torch_nor_for_what_later_stages_need() -> None:
    """Neither planning nor the worker's side loads it: everything up to the engine's own room."""
    program = (
        "import geounet.run.pipeline, geounet.run.cluster, geounet.run.block, geounet.model.host, "
        "geounet.model.onnx_forward, sys; print({'torch', 'numba', 'shapely', 'PIL'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_every_name_of_the_front_door_opens() -> None:
    import geounet

    for name in geounet.__all__:
        assert getattr(geounet, name) is not None
    assert set(geounet.__all__) <= set(dir(geounet))
    with pytest.raises(AttributeError, match="inferr"):
        geounet.inferr  # noqa: B018
