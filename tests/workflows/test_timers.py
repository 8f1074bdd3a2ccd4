"""The crontab line and the systemd units say what cron and systemd understand."""

from __future__ import annotations

import configparser
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from installed import WORKFLOWS, parse_geounet

UNITS = WORKFLOWS / "systemd"
LIMITS = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 7))


def cron_lines() -> list[str]:
    lines = (WORKFLOWS / "cron" / "geounet.cron").read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line and not line.startswith("#") and not re.match(r"[A-Z]+=", line)]


def matches(field: str, least: int, most: int) -> set[int]:
    """The values that a field of crontab(5) names: ``*``, ``a``, ``a-b``, lists, steps."""
    values: set[int] = set()
    for part in field.split(","):
        found = re.fullmatch(r"(\*|\d+(?:-\d+)?)(?:/(\d+))?", part)
        assert found, part
        first, last = (least, most) if found[1] == "*" else (int(n) for n in (found[1].split("-") * 2)[:2])
        assert least <= first <= last <= most, part
        values |= set(range(first, last + 1, int(found[2] or 1)))
    return values


def test_the_crontab_line_is_one_of_a_system_crontab():
    (line,) = cron_lines()
    *fields, user, command = line.split(maxsplit=6)
    times = [matches(field, *limits) for field, limits in zip(fields, LIMITS, strict=True)]
    assert times[0] == {0, 10, 20, 30, 40, 50}
    assert [len(t) for t in times[1:]] == [24, 31, 12, 8]
    assert user == "geounet"
    assert "%" not in command, "cron reads % as the end of the line"
    assert "flock" not in command


def test_its_command_is_understood():
    (line,) = cron_lines()
    words = shlex.split(line.split(maxsplit=6)[6].split(">>")[0])
    assert words[0] == "geounet"
    assert parse_geounet(words[1:])["as_json"] is True


def test_the_crontab_ends_with_a_line_break_or_cron_ignores_its_last_line():
    assert (WORKFLOWS / "cron" / "geounet.cron").read_text(encoding="utf-8").endswith("\n")


def unit(name: str) -> configparser.RawConfigParser:
    """A unit in which no key stands twice in a section (but Environment)."""
    parser = configparser.RawConfigParser(strict=False)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read(UNITS / name)
    return parser


def test_the_service_runs_what_geounet_understands():
    command = shlex.split(unit("geounet.service")["Service"]["ExecStart"])
    assert Path(command[0]).is_absolute()
    assert parse_geounet(command[1:])["as_json"] is True


def test_the_service_takes_an_interruption_for_no_failure_and_a_failed_scene_for_one():
    service = unit("geounet.service")["Service"]
    assert service["Type"] == "oneshot"
    assert service["SuccessExitStatus"].split() == ["130"]
    assert service["TimeoutStartSec"] == "infinity", "a look over many scenes takes as long as it takes"


def test_the_service_does_not_forbid_what_compiled_kernels_need():
    assert "MemoryDenyWriteExecute" not in unit("geounet.service")["Service"]


def systemd_analyze(*arguments: object) -> subprocess.CompletedProcess[str]:
    program = shutil.which("systemd-analyze")
    if program is None:
        pytest.skip("systemd-analyze is not installed")
    return subprocess.run([program, *map(str, arguments)], capture_output=True, text=True, check=False, timeout=240)


@pytest.fixture
def units(tmp_path: Path) -> Path:
    """The units with a program that is there: `verify` looks for it."""
    for file in UNITS.iterdir():
        text = file.read_text(encoding="utf-8").replace("/opt/geounet/bin/geounet", sys.executable)
        (tmp_path / file.name).write_text(text, encoding="utf-8")
    return tmp_path


def test_systemd_takes_the_units(units: Path):
    done = systemd_analyze("verify", "--man=no", units / "geounet.service", units / "geounet.timer")
    assert done.returncode == 0, done.stderr
    assert "geounet" not in done.stderr  # remarks about ours; those about the machine's own units are not for us


def test_systemd_would_complain_about_an_option_that_does_not_exist(units: Path):
    service = units / "geounet.service"
    service.write_text(service.read_text().replace("ProtectSystem=", "ProtectSytem="))
    assert "ProtectSytem" in systemd_analyze("verify", "--man=no", service).stderr


def test_the_service_is_closed(units: Path):
    """systemd's own score, 0 (closed) to 10 (open)."""
    if "--threshold" not in systemd_analyze("--help").stdout:
        pytest.skip("this systemd-analyze cannot score units that are not installed")
    done = systemd_analyze("security", "--offline=yes", "--threshold=25", units / "geounet.service")
    assert done.returncode == 0, done.stdout[-300:]
