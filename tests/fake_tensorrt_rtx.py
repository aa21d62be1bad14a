"""A fake `tensorrt_rtx` module: what TensorRT for RTX has otherwise than TensorRT.

It builds without a GPU, for compute capabilities; it refuses matrix products in float32 for 7.5, as
the real one does; its engines are judged before they are loaded, and what is compiled for them on
the machine is handed out and taken back as bytes.
"""

from __future__ import annotations

import sys
from importlib.machinery import ModuleSpec

import fake_cuda
import fake_tensorrt_builder
import fake_tensorrt_runtime
from fake_cuda import installed_driver
from fake_tensorrt_builder import FakeMachine, unpack_plan
from fake_tensorrt_recording import Recorded, RecordedEnum, RecordedModule
from fake_tensorrt_types import Severity

RTX_ONLY = frozenset(
    {
        *("ComputeCapability", "DynamicShapesKernelSpecializationStrategy", "EngineValidity"),
        *("EngineInvalidityDiagnostics", "IRuntimeCache", "IRuntimeConfig"),
        *("create_runtime_config", "get_engine_validity", "num_compute_capabilities"),
        *("set_compute_capability",),
    }
)
"""Classes and methods that TensorRT has not, or not with these arguments."""

BY_DEFAULT = ("SM80", "SM86", "SM89", "SM120", "SM121")


class ComputeCapability(RecordedEnum):
    NONE = 0
    CURRENT = 1
    SM75 = 75
    SM80 = 80
    SM86 = 86
    SM89 = 89
    SM120 = 120
    SM121 = 121


class EngineValidity(RecordedEnum):
    VALID = 0
    SUBOPTIMAL = 1
    INVALID = 2


class EngineInvalidityDiagnostics(RecordedEnum):
    VERSION_MISMATCH = 1
    UNSUPPORTED_CC = 2
    OLD_CUDA_DRIVER = 4
    OLD_CUDA_RUNTIME = 8
    INSUFFICIENT_GPU_MEMORY = 16
    MALFORMED_ENGINE = 32
    CUDA_ERROR = 64


class DynamicShapesKernelSpecializationStrategy(RecordedEnum):
    LAZY = 0
    EAGER = 1
    NONE = 2


class IBuilderConfig(fake_tensorrt_builder.IBuilderConfig):
    _capabilities: tuple = ()

    @property
    def num_compute_capabilities(self):
        return len(self._capabilities)

    @num_compute_capabilities.setter
    def num_compute_capabilities(self, count):
        self._capabilities = (ComputeCapability["NONE"],) * count

    def set_compute_capability(self, compute_capability, index):
        chosen = list(self._capabilities)
        chosen[index] = compute_capability
        self._capabilities = tuple(chosen)
        return True


class IRuntimeCache(Recorded):
    def __init__(self):
        self._kernels = b""

    def deserialize(self, blob):
        environment = _environment()
        if not bytes(blob).startswith(environment):
            return False
        self._kernels = bytes(blob)[len(environment) :]
        return True

    def serialize(self):
        return fake_tensorrt_builder.IHostMemory(_environment() + self._kernels)


class IRuntimeConfig(Recorded):
    def __init__(self):
        self._strategy = None
        self._cache = None

    @property
    def dynamic_shapes_kernel_specialization_strategy(self):
        return self._strategy

    @dynamic_shapes_kernel_specialization_strategy.setter
    def dynamic_shapes_kernel_specialization_strategy(self, strategy):
        assert isinstance(strategy, DynamicShapesKernelSpecializationStrategy)
        self._strategy = strategy

    def create_runtime_cache(self):
        return IRuntimeCache()

    def set_runtime_cache(self, cache=None):
        self._cache = cache
        return True


class IExecutionContext(fake_tensorrt_runtime.IExecutionContext):
    def execute_async_v3(self, stream_handle):
        self._engine._compile(self._shapes)
        return super().execute_async_v3(stream_handle)


class ICudaEngine(fake_tensorrt_runtime.ICudaEngine):
    def create_runtime_config(self):
        return IRuntimeConfig()

    def create_execution_context(self, runtime_config=None):
        # Else each number of persons waits until kernels for it are compiled.
        assert runtime_config._strategy is DynamicShapesKernelSpecializationStrategy.LAZY
        self._config = runtime_config
        return IExecutionContext(self, self._logger)

    def _compile(self, shapes):
        """Adds kernels for sizes that are not among those of the cache."""
        cache = self._config._cache
        line = f"{sorted(shapes.items())}\n".encode()
        if line not in cache._kernels:
            cache._kernels += line


