"""Reading files whole, with errors that say what is wrong."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import InputError

if TYPE_CHECKING:
    from os import PathLike


def read_bytes(path: str | PathLike[str]) -> bytes:
    """Returns the content of a file.

    Raises:
        InputError: It does not exist or cannot be read.
    """
    try:
        return Path(path).read_bytes()
    except FileNotFoundError as error:
        raise InputError(f"{path}: there is no such file") from error
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from error
    except ValueError as error:  # the path holds a null character
        raise InputError(f"{str(path)!r}: cannot be read: {error}") from error
