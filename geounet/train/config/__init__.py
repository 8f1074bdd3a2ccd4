"""The training file: YAML → checked, frozen values. Unknown keys are refused with the nearest one that exists."""

from geounet.train.config.data import (
    AugmentConfig,
    BandConfig,
    ClassConfig,
    DataConfig,
    SampleConfig,
    SceneConfig,
)
from geounet.train.config.file import RESERVED, TrainConfig, load_config, resolved
from geounet.train.config.learning import (
    BorderConfig,
    HeadConfig,
    LossConfig,
    NetworkConfig,
    OptimiserConfig,
    ScheduleConfig,
)
from geounet.train.config.section import Color, Section

__all__ = [
    "RESERVED",
    "AugmentConfig",
    "BandConfig",
    "BorderConfig",
    "ClassConfig",
    "Color",
    "DataConfig",
    "HeadConfig",
    "LossConfig",
    "NetworkConfig",
    "OptimiserConfig",
    "SampleConfig",
    "SceneConfig",
    "ScheduleConfig",
    "Section",
    "TrainConfig",
    "load_config",
    "resolved",
]
