"""A run keeps the partition of the parts that it finds: its own, or those of an earlier version of the scene."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from geounet.errors import ConfigError
from geounet.grid.blocks import Partition
from geounet.run.division import Division, read_division, write_division
from geounet.run.journal import JOURNAL, STATE, Journal, folder_of
from geounet.run.options import InferOptions
from geounet.run.outputs import journal_key, parts_recipe
from geounet.run.plan import Plan
from geounet.run.receipts import receipts_of


def find_base(
    state: Path, plan: Plan, options: InferOptions, earlier: Sequence[Path] = ()
) -> tuple[Path, Partition] | None:
    """The journal's folder, and the blocks, of the earlier run that knows most of what this one makes.

    It saw another scene's content or area of interest, and all else is the same. It is looked for in the results
    folder's own ``state``, in ``options.base`` and in ``earlier`` results folders. None where nothing is found.
    """
    if options.fresh:
        return None
    recipe, own = parts_recipe(plan), folder_of(state, journal_key(plan, options))
    given = [options.base] if options.base is not None else []
    states = [state, *(folder / STATE for folder in (*given, *earlier))]
    journals = sorted(file.parent for place in states for file in place.glob(f"*/{JOURNAL}"))
    divided = [(folder, read_division(folder)) for folder in journals if folder != own]
    known = [(_known(folder), folder, of.partition) for folder, of in divided if of and of.recipe == recipe]
    blocks, folder, partition = max(known, key=lambda one: one[0], default=(0, state, plan.partition))
    return (folder, partition) if blocks else None


def _known(folder: Path) -> int:
    """Blocks that a journal can be asked for."""
    return sum(receipt.input != "" for receipt in receipts_of(folder / JOURNAL).values())


def with_partition_of(journal: Journal, plan: Plan, options: InferOptions, base: Partition | None = None) -> Plan:
    """The plan with the partition of the journal's parts; a new journal remembers that of ``base``, or the plan's.

    The partition does not change a pixel, so it is no part of the key; but parts of two partitions overlap.
    Raises ConfigError where ``--block`` asks for another partition than the parts of an unfinished run have.
    """
    stored = read_division(journal.folder)
    if stored is None:
        journal.forget()  # nobody knows any more which pixels its parts hold
    if stored is None or not journal.receipts:
        chosen = base if base is not None and options.block is None else plan.partition
        write_division(journal.folder, Division(partition=chosen, recipe=parts_recipe(plan)))
        return replace(plan, partition=chosen)
    if options.block is not None and stored.partition != plan.partition and not journal.is_finished:
        raise ConfigError(
            f"--block {options.block}: {len(journal.receipts)} blocks of {stored.partition.block_width} × "
            f"{stored.partition.block_height} are finished already; leave --block out to go on with them, or add "
            "--fresh to start again"
        )
    return replace(plan, partition=stored.partition)
