"""A Prefect flow that looks for new scenes: ``geounet run`` as a subprocess; events become logs, exit codes states.

    pip install 'geounet[prefect]'     # without -c constraints.txt, whose pins are not Prefect's
    python workflows/prefect/flow.py /srv/maps/schedule.yaml               # one look, now
    python workflows/prefect/flow.py /srv/maps/schedule.yaml --every 600   # stay, and look every ten minutes

Why a subprocess: it can be killed and starts with a fresh memory, and a crash of a library in it fails one flow
run and not the worker. Any number of flow runs may be at work at once; the ledger gives each scene to one.

Exit code 0 is Completed. 1 (a scene failed) fails the task, which is tried again after a pause: by then the
scene's backoff is over (give the flow a ``retry_seconds`` not below the schedule's ``retry.backoff``). A scene that
was set aside, and 2 (the schedule cannot work), fail at once, as trying again would not help. 130 (stopped) is
Cancelled. When the task ends in any other way, so does the subprocess: it gives its scene back to the ledger.
"""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from pathlib import Path
from typing import Any

from prefect import flow, get_run_logger, task
from prefect.states import Cancelled, Completed, State

_LEVELS = {
    "failed": logging.ERROR,
    "error": logging.ERROR,
    "warning": logging.WARNING,
    "progress": logging.DEBUG,
}
_FAILED, _INTERRUPTED = 1, 130
_PATIENCE = 30.0  # seconds between SIGTERM and SIGKILL

Logger = logging.Logger | logging.LoggerAdapter[Any]


class SceneFailed(RuntimeError):
    """Some scene failed; a later look tries it again."""


class LookFailed(RuntimeError):
    """The look could not work, or a scene was set aside; trying again would not help."""


def _worth_another_try(_task: Any, _run: Any, state: State[Any]) -> bool:
    """Whether a failed task is tried again."""
    return isinstance(state.result(raise_on_failure=False), SceneFailed)


@task(name="geounet run", retries=2, retry_delay_seconds=300, retry_condition_fn=_worth_another_try)
def look(config: str, limit: int | None = None) -> dict[str, Any]:
    """One look at the source of a schedule; what it came to. Raises SceneFailed, LookFailed."""
    log = get_run_logger()
    arguments = ["run", str(Path(config)), "--json", *([] if limit is None else ["--limit", str(limit)])]
    process = subprocess.Popen(
        [sys.executable, "-m", "geounet", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )
    try:
        last, aside = _follow(process, log)
        code = process.wait()
    finally:  # however this task ends, nothing of it goes on
        _stop(process)
    if aside:  # the next look would no longer speak of them
        raise LookFailed(f"set aside: {', '.join(aside)}; geounet ledger show {config} SCENE says why")
    if code == _FAILED:
        raise SceneFailed(str(last.get("message") or f"{last.get('failed', 'some')} scenes failed"))
    if code not in (0, _INTERRUPTED):
        raise LookFailed(str(last.get("message") or f"geounet run ended with exit code {code}"))
    return {**last, "exit_code": code}


def _follow(process: subprocess.Popen[str], log: Logger) -> tuple[dict[str, Any], list[str]]:
    """Log every event as it comes; the one that sums up (``done`` or ``error``), and what scenes were set aside."""
    last: dict[str, Any] = {}
    aside: list[str] = []
    assert process.stdout is not None
    for line in process.stdout:
        event = _parse(line)
        name = event.pop("event")
        log.log(_LEVELS.get(name, logging.INFO), "%s %s", name, json.dumps(event, ensure_ascii=False))
        if name in ("done", "error"):
            last = event
        elif name == "failed" and event.get("set_aside"):
            aside.append(str(event.get("scene")))
    return last, aside


def _parse(line: str) -> dict[str, Any]:
    """An event; what is none (a library's own words) is a remark."""
    try:
        event = json.loads(line)
    except ValueError:
        return {"event": "remark", "text": line.rstrip()}
    return event if isinstance(event, dict) and "event" in event else {"event": "remark", "text": line.rstrip()}


def _stop(process: subprocess.Popen[str]) -> None:
    """End the subprocess if it is still there."""
    if process.poll() is not None:
        return
    process.terminate()
    try:
        process.wait(_PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


@flow(name="geounet", log_prints=False)
def new_maps(
    config: str, limit: int | None = None, retries: int = 2, retry_seconds: float = 300.0
) -> State[dict[str, Any]]:
    """Process every scene that is new or due; ``limit`` scenes at most."""
    patient = look.with_options(retries=retries, retry_delay_seconds=retry_seconds)
    outcome = patient(config, limit)
    if outcome["exit_code"] == _INTERRUPTED:
        return Cancelled(message="geounet run was stopped; it goes on with the next look")
    message = f"{outcome.get('published', 0)} published, {outcome.get('left', 0)} left"
    return Completed(message=message, data=outcome)


def main(arguments: list[str]) -> int:
    """Run the flow once, or serve it; the exit code."""
    if not arguments or "--help" in arguments:
        sys.stdout.write(f"{__doc__}")
        return 0
    config, every = arguments[0], arguments[arguments.index("--every") + 1] if "--every" in arguments else None
    if every is not None:
        new_maps.serve(name="geounet", interval=float(every), parameters={"config": str(Path(config).absolute())})
        return 0
    state = new_maps(config, return_state=True)
    return 0 if state.is_completed() else _INTERRUPTED if state.is_cancelled() else _FAILED


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
