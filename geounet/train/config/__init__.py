"""The training file: YAML → checked, frozen values. Unknown keys are refused with the nearest one that exists."""

from geounet.train.config.augment import AugmentConfig, PaintConfig, RecolorConfig, RelabelConfig
from geounet.train.config.color import Color
from geounet.train.config.data import (
    UNKNOWN,
    BandConfig,
    BlocksConfig,
    ChipsConfig,
    ClassConfig,
    DataConfig,
    LabelsConfig,
    LayerConfig,
    SampleConfig,
    SceneConfig,
)
from geounet.train.config.file import RESERVED, TrainConfig, load_config, resolved
from geounet.train.config.learning import (
    BorderConfig,
    FinishConfig,
    HeadConfig,
    LossConfig,
    NetworkConfig,
    OptimiserConfig,
    ScheduleConfig,
)

__all__ = [
    "RESERVED",
    "UNKNOWN",
    "AugmentConfig",
    "BandConfig",
    "BlocksConfig",
    "BorderConfig",
    "ChipsConfig",
    "ClassConfig",
    "Color",
    "DataConfig",
    "FinishConfig",
    "HeadConfig",
    "LabelsConfig",
    "LayerConfig",
    "LossConfig",
    "NetworkConfig",
    "OptimiserConfig",
    "PaintConfig",
    "RecolorConfig",
    "RelabelConfig",
    "SampleConfig",
    "SceneConfig",
    "ScheduleConfig",
    "TrainConfig",
    "load_config",
    "resolved",
]
