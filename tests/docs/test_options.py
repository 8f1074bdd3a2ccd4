"""docs/options.md is the help of the command line; what documents call an option is one."""

from __future__ import annotations

import re

import click
import markdown_blocks
import options_page
import pytest

from geounet.cli.commands import cli

_OTHERS = {"--nworkers", "--nthreads", "--memory-limit", "--gres"}  # of dask worker and SLURM, in docs/clusters.md
_BENCHMARKS = (markdown_blocks.ROOT / "tests" / "benchmarks" / "__main__.py").read_text(encoding="utf-8")
_OTHERS |= set(re.findall(r'add_argument\("(--[a-z]+)"', _BENCHMARKS))  # of python -m tests.benchmarks


def test_the_page_is_the_help():
    text = options_page.PAGE.read_text(encoding="utf-8")
    assert text == options_page.render(), "run: python tests/docs/options_page.py"


def known_options() -> set[str]:
    found: set[str] = {"--help", "--version"}

    def walk(command: click.Command) -> None:
        for parameter in command.params:
            found.update(parameter.opts)
        if isinstance(command, click.Group):
            context = click.Context(command)
            for name in command.list_commands(context):
                walk(command.get_command(context, name))

    walk(cli)
    return found


@pytest.mark.parametrize(
    "path",
    [p for p in markdown_blocks.documents() if p.name != "options.md"],
    ids=lambda p: p.relative_to(markdown_blocks.ROOT).as_posix(),
)
def test_every_option_that_a_document_names_exists(path):
    named = set(
        re.findall(r"(?<![\w-])--[a-z][a-z-]+", " ".join(re.findall(r"`[^`]+`", markdown_blocks.prose(path))))
    )
    assert named <= known_options() | _OTHERS
