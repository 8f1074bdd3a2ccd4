"""The story of an unattended run: look, claim, process, publish, record."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from geounet.errors import ClusterError, GeounetError, Interrupted, MissingExtraError, NoWorkers
from geounet.run.pipeline import infer_plan, plan_scene
from geounet.run.progress import Progress
from geounet.run.result import Run
from geounet.schedule.config import ScheduleConfig
from geounet.schedule.database import connect
from geounet.schedule.entry import Entry
from geounet.schedule.finding import find, package_of, recipe_of
from geounet.schedule.heartbeat import Guarded, Heartbeat
from geounet.schedule.layout import fill, item_id
from geounet.schedule.ledger import Ledger, TakenOver
from geounet.schedule.postgis import PostgisTable
from geounet.schedule.publish import Publication, published_key, work_folder
from geounet.schedule.retention import BLOCKS_IN, Retention, holds_blocks
from geounet.schedule.shelf import write_shelf
from geounet.schedule.signals import call_hook, post_webhook, write_metrics

_FOR_ALL = (ClusterError, NoWorkers, MissingExtraError)
"""What every other scene would meet as well."""
_SHELF_EVERY = 30.0  # seconds between two writings of catalogue and index, which grow with all scenes


class Tell(Protocol):
    """What happens, as it happens: an event's name and its facts."""

    def __call__(self, event: str, **facts: Any) -> None:
        """Events: ``found``, ``begin``, ``published``, ``failed``, ``warning``."""
        ...


@dataclass(kw_only=True)
class Outcome:
    """What one look came to."""

    new: int = 0
    published: int = 0
    failed: int = 0
    """Tries that failed; the scenes wait for another one or were set aside."""
    left: int = 0
    """Scenes that were left for the next look, since the limit was reached."""


def run_once(
    config: ScheduleConfig,
    *,
    tell: Tell,
    limit: int | None = None,
    progress: Callable[[], Progress] = Progress,
) -> Outcome:
    """Process every scene that is new or due, at most ``limit``; others may run on the same ledger meanwhile.

    Raises RequestError where the configuration cannot work, WorkError where the disk is too full to begin a scene
    that is due or where no Dask worker takes it, Interrupted after Ctrl-C: what was claimed is given back, and goes
    on where it stopped.
    """
    from geounet.run.cluster import one_cluster

    ledger = Ledger(connect(config.ledger_place))
    try:
        look = _Look(config, ledger, tell=tell, progress=progress)
        with one_cluster():
            return look.work(limit)
    finally:
        ledger.close()


