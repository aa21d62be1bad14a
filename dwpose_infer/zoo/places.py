"""Where files are on this machine, and what the environment says about it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TypeAlias

from ..errors import InvalidArgumentError

StrPath: TypeAlias = str | os.PathLike[str]


def cache_folder(home: StrPath | None = None) -> Path:
    """Folder of the downloaded models.

    Args:
        home: Folder to use instead of `DWPOSE_HOME`, which is used instead of the user's cache
            folder.
    """
    return _home_folder(home) / "models"


def engines_folder(home: StrPath | None = None) -> Path:
    """Folder of the TensorRT engines that were built on first use.

    Args:
        home: As in `cache_folder`.
    """
    return _home_folder(home) / "engines"


def timings_folder(home: StrPath | None = None) -> Path:
    """Folder of what was timed once on this machine, so that it need not be timed again.

    Args:
        home: As in `cache_folder`.
    """
    return _home_folder(home) / "timings"


def _home_folder(home: StrPath | None) -> Path:
    chosen = home or os.environ.get("DWPOSE_HOME")
    if chosen:
        return user_path(chosen)
    import platformdirs

    try:
        folder = Path(platformdirs.user_cache_dir("dwpose_infer", appauthor=False))
    except RuntimeError:  # of newer releases; older ones leave the "~" as it is
        folder = Path("~")
    if not folder.is_absolute():
        raise InvalidArgumentError(
            "this user has no home folder: set DWPOSE_HOME to a folder for models and engines"
        )
    return folder


def user_path(path: StrPath) -> Path:
    """Returns a path in which ~ and ~user are home folders.

    Raises:
        InvalidArgumentError: There is no such user, or no home folder is known, or it is no path.
    """
    try:
        return Path(path).expanduser()
    except TypeError as error:
        raise InvalidArgumentError(f"{path!r} is no path") from error
    except RuntimeError as error:
        raise InvalidArgumentError(
            f"{os.fspath(path)}: no home folder is known for {Path(path).parts[0]}"
        ) from error


def is_offline() -> bool:
    """Whether `DWPOSE_OFFLINE` forbids downloads.

    Raises:
        InvalidArgumentError: The variable is neither a yes nor a no.
    """
    value = os.environ.get("DWPOSE_OFFLINE", "").strip().lower()
    if value in ("1", "true", "yes", "on"):
        return True
    if value in ("", "0", "false", "no", "off"):
        return False
    raise InvalidArgumentError(f"DWPOSE_OFFLINE is {value!r}: set it to 1 or 0")


def package_file(*parts: str) -> Path:
    """Path of a file that comes with the package."""
    from importlib import resources

    return Path(str(resources.files("dwpose_infer").joinpath(*parts)))
