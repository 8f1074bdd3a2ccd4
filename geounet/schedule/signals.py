"""Telling people and machines: a command, a webhook, a metrics file. None of them can make a scene fail."""

from __future__ import annotations

import json
import os
import subprocess
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from geounet.io.atomic import publish_text

_PATIENCE = 60.0  # seconds

Warn = Callable[[str], None]


def call_hook(command: Sequence[str], facts: Mapping[str, Any], warn: Warn, *, folder: Path) -> None:
    """Run a command in a folder, without a shell; ``{name}`` in its words becomes a fact.

    All facts are JSON on its input, and in its environment as ``GEOUNET_<NAME>``.
    """
    if not command:
        return
    words = [_filled(word, facts) for word in command]
    try:
        done = subprocess.run(
            words,
            input=json.dumps(facts, default=str) + "\n",
            text=True,
            capture_output=True,
            timeout=_PATIENCE,
            check=False,
            cwd=folder,
            env={**os.environ, **{f"GEOUNET_{k.upper()}": str(v) for k, v in facts.items() if "\0" not in str(v)}},
        )
    except (OSError, subprocess.TimeoutExpired, ValueError) as error:
        warn(f"hook {words[0]}: {error}")
        return
    if done.returncode:
        said = " ".join(done.stderr.split())[-200:]
        warn(f"hook {words[0]} ended with {done.returncode}{f': {said}' if said else ''}")


def _filled(word: str, facts: Mapping[str, Any]) -> str:
    """The word with its ``{name}`` replaced; other braces stay as they are."""
    for name, value in facts.items():
        word = word.replace("{" + name + "}", str(value))
    return word.replace("\0", "")


def post_webhook(url: str | None, facts: Mapping[str, Any], warn: Warn) -> None:
    """POST the facts as JSON."""
    if url is None:
        return
    request = urllib.request.Request(  # noqa: S310  the scheme was checked when the file was read
        url,
        data=json.dumps(facts, default=str).encode(),
        headers={"Content-Type": "application/json", "User-Agent": "geounet"},
    )
    try:
        with urllib.request.urlopen(request, timeout=_PATIENCE):  # noqa: S310
            pass
    except (urllib.error.URLError, OSError, ValueError) as error:
        warn(f"webhook {url.split('?')[0]}: {error}")


def write_metrics(path: Path | None, values: Mapping[str, float], warn: Warn) -> None:
    """A textfile for Prometheus' node_exporter: ``geounet_<name> <value>``, whole or not at all."""
    if path is None:
        return
    lines = []
    for name, value in values.items():
        plain = name.split("{")[0]
        if f"# TYPE geounet_{plain} gauge" not in lines:
            lines.append(f"# TYPE geounet_{plain} gauge")
        lines.append(f"geounet_{name} {value:g}" if value < 1e6 else f"geounet_{name} {value:.0f}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        publish_text(path, "\n".join(lines) + "\n")
        path.chmod(0o644)
    except OSError as error:
        warn(f"metrics {path}: {error}")
