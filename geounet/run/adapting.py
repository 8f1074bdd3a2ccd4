"""Workers that come and go with the work, where a scheduler of this process asks for them."""

from __future__ import annotations

from typing import Any

import distributed

from geounet.run.cluster_config import StartedCluster


class _ByBlocks(distributed.Adaptive):
    """As many workers as blocks are in flight. Each has two while more wait here, so that their number doubles.

    Dask's own target divides tasks by threads, for tasks that compute on one, and sees nothing of the backlog.
    """

    async def target(self) -> int:
        """Workers that there should be."""
        return sum(len(worker.processing) for worker in self.cluster.scheduler.workers.values())


def adapt(cluster: Any, config: StartedCluster) -> None:
    """Let workers of a scheduler in this process come and go, where that was asked for."""
    if config.adapt is not None:
        cluster.adapt(Adaptive=_ByBlocks, minimum=config.adapt.minimum, maximum=config.adapt.maximum)
