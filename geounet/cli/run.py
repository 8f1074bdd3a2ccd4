"""``geounet run``."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Any

import click

from geounet.cli import show
from geounet.cli.options import is_verbose, output_options
from geounet.errors import ConfigError, RequestError, WorkError
from geounet.io import human


@click.command(short_help="Process new scenes as they appear, unattended.")
@click.argument("config", metavar="CONFIG.yaml")
@click.option("--watch", metavar="TIME", help="Stay, and look again after this time: 30s, 10m, 2h.")
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="Process at most N scenes in a look.")
@click.option("--dry-run", is_flag=True, help="Only say which scenes are there and which of them are new.")
@output_options
def run(config: str, *, watch: str | None, limit: int | None, dry_run: bool, as_json: bool, quiet: bool) -> int:
    """Look for scenes, process each new one exactly once, publish its maps, record what happened; then leave.

    \b
    geounet run schedule.yaml                 # from cron, systemd, Kubernetes, Prefect
    geounet run schedule.yaml --watch 10m     # or as a service that stays
    geounet ledger list schedule.yaml         # what became of the scenes

    Any number of these may run at once over one ledger. A scene that fails is tried again, then set aside with its
    reason. Exit codes: 0 everything found is published; 1 some scene failed; 2 the configuration cannot work;
    130 interrupted. configs/schedule.yaml explains every key.
    """
    from geounet.quantities import parse_duration
    from geounet.schedule.config import load_schedule

    schedule = load_schedule(config)
    try:
        pause = None if watch is None else parse_duration(watch)
    except ValueError as error:
        raise ConfigError(f"--watch {error}") from error
    if dry_run:
        return _show_candidates(schedule, as_json=as_json)
    tell = _Told(as_json=as_json, quiet=quiet)
    code = _look(schedule, tell, limit=limit)
    while pause is not None:  # what worked once is given another look: a server or a folder may be back by then
        time.sleep(pause)
        try:
            code = _look(schedule, tell, limit=limit)
        except (RequestError, WorkError) as error:
            tell("warning", message=str(error))
    return code


def _look(schedule: Any, tell: _Told, *, limit: int | None) -> int:
    from geounet.cli.progress import choose_progress
    from geounet.run.progress import Progress
    from geounet.schedule.once import run_once

    def progress() -> Progress:  # of a scene's tiles: for those who ask, as scenes are many
        return choose_progress(as_json=tell.as_json, quiet=not is_verbose())

    outcome = run_once(schedule, tell=tell, limit=limit, progress=progress)
    if tell.as_json:
        show.json_line("done", **vars(outcome))
    elif not tell.quiet:
        rest = f"; {human.count(outcome.left, 'scene')} left for a later look" if outcome.left else ""
        click.echo(f"{outcome.published} published, {outcome.failed} failed{rest}")
    return int(outcome.failed > 0)


class _Told:
    """Events as lines for people or as JSON."""

    def __init__(self, *, as_json: bool, quiet: bool) -> None:
        self.as_json, self.quiet = as_json, quiet

    def __call__(self, event: str, **facts: Any) -> None:
        """Print one event; failures and warnings also when quiet."""
        if self.as_json:
            show.json_line(event, time=datetime.now(UTC).isoformat(timespec="seconds"), **facts)
        elif event in ("failed", "warning") or not self.quiet:
            show.say(_line(event, facts), err=event in ("failed", "warning"))


def _line(event: str, facts: dict[str, Any]) -> str:
    match event:
        case "found":
            waiting = facts["waiting"] + facts["running"]
            return f"{human.count(facts['new'], 'new scene')}, {waiting} to do, {facts['failed']} set aside"
        case "begin":
            again = f" (attempt {facts['attempt']})" if facts["attempt"] > 1 else ""
            return f"{facts['scene']}: begun{again}"
        case "published":
            before = facts.get("blocks_as_before")
            some = f", {before} of {human.count(facts['blocks'], 'block')} as before" if before else ""
            return f"{facts['scene']}: {facts['output']} in {human.duration(facts['seconds'])}{some}"
        case "failed":
            then = "set aside" if facts["set_aside"] else "will be tried again"
            return f"{facts['scene']}: failed, {then}: {facts['error']}"
        case _:
            return f"{event}: {facts.get('message', facts)}"


def _show_candidates(schedule: Any, *, as_json: bool) -> int:
    from geounet.schedule.finding import preview_look

    for found, state in preview_look(schedule):
        if as_json:
            show.json_line("scene", **vars(found), state=state)
        else:
            click.echo(f"{state:<8} {found.name}  {found.source}")
    return 0
