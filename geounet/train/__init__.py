"""Training: labelled scenes in, a model package out. Needs torch and, for the steps, the extra ``train``."""

from geounet.train.config import TrainConfig, load_config
from geounet.train.folds import train_folds
from geounet.train.plan import TrainPlan
from geounet.train.recipe import package_training, plan_training, train
from geounet.train.sheet import draw_sheet
from geounet.train.state import TrainStep

__all__ = [
    "TrainConfig",
    "TrainPlan",
    "TrainStep",
    "draw_sheet",
    "load_config",
    "package_training",
    "plan_training",
    "train",
    "train_folds",
]
