"""What `dwpose-bench complexity` is asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..benchmark import Settings, option


@dataclass(frozen=True, kw_only=True)
class ComplexitySettings(Settings):
    """What is counted."""

    models: Sequence[str] = option(
        "models",
        nargs="*",
        metavar="MODEL",
        help="name of a model or ONNX file (default: the five networks, built with torch)",
    )
