"""``geounet doctor`` on machines where something is missing."""

from __future__ import annotations

import json
import sys

import pytest
from click.testing import CliRunner

from geounet.cli.doctor import doctor
from geounet.io.access import DRIVERS


def checks(code: int) -> dict[str, tuple[str, bool]]:
    done = CliRunner().invoke(doctor, ["--json"], standalone_mode=False)
    assert done.exception is None, done.exception
    assert done.return_value == code
    lines = [json.loads(line) for line in done.output.splitlines()]
    return {line["name"]: (line["value"], line["good"]) for line in lines}


def test_every_driver_of_the_policy_is_looked_for() -> None:
    assert {f"GDAL read {driver}" for driver in DRIVERS} | {"GDAL write COG"} <= set(checks(0))


@pytest.mark.parametrize(
    ("library", "check"),
    [("torch", "cuda"), ("onnxruntime", "onnxruntime"), ("rasterio", "drivers"), ("psutil", "system")],
)
def test_a_missing_library_is_a_bad_check_and_not_the_end(
    monkeypatch: pytest.MonkeyPatch, library: str, check: str
) -> None:
    monkeypatch.setitem(sys.modules, library, None)  # its import fails
    found = checks(1)
    value, good = found[check]
    assert not good
    assert library in value
    assert "extra parquet" in found
