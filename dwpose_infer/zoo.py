"""The models this package knows by name, and where their files are on this machine.

The list is data: `manifest.json` beside this module. A name leads to a file in three ways: it
comes with the package, it is in the cache, or it is downloaded into the cache. The cache is
the folder `models` in `DWPOSE_HOME`, or in the user's cache folder where that variable is not
set. With `DWPOSE_OFFLINE=1` nothing is ever downloaded.
"""

from __future__ import annotations

import functools
import logging
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias, get_args

from .download import Source, download, lock_path, read_lock, sha256_of
from .errors import DownloadError, HashMismatchError, InvalidArgumentError, ModelNotFoundError

logger = logging.getLogger(__name__)

ModelKind: TypeAlias = Literal["pose", "detector"]
StrPath: TypeAlias = str | os.PathLike[str]

MANIFEST_SCHEMA_VERSION: Final = 1
_MODEL_SUFFIXES: Final = (".onnx", ".engine")


@dataclass(frozen=True, slots=True)
class PublicAccuracy:
    """Accuracy of a model as its authors published it.

    Attributes:
        metric: What was measured, on which data.
        ap: Average precision in percent.
        ar: Average recall in percent, or None where not published.
        source: Address of the publication.
    """

    metric: str
    ap: float
    ar: float | None
    source: str


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """One model of the manifest.

    Attributes:
        name: Name by which it is asked for, such as "dwpose-m".
        kind: "pose" (133 keypoints of one person's crop) or "detector" (boxes of persons).
        description: One line that helps to choose.
        input_hw: Height and width of the network's input in pixels.
        urls: Addresses of the same bytes, tried in this order; empty for a bundled model.
        archive_member: Where the URLs lead to a zip: pattern of the one file wanted from it.
        bundled_file: File name in the package's folder `weights`, or None if not bundled.
        size_bytes: Size of the .onnx file, or None where not published.
        sha256: SHA-256 of the .onnx file in lower-case hex, or None where not published.
        licence: SPDX identifier of the licence of the weights.
        licence_note: What else is to be known about the licence.
        accuracy: Published accuracy, or None.
        score_threshold: Least score of a detected person, 0 to 1; None means the usual default.
        keypoint_threshold: Least score of a visible keypoint; None means the usual default.
    """

    name: str
    kind: ModelKind
    description: str
    input_hw: tuple[int, int]
    urls: tuple[str, ...]
    archive_member: str | None
    bundled_file: str | None
    size_bytes: int | None
    sha256: str | None
    licence: str
    licence_note: str
    accuracy: PublicAccuracy | None
    score_threshold: float | None
    keypoint_threshold: float | None

    @property
    def source(self) -> Source:
        """What a download needs to know."""
        return Source(self.urls, self.archive_member, self.size_bytes, self.sha256)

    def file_path(self, *, home: StrPath | None = None) -> Path:
        """Path at which the model's file is, or will be once it is downloaded.

        Args:
            home: Folder to use instead of `DWPOSE_HOME`; bundled models do not depend on it.
        """
        if self.bundled_file is not None:
            return _package_file("weights", self.bundled_file)
        return cache_folder(home) / f"{self.name}.onnx"


def list_models(kind: ModelKind | None = None) -> tuple[ModelSpec, ...]:
    """All models, or those of one kind, in the manifest's order: bundled first, then by size.

    Raises:
        InvalidArgumentError: There is no such kind.
    """
    if kind not in (None, *get_args(ModelKind)):
        raise InvalidArgumentError(f"kind is 'pose' or 'detector', not {kind!r}")
    return tuple(spec for spec in _manifest().values() if kind in (None, spec.kind))


def get_spec(name: str) -> ModelSpec:
    """Look a model up by its name.

    Raises:
        ModelNotFoundError: No model has this name; the message says which are nearest.
    """
    try:
        return _manifest()[name]
    except KeyError:
        raise ModelNotFoundError(_unknown_name(name)) from None


def find_spec(name_or_path: StrPath) -> ModelSpec | None:
    """The model that `resolve_model` takes this argument for, or None where it is a file."""
    if not isinstance(name_or_path, str) or Path(name_or_path).expanduser().is_file():
        return None
    return _manifest().get(name_or_path)


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
        kind: The kind of model that is needed; paths are not checked against it.
        offline: Never download; None takes this from `DWPOSE_OFFLINE`.
        progress: Draw a progress bar on standard error while downloading.
        home: Folder to use instead of `DWPOSE_HOME`.

    Raises:
        ModelNotFoundError: Neither a file nor a model has this name.
        InvalidArgumentError: The model is of another kind.
        DownloadError: It has to be downloaded, which failed or is not allowed.
    """
    path = Path(name_or_path).expanduser()
    if path.is_file():
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


def cache_folder(home: StrPath | None = None) -> Path:
    """Folder of the downloaded models.

    Args:
        home: Folder to use instead of `DWPOSE_HOME`, which is used instead of the user's cache
            folder.
    """
    chosen = home or os.environ.get("DWPOSE_HOME")
    if chosen:
        return Path(chosen).expanduser() / "models"
    import platformdirs

    return Path(platformdirs.user_cache_dir("dwpose_infer", appauthor=False)) / "models"


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


def _unknown_name(name: str) -> str:
    import difflib

    nearest = difflib.get_close_matches(name.lower(), _manifest(), n=3, cutoff=0.5)
    hint = f" (nearest: {', '.join(nearest)})" if nearest else ""
    return (
        f"no model is called {name!r}{hint}: `dwpose-models list` shows all names, and the path "
        f"of an .onnx file is accepted too"
    )


def _looks_like_path(text: str) -> bool:
    return "/" in text or "\\" in text or text.lower().endswith(_MODEL_SUFFIXES)


def _package_file(*parts: str) -> Path:
    from importlib import resources

    return Path(str(resources.files(__package__).joinpath(*parts)))


@functools.cache
def _manifest() -> dict[str, ModelSpec]:
    import json

    document = json.loads(_package_file("manifest.json").read_text(encoding="utf-8"))
    if document["schema_version"] != MANIFEST_SCHEMA_VERSION:
        raise ValueError(f"manifest.json has schema_version {document['schema_version']}")
    specs = [_to_spec(entry) for entry in document["models"]]
    return {spec.name: spec for spec in specs}


def _to_spec(entry: dict[str, Any]) -> ModelSpec:
    height, width = entry.pop("input_hw")
    accuracy = entry.pop("accuracy")
    return ModelSpec(
        input_hw=(height, width),
        urls=tuple(entry.pop("urls")),
        accuracy=PublicAccuracy(**accuracy) if accuracy else None,
        **entry,
    )
