"""Where and how networks run, and how the name or path of a model becomes a loaded network."""

from __future__ import annotations

import contextlib
import logging
import tempfile
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import zoo
from .backends import (
    ENGINE_SUFFIXES,
    Backend,
    BackendName,
    LoadOptions,
    check_backend,
    check_options,
    load_backend,
)
from .errors import DwposeError
from .estimator import DEFAULT_MAX_BATCH
from .picture_groups import GROUP_PICTURES

if TYPE_CHECKING:
    from .backends import Precision, Provider


logger = logging.getLogger(__name__)

FORM_ENTRY = "dwpose_infer.form"
"""Entry of an exported file's metadata that says what goes in and comes out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Runtime:
    """Where and how networks run.

    Attributes:
        backend: Runtime, "ort" for ONNX Runtime, "trt" for TensorRT, "openvino" for OpenVINO.
        device: "cpu", "cuda" or "cuda:N"; None means the backend's own.
        provider: Execution provider of ONNX Runtime, or which TensorRT; None takes the one of the
            device's own name, or the one that is installed.
        provider_options: Further options of the provider, in ONNX Runtime's own words.
        threads: CPU threads inside one operator; None leaves it to the runtime.
        precision: What is calculated in; None takes the backend's own, see `load_backend`.
        max_batch: Persons per call of the pose network at most.
        offline: Forbid downloads; None obeys the environment variable DWPOSE_OFFLINE.
        progress: Show on standard error how models are downloaded and engines are built.
    """

    backend: BackendName = "ort"
    device: str | None = None
    provider: Provider | None = None
    provider_options: Mapping[str, Any] | None = None
    threads: int | None = None
    precision: Precision | None = None
    max_batch: int = DEFAULT_MAX_BATCH
    offline: bool | None = None
    progress: bool = False


def open_network(
    model: zoo.StrPath, runtime: Runtime, *, kind: zoo.ModelKind, official: bool = False
) -> Backend:
    """Loads a network, downloading it first where it is not at hand.

    Args:
        model: Name of a model or path of its file.
        runtime: Where it runs.
        kind: What it has to be, where it is a name.
        official: Convert a pose model in deploy form, whose outputs are decoded already, to
            official form; needs the package onnx.

    Raises:
        DwposeError: The model cannot be had, or not be loaded; see `Predictor`.
    """
    return _open(_resolve(model, runtime, kind), runtime, kind=kind, official=official)


def open_networks(
    models: Mapping[zoo.ModelKind, zoo.StrPath],
    runtime: Runtime,
    *,
    official_pose: bool = False,
    side_by_side: bool = False,
) -> dict[zoo.ModelKind, Backend]:
    """Loads the networks of a pipeline; all or none.

    Args:
        models: What each has to be -> name or path of its model.
        runtime: Where they run.
        official_pose: Convert a pose model in deploy form, see `open_network`.
        side_by_side: Load them in a thread each, once all are at hand.

    Raises:
        DwposeError: As `open_network`; the others are closed again.
    """
    paths = {kind: _resolve(model, runtime, kind) for kind, model in models.items()}
    with ExitStack() as on_error:

        def load(kind: zoo.ModelKind) -> Backend:
            official = official_pose and kind == "pose"
            network = _open(paths[kind], runtime, kind=kind, official=official)
            on_error.callback(network.close)
            return network

        if side_by_side:
            with ThreadPoolExecutor(len(paths) or 1, thread_name_prefix="load networks") as pool:
                opened = dict(zip(paths, pool.map(load, paths), strict=True))
        else:
            opened = {kind: load(kind) for kind in paths}
        on_error.pop_all()
    return opened


def _resolve(model: zoo.StrPath, runtime: Runtime, kind: zoo.ModelKind) -> Path:
    return zoo.resolve_model(model, kind=kind, offline=runtime.offline, progress=runtime.progress)


def _open(path: Path, runtime: Runtime, *, kind: zoo.ModelKind, official: bool) -> Backend:
    with _form(path, runtime, official=official) as file:
        return _load(file, runtime, runtime.max_batch if kind == "pose" else GROUP_PICTURES)


def _load(path: Path, runtime: Runtime, max_batch: int) -> Backend:
    load = partial(
        load_backend,
        runtime.backend,
        device=runtime.device,
        provider=runtime.provider,
        provider_options=runtime.provider_options,
        threads=runtime.threads,
        max_batch=max_batch,
    )
    if runtime.backend != "trt" or path.suffix.lower() in ENGINE_SUFFIXES:
        return load(path, precision=runtime.precision)
    from .backends.tensorrt.engine_record import EngineOptions
    from .backends.tensorrt.products import choose_product
    from .export.engine_cache import open_engine

    options = LoadOptions(
        provider=runtime.provider,
        provider_options=runtime.provider_options or {},
        threads=runtime.threads,
        precision=runtime.precision,
    )
    check_options(runtime.backend, options)
    product = choose_product(runtime.provider)
    return open_engine(
        path,
        device=check_backend(runtime.backend, runtime.device, runtime.provider),
        load=load,
        options=EngineOptions(
            precision="fp32" if runtime.precision == "fp32" else "fp16", max_batch=max_batch
        ),
        product=product,
        show_progress=runtime.progress,
    )


def _form(
    path: Path, runtime: Runtime, *, official: bool
) -> contextlib.AbstractContextManager[Path]:
    if official:
        return official_form(path)
    on_gpu = runtime.device is not None and runtime.device.startswith("cuda")
    if runtime.backend == "ort" and on_gpu:
        return deploy_form(path)
    return contextlib.nullcontext(path)


@contextlib.contextmanager
def deploy_form(path: Path) -> Iterator[Path]:
    """Gives the path of a network in deploy form for as long as it is needed.

    For GPUs, where copies count: crops travel as bytes, a quarter of what normalised ones take,
    and points come back, not SimCC (at l-384 and 64 persons copies took half of the time). A file
    in official form is converted into a temporary one, as far as the package onnx is there and
    the exporter knows the network; others are given themselves.
    """
    if path.suffix.lower() != ".onnx" or _says_deploy(path) or _is_deploy(path):
        yield path
        return
    try:
        import onnx

        from .export.exporter import ExportOptions, convert, facts_of
        from .export.metadata import write_facts
        from .export.sources import load_source

        source = load_source(path)
    except (ImportError, DwposeError) as error:
        logger.debug("%s stays in its form: %s", path, error)
        yield path
        return
    options = ExportOptions(fixed_size=True, whole_kernels=True)
    model = convert(source, options)
    write_facts(model, facts_of(source, options))
    with tempfile.TemporaryDirectory() as folder:
        deploy = Path(folder) / path.name
        onnx.save(model, deploy)
        logger.info("%s runs in deploy form", path)
        yield deploy


@contextlib.contextmanager
def official_form(path: Path) -> Iterator[Path]:
    """Gives the path of a pose model in official form for as long as it is needed.

    A file in deploy form is converted into a temporary one; others are given themselves.
    """
    if not _is_deploy(path):
        yield path
        return
    import onnx

    from .export.sources import load_source

    with tempfile.TemporaryDirectory() as folder:
        official = Path(folder) / f"{path.stem}.onnx"
        onnx.save(load_source(path).model, official)
        yield official


def _says_deploy(path: Path) -> bool:
    """Whether a file's own metadata says so, for which the package onnx is not imported."""
    from .backends.onnxruntime_session import read_metadata

    try:
        return read_metadata(path).get(FORM_ENTRY) == "deploy"
    except OSError:
        return False  # the runtime that loads it tells better


def _is_deploy(path: Path) -> bool:
    """Tells whether a file is in deploy form, as far as the package onnx is there to read it."""
    try:
        import onnx

        from .export.from_deploy import deploy_kind
    except ImportError:
        return False  # the estimator refuses a file in deploy form and names the package
    try:
        model = onnx.load(path, format="protobuf", load_external_data=False)
    except Exception:  # an engine, or damaged: the runtime that loads it tells better
        return False
    return deploy_kind(model) is not None
