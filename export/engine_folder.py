"""What lies in the folder of the cached engines, and how to get rid of it."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from .._version import __version__
from ..backends.tensorrt.cuda import Gpu
from ..backends.tensorrt.engine_record import (
    EngineIdentity,
    EngineRecord,
    read_record,
    record_path,
)
from ..backends.tensorrt.library import import_tensorrt
from ..backends.tensorrt.products import PRODUCTS, runs_on
from ..backends.tensorrt.rtx import CACHE_SUFFIX
from ..errors import DwposeError, ModelFormatError, OutputError
from ..zoo.places import engines_folder
from .engine_cache import ENGINE_SUFFIX, LOCK_SUFFIX, alone, find_problem

EngineState = Literal["usable", "unknown", "stale", "damaged"]


@dataclass(frozen=True, slots=True)
class CachedEngine:
    """An engine in the cache.

    Attributes:
        path: Its file.
        size_bytes: Size of the file and of what belongs to it.
        record: What is recorded about it; None where that cannot be read.
        state: "usable" here, "stale" (for another version or GPU), "damaged", or "unknown": the
            file is whole, but the library or the GPU that it was built for cannot be asked.
        reason: Why it is not usable, or nothing.
    """

    path: Path
    size_bytes: int
    record: EngineRecord | None
    state: EngineState
    reason: str


@dataclass(frozen=True, slots=True)
class _Here:
    """Libraries (key -> version, where usable) and GPUs; None where those cannot be asked."""

    versions: dict[str, str]
    gpus: frozenset[tuple[str, tuple[int, int]]] | None


def list_engines() -> list[CachedEngine]:
    """Lists the cached engines, the latest first."""
    here = _look_around()
    engines = [_inspect(path, here) for path in sorted(engines_folder().glob(f"*{ENGINE_SUFFIX}"))]
    return sorted(
        engines, key=lambda engine: engine.record.built_at if engine.record else "", reverse=True
    )


def clean_engines(*, stale_only: bool) -> list[Path]:
    """Deletes cached engines, with their records and what killed builds left.

    An engine that is being built at the moment is left alone.

    Args:
        stale_only: Delete only those that are stale or damaged.

    Returns:
        The engines' files that were deleted.

    Raises:
        OutputError: A file cannot be deleted.
        MissingDependencyError: The package filelock is not installed.
    """
    here = _look_around()
    removed = []
    for path in _engine_names():
        with alone(path, wait=False) as is_ours:
            if not is_ours:
                continue
            kept = stale_only and path.exists() and _inspect(path, here).state in _KEPT
            if not kept:
                existed = path.exists()
                _remove([path, record_path(path), *_kernels_of(path)])
                removed += [path] if existed else []
            _remove(_parts_of(path))
        if not path.exists():
            with contextlib.suppress(OSError):  # another process may wait for it
                path.with_suffix(LOCK_SUFFIX).unlink(missing_ok=True)
    return removed


_KEPT: tuple[EngineState, ...] = ("usable", "unknown")


def _engine_names() -> list[Path]:
    """Every engine of which anything is left: itself, its record, or its lock."""
    folder = engines_folder()
    keys = {
        entry.name.lstrip(".").split(".", maxsplit=1)[0]
        for pattern in (f"*{ENGINE_SUFFIX}*", f".*{ENGINE_SUFFIX}.*.part", f"*{LOCK_SUFFIX}")
        for entry in folder.glob(pattern)
    }
    return [folder / (key + ENGINE_SUFFIX) for key in sorted(keys)]


def _parts_of(path: Path) -> list[Path]:
    return list(path.parent.glob(f".{path.name}.*.part"))


def _kernels_of(path: Path) -> list[Path]:
    return list(path.parent.glob(f"{path.name}.*{CACHE_SUFFIX}"))


def _remove(paths: list[Path]) -> None:
    for path in paths:
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise OutputError(f"cannot delete {path}: {error.strerror or error}") from error


def _inspect(path: Path, here: _Here) -> CachedEngine:
    try:
        record = read_record(path)
    except ModelFormatError:
        record = None
    files = (path, record_path(path), *_kernels_of(path))
    size_bytes = sum(file.stat().st_size for file in files if file.is_file())
    problem = find_problem(path)
    if problem is not None or record is None:
        return CachedEngine(path, size_bytes, record, "damaged", problem or "")
    state, reason = _judge(record, here)
    return CachedEngine(path, size_bytes, record, state, reason)


def _judge(record: EngineRecord, here: _Here) -> tuple[EngineState, str]:
    identity = record.identity
    if identity.package_version != __version__:
        return "stale", f"built by dwpose-infer {identity.package_version}"
    product = PRODUCTS[identity.product]
    version = here.versions.get(identity.product)
    if version not in (None, identity.tensorrt_version):
        return "stale", f"{product.name} {version} is installed"
    if here.gpus is not None and not any(_is_for(identity, *gpu) for gpu in here.gpus):
        return "stale", "no such GPU is here"
    if version is None:
        return "unknown", f"{product.name} is not usable here"
    if here.gpus is None:
        return "unknown", "no GPU is usable here"
    return "usable", ""


def _is_for(identity: EngineIdentity, gpu_name: str, capability: tuple[int, int]) -> bool:
    if identity.product == "tensorrt-rtx":
        return runs_on(identity.compute_capability.split(", "), capability)
    own = (gpu_name, ".".join(map(str, capability)))
    return own == (identity.gpu_name, identity.compute_capability)


def _look_around() -> _Here:
    versions: dict[str, str] = {}
    for product in PRODUCTS.values():
        with contextlib.suppress(DwposeError):
            versions[product.key] = str(import_tensorrt(product).__version__)
    return _Here(versions, _gpus())


def _gpus() -> frozenset[tuple[str, tuple[int, int]]] | None:
    """Name and compute capability of every GPU; None where the first one cannot be opened."""
    found: set[tuple[str, tuple[int, int]]] = set()
    index = 0
    while True:
        try:
            with Gpu(index) as gpu:
                found.add((gpu.name, gpu.compute_capability))
        except DwposeError:
            return frozenset(found) if found else None
        index += 1
