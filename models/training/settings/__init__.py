"""Everything a training run of pose networks can be told; nothing here loads torch."""

from .data import AugmentSettings, CodecSettings, DataSettings, DataSource
from .pose import DistillSettings, LossSettings, QuantizeSettings, Settings
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
    "QuantizeSettings",
    "ScheduleSettings",
    "Settings",
]
