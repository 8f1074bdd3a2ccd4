"""A resumed run keeps the partition that its finished parts were made with."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import replace

from geounet.errors import ConfigError
from geounet.grid.blocks import Partition
from geounet.io.atomic import publish_text
from geounet.run.journal import Journal
from geounet.run.options import InferOptions
from geounet.run.plan import Plan


def with_partition_of(journal: Journal, plan: Plan, options: InferOptions) -> Plan:
    """The plan with the partition of the journal's parts; a new journal remembers the plan's.

    The partition does not change a pixel, so it is no part of the key; but parts of two partitions overlap.
    Raises ConfigError where ``--block`` asks for another partition than the parts of an unfinished run have.
    """
    file = journal.folder / "partition.json"
    stored = _read(file.read_text(encoding="utf-8")) if file.is_file() else None
    if stored is None:
        journal.forget()  # nobody knows any more which pixels its parts hold
    if stored is None or not journal.receipts:
        publish_text(file, json.dumps(dataclasses.asdict(plan.partition)))
        return plan
    if options.block is not None and stored != plan.partition and not journal.is_finished:
        raise ConfigError(
            f"--block {options.block}: {len(journal.receipts)} blocks of {stored.block_width} × "
            f"{stored.block_height} are finished already; leave --block out to go on with them, or add "
            "--fresh to start again"
        )
    return replace(plan, partition=stored)


def _read(text: str) -> Partition | None:
    try:
        return Partition(**json.loads(text))
    except (ValueError, TypeError):
        return None
