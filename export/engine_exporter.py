"""From a source to a verified TensorRT engine."""

from __future__ import annotations

import contextlib
import datetime
import hashlib
import logging
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from ..backends.base import Backend
from ..backends.device import Device
from ..backends.tensorrt.cuda import Gpu
from ..backends.tensorrt.engine_record import (
    EngineIdentity,
    EngineOptions,
    EngineRecord,
    write_record,
)
from ..backends.tensorrt.library import import_tensorrt
from ..errors import OutputError, ParityError
from ..files.atomic import part_file
from ..files.document import write_document
from .engine_source import EngineSource, load_engine_source
from .exporter import ExportOptions, gate_samples, require_not_source
from .parity import check_engine_parity
from .parity_report import ParityReport, require_parity
from .to_tensorrt import BuiltEngine, build_engine

logger = logging.getLogger(__name__)

EngineLoader = Callable[[Path], Backend]
"""Loads the file of an engine."""

_NO_TENSOR_CORES = re.compile(r"\bGTX\s*16\d\d\b")
"""Turing without tensor cores: compute capability 7.5 like its siblings, but half precision is slow
there and known to give wrong numbers (github.com/NVIDIA/TensorRT/issues/1408)."""


@dataclass(frozen=True, slots=True, eq=False)
class EngineResult:
    """An engine that was built and verified.

    Attributes:
        path: The file; its record lies beside it.
        record: What is recorded about it.
        parity: What the gate measured.
    """

    path: Path
    record: EngineRecord
    parity: ParityReport


def export_engine(
    source: str | os.PathLike[str],
    out: str | os.PathLike[str],
    engine: EngineOptions | None = None,
    options: ExportOptions | None = None,
    *,
    device: Device | None = None,
    load: EngineLoader | None = None,
    report: str | os.PathLike[str] | None = None,
    progress: Callable[[str], None] | None = None,
    show_bars: bool = False,
) -> EngineResult:
    """Builds an engine and keeps the file only if it does what its source does.

    Args:
        source: Checkpoint, name of a model of the store, or ONNX file in official or deploy form.
        out: File to write; it appears whole or not at all, with its record `out`.json.
        engine: Precision, batch sizes and workspace.
        options: Everything about the graph but its form and precision.
        device: GPU to build on and for; None takes the first one.
        load: How to load the engine; None takes `TensorRtBackend`.
        report: Also write the measurements there, as JSON; also when the gate is not passed.
        progress: Called with a line before each step.
        show_bars: Show progress bars on standard error.

    Raises:
        MissingDependencyError: TensorRT or another optional package is not installed.
        BackendUnavailableError: TensorRT or the GPU cannot be used.
        ParityError: Engine and source differ by more than the limits; nothing was written.
        EngineBuildError: TensorRT could not build the engine.
        ModelFormatError: The source is not a network that is known, or TensorRT cannot read it.
        InputError: The pictures given cannot be used, or nobody is on them.
        OutputError: The file cannot be written.
        InvalidArgumentError: Options contradict each other or the source.
    """
    engine, device = engine or EngineOptions(), device or Device("cuda")
    options = replace(
        options or ExportOptions(), form="deploy", precision=engine.precision, fixed_size=True
    )
    load = load or _loader(device)
    say = progress or (lambda _line: None)
    trt = import_tensorrt()
    with Gpu(device.index) as gpu:
        gpu_name, capability = gpu.name, gpu.compute_capability
    warn_about_gpu(gpu_name, engine)
    say(f"reading {os.fspath(source)}")
    graph = load_engine_source(source, options, download_bar=show_bars)
    target = Path(out)
    require_not_source(target, graph.source)
    samples = gate_samples(graph.source, options)
    label = f"{graph.source.name}, TensorRT {trt.__version__}, {engine.precision}"
    say(f"building the TensorRT engine for {label}, on {gpu_name}; takes minutes")
    built = build_engine(
        graph.model.SerializeToString(), engine, device=device, label=label, show_bar=show_bars
    )
    with _part_of(target, built.plan) as part:
        say(f"comparing with the source on {len(samples)} pictures")
        with load(part) as backend:
            parity = check_engine_parity(
                graph.source,
                backend.run,
                samples,
                precision=engine.precision,
                allow_undecided=options.allow_undecided,
            )
        identity = EngineIdentity.of(
            graph.source.sha256,
            engine,
            tensorrt_version=str(trt.__version__),
            gpu_name=gpu_name,
            compute_capability=capability,
        )
        record = _record(identity, graph, built, engine, parity)
        if report is not None:
            write_document(report, record)
        _require_parity(parity, engine)
    write_record(target, record)  # whoever finds the engine beside an older one knows by its hash
    return EngineResult(target, record, parity)


def warn_about_gpu(gpu_name: str, engine: EngineOptions) -> None:
    """Logs a warning where half precision is known to misbehave."""
    if engine.precision == "fp16" and _NO_TENSOR_CORES.search(gpu_name):
        logger.warning(
            "%s has no tensor cores: half precision is slow on it and known to give wrong "
            "numbers; use --precision fp32 (precision='fp32')",
            gpu_name,
        )


def _loader(device: Device) -> EngineLoader:
    from ..backends.tensorrt.backend import TensorRtBackend

    def load(path: Path) -> Backend:
        return TensorRtBackend(path, device=device)

    return load


def _record(
    identity: EngineIdentity,
    graph: EngineSource,
    built: BuiltEngine,
    engine: EngineOptions,
    parity: ParityReport,
) -> EngineRecord:
    now = datetime.datetime.now(datetime.timezone.utc)
    return EngineRecord(
        identity=identity,
        name=graph.source.name,
        engine_sha256=hashlib.sha256(built.plan).hexdigest(),
        size_bytes=len(built.plan),
        workspace_mib=engine.workspace_mib,
        built_at=now.isoformat(timespec="seconds"),
        build_s=round(built.build_s, 3),
        metadata={entry.key: entry.value for entry in graph.model.metadata_props},
        parity=parity.to_json(),
    )


def _require_parity(parity: ParityReport, engine: EngineOptions) -> None:
    try:
        require_parity(parity)
    except ParityError as error:
        remedy = "build it in float32: --precision fp32 (precision='fp32')"
        if parity.undecided:
            remedy = (
                "build the engine with `dwpose-export --to engine`, which takes these options, "
                "and give its file to --backend trt"
            )
        elif engine.precision == "fp32":
            remedy = "use ONNX Runtime: --backend ort --device cuda"
        raise ParityError(f"the engine was not kept: {error}. Remedy: {remedy}") from error


@contextlib.contextmanager
def _part_of(target: Path, plan: bytes) -> Iterator[Path]:
    """The engine under a temporary name; it gets its own where the block ends without an error."""
    try:
        with part_file(target) as part:
            part.write_bytes(plan)
            yield part
            part.replace(target)
    except OSError as error:
        raise OutputError(f"cannot write {target}: {error.strerror or error}") from error
