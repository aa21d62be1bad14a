"""Everything a training run of pose networks can be told; nothing here loads torch."""

from .data import AugmentSettings, CodecSettings, DataSettings, DataSource
from .pose import DistillSettings, LossSettings, Settings
from .run import EmaSettings, OptimizerSettings, ScheduleSettings

__all__ = [
    "AugmentSettings",
    "CodecSettings",
    "DataSettings",
    "DataSource",
    "DistillSettings",
    "EmaSettings",
    "LossSettings",
    "OptimizerSettings",
    "ScheduleSettings",
    "Settings",
]
