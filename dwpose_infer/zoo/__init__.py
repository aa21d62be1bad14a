"""The models this package knows by name, and where their files are on this machine.

The list is data: `manifest.json` beside this module. A name leads to a file in three ways: it
comes with the package, it is in the cache, or it is downloaded into the cache. The cache is
the folder `models` in `DWPOSE_HOME`, or in the user's cache folder where that variable is not
set. With `DWPOSE_OFFLINE=1` nothing is ever downloaded.
"""

from __future__ import annotations

from .manifest import (
    DEFAULT_DETECTOR,
    DEFAULT_POSE,
    ModelKind,
    ModelSpec,
    PublicAccuracy,
    find_spec,
    get_spec,
    list_models,
)
from .places import StrPath, cache_folder, is_offline
from .store import download_model, find_model, resolve_model

__all__ = [
    "DEFAULT_DETECTOR",
    "DEFAULT_POSE",
    "ModelKind",
    "ModelSpec",
    "PublicAccuracy",
    "StrPath",
    "cache_folder",
    "download_model",
    "find_model",
    "find_spec",
    "get_spec",
    "is_offline",
    "list_models",
    "resolve_model",
]
