"""TensorRT engines that are built on first use and kept in the folder `engines`.

An engine is named after everything it depends on (see `EngineIdentity`), so another version of
TensorRT or another GPU simply asks for another file. What lies under a name is believed only if
the record beside it says the same and holds the file's hash; otherwise the engine is built again,
once, with one line in the log. One process builds, the others wait and take its result.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from ..backends import (
    Backend,
)
from ..backends.device import Device
from ..backends.tensorrt.engine_record import (
    EngineIdentity,
    EngineOptions,
    EngineRecord,
    read_record,
)
from ..backends.tensorrt.library import tensorrt_remedy
from ..backends.tensorrt.products import TENSORRT, Product, choose_product
from ..errors import MissingDependencyError, ModelFormatError, OutputError
from ..files.atomic import remove_stale_parts, sha256_of
from ..zoo.places import engines_folder
from .engine_target import find_target

if TYPE_CHECKING:
    import filelock


logger = logging.getLogger(__name__)

LoadedEngine = TypeVar("LoadedEngine", bound=Backend)

ENGINE_SUFFIX = ".engine"
LOCK_SUFFIX = ".lock"

LOCK_POLL_S = 0.2


def open_engine(
    model_path: Path,
    *,
    device: Device,
    load: Callable[[Path], LoadedEngine],
    options: EngineOptions | None = None,
    product: Product | None = None,
    show_progress: bool = True,
) -> LoadedEngine:
    """Loads the engine of a model, building it first where there is none yet.

    A cached engine that cannot be loaded is built again, once.

    Args:
        model_path: ONNX file, in official or in deploy form.
        device: GPU to run on.
        load: Loads an engine's file; raises `ModelFormatError` where the file is no engine for
            this GPU and this version of TensorRT.
        options: Precision, batch sizes and workspace.
        product: What builds and runs it; None takes the one that is installed.
        show_progress: Say on standard error what takes minutes, with a bar on a terminal; else
            one line of it goes to the log as a warning.

    Returns:
        What `load` gives.

    Raises:
        MissingDependencyError: TensorRT, a CUDA package, or a package needed to build is not
            installed.
        BackendUnavailableError: TensorRT or the GPU cannot be used.
        ParityError: The new engine does not do what the model does; it was not kept.
        EngineBuildError: TensorRT could not build it.
        ModelFormatError: The file is not a model that an engine can be made of.
        OutputError: The folder of the engines cannot be written to.
    """
    options, product = options or EngineOptions(), product or choose_product()
    identity = identity_here(model_path, device, options, product)
    path = engine_path(identity)
    refused: str | None = None
    problem = find_problem(path, identity)
    if problem is None:
        try:
            return load(path)
        except ModelFormatError as error:
            refused, problem = _recorded_hash(path), f"{product.name} cannot load it ({error})"
    with alone(path, show_progress=show_progress):
        # Another process may have built it meanwhile; what was just refused does not count.
        if find_problem(path, identity) is not None or _recorded_hash(path) == refused:
            _log_why(model_path, path, identity, problem)
            _build(
                model_path, path, load, options,
                device=device, product=product, show_progress=show_progress,
            )  # fmt: skip
    return load(path)


def identity_here(
    model_path: Path, device: Device, options: EngineOptions, product: Product = TENSORRT
) -> EngineIdentity:
    """Identity of the engine that a model needs on this machine.

    Raises:
        MissingDependencyError: TensorRT or a CUDA package is not installed.
        BackendUnavailableError: TensorRT or the GPU cannot be used.
    """
    return find_target(product, options, device).identity(sha256_of(model_path))


def engine_path(identity: EngineIdentity) -> Path:
    """Where the engine of an identity is kept."""
    return engines_folder() / (identity.key() + ENGINE_SUFFIX)


def find_problem(path: Path, identity: EngineIdentity | None = None) -> str | None:
    """What is wrong with a cached engine.

    Args:
        path: The engine's file.
        identity: What it has to be; None takes whatever the record says.

    Returns:
        The reason why the file is not to be used, "it is not there" among them; or None.
    """
    if not path.is_file():
        return "it is not there"
    try:
        record = read_record(path)
    except ModelFormatError as error:
        return f"its record is not usable: {error}"
    if record is None:
        return "it has no record"
    if identity is not None and record.identity != identity:
        return f"it was built for {', '.join(identity.differences(record.identity))}"
    try:
        whole = path.stat().st_size == record.size_bytes
        whole = whole and sha256_of(path) == record.engine_sha256
    except OSError as error:
        return f"it cannot be read ({error})"
    return None if whole else "its file is damaged: the SHA-256 is not the recorded one"


@contextmanager
def alone(path: Path, *, wait: bool = True, show_progress: bool = False) -> Iterator[bool]:
    """Keeps other processes and threads from building or deleting an engine.

    Args:
        path: The engine's file.
        wait: Wait for others; otherwise give False at once where there are any.
        show_progress: Say on standard error that another process is waited for.

    Raises:
        MissingDependencyError: The package filelock is not installed.
        OutputError: The folder cannot be written to.
    """
    lock = _acquire(path, wait=wait, show_progress=show_progress)
    try:
        yield lock is not None
    finally:
        if lock is not None:
            lock.release()


def _acquire(path: Path, *, wait: bool, show_progress: bool) -> filelock.BaseFileLock | None:
    try:
        import filelock
    except ImportError as error:
        raise MissingDependencyError(
            f"the package filelock is needed for TensorRT engines ({error}). {tensorrt_remedy()}"
        ) from error
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = filelock.FileLock(path.with_suffix(LOCK_SUFFIX))
        try:
            lock.acquire(timeout=0)
        except filelock.Timeout:
            if not wait:
                return None
            _say(show_progress, "another process builds this TensorRT engine: waiting for it")
            lock.acquire(poll_interval=LOCK_POLL_S)
    except OSError as error:  # filelock's Timeout is one, too, but is caught above
        raise OutputError(
            f"cannot write to {path.parent} ({error.strerror or error}): name another folder in "
            "the environment variable DWPOSE_HOME"
        ) from error
    return lock


def _recorded_hash(path: Path) -> str | None:
    try:
        record = read_record(path)
    except ModelFormatError:
        return None
    return None if record is None else record.engine_sha256


def _log_why(model_path: Path, path: Path, identity: EngineIdentity, problem: str | None) -> None:
    """One line on why an engine that was there does not do; nothing at the first use ever."""
    if path.exists() and problem is not None:
        logger.warning("building the TensorRT engine of %s again: %s", model_path.name, problem)
        return
    relative = _nearest(path.parent, identity)
    if relative is not None:
        logger.warning(
            "building a TensorRT engine of %s for here; there is one for %s",
            model_path.name,
            ", ".join(identity.differences(relative.identity)),
        )


def _nearest(folder: Path, identity: EngineIdentity) -> EngineRecord | None:
    """The latest engine of the same model and settings for another version or another GPU."""
    records = []
    for path in folder.glob(f"*{ENGINE_SUFFIX}"):
        try:
            record = read_record(path)
        except ModelFormatError:
            continue
        if record is not None and _same_purpose(record.identity, identity):
            records.append(record)
    return max(records, key=lambda record: record.built_at, default=None)


def _same_purpose(one: EngineIdentity, other: EngineIdentity) -> bool:
    return (
        replace(
            one,
            tensorrt_version=other.tensorrt_version,
            gpu_name=other.gpu_name,
            compute_capability=other.compute_capability,
            product=other.product,
            package_version=other.package_version,
        )
        == other
    )


def _build(
    model_path: Path,
    path: Path,
    load: Callable[[Path], Backend],
    options: EngineOptions,
    *,
    device: Device,
    product: Product,
    show_progress: bool,
) -> None:
    try:
        from .engine_exporter import export_engine
    except ImportError as error:
        raise MissingDependencyError(
            f"a package that building engines needs is missing ({error}). "
            f"{tensorrt_remedy(product)}"
        ) from error
    remove_stale_parts(path.parent)
    patience = "minutes" if product is TENSORRT else "seconds"
    what = f"the {product.name} engine of {model_path.name}"
    line = f"{what} is built once for this GPU; takes {patience}"
    if show_progress:
        _say(show_progress, line)
    else:
        logger.warning("%s", line)  # minutes must not pass in silence
    export_engine(
        model_path,
        path,
        options,
        product=product,
        device=device,
        load=load,
        progress=lambda line: _say(show_progress, line),
        show_bars=show_progress and sys.stderr.isatty(),
    )


def _say(visible: bool, line: str) -> None:
    logger.info("%s", line)
    if visible:
        sys.stderr.write(f"dwpose-infer: {line}\n")
        sys.stderr.flush()
