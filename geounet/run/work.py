"""What travels to a worker, and what comes back: both small."""

from __future__ import annotations

from dataclasses import dataclass

from geounet.grid.blocks import Partition
from geounet.grid.lattice import Lattice
from geounet.io.scene import SceneSpec
from geounet.model.engine import EngineRequest
from geounet.model.spec import ModelSpec
from geounet.run.roll_call import Roll


@dataclass(frozen=True, kw_only=True)
class Work:
    """Everything a process needs to compute any block of a run."""

    key: str
    """Names this work among all that a worker may meet: which parts, where, of which partition, how computed."""
    scene: SceneSpec
    model: str
    """Name or path of the package, as this machine and the workers find it."""
    model_digest: str
    allow_pickle: bool
    spec: ModelSpec
    request: EngineRequest
    lattice: Lattice
    partition: Partition
    threads_of_worker: bool
    """Compute as many tiles at a time as the Dask worker has threads, rather than ``request.threads``."""
    devices_in_turn: bool
    """Local workers take the CUDA devices in turn, rather than all ``request.device``."""
    aoi: str | None
    """Path of the vector file that limits the run."""
    around: int
    """Pixels around that area that are computed too."""
    parts: str
    """Folder of the parts, shared by all workers."""
    roll: Roll | None = None
    """What a worker on another machine is asked before it takes part."""
    needs_gpu: bool = False
    """Ask for ``GPU=1``, where workers offer that."""
    base: str | None = None
    """Folder of an earlier run's journal: blocks that read what its blocks read take their parts."""

    def local_paths(self) -> tuple[str, ...]:
        """What must be there on this machine while the work goes on: the folder of the parts, a scene on disk."""
        scene = (path for path in self.scene.paths if "://" not in path and not path.startswith("/vsi"))
        return (self.parts, *scene)


@dataclass(frozen=True, kw_only=True)
class Receipt:
    """What a block left: enough to trust its part later, and to count."""

    block: int
    file: str
    """Name in the parts folder, with the folder that it has there."""
    bytes: int
    digest: str
    """blake2b of the part's bytes."""
    tiles: int
    """Tiles that were computed for this block."""
    reused: int
    """Tiles that would have been computed again without the canvas of the block above."""
    skipped: int
    """Tiles without a valid pixel, never computed."""
    pixels: list[list[int]]
    """Pixels of every class of every head."""
    seconds: float
    engine: str
    input: str = ""
    """Digest of all that the block read (`geounet.run.input_digest`)."""
    adopted: bool = False
    """Whether the part is that of an earlier run, whose block had read the same."""
