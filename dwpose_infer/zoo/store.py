"""From a model's name to its file: bundled, cached, or downloaded into the cache.

A cached file that is asked for is only measured; its hash is compared when it is downloaded,
and where a check is asked for.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Final

from ..errors import DownloadError, HashMismatchError, InvalidArgumentError, ModelNotFoundError
from ..files.atomic import is_file, sha256_of
from .download import download
from .lock import lock_path, read_lock
from .manifest import ModelKind, ModelSpec, get_spec, list_models
from .model_file import require_model_file
from .places import StrPath, is_offline, user_path

logger = logging.getLogger(__name__)

_MODEL_SUFFIXES: Final = (".onnx", ".engine")


def find_model(name: str, *, home: StrPath | None = None) -> Path | None:
    """Where a model's file is on this machine, without any download.

    Args:
        name: Name of the model.
        home: Folder to use instead of `DWPOSE_HOME`.

    Returns:
        Path of the bundled or cached file, or None. Only its size is compared with the expected
        one: the hash was checked when it was downloaded.

    Raises:
        ModelNotFoundError: No model has this name.
    """
    spec = get_spec(name)
    path = spec.file_path(home=home)
    if spec.bundled_file is not None:
        return path if path.is_file() else None
    return path if _is_cached(spec, path) else None


def resolve_model(
    name_or_path: StrPath,
    *,
    kind: ModelKind | None = None,
    offline: bool | None = None,
    progress: bool = False,
    home: StrPath | None = None,
) -> Path:
    """Turn a model's name, or the path of a file, into the path of a file that exists.

    Args:
        name_or_path: Path of an existing file, or the name of a model of the manifest, which is
            downloaded if it is not on this machine yet. Once it is, the network is not used.
        kind: The kind of model that is needed, to run it; of paths it is only checked that they
            are no checkpoints, which cannot be run as they are.
        offline: Never download; None takes this from `DWPOSE_OFFLINE`.
        progress: Draw a progress bar on standard error while downloading.
        home: Folder to use instead of `DWPOSE_HOME`.

    Raises:
        ModelNotFoundError: Neither a file nor a model has this name.
        InvalidArgumentError: The model is of another kind.
        ModelFormatError: The file is empty, a Git LFS pointer, a web page, or, where `kind` is
            given, a checkpoint.
        DownloadError: It has to be downloaded, which failed or is not allowed.
    """
    path = user_path(name_or_path)
    if is_file(path):
        require_model_file(path, to_run=kind is not None)
        return path
    if not isinstance(name_or_path, str) or _looks_like_path(name_or_path):
        raise ModelNotFoundError(f"there is no model file {str(path)!r} (looked in {Path.cwd()})")
    spec = get_spec(name_or_path)
    if kind not in (None, spec.kind):
        fitting = ", ".join(other.name for other in list_models(kind))
        raise InvalidArgumentError(
            f"{spec.name!r} is a {spec.kind} model, but a {kind} model is needed here: {fitting}"
        )
    found = find_model(spec.name, home=home)
    if found is not None:
        return found
    return download_model(spec.name, offline=offline, progress=progress, home=home)


def download_model(
    name: str,
    *,
    offline: bool | None = None,
    progress: bool = False,
    home: StrPath | None = None,
    force: bool = False,
) -> Path:
    """Make sure that a model is on this machine and undamaged.

    Unlike `resolve_model` this reads a cached file again to compare its hash, and replaces it
    if that has changed.

    Args:
        name: Name of the model.
        offline: Never download; None takes this from `DWPOSE_OFFLINE`.
        progress: Draw a progress bar on standard error.
        home: Folder to use instead of `DWPOSE_HOME`.
        force: Download again even what is there and undamaged.

    Returns:
        Path of the file.

    Raises:
        ModelNotFoundError: No model has this name, or a bundled file is missing.
        HashMismatchError: A bundled file, a file cached while offline, or what the addresses
            deliver is not the expected one.
        DownloadError: The download failed or is not allowed.
    """
    spec = get_spec(name)
    path = spec.file_path(home=home)
    if spec.bundled_file is not None:
        if not path.is_file():
            raise ModelNotFoundError(f"{path} is missing: install dwpose-infer again")
        if spec.sha256 not in (None, sha256_of(path)):
            raise HashMismatchError(f"{path} was changed: install dwpose-infer again")
        return path
    offline = is_offline() if offline is None else offline
    if not force and _is_cached(spec, path):
        damage = _find_damage(spec, path)
        if damage is None:
            return path
        if offline:
            raise HashMismatchError(f"{path} is damaged: {damage}")
        logger.warning("%s is damaged (%s): downloading it again", path, damage)
    if offline:
        raise DownloadError(_offline_advice(spec, path))
    download(spec.source, path, progress=progress)
    return path


def _is_cached(spec: ModelSpec, path: Path) -> bool:
    if not path.is_file():
        return False
    record = read_lock(path)
    if record is not None and spec.sha256 not in (None, record.sha256):
        return False  # a newer manifest gives this name to another file
    size_bytes = path.stat().st_size
    expected_bytes = spec.size_bytes or (record.size_bytes if record else size_bytes)
    return size_bytes == expected_bytes > 0


def _find_damage(spec: ModelSpec, path: Path) -> str | None:
    """What is wrong with a cached file, or None; a file put there by hand may have no hash."""
    record = read_lock(path)
    expected = spec.sha256 or (record.sha256 if record else None)
    if expected is None:
        logger.warning("no hash of %s is known: it cannot be checked", path)
        return None
    actual = sha256_of(path)
    return None if actual == expected else f"SHA-256 {actual} instead of {expected}"


def _offline_advice(spec: ModelSpec, path: Path) -> str:
    what = f"{spec.archive_member.lstrip('*')} out of " if spec.archive_member else ""
    state = "in the cache is not the expected file" if path.exists() else "is not in the cache"
    return (
        f"{spec.name} {state} and downloads are switched off (DWPOSE_OFFLINE or offline=True): "
        f"run `dwpose-models download {spec.name}` with the network on, or save {what}"
        f"{spec.urls[0]} as {path}" + (f" and delete {lock_path(path)}" if path.exists() else "")
    )


def _looks_like_path(text: str) -> bool:
    return "/" in text or "\\" in text or text.lower().endswith(_MODEL_SUFFIXES)