def _environment() -> bytes:
    driver = installed_driver()
    gpu = driver.gpu(driver.current())
    return f"{gpu.name}, {gpu.compute_capability}\n".encode()


def _float32_product(model) -> str | None:
    """Name of a matrix product in float32, or None."""
    import onnx

    inferred = onnx.shape_inference.infer_shapes(model).graph
    values = (*inferred.value_info, *inferred.output)
    types = {value.name: value.type.tensor_type.elem_type for value in values}
    for node in model.graph.node:
        if node.op_type == "MatMul" and types.get(node.output[0]) == onnx.TensorProto.FLOAT:
            return node.name
    return None


def _builder_class(machine: FakeMachine):
    class Builder(Recorded):
        def __init__(self, logger):
            self._logger = logger

        def create_network(self, flags=0):
            return fake_tensorrt_builder.INetworkDefinition(flags)

        def create_builder_config(self):
            return IBuilderConfig()

        def create_optimization_profile(self):
            return fake_tensorrt_builder.IOptimizationProfile()

        def build_serialized_network(self, network, config):
            chosen = [capability._name_ for capability in config._capabilities]
            product = _float32_product(network._model) if "SM75" in chosen else None
            if product is not None:
                self._logger.log(
                    Severity["ERROR"],
                    "IBuilder::buildSerializedNetwork: Error Code 1: Myelin ([pass.cpp:337: "
                    f"check_turing_op_compatibility] Cannot compile operation '{product}' for "
                    "Turing (SM75): FP32 GEMM is not supported.)",
                )
                return None
            gpu = fake_cuda.FakeGpu("", (0, 0))
            plan = fake_tensorrt_builder._build(machine, gpu, self._logger, network, config)
            if plan is None:
                return None
            header, model = unpack_plan(plan)
            header |= {"product": "rtx", "capabilities": chosen or list(BY_DEFAULT)}
            data = fake_tensorrt_builder.pack_plan(header, model)
            return fake_tensorrt_builder.IHostMemory(data)

    return Builder


def _runtime_class(machine: FakeMachine):
    class Runtime(Recorded):
        def __init__(self, logger):
            installed_driver().current()
            self._logger = logger

        def get_engine_validity(self, buffer):
            unpacked = unpack_plan(bytes(buffer))
            faults = EngineInvalidityDiagnostics
            if unpacked is None or unpacked[0].get("product") != "rtx":
                return EngineValidity["INVALID"], faults["MALFORMED_ENGINE"].value
            driver = installed_driver()
            capability = driver.gpu(driver.current()).compute_capability
            bits = 0
            if unpacked[0]["tensorrt"] != machine.version:
                bits |= faults["VERSION_MISMATCH"].value
            if "SM{}{}".format(*capability) not in unpacked[0]["capabilities"]:
                bits |= faults["UNSUPPORTED_CC"].value
            return EngineValidity["INVALID" if bits else "VALID"], bits

        def deserialize_cuda_engine(self, serialized_engine):
            header, model = unpack_plan(bytes(serialized_engine))
            return ICudaEngine(header, model, self._logger)

    return Runtime


def rtx_module(machine: FakeMachine) -> RecordedModule:
    """The module as it is on a machine."""
    module = RecordedModule("tensorrt_rtx", __doc__)
    names = fake_tensorrt_builder.builder_names(machine)
    names |= fake_tensorrt_runtime.runtime_names(machine)
    own = (
        *(ComputeCapability, DynamicShapesKernelSpecializationStrategy),
        *(EngineInvalidityDiagnostics, EngineValidity, IBuilderConfig, ICudaEngine),
        *(
            IExecutionContext,
            IRuntimeCache,
            IRuntimeConfig,
            _builder_class(machine),
            _runtime_class(machine),
        ),
    )
    module.__dict__.update(names | {cls.__name__: cls for cls in own})
    module.__dict__["__version__"] = machine.version
    module.__spec__ = ModuleSpec("tensorrt_rtx", None)
    return module


def install_rtx(monkeypatch, *, gpu: fake_cuda.FakeGpu | None = None) -> FakeMachine:
    """Makes this process one of a machine with TensorRT for RTX alone, for one test.

    Args:
        monkeypatch: Undoes it.
        gpu: The machine's only GPU; None for a machine without driver and GPU.
    """
    machine = FakeMachine(version="1.7.1.116")
    fake_cuda.install(monkeypatch, gpus=(gpu,) if gpu else ())
    monkeypatch.setitem(sys.modules, "tensorrt", None)
    monkeypatch.setitem(sys.modules, "tensorrt_rtx", rtx_module(machine))
    return machine
