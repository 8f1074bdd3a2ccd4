"""Training: labelled scenes in, a model package out. Needs torch."""

from geounet.train.config import TrainConfig, load_config
from geounet.train.loop import Progress
from geounet.train.recipe import train

__all__ = ["Progress", "TrainConfig", "load_config", "train"]
