"""Writes docs/options.md, the help of every command: ``python tests/docs/options_page.py``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click

from geounet.cli.commands import cli

PAGE = Path(__file__).resolve().parents[2] / "docs" / "options.md"
_INTRODUCTION = """\
# Options

Every command of the command line, as `geounet COMMAND --help` prints it. A test compares this page with the help.
"""


def render() -> str:
    """The page."""
    return _INTRODUCTION + "".join(f"\n## {name}\n\n```text\n{text}\n```\n" for name, text in helps())


def helps() -> Iterator[tuple[str, str]]:
    """Name and help of the group and of every command, in the order of the help, 100 columns wide."""
    context = click.Context(cli, info_name="geounet", terminal_width=100, max_content_width=100)
    yield from _help_of(cli, context)


def _help_of(command: click.Command, context: click.Context) -> Iterator[tuple[str, str]]:
    context.help_option_names = ["-h", "--help"]
    command._help_option = None  # click remembers the names that it was first asked for, in whatever context
    yield context.command_path, command.get_help(context).rstrip()
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            child = command.get_command(context, name)
            assert child is not None
            yield from _help_of(child, click.Context(child, info_name=name, parent=context))


if __name__ == "__main__":
    PAGE.write_text(render(), encoding="utf-8")
