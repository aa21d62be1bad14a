"""ONNX -> a serialised TensorRT engine.

The network is strongly typed: every tensor has the type that the ONNX graph gives it, and TensorRT
chooses no precision of its own. That is one path for TensorRT 10, where it has to be asked for, and
11, which knows nothing else and ignores the flag; what `dwpose_infer.export.fp16` decided is what
is computed.

What TensorRT asks of a graph, and how the graphs of `dwpose_infer.export.deploy` answer
(docs/operators.md of onnx-tensorrt 10.1; NVIDIA's operator reference for TopK):

* uint8 is allowed for inputs and outputs of the network only: `crops` and `images` are read by a
  Cast and by nothing else, and the Transpose comes behind it;
* TopK takes a K of at most 3840, stored in the graph, and sorts: K is a stored constant, 300
  unless another one is asked for; ArgMax is a TopK with K = 1;
* opset 9 to 20: the exporter's default is 17;
* a Slice's axes are stored in the graph: they are constants there;
* every other operator of the two networks is on the list in float32, float16 and, for indices,
  int64.

TensorRT for RTX has the same calls. It builds for compute capabilities, not for a GPU, and needs
neither one nor a driver for it.

Its progress while it builds is one bar, and a way to end the build early.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass
from functools import partial
from typing import Any

from ..backends.device import Device
from ..backends.tensorrt.cuda import Gpu
from ..backends.tensorrt.engine_record import EngineOptions
from ..backends.tensorrt.library import MessageLog, create_logger, import_tensorrt, tensorrt_remedy
from ..backends.tensorrt.products import TENSORRT, Product
from ..backends.tensorrt.rtx import set_capabilities
from ..closing import ClosesOnExit
from ..errors import (
    BackendUnavailableError,
    EngineBuildError,
    ModelFormatError,
)


@dataclass(slots=True)
class _Phase:
    """A part of the build that is under way."""

    parent: str | None
    steps: int
    done: int = 0


class BuildProgress(ClosesOnExit):
    """Adds up the nested phases that TensorRT reports; shows a bar; may be asked to stop.

    TensorRT calls its progress monitor from several threads of its own, so everything here is
    behind a lock.

    Attributes:
        cancelled: Whether the build has been asked to end.
    """

    def __init__(self, label: str, *, visible: bool) -> None:
        """Prepares the bar.

        Args:
            label: Words before the bar.
            visible: Draw it on standard error.
        """
        self.cancelled = False
        self._phases: dict[str, _Phase] = {}
        self._lock = threading.Lock()
        self._share = 0.0
        self._bar: Any = None
        if visible:
            from tqdm import tqdm

            layout = "{desc}: {percentage:3.0f}%|{bar}| {elapsed}{postfix}"
            self._bar = tqdm(desc=label, total=1.0, miniters=0, bar_format=layout)

    @property
    def share(self) -> float:
        """Share of the build that is done, 0..1; never falls."""
        return self._share

    def cancel(self) -> None:
        """Asks for an end: TensorRT learns it after its current step."""
        self.cancelled = True

    def start(self, name: str, parent: str | None, steps: int) -> None:
        """A phase begins."""
        with self._lock:
            self._phases[name] = _Phase(parent if parent != name else None, max(int(steps), 1))
            self._show(name)

    def step(self, name: str, step: int) -> bool:
        """A step of a phase is done; returns whether the build is to go on."""
        with self._lock:
            phase = self._phases.get(name)
            if phase is not None:
                phase.done = max(phase.done, int(step) + 1)
                self._show(name)
        return not self.cancelled

    def finish(self, name: str) -> None:
        """A phase ends; this may be before all of its steps are done."""
        with self._lock:
            phase = self._phases.get(name)
            if phase is not None:
                phase.done = phase.steps
                self._show(name)
                self._phases.pop(name)

    def complete(self) -> None:
        """The build is done, however many steps were left out."""
        with self._lock:
            self._share = 1.0
            if self._bar is not None:
                self._bar.update(1.0 - self._bar.n)

    def close(self) -> None:
        """Ends the bar; may be called again."""
        if self._bar is not None:
            self._bar.close()

    def _show(self, name: str) -> None:
        roots = [key for key, phase in self._phases.items() if phase.parent not in self._phases]
        share = self._share_of(roots[0]) if roots else 0.0
        self._share = max(self._share, min(share, 1.0))
        if self._bar is not None:
            self._bar.set_postfix_str(name, refresh=False)
            self._bar.update(self._share - self._bar.n)

    def _share_of(self, name: str) -> float:
        """Share of a phase that is done; those inside it count for its current step."""
        phase = self._phases[name]
        inner = [self._share_of(key) for key, value in self._phases.items() if value.parent == name]
        return min((phase.done + min(sum(inner), 1.0)) / phase.steps, 1.0)


def create_monitor(trt: Any, progress: BuildProgress) -> Any:
    """Returns an object that TensorRT accepts as its progress monitor and that fills `progress`.

    It has to live as long as the builder's configuration that it is given to.

    Args:
        trt: TensorRT's module.
        progress: What to fill.
    """

    class Bridge(trt.IProgressMonitor):  # type: ignore[misc]
        def __init__(self) -> None:
            trt.IProgressMonitor.__init__(self)

        def phase_start(self, phase_name: str, parent_phase: str | None, num_steps: int) -> None:
            progress.start(phase_name, parent_phase, num_steps)

        def step_complete(self, phase_name: str, step: int) -> bool:
            return progress.step(phase_name, step)

        def phase_finish(self, phase_name: str) -> None:
            progress.finish(phase_name)

    return Bridge()


MAX_TOP_K = 3840
"""Largest K of TensorRT's TopK, from NVIDIA's operator reference."""

LAST_OPSET = 20
"""Latest operator set that TensorRT 10.0 reads, from docs/operators.md of onnx-tensorrt."""

MIB = 1 << 20

POLL_S = 0.1


@dataclass(frozen=True, slots=True)
class BuiltEngine:
    """A serialised engine.

    Attributes:
        plan: Its bytes.
        build_s: Seconds that TensorRT took.
    """

    plan: bytes
    build_s: float


def build_engine(
    model: bytes,
    options: EngineOptions,
    *,
    device: Device | None,
    label: str,
    show_bar: bool,
    product: Product = TENSORRT,
) -> BuiltEngine:
    """Builds an engine; takes minutes, with TensorRT for RTX seconds.

    TensorRT works in a thread of its own, so that Ctrl-C arrives at once; the build then ends
    after TensorRT's current step.

    Args:
        model: A serialised ONNX model in which every tensor has the type to compute in.
        options: Batch sizes, workspace and, for TensorRT for RTX, compute capabilities; the
            precision is that of the graph.
        device: GPU to build on and for; None where TensorRT for RTX builds without one.
        label: Words before the progress bar.
        show_bar: Draw the bar on standard error.
        product: What builds it.

    Raises:
        MissingDependencyError: TensorRT or a CUDA package is not installed.
        BackendUnavailableError: TensorRT is too old or does not work here.
        ModelFormatError: TensorRT cannot read the graph; the message names the nodes.
        EngineBuildError: The build failed.
        KeyboardInterrupt: It was interrupted.
    """
    trt = import_tensorrt(product)
    with BuildProgress(label, visible=show_bar) as progress:
        start = time.perf_counter()
        build = partial(
            _build, trt, model, options, product=product, device=device, progress=progress
        )
        plan = _in_thread(build, progress)
        progress.complete()
        return BuiltEngine(plan, time.perf_counter() - start)


def _in_thread(build: Callable[[], bytes], progress: BuildProgress) -> bytes:
    """Runs a build in another thread and waits so that an interrupt is heard."""
    with ThreadPoolExecutor(1, thread_name_prefix="tensorrt-build") as pool:
        try:
            future = pool.submit(build)
            while not future.done():
                wait([future], timeout=POLL_S)
        except KeyboardInterrupt:
            progress.cancel()  # leaving the block waits for TensorRT's current step
            raise
        return future.result()


def _build(
    trt: Any,
    model: bytes,
    options: EngineOptions,
    *,
    product: Product,
    device: Device | None,
    progress: BuildProgress,
) -> bytes:
    with contextlib.ExitStack() as held:
        if device is not None:  # TensorRT builds for the thread's current GPU
            held.enter_context(held.enter_context(Gpu(device.index)).active())
        return _build_here(trt, model, options, product, progress)


def _build_here(
    trt: Any, model: bytes, options: EngineOptions, product: Product, progress: BuildProgress
) -> bytes:
    """Builds for the current GPU; TensorRT's objects are freed while it still is."""
    log = MessageLog()
    logger = create_logger(trt, log)
    builder = create_builder(trt, logger, log, product)
    network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    parser = trt.OnnxParser(network, logger)
    if not parser.parse(model):
        raise ModelFormatError(_parser_message(trt, parser, log, product))
    config = builder.create_builder_config()
    # TF32 would round float32 to 10 bits of mantissa wherever float32 is asked for.
    config.clear_flag(trt.BuilderFlag.TF32)
    if options.workspace_mib is not None:
        pool = trt.MemoryPoolType.WORKSPACE
        config.set_memory_pool_limit(pool, options.workspace_mib * MIB)
    if product is not TENSORRT:
        set_capabilities(trt, config, options.capabilities)
    monitor = create_monitor(trt, progress)
    config.progress_monitor = monitor
    _add_profile(builder, network, config, options)
    plan = builder.build_serialized_network(network, config)
    if plan is None:
        raise EngineBuildError(_build_message(trt, options, log, product))
    return bytes(plan)


