"""DWPose whole-body pose estimation: 133 keypoints of every person on pictures and video.

    from dwpose_infer import Predictor
    result = Predictor()("photo.jpg")
    result.keypoints  # (P, 133, 2) float32, x then y, pixels of the picture

The names below are loaded when they are first used, so that importing the package is quick.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ._version import __version__

if TYPE_CHECKING:
    from .errors import DwposeError
    from .predictor import Predictor
    from .results import Person, PoseResult
    from .zoo import list_models

__all__ = ["DwposeError", "Person", "PoseResult", "Predictor", "__version__", "list_models"]

_HOMES = {
    "DwposeError": "errors",
    "Person": "results",
    "PoseResult": "results",
    "Predictor": "predictor",
    "list_models": "zoo",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f".{_HOMES[name]}", __name__), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
