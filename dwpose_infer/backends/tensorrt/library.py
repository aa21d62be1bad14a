"""TensorRT's Python module: found and new enough, or an error that says what to install."""

from __future__ import annotations

import importlib
import logging
import threading
from typing import Any

from ...errors import BackendUnavailableError, MissingDependencyError

logger = logging.getLogger(__name__)

MIN_MAJOR = 10
"""Oldest TensorRT: the first one with strongly typed networks and with the calls (tensors bound by
name, `execute_async_v3`) that TensorRT 11 still has. 8.6 has neither in this form."""

MODULE = "tensorrt"


def tensorrt_remedy() -> str:
    """Returns the sentence that tells how to get TensorRT."""
    from .system import find_driver, tensorrt_command

    return (
        f"Remedy: {tensorrt_command(find_driver())}, on Linux or Windows with an NVIDIA GPU and "
        "its driver (see nvidia-smi)"
    )


def import_tensorrt() -> Any:
    """Imports TensorRT.

    Raises:
        MissingDependencyError: It is not installed, or its libraries cannot be loaded.
        BackendUnavailableError: It is older than version 10.
    """
    try:
        trt = importlib.import_module(MODULE)
    except (ImportError, OSError) as error:  # its libraries are loaded with ctypes: OSError
        raise MissingDependencyError(
            f"TensorRT is not installed or not usable ({error}). {tensorrt_remedy()}"
        ) from error
    version = str(getattr(trt, "__version__", "of unknown version"))
    major = version.split(".", maxsplit=1)[0]
    if not major.isdecimal() or int(major) < MIN_MAJOR:
        raise BackendUnavailableError(
            f"TensorRT {version} is installed, but at least {MIN_MAJOR} is needed (older ones have "
            f"no strongly typed networks). {tensorrt_remedy()}"
        )
    return trt


class MessageLog:
    """What TensorRT reports while it works: errors are kept, everything goes to `logging`.

    TensorRT hands most reasons to its logger only; the calls themselves just return nothing.
    May be called from TensorRT's own threads.
    """

    def __init__(self) -> None:
        self._errors: list[str] = []
        self._lock = threading.Lock()

    def add(self, level: int, message: str) -> None:
        """Takes a message of one of the levels of `logging`."""
        if level >= logging.ERROR:
            with self._lock:
                self._errors.append(message.strip())
        # An error becomes part of an exception; as a log line it would be shown twice.
        logger.log(min(level, logging.INFO), "TensorRT: %s", message.strip())

    def take_errors(self) -> list[str]:
        """Returns the errors since the last call, oldest first, each once."""
        with self._lock:
            errors = list(dict.fromkeys(self._errors))
            self._errors.clear()
        return errors


def create_logger(trt: Any, log: MessageLog) -> Any:
    """Returns an object that TensorRT accepts as its logger and that fills `log`.

    It has to live as long as every TensorRT object that was made with it.

    Args:
        trt: TensorRT's module.
        log: Where the messages go.
    """
    levels = {
        trt.ILogger.INTERNAL_ERROR: logging.ERROR,
        trt.ILogger.ERROR: logging.ERROR,
        trt.ILogger.WARNING: logging.WARNING,
        trt.ILogger.INFO: logging.DEBUG,
        trt.ILogger.VERBOSE: logging.NOTSET,
    }

    class Bridge(trt.ILogger):  # type: ignore[misc]
        def __init__(self) -> None:
            trt.ILogger.__init__(self)

        def log(self, severity: Any, msg: str) -> None:
            level = levels.get(severity, logging.DEBUG)
            if level > logging.NOTSET:
                log.add(level, msg)

    return Bridge()
