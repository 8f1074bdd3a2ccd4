"""Training: labelled scenes in, a model package out. Needs torch."""

from geounet.train.config import TrainConfig, load_config
from geounet.train.loop import TrainStep
from geounet.train.recipe import train

__all__ = ["TrainConfig", "TrainStep", "load_config", "train"]
