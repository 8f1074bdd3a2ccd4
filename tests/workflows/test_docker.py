"""The Dockerfile, without Docker: a linter reads it, and what it copies and installs is there and builds."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from installed import WORKFLOWS

ROOT = WORKFLOWS.parent
DOCKERFILE = WORKFLOWS / "docker" / "Dockerfile"


def instructions() -> list[tuple[str, str]]:
    """Keyword and arguments of every instruction, continued lines joined."""
    lines = [line for line in DOCKERFILE.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
    joined = re.sub(r"\\\n\s*", "", "\n".join(lines))
    return [(line.split(maxsplit=1)[0], line.split(maxsplit=1)[1]) for line in joined.splitlines() if line]


def copied() -> list[tuple[list[str], str]]:
    """Sources and target of every COPY."""
    return [(words.split()[:-1], words.split()[-1]) for keyword, words in instructions() if keyword == "COPY"]


def hadolint(text: str) -> subprocess.CompletedProcess[str]:
    program = Path(sys.executable).with_name("hadolint")
    if not program.is_file():
        pytest.skip("hadolint is not installed")
    return subprocess.run(
        [program, "--no-color", "-"], input=text, capture_output=True, text=True, check=False, timeout=240
    )


def test_hadolint_finds_nothing():
    done = hadolint(DOCKERFILE.read_text(encoding="utf-8"))
    assert done.returncode == 0, done.stdout
    assert done.stdout == ""


def test_hadolint_would_find_an_instruction_that_does_not_exist():
    assert hadolint(DOCKERFILE.read_text(encoding="utf-8").replace("COPY geounet", "COPPY geounet")).returncode


def test_it_ends_as_nobody_and_starts_geounet():
    found = instructions()
    (user,) = [words for keyword, words in found if keyword == "USER"]
    assert int(user.split(":")[0]) > 0
    assert dict(found)["ENTRYPOINT"] == '["geounet"]'
    after = [keyword for keyword, _ in found[found.index(("USER", user)) :]]
    assert "RUN" not in after


def test_base_image_and_package_index_are_the_builders():
    found = instructions()
    assert found[0][0] == "ARG"
    assert found[0][1].startswith("BASE=")
    assert found[1] == ("FROM", "${BASE}")
    assert not re.search(r"https?://|--index-url|--extra-index-url", DOCKERFILE.read_text(encoding="utf-8"))


def test_the_extras_exist():
    (extras,) = [w.removeprefix("EXTRAS=") for k, w in instructions() if k == "ARG" and w.startswith("EXTRAS=")]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert set(extras.split(",")) <= set(project["optional-dependencies"])


def test_what_it_copies_is_not_ignored():
    ignore = (WORKFLOWS / "docker" / "Dockerfile.dockerignore").read_text(encoding="utf-8").splitlines()
    assert ignore[1] == "*"
    for sources, _ in copied():
        assert {f"!{source}" for source in sources} <= set(ignore)


def test_what_it_copies_builds_into_the_package_with_its_model(tmp_path: Path):
    for sources, target in copied():
        for source in sources:
            to = tmp_path / "context" / target / (source if len(sources) > 1 else "")
            to.parent.mkdir(parents=True, exist_ok=True)
            if (ROOT / source).is_dir():
                shutil.copytree(ROOT / source, to, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(ROOT / source, to)
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pip",
            "wheel",
            "--quiet",
            "--no-deps",
            "--no-build-isolation",
            "-w",
            "wheels",
            "./context",
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )
    if "setuptools" in done.stderr and done.returncode:
        pytest.skip("setuptools is not installed, and an isolated build would fetch it")
    assert done.returncode == 0, done.stderr
    (wheel,) = (tmp_path / "wheels").glob("geounet-*.whl")
    import zipfile

    names = zipfile.ZipFile(wheel).namelist()
    assert any(name.startswith("geounet/model/zoo/landuse-roads/") for name in names)
