"""Data sets of pictures, on as many machines as there are: Ray Data and `dwpose-batch`.

    import ray
    from dwpose_infer.batch import predict_dataset
    poses = predict_dataset(ray.data.read_binary_files("photos/", include_paths=True))

The name is loaded when it is first used, so that the command's --help is quick.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .dataset import predict_dataset
    from .workers import Workers

__all__ = ["Workers", "predict_dataset"]

_HOMES = {"Workers": "workers", "predict_dataset": "dataset"}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f".{_HOMES[name]}", __name__), name)
