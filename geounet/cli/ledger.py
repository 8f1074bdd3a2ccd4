"""``geounet ledger``: what became of the scenes of ``geounet run``."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from geounet.cli import show
from geounet.cli.options import output_options
from geounet.errors import ConfigError
from geounet.io import human

_ledger = click.argument("ledger", metavar="LEDGER|CONFIG.yaml")


@click.group(short_help="Say what became of scenes; try them again, forget them.")
def ledger() -> None:
    """Look into the ledger of geounet run, and change it.

    LEDGER is its SQLite file or PostgreSQL address, or the configuration file that names it. A SCENE is a name, the
    path that it came from, its results folder, or the beginning of its key.

    States: waiting, running, done, failed (set aside with its reason), gone (replaced or removed since).
    """


@ledger.command("list")
@_ledger
@click.option("--state", type=click.Choice(["waiting", "running", "done", "failed", "gone"]), help="Only these.")
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="The newest N.")
@output_options
def list_entries(ledger: str, *, state: str | None, limit: int | None, as_json: bool, quiet: bool) -> None:
    """A line per scene, the newest first."""
    with _opened(ledger) as opened:
        entries = opened.entries(state=state, limit=limit)
    for entry in entries:
        if as_json:
            show.json_line("scene", **vars(entry))
        elif not quiet:
            when = _when(entry.finished or entry.found)
            click.echo(f"{entry.key[:12]}  {entry.state:<7}  {when}  {_short(entry)}")
    if not entries and not as_json and not quiet:
        click.echo("no scenes")


@ledger.command("show")
@_ledger
@click.argument("scene")
@output_options
def show_entry(ledger: str, scene: str, *, as_json: bool, quiet: bool) -> None:
    """Everything about a scene."""
    with _opened(ledger) as opened:
        entries = _found(opened, [scene])
    for entry in entries:
        if as_json:
            show.json_line("scene", **vars(entry))
        elif not quiet:
            show.table(_facts(entry))


@ledger.command("retry")
@_ledger
@click.argument("scenes", nargs=-1, metavar="[SCENE …]")
@click.option("--all", "everything", is_flag=True, help="All that were set aside.")
@output_options
def retry(ledger: str, scenes: Sequence[str], *, everything: bool, as_json: bool, quiet: bool) -> None:
    """Let scenes that failed begin again at the next run."""
    with _opened(ledger) as opened:
        chosen = _chosen(opened, scenes, everything=everything, states=("failed", "waiting"))
        opened.retry(chosen)
    _tell(chosen, "may begin again", as_json=as_json, quiet=quiet)


@ledger.command("forget")
@_ledger
@click.argument("scenes", nargs=-1, metavar="[SCENE …]")
@click.option("--all", "everything", is_flag=True, help="Everything but what runs now.")
@output_options
def forget(ledger: str, scenes: Sequence[str], *, everything: bool, as_json: bool, quiet: bool) -> None:
    """Drop scenes from the ledger, so that they are new when they are seen again; results stay where they are."""
    from geounet.schedule.retention import BLOCKS_IN, forget_blocks

    with _opened(ledger) as opened:
        chosen = _chosen(opened, scenes, everything=everything, states=("waiting", "done", "failed", "gone"))
        for entry in opened.entries():
            if entry.key in chosen and entry.state in ("failed", "waiting") and BLOCKS_IN in entry.facts:
                forget_blocks(entry)  # nobody would know of them any more
        opened.forget(chosen)
    _tell(chosen, "forgotten", as_json=as_json, quiet=quiet)


def _chosen(opened: Any, scenes: Sequence[str], *, everything: bool, states: Sequence[str]) -> list[str]:
    """The keys of the scenes that are meant, where they are in one of the states."""
    if bool(scenes) == everything:
        raise ConfigError("expected the names of scenes, or --all")
    entries = opened.entries() if everything else _found(opened, scenes)
    return [entry.key for entry in entries if entry.state in states]


def _tell(keys: Sequence[str], what: str, *, as_json: bool, quiet: bool) -> None:
    if as_json:
        show.json_line("done", what=what, keys=list(keys))
    elif not quiet:
        click.echo(f"{human.count(len(keys), 'scene')} {what}")


def _facts(entry: Any) -> list[tuple[str, str]]:
    """What is known of an entry, a line each."""
    times = {name: _when(getattr(entry, name)) for name in ("found", "started", "finished")}
    rows = {**vars(entry), **times, "paths": ", ".join(entry.paths), "facts": None, **entry.facts}
    return [(name, str(value)) for name, value in rows.items() if value not in (None, "", {})]


def _opened(place: str) -> Any:
    """The ledger, as a context. Raises ConfigError where there is none."""
    from contextlib import closing

    from geounet.schedule.config import load_schedule
    from geounet.schedule.database import connect
    from geounet.schedule.ledger import Ledger

    if place.endswith((".yaml", ".yml")):
        place = load_schedule(place).ledger_place
    if "://" not in place and not Path(place).is_file():
        raise ConfigError(
            f"ledger {place} is not there; expected the SQLite file, or the configuration, of geounet run"
        )
    return closing(Ledger(connect(place)))


def _found(opened: Any, scenes: Sequence[str]) -> list[Any]:
    entries = []
    for scene in scenes:
        matching = opened.matching(scene)
        if not matching:
            raise ConfigError(f"no scene {scene!r} in the ledger; geounet ledger list shows what is there")
        entries += matching
    return entries


def _when(seconds: float | None) -> str:
    return "" if seconds is None else datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S")


def _short(entry: Any) -> str:
    return f"{entry.name}  {entry.error or entry.output or entry.source}"