class _Look:
    """One look at the source, and the work that it finds."""

    def __init__(
        self, config: ScheduleConfig, ledger: Ledger, *, tell: Tell, progress: Callable[[], Progress]
    ) -> None:
        self._config, self._ledger, self._tell, self._progress = config, ledger, tell, progress
        self._options = config.options
        self._package = package_of(self._options)
        self._recipe = recipe_of(config, self._package, ledger)
        self._retention = Retention(config, ledger)
        to = config.publish
        self._table = PostgisTable(to.postgis, to.table) if to.postgis is not None else None
        self._shelf_told = float("-inf")

    def work(self, limit: int | None) -> Outcome:
        outcome = Outcome(new=self._ledger.offer(list(find(self._config, self._recipe, self._ledger, self._warn))))
        self._tell("found", new=outcome.new, **self._ledger.counts(self._recipe))
        try:
            while limit is None or outcome.published + outcome.failed < limit:
                if self._ledger.is_due(self._recipe):
                    self._retention.make_room()
                entry = self._ledger.claim(self._recipe, lease=self._config.retry.lease)
                if entry is None:
                    break
                self._process(entry, outcome)
                self._show(at_once=False)
            self._retention.tidy()
        finally:
            self._show(at_once=True)
        outcome.left = self._ledger.counts(self._recipe)["waiting"]
        return outcome

    def _process(self, entry: Entry, outcome: Outcome) -> None:
        """Publish a scene and count it; a failure is recorded, a scene that another run took over is left to it."""
        started = time.monotonic()
        try:
            try:
                self._tell(
                    "begin", key=entry.key, scene=entry.name, source=entry.source, attempt=entry.attempts + 1
                )
                final, run = self._make(entry)
            except (KeyboardInterrupt, Interrupted) as stop:
                self._give_back(entry)
                raise Interrupted(
                    f"stopped; {entry.name} goes on where it stopped when the same command is given"
                ) from stop
            except TakenOver:
                raise
            except _FOR_ALL:
                self._give_back(entry)
                raise
            except Exception as error:  # noqa: BLE001  one scene's trouble must not stop the others
                self._failed(entry, error)
                outcome.failed += 1
                return
            self._done(entry, final, run, seconds=time.monotonic() - started)
            outcome.published += 1
        except TakenOver as error:
            self._warn(f"{entry.name}: {error}")

    def _give_back(self, entry: Entry) -> None:
        with suppress(TakenOver):
            self._ledger.give_back(entry.key)

    def _make(self, entry: Entry) -> tuple[Path, Run | None]:
        """Compute and publish; no run where an earlier one had published it and died before it said so.

        Where the table refuses the rows, nothing is published: the results wait in their hidden folder.
        """
        final = self._destination(entry)
        with Heartbeat(self._ledger, entry.key, lease=self._config.retry.lease) as heart:
            while True:
                with Publication(work_folder(final, entry.key), final, entry.key) as publication:
                    run = None if publication.is_out else self._compute(entry, final, heart)
                    there, final = final, self._destination(entry)
                    if there != final:  # another scene of this name was published meanwhile; the blocks are kept
                        continue
                    with self._table.replacing(entry, publication.folder) if self._table else nullcontext():
                        publication.publish(keep_parts=self._retention.keeps_blocks)
                return final, run

    def _compute(self, entry: Entry, final: Path, heart: Heartbeat) -> Run:
        work = work_folder(final, entry.key)
        # nobody else works there: what another version of the software left, or of a file since touched, may go
        options = replace(self._options, stack=len(entry.paths) > 1, overwrite=True)
        plan = replace(plan_scene(entry.paths, options), output=work, scene_name=entry.name)
        plan = replace(plan, item_id=item_id(final, root=self._config.root, model=self._package.spec.name))
        if self._config.catalog:
            plan = replace(plan, catalog_href=Path(os.path.relpath(self._config.root, work)).as_posix())
        if self._config.source.stac is not None:  # an item knows it; a file's own tags know more than the ledger
            plan = replace(plan, scene_time=entry.time.replace("+00:00", "Z"))
        earlier = self._retention.earlier(entry.source)
        return infer_plan(plan, options, progress=Guarded(heart, self._progress()), earlier=earlier)

    def _destination(self, entry: Entry) -> Path:
        """The folder of a scene; another source's results having that name, one with its own source's digest."""
        final = fill(
            self._config.destination,
            scene=entry.name,
            source=Path(entry.source),
            time=datetime.fromisoformat(entry.time),
            model=self._package.spec.name,
            run=entry.key,
        )
        holders = self._ledger.at_output(str(final)), self._ledger.entry(published_key(final))
        if any(there is not None and there.source != entry.source for there in holders):
            return final.with_name(f"{final.name}-{hashlib.sha256(entry.source.encode()).hexdigest()[:8]}")
        return final

    def _done(self, entry: Entry, final: Path, run: Run | None, *, seconds: float) -> None:
        facts = {"seconds": round(seconds, 3), "bbox": _bbox(final), **(_facts(run) if run is not None else {})}
        before = self._ledger.of_source(entry.source, "done")
        blocks = {BLOCKS_IN: str(final)} if holds_blocks(final) else {}
        self._ledger.finish(entry.key, output=str(final), facts={**facts, **blocks})
        self._retention.published(before, final)
        said = {"key": entry.key, "scene": entry.name, "source": entry.source, "output": str(final), **facts}
        self._tell("published", **said)
        self._hook(self._config.signals.on_success, said)
        post_webhook(self._config.signals.webhook, {"event": "published", **said}, self._warn)

    def _failed(self, entry: Entry, error: Exception) -> None:
        retry = self._config.retry
        known = isinstance(error, GeounetError | OSError)
        text = " ".join((str(error) if known else f"unexpected {type(error).__name__}: {error}").split())
        wait = retry.backoff * 2**entry.attempts
        state = self._ledger.fail(entry.key, error=text, attempts=retry.attempts, wait=wait)
        if state == "failed":
            self._retention.set_aside(entry, work_folder(self._destination(entry), entry.key))
        said = {
            "key": entry.key,
            "scene": entry.name,
            "source": entry.source,
            "error": text,
            "attempt": entry.attempts + 1,
            "set_aside": state == "failed",
        }
        self._tell("failed", **said)
        self._hook(self._config.signals.on_failure, said)
        post_webhook(self._config.signals.webhook, {"event": "failed", **said}, self._warn)

    def _show(self, *, at_once: bool) -> None:
        """Catalogue, index page and metrics; not after every scene, as they grow with all of them."""
        if not at_once and time.monotonic() - self._shelf_told < _SHELF_EVERY:
            return
        self._shelf_told = time.monotonic()
        counts = self._ledger.counts(self._recipe)
        values = {f'scenes{{state="{state}"}}': float(n) for state, n in counts.items()}
        write_metrics(
            self._config.signals.metrics, {**values, "last_look_timestamp_seconds": time.time()}, self._warn
        )
        if not self._config.catalog or not self._config.root.is_dir():
            return
        try:
            write_shelf(self._config.root, self._ledger.entries())
        except OSError as error:
            self._warn(f"{self._config.root}: {error.strerror}: the catalogue is not up to date")

    def _hook(self, command: Sequence[str], facts: dict[str, Any]) -> None:
        self._config.root.mkdir(parents=True, exist_ok=True)
        call_hook(command, facts, self._warn, folder=self._config.root)

    def _warn(self, message: str) -> None:
        self._tell("warning", message=message)


def _facts(run: Run) -> dict[str, Any]:
    return {
        "pixels": run.pixels,
        "blocks": run.blocks,
        "blocks_as_before": run.as_before,
        "features": dict(run.features),
        "area_by_class": {head: dict(areas) for head, areas in run.area_by_class.items()},
        "area_unit": run.area_unit,
        "length": dict(run.length),
        "warnings": list(run.warnings),
    }


def _bbox(folder: Path) -> list[float] | None:
    """West, south, east, north of published results, in degrees; None where nobody knows."""
    try:
        found = json.loads((folder / "item.json").read_text(encoding="utf-8")).get("bbox")
    except (OSError, ValueError):
        return None
    return found if isinstance(found, list) and len(found) == 4 else None
