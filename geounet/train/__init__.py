"""Training: labelled scenes in, a model package out. Needs torch."""

from geounet.train.config import TrainConfig, load_config
from geounet.train.folds import train_folds
from geounet.train.loop import TrainStep
from geounet.train.recipe import train
from geounet.train.sheet import draw_sheet

__all__ = ["TrainConfig", "TrainStep", "draw_sheet", "load_config", "train", "train_folds"]
