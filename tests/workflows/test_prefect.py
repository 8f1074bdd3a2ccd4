"""The Prefect flow runs ``geounet run`` for real: events become logs, exit codes become states.

Prefect's own pins do not go together with those of constraints.txt, so it lives in an environment of its own:
``GEOUNET_PREFECT_PYTHON`` names a Python that has ``geounet[prefect]``. Elsewhere these tests are skipped, and only
the last one looks at the flow.
"""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from installed import WORKFLOWS, parse_geounet
from packages import texture, write_scene

FLOW = WORKFLOWS / "prefect" / "flow.py"
PYTHON = os.environ.get("GEOUNET_PREFECT_PYTHON", sys.executable)
PROGRAM = """
import json, sys
sys.path.insert(0, sys.argv[1])
import flow
state = flow.new_maps(sys.argv[2], retries=int(sys.argv[3]), retry_seconds=float(sys.argv[4]), return_state=True)
data = state.result(raise_on_failure=False) if state.is_completed() else None
print("STATE", json.dumps({"state": state.name, "message": state.message, "data": data}))
"""

Start = Callable[..., tuple[dict[str, Any], str]]


@pytest.fixture
def start(tmp_path: Path) -> Start:
    """Runs the flow over a schedule; its final state and its log."""
    known = subprocess.run([PYTHON, "-c", "import prefect"], capture_output=True, check=False)
    if known.returncode:
        pytest.skip("the extra prefect is not installed; GEOUNET_PREFECT_PYTHON may name a Python that has it")

    def run(config: Path, retries: int = 0, seconds: float = 0.1) -> tuple[dict[str, Any], str]:
        done = subprocess.run(
            [PYTHON, "-c", PROGRAM, str(FLOW.parent), str(config), str(retries), str(seconds)],
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
            env={
                **os.environ,
                "PYTHONPATH": str(WORKFLOWS.parent),
                "PREFECT_HOME": str(tmp_path / "prefect"),
                "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
                "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "120",
            },
        )
        (line,) = [line for line in done.stdout.splitlines() if line.startswith("STATE ")] or [done.stderr[-2000:]]
        return json.loads(line.removeprefix("STATE ")), done.stdout + done.stderr

    return run


@pytest.fixture
def schedule(tmp_path: Path, model: Path) -> Path:
    """A schedule with one scene."""
    (tmp_path / "in").mkdir()
    write_scene(tmp_path / "in" / "a.tif", texture((90, 80), bands=3, seed=1))
    values = {
        "source": {"folder": "in", "settle": 0},
        "infer": {"model": str(model), "device": "cpu", "threads": 1},
        "destination": "out/{scene}",
        "retry": {"attempts": 3, "backoff": 0},
        "keep": {"free": 1},
    }
    (tmp_path / "schedule.yaml").write_text(yaml.safe_dump(values))
    return tmp_path / "schedule.yaml"


@pytest.mark.slow
def test_a_look_completes_with_what_it_came_to(start: Start, schedule: Path):
    state, log = start(schedule)
    assert state["state"] == "Completed", log
    assert state["data"] == {"new": 1, "published": 1, "failed": 0, "left": 0, "exit_code": 0}
    assert "published {" in log
    assert (schedule.parent / "out" / "a" / "landuse.tif").is_file()


@pytest.mark.slow
def test_a_failed_scene_is_tried_again_until_it_is_set_aside(start: Start, schedule: Path):
    (schedule.parent / "in" / "b.tif").write_bytes(b"no raster")
    values = yaml.safe_load(schedule.read_text())
    schedule.write_text(yaml.safe_dump({**values, "retry": {"attempts": 2, "backoff": 5}}))
    state, log = start(schedule, retries=3, seconds=10)
    assert state["state"] == "Failed", log
    assert "set aside: b" in state["message"]
    assert (schedule.parent / "out" / "a" / "landuse.tif").is_file()
    assert log.count("begin {") == 3, "a once, b twice"


@pytest.mark.slow
def test_a_schedule_that_cannot_work_is_not_tried_again(start: Start, schedule: Path):
    schedule.write_text("source: {folder: nowhere}\ndestination: out/{scene}\n")
    state, log = start(schedule, retries=3)
    assert state["state"] == "Failed", log
    assert "nowhere" in state["message"]
    assert log.count("error {") == 1


def test_its_command_line_is_geounets_and_its_extra_has_caps():
    tree = ast.parse(FLOW.read_text(encoding="utf-8"))
    names = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
    assert {"look", "new_maps"} <= names
    assert parse_geounet(["run", "schedule.yaml", "--json", "--limit", "3"])["limit"] == 3
    project = tomllib.loads((WORKFLOWS.parent / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extra = project["optional-dependencies"]["prefect"]
    assert all("<" in requirement for requirement in extra)
