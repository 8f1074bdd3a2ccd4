"""What there is to do: the scenes that a source shows, each under the key that it has in the ledger."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path

from geounet.errors import GeounetError
from geounet.model.package import Package, load_model
from geounet.run.options import InferOptions
from geounet.schedule.config import ScheduleConfig
from geounet.schedule.content import Memory, content_digest, input_contents
from geounet.schedule.database import connect
from geounet.schedule.entry import Found
from geounet.schedule.ledger import Ledger
from geounet.schedule.sources import candidates


def find(
    config: ScheduleConfig, recipe: str, ledger: Ledger | None, warn: Callable[[str], None]
) -> Iterator[Found]:
    """Every scene that the source shows and that can be read."""
    known = _memory(ledger)
    for candidate in candidates(config.source, allow_remote=config.options.allow_remote, warn=warn):
        try:
            content = content_digest(candidate.paths, known, told=candidate.contents)
        except GeounetError as error:
            warn(str(error))
            continue
        yield Found(
            key=hashlib.sha256(f"{content} {recipe}".encode()).hexdigest(),
            name=candidate.name,
            source=candidate.source,
            paths=candidate.paths,
            time=candidate.time.isoformat(),
            content=content,
            recipe=recipe,
        )


def preview_look(config: ScheduleConfig) -> list[tuple[Found, str]]:
    """What a look would find: every scene, and ``new`` or its state in the ledger. Begins and writes down none."""
    package = package_of(config.options)
    exists = "://" in config.ledger_place or Path(config.ledger_place).exists()
    ledger = Ledger(connect(config.ledger_place)) if exists else None
    try:
        states = {entry.key: entry.state for entry in ledger.entries()} if ledger else {}
        found = find(config, recipe_of(config, package, ledger), ledger, lambda _text: None)
        return [(scene, states.get(scene.key, "new")) for scene in found]
    finally:
        if ledger is not None:
            ledger.close()


def package_of(options: InferOptions) -> Package:
    """The model. Raises RequestError where it cannot be loaded."""
    return load_model(options.model, allow_pickle=options.allow_pickle)


def recipe_of(config: ScheduleConfig, package: Package, ledger: Ledger | None) -> str:
    """Names model and options, with the contents of files that options name."""
    return config.recipe(package.digest, input_contents(config.options, _memory(ledger)))


def _memory(ledger: Ledger | None) -> Memory:
    """What the ledger knows of files that were read before; without one nothing."""
    return (ledger.digest_of, ledger.remember_digest) if ledger else (lambda *_: None, lambda *_: None)
