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

from ..arrays import UInt8Array
from ..backends.base import Backend
from ..backends.device import Device
from ..backends.tensorrt.engine_record import EngineOptions, EngineRecord, write_record
from ..backends.tensorrt.products import TENSORRT, Product, choose_product
from ..errors import OutputError, ParityError
from ..files.atomic import part_file
from ..files.document import write_document
from .engine_source import EngineSource, load_engine_source
from .engine_target import EngineTarget, find_target
from .exporter import ExportOptions, gate_samples, require_not_source
from .parity import check_device_parity, check_parity
from .parity_report import ParityReport, require_parity
from .to_tensorrt import BuiltEngine, build_engine
from .turing import to_turing_form

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
    product: Product | None = None,
    device: Device | None = None,
    load: EngineLoader | None = None,
    report: str | os.PathLike[str] | None = None,
    progress: Callable[[str], None] | None = None,
    show_bars: bool = False,
) -> EngineResult:
    """Builds an engine and keeps the file only if it does what its source does.

    TensorRT for RTX builds without a GPU. Where none is here that could run the engine, the graph
    that it is built from is compared instead, and the record says so.

    Args:
        source: Checkpoint, name of a model of the store, or ONNX file in official or deploy form.
        out: File to write; it appears whole or not at all, with its record `out`.json.
        engine: Precision, batch sizes, workspace and, for TensorRT for RTX, what to build for.
        options: Everything about the graph but its form and precision.
        product: What builds it; None takes the one that is installed, see `choose_product`.
        device: GPU that has to run it; None takes the first one, see `find_target`.
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
    target = find_target(product or choose_product(), engine or EngineOptions(), device)
    engine = target.options
    options = replace(
        options or ExportOptions(),
        form="deploy",
        precision=engine.precision,
        fixed_size=True,
        whole_kernels=True,
    )
    say = progress or (lambda _line: None)
    warn_about_gpu(target)
    say(f"reading {os.fspath(source)}")
    graph = load_engine_source(source, options, download_bar=show_bars, progress=say)
    path = Path(out)
    require_not_source(path, graph.source)
    if "7.5" in engine.capabilities:
        graph = replace(graph, model=to_turing_form(graph.model))
    samples = gate_samples(graph.source, options)
    library = f"{target.product.name} {target.version}"
    label = f"{graph.source.name}, {library}, {engine.precision}"
    patience = "minutes" if target.product is TENSORRT else "seconds"
    say(f"building the engine of {label}, for {target.words}; takes {patience}")
    built = build_engine(
        graph.model.SerializeToString(),
        engine,
        product=target.product,
        device=target.device,
        label=label,
        show_bar=show_bars,
    )
    with _part_of(path, built.plan) as part:
        run = load or _loader(target.device, target.product) if target.device else None
        parity = _compare(graph, part, run, samples, options, progress=say)
        record = _record(target, graph, built, parity)
        if report is not None:
            write_document(report, record)
        _require_parity(parity, engine)
    write_record(path, record)  # whoever finds the engine beside an older one knows by its hash
    return EngineResult(path, record, parity)


def _compare(
    graph: EngineSource,
    part: Path,
    load: EngineLoader | None,
    samples: UInt8Array,
    options: ExportOptions,
    *,
    progress: Callable[[str], None],
) -> ParityReport:
    """Compares an engine with its source; without a way to load it, the graph it was built from."""
    if load is None:
        progress(f"comparing the graph on {len(samples)} pictures: no GPU here runs the engine")
        return check_parity(
            graph.source,
            graph.model,
            samples,
            form=options.form,
            precision=options.precision,
            allow_undecided=options.allow_undecided,
        )
    progress(f"comparing with the source on {len(samples)} pictures")
    with load(part) as backend:
        return check_device_parity(
            graph.source,
            backend.run,
            samples,
            form="deploy",
            precision=options.precision,
            device=backend.description,
            allow_undecided=options.allow_undecided,
        )


def warn_about_gpu(target: EngineTarget) -> None:
    """Logs a warning where half precision is known to misbehave."""
    if target.options.precision != "fp16":
        return
    if _NO_TENSOR_CORES.search(target.gpu_name):
        logger.warning(
            "%s has no tensor cores: half precision is slow on it and known to give wrong "
            "numbers; use --precision fp32 (precision='fp32')",
            target.gpu_name,
        )
    elif "7.5" in target.options.capabilities:
        logger.warning(
            "GPUs of the GTX 16 series, of compute capability 7.5 too, have no tensor cores: half "
            "precision is slow on them and known to give wrong numbers; for those use --precision "
            "fp32 (precision='fp32')"
        )


def _loader(device: Device, product: Product) -> EngineLoader:
    from ..backends.tensorrt.backend import TensorRtBackend

    def load(path: Path) -> Backend:
        return TensorRtBackend(path, device=device, product=product)

    return load


def _record(
    target: EngineTarget,
    graph: EngineSource,
    built: BuiltEngine,
    parity: ParityReport,
) -> EngineRecord:
    now = datetime.datetime.now(datetime.timezone.utc)
    return EngineRecord(
        identity=target.identity(graph.source.sha256),
        name=graph.source.name,
        engine_sha256=hashlib.sha256(built.plan).hexdigest(),
        size_bytes=len(built.plan),
        workspace_mib=target.options.workspace_mib,
        built_at=now.isoformat(timespec="seconds"),
        build_s=round(built.build_s, 3),
        metadata={entry.key: entry.value for entry in graph.model.metadata_props},
        parity=parity.to_json(),
        compared="graph" if target.device is None else "engine",
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
