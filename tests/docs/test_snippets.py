"""Commands and Python that the documentation shows are executed, each document in a folder of its own.

``sh``: one command per line. geounet's own run; those that would need a network, a cluster, processes or hours are
parsed or planned instead; of other programs it is checked that targets, extras and options exist.
``python``: executed. ``yaml sidecar``: used as the sidecar of the models in `docs_stage`;
``yaml schedule``: as its schedule; ``yaml cluster``: in test_cluster_examples. ``text``: not executed.
"""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import fields
from pathlib import Path

import click
import markdown_blocks
import pytest

from geounet.cli.commands import cli
from geounet.cli.main import run
from geounet.config import build_options
from geounet.run.options import InferOptions

DOCUMENTS = [
    path
    for path in markdown_blocks.documents()
    if any(block.info[:1] in (["sh"], ["python"]) for block in markdown_blocks.blocks(path))
]


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda p: p.relative_to(markdown_blocks.ROOT).as_posix())
def test_what_a_document_shows_runs(path: Path, reader: Path, capfd):
    names: dict[str, object] = {"__name__": "__main__"}
    for block in markdown_blocks.blocks(path):
        where = f"{path.name}:{block.line}"
        if block.info[0] == "python":
            exec(compile("\n" * block.line + block.text, str(path), "exec"), names)
        elif block.info[0] == "sh":
            for words in commands(block.text):
                execute(words, where, capfd)


@pytest.mark.parametrize("path", markdown_blocks.documents(), ids=lambda p: p.name)
def test_every_block_is_of_a_kind_that_is_tested(path: Path):
    for block in markdown_blocks.blocks(path):
        assert block.info in (
            ["sh"],
            ["python"],
            ["text"],
            ["yaml", "sidecar"],
            ["yaml", "schedule"],
            ["yaml", "cluster"],
        ), f"{path.name}:{block.line}"


def commands(text: str) -> Iterator[list[str]]:
    """The words of every command of a shell block."""
    for line in text.replace("\\\n", " ").splitlines():
        words = shlex.split(line, comments=True)
        while words and re.fullmatch(r"[A-Z_]+=\S*", words[0]):  # a setting of the environment
            words.pop(0)
        if words:
            yield words


def execute(words: list[str], where: str, capfd) -> None:
    """Run one command, or check of it what can be checked here."""
    assert words[0] in CHECKS, f"{where}: {words[0]} is not a command that tests/docs knows"
    CHECKS[words[0]](words[1:], where, capfd)


def check_geounet(arguments: list[str], where: str, capfd) -> None:
    """Exit code 0, on this machine, now; or, where that cannot be, at least options that are right."""
    if arguments[0] == "train":
        parse("train", arguments[1:])
        from geounet.train.config import load_config

        load_config(next(a for a in arguments if a.endswith(".yaml")))
        return
    if any("://" in argument for argument in arguments):
        given = parse(arguments[0], arguments[1:])
        known = {field.name for field in fields(InferOptions)}
        build_options({}, {name: value for name, value in given.items() if name in known})
        return
    if arguments[0] == "sample":
        arguments = [*arguments, "--size", "256"]
    code = run(arguments)
    assert code == 0, f"{where}: geounet {shlex.join(arguments)} ended with {code}: {capfd.readouterr().err}"


def parse(command: str, arguments: list[str]) -> dict[str, object]:
    """The parameters that a command line gives. UsageError where it is wrong."""
    found = cli.get_command(click.Context(cli), command)
    assert found is not None
    return dict(found.make_context(command, list(arguments)).params)


def check_make(arguments: list[str], where: str, _capfd) -> None:
    """The target exists."""
    targets = re.findall(r"^([a-z-]+):", (markdown_blocks.ROOT / "Makefile").read_text(), flags=re.MULTILINE)
    assert set(arguments) <= set(targets), where


def check_pip(arguments: list[str], where: str, _capfd) -> None:
    """Extras and constraint files exist."""
    project = tomllib.loads((markdown_blocks.ROOT / "pyproject.toml").read_text())["project"]
    for extra in re.findall(r"\[([\w,]+)\]", " ".join(arguments)):
        assert set(extra.split(",")) <= set(project["optional-dependencies"]), where
    if "-c" in arguments:
        assert (markdown_blocks.ROOT / arguments[arguments.index("-c") + 1]).is_file(), where


def check_dask(arguments: list[str], where: str, _capfd) -> None:
    """The options exist in the Dask that is installed."""
    from distributed.cli import dask_scheduler, dask_worker

    command = {"scheduler": dask_scheduler.main, "worker": dask_worker.main}[arguments[0]]
    assert command.make_context(arguments[0], arguments[1:]), where


def check_python(arguments: list[str], where: str, _capfd) -> None:
    """The script exists; one that writes nothing runs, too."""
    assert (markdown_blocks.ROOT / arguments[0]).is_file(), where
    if arguments[0] in WRITES_NOTHING:
        command = [sys.executable, *arguments]
        ended = subprocess.run(command, cwd=markdown_blocks.ROOT, capture_output=True, text=True, check=False)
        assert ended.returncode == 0, f"{where}: {ended.stderr}"


WRITES_NOTHING = {"tests/benchmarks/scale_simulation.py"}
CHECKS: dict[str, Callable[[list[str], str, object], None]] = {
    "geounet": check_geounet,
    "make": check_make,
    "pip": check_pip,
    "dask": check_dask,
    "python": check_python,
}
