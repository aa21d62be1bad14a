"""TensorRT's Python modules: found and new enough, or an error that says what to install."""

from __future__ import annotations

import importlib
import logging
import threading
from typing import Any

from ...errors import BackendUnavailableError, MissingDependencyError
from .products import TENSORRT, Product

logger = logging.getLogger(__name__)


def tensorrt_remedy(product: Product = TENSORRT) -> str:
    """Returns the sentence that tells how to get TensorRT."""
    from .system import find_driver, tensorrt_command

    return (
        f"Remedy: {tensorrt_command(find_driver(), product)}, on Linux or Windows with an NVIDIA "
        "GPU and its driver (see nvidia-smi)"
    )


def import_tensorrt(product: Product = TENSORRT) -> Any:
    """Imports TensorRT, or TensorRT for RTX.

    Raises:
        MissingDependencyError: It is not installed, or its libraries cannot be loaded.
        BackendUnavailableError: It is too old.
    """
    try:
        trt = importlib.import_module(product.module)
    except (ImportError, OSError) as error:  # its libraries are loaded with ctypes: OSError
        raise MissingDependencyError(
            f"{product.name} is not installed or not usable ({error}). {tensorrt_remedy(product)}"
        ) from error
    version = str(getattr(trt, "__version__", "of unknown version"))
    numbers = version.split(".")[:2]
    known = len(numbers) == 2 and all(number.isdecimal() for number in numbers)
    if not known or tuple(map(int, numbers)) < product.oldest:
        oldest = ".".join(map(str, product.oldest)).removesuffix(".0")
        raise BackendUnavailableError(
            f"{product.name} {version} is installed, but at least {oldest} is needed "
            f"({product.why_not_older}). {tensorrt_remedy(product)}"
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
