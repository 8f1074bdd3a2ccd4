"""geounet turns satellite scenes that are too big for anything else into maps.

>>> import geounet
>>> run = geounet.infer("scene.tif", output="maps")   # doctest: +SKIP
>>> run.paths["landuse.geojson"]                       # doctest: +SKIP

Nothing heavy is imported before it is used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from geounet import errors

__version__ = "0.1.0"

if TYPE_CHECKING:
    from geounet.api import evaluate, evaluate_model, infer, plan, preview, vectorize
    from geounet.io.road_graph import road_graph
    from geounet.io.scene import Scene, open_scene
    from geounet.judge.evaluation import Evaluation
    from geounet.model.package import load_model
    from geounet.run.plan import Plan
    from geounet.run.progress import Progress
    from geounet.run.result import Run
    from geounet.run.vector_result import VectorResult
    from geounet.sample.write import write_sample
    from geounet.score.scores import Scores
    from geounet.score.seams import Seams, check_seams

_HOME = {
    "evaluate": "geounet.api",
    "evaluate_model": "geounet.api",
    "infer": "geounet.api",
    "plan": "geounet.api",
    "preview": "geounet.api",
    "open_scene": "geounet.io.scene",
    "road_graph": "geounet.io.road_graph",
    "load_model": "geounet.model.package",
    "vectorize": "geounet.api",
    "write_sample": "geounet.sample.write",
    "Progress": "geounet.run.progress",
    "Run": "geounet.run.result",
    "Plan": "geounet.run.plan",
    "Scene": "geounet.io.scene",
    "Scores": "geounet.score.scores",
    "Seams": "geounet.score.seams",
    "check_seams": "geounet.score.seams",
    "Evaluation": "geounet.judge.evaluation",
    "VectorResult": "geounet.run.vector_result",
}

__all__ = [
    "Evaluation",
    "Plan",
    "Progress",
    "Run",
    "Scene",
    "Scores",
    "Seams",
    "VectorResult",
    "check_seams",
    "errors",
    "evaluate",
    "evaluate_model",
    "infer",
    "load_model",
    "open_scene",
    "plan",
    "preview",
    "road_graph",
    "vectorize",
    "write_sample",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'geounet' has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return [*globals(), *__all__]
