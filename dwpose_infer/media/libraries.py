"""The extra `video`: PyAV, imported where it is used."""

from __future__ import annotations

from types import ModuleType
from typing import Any

from ..errors import InputError, MissingDependencyError


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


def reason_in_words(av: Any, error: Exception, timeout_s: float | None) -> str:
    """Returns in words why a container cannot be opened or read on."""
    if isinstance(error, InputError):
        return str(error)
    if isinstance(error, (av.error.ExitError, TimeoutError)):
        return f"nothing came within {timeout_s:g} s" if timeout_s else "the read timed out"
    if isinstance(error, FileNotFoundError):
        return "there is no such file"
    if isinstance(error, IsADirectoryError):
        return "it is a folder, not a video"
    if isinstance(error, (av.error.InvalidDataError, av.error.EOFError)):
        return (
            "it is no video that can be read, or empty, damaged or cut off "
            "(of an MP4 without its end nothing can be read where the index stands there)"
        )
    return f"it cannot be read: {getattr(error, 'strerror', None) or error}"
