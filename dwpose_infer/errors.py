"""Every error this package raises on purpose.

All of them derive from `DwposeError`, so one `except` clause catches them all. Each class
carries the exit code with which the command-line tools end when it reaches them.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator


class DwposeError(Exception):
    """Base of every error of this package.

    Attributes:
        exit_code: Status with which the command-line tools end on this error.
    """

    exit_code = 1


class InvalidArgumentError(DwposeError, ValueError):
    """An argument has a value that cannot be used; it is a `ValueError` too."""

    exit_code = 2


class InputError(DwposeError):
    """A picture, a URL or another input cannot be read or is not usable."""


class OutputError(DwposeError):
    """A result cannot be written where it was asked for."""


class FormatError(DwposeError):
    """A pose file does not hold what its format prescribes."""


class InferenceError(DwposeError):
    """A network was loaded but failed while it ran."""


class DeviceMemoryError(InferenceError):
    """A GPU has too little free memory; the message says what needs less."""


class BackendUnavailableError(DwposeError):
    """The backend or device asked for cannot be used; the message says what to install."""

    exit_code = 3


class EngineBuildError(DwposeError):
    """TensorRT could not build an engine of a network."""


class MissingDependencyError(DwposeError, ImportError):
    """An optional package is needed for this call; the message names the extra to install."""

    exit_code = 3


@contextlib.contextmanager
def needs_extra(purpose: str, extra: str) -> Iterator[None]:
    """Says what to install where an import inside the block fails.

    Args:
        purpose: What needs which package, such as "plots need matplotlib".
        extra: The extra of this package that brings it.

    Raises:
        MissingDependencyError: An import failed.
    """
    try:
        yield
    except ImportError as error:
        raise MissingDependencyError(
            f'{purpose} ({error}): pip install "dwpose-infer[{extra}]"'
        ) from error


def why_no_answer(error: Exception) -> str:
    """Returns why a server gave no answer, in words.

    requests and urllib3 put an error into others, each with the address and the names of the
    library's own objects, all of which their message repeats; the innermost says what happened.

    Args:
        error: An error of theirs.
    """
    while True:
        around = (getattr(error, "reason", None), *reversed(error.args))
        inner = next((each for each in around if isinstance(each, Exception)), None)
        if inner is None:
            return re.sub(r"^.*?HTTPS?Connection(Pool)?\(.*?\): ", "", str(error))
        error = inner


class ModelError(DwposeError):
    """A model cannot be had or cannot be used."""

    exit_code = 4


class ModelNotFoundError(ModelError):
    """No model of this name is known and no file of this name exists."""


class ModelFormatError(ModelError):
    """A file is not a model, or not one whose tensors, inputs and outputs are understood."""


class DownloadError(ModelError):
    """A download failed, or is needed while the offline mode is on."""


class HashMismatchError(DownloadError):
    """A file's SHA-256 is not the expected one; the file was not kept."""


class TrainingError(DwposeError):
    """A training run cannot go on, such as after a loss that is not a number."""


class ParityError(DwposeError):
    """An exported network does not do what its source does; it was not kept."""