def create_builder(trt: Any, logger: Any, log: MessageLog, product: Product = TENSORRT) -> Any:
    """Returns TensorRT's builder.

    Raises:
        BackendUnavailableError: There is none: no GPU or driver that it can use.
    """
    try:
        return trt.Builder(logger)
    except Exception as error:  # pybind11 raises TypeError where the library gives no builder
        reason = "; ".join(log.take_errors()) or str(error)
        raise BackendUnavailableError(
            f"{product.name} {trt.__version__} does not work here: {reason}. The NVIDIA driver may "
            f"be too old for it. {tensorrt_remedy(product)}"
        ) from error


def _add_profile(builder: Any, network: Any, config: Any, options: EngineOptions) -> None:
    """Declares the batches that the engine has to take; a graph of a fixed batch needs no such."""
    profile = builder.create_optimization_profile()
    free = False
    for index in range(network.num_inputs):
        tensor = network.get_input(index)
        batch, *sides = tuple(tensor.shape)
        if min(sides, default=1) < 1:
            raise ModelFormatError(
                f"the input {tensor.name} has the shape {(batch, *sides)}; only the batch may be "
                "free in an engine"
            )
        if batch >= 1:
            continue
        free = True
        smallest, tuned, largest = (
            (count, *sides) for count in (1, options.opt_batch, options.max_batch)
        )
        profile.set_shape(tensor.name, smallest, tuned, largest)
    if free and config.add_optimization_profile(profile) < 0:
        raise EngineBuildError(
            f"TensorRT does not accept batches of 1 to {options.max_batch} for this network"
        )


def _parser_message(trt: Any, parser: Any, log: MessageLog, product: Product) -> str:
    reasons = []
    for index in range(parser.num_errors):
        error = parser.get_error(index)
        operator, name = error.node_operator(), error.node_name()
        place = f"{operator} node {name!r}: " if operator or name else ""
        reasons.append(f"{place}{error.desc()}")
    reasons = reasons or log.take_errors() or ["no reason given"]
    return f"{product.name} {trt.__version__} cannot read the graph: {'; '.join(reasons)}"


def _build_message(trt: Any, options: EngineOptions, log: MessageLog, product: Product) -> str:
    reasons = "; ".join(log.take_errors()) or "no reason given"
    remedy = "free memory on the GPU or choose a smaller largest batch (--max-batch)"
    if options.workspace_mib is not None:
        remedy += f", or allow more workspace than {options.workspace_mib} MiB (--workspace-mib)"
    return (
        f"{product.name} {trt.__version__} could not build the engine: {reasons}. If memory ran "
        f"out: {remedy}"
    )
