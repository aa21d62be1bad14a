"""The extra `video`: PyAV, imported where it is used."""

from __future__ import annotations

from types import ModuleType

from ..errors import MissingDependencyError


def find_av() -> ModuleType | None:
    """Returns PyAV, or None where it is not installed."""
    try:
        import av
        import av.container
        import av.error
        import av.stream
        import av.video.reformatter
    except ImportError:
        return None
    module: ModuleType = av
    return module


def require_av(purpose: str) -> ModuleType:
    """Returns PyAV.

    Args:
        purpose: What needs it, as the beginning of the error's sentence.

    Raises:
        MissingDependencyError: It is not installed.
    """
    module = find_av()
    if module is None:
        raise MissingDependencyError(f'{purpose} needs PyAV: pip install "dwpose-infer[video]"')
    return module
