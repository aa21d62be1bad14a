"""The building half of a fake TensorRT: it reads ONNX by TensorRT's rules and packs it.

A plan is, in this order:

    8 bytes       b"FAKETRT1"
    4 bytes       length of the header, unsigned, little-endian
    header        JSON: {"tensorrt": "10.16.1.11", "gpu": "NVIDIA L4", "compute_capability": "8.9",
                  "profile": {"crops": [[1, 256, 192, 3], [1, ...], [16, ...]]}}
    the rest      the ONNX model

so that `fake_tensorrt_runtime` can execute it with ONNX Runtime.
"""

from __future__ import annotations

import json
import struct
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from fake_cuda import installed_driver
from fake_tensorrt_parser import OnnxParser, ParserError
from fake_tensorrt_recording import Recorded
from fake_tensorrt_types import (
    BuilderFlag,
    DataType,
    Dims,
    ILogger,
    INetworkDefinition,
    IProgressMonitor,
    ITensor,
    MemoryPoolType,
    Severity,
    creation_flags,
)

MAGIC = b"FAKETRT1"


@dataclass
class FakeMachine:
    """A machine with TensorRT on it, and what is to go wrong there.

    Attributes:
        version: Version of TensorRT.
        gpu_name: Name of its GPU.
        compute_capability: Of its GPU.
        builds: One entry for each engine that was built.
        build_error: What TensorRT logs when it cannot build; None where it can.
        broken_builder: Whether the library gives no builder at all.
        distort: Changes the model before it is packed: a build that computes something else.
        on_step: Called after every step of a build.
    """

    version: str = "10.16.1.11"
    gpu_name: str = "NVIDIA L4"
    compute_capability: tuple[int, int] = (8, 9)
    builds: list[str] = field(default_factory=list)
    build_error: str | None = None
    broken_builder: bool = False
    distort: Callable | None = None
    on_step: Callable[[], None] | None = None

    @property
    def capability_text(self) -> str:
        return ".".join(map(str, self.compute_capability))


def pack_plan(header: dict, model: bytes) -> bytes:
    text = json.dumps(header).encode()
    return MAGIC + struct.pack("<I", len(text)) + text + model


def unpack_plan(plan: bytes) -> tuple[dict, bytes] | None:
    """Header and model, or None for anything that is no plan."""
    start = len(MAGIC) + 4
    if plan[: len(MAGIC)] != MAGIC or len(plan) < start:
        return None
    (length,) = struct.unpack("<I", plan[len(MAGIC) : start])
    try:
        return json.loads(plan[start : start + length]), plan[start + length :]
    except ValueError:
        return None


class IOptimizationProfile(Recorded):
    def __init__(self):
        self._shapes: dict[str, list[list[int]]] = {}

    def set_shape(self, input, min, opt, max):
        self._shapes[input] = [list(min), list(opt), list(max)]


class IBuilderConfig(Recorded):
    def __init__(self):
        self._monitor = None
        self._profiles: list[IOptimizationProfile] = []
        self._flags = {BuilderFlag["TF32"]}
        self._pools: dict[MemoryPoolType, int] = {}

    @property
    def progress_monitor(self):
        return self._monitor

    @progress_monitor.setter
    def progress_monitor(self, monitor):
        assert isinstance(monitor, IProgressMonitor)
        self._monitor = monitor

    def clear_flag(self, flag):
        self._flags.discard(flag)

    def set_memory_pool_limit(self, pool, pool_size):
        self._pools[pool] = pool_size

    def add_optimization_profile(self, profile):
        for smallest, tuned, largest in profile._shapes.values():
            if not all(a <= b <= c for a, b, c in zip(smallest, tuned, largest, strict=True)):
                return -1
        self._profiles.append(profile)
        return len(self._profiles) - 1


class IHostMemory(bytes):
    """Bytes, as the real one offers them through the buffer protocol."""


def builder_class(machine: FakeMachine):
    class Builder(Recorded):
        def __init__(self, logger):
            assert isinstance(logger, ILogger)
            self._gpu = installed_driver().gpu(installed_driver().current())
            self._logger = logger
            if machine.broken_builder:
                logger.log(Severity["ERROR"], "CUDA initialization failure with error: 35")
                raise TypeError("pybind11::init(): factory function returned nullptr")

        def create_network(self, flags=0):
            return INetworkDefinition(flags)

        def create_builder_config(self):
            return IBuilderConfig()

        def create_optimization_profile(self):
            return IOptimizationProfile()

        def build_serialized_network(self, network, config):
            plan: list[IHostMemory | None] = [None]

            # As the real one, it reports its progress from a thread of its own.
            def work():
                plan[0] = _build(machine, self._gpu, self._logger, network, config)

            worker = threading.Thread(target=work)
            worker.start()
            worker.join()
            return plan[0]

    return Builder


def _build(machine, gpu, logger, network, config):
    if network._flags != 1 << creation_flags(machine.version)["STRONGLY_TYPED"].value:
        logger.log(Severity["ERROR"], "the network is not strongly typed")
        return None
    shapes = config._profiles[0]._shapes if config._profiles else {}
    for tensor in network._inputs:
        if -1 in tensor._shape._sizes and tensor._name not in shapes:
            logger.log(
                Severity["ERROR"],
                "Network has dynamic or shape inputs, but no optimization profile has been defined",
            )
            return None
    if not _report(machine, config._monitor):
        logger.log(Severity["ERROR"], "the build was cancelled by the progress monitor")
        return None
    if machine.build_error is not None:
        logger.log(Severity["ERROR"], machine.build_error)
        return None
    model = network._model
    if machine.distort is not None:
        model = machine.distort(model)
    header = {
        "tensorrt": machine.version,
        "gpu": gpu.name,
        "compute_capability": ".".join(map(str, gpu.compute_capability)),
        "profile": shapes,
        "tf32": BuilderFlag["TF32"] in config._flags,
        "workspace": config._pools.get(MemoryPoolType["WORKSPACE"]),
    }
    machine.builds.append(model.graph.name)
    return IHostMemory(pack_plan(header, model.SerializeToString()))


def _report(machine, monitor) -> bool:
    """Reports two phases, one inside the other; returns whether the build may go on."""
    if monitor is None:
        return True
    monitor.phase_start("Building Engine", None, 2)
    for outer in range(2):
        monitor.phase_start("Timing graph nodes", "Building Engine", 4)
        for inner in range(4):
            if not monitor.step_complete("Timing graph nodes", inner):
                return False
            if machine.on_step is not None:
                machine.on_step()
        monitor.phase_finish("Timing graph nodes")
        if not monitor.step_complete("Building Engine", outer):
            return False
    monitor.phase_finish("Building Engine")
    return True


def builder_names(machine: FakeMachine) -> dict[str, object]:
    """The names of this half of the module."""
    names = (
        *(BuilderFlag, DataType, Dims, IBuilderConfig, IHostMemory, ILogger, INetworkDefinition),
        *(IOptimizationProfile, IProgressMonitor, ITensor, MemoryPoolType),
        *(OnnxParser, ParserError, creation_flags(machine.version)),
    )
    return {cls.__name__: cls for cls in names} | {"Builder": builder_class(machine)}


def doubled_keypoints(model):
    """A `distort` for pose networks: every coordinate is twice as large."""
    import onnx
    from onnx import numpy_helper

    changed = onnx.ModelProto()
    changed.CopyFrom(model)
    (scale,) = (t for t in changed.graph.initializer if t.name == "decode/pixels_per_bin")
    scale.CopyFrom(numpy_helper.from_array(np.ones(1, np.float32), scale.name))
    return changed
