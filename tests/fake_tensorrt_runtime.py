"""The running half of a fake TensorRT: it unpacks a plan and executes it with ONNX Runtime.

Execution is queued in a stream of the fake CUDA driver, reads its inputs from the fake GPU's memory
and writes its outputs there. An engine's tensors come in the opposite order of the ONNX graph's:
nobody may rely on any.
"""

from __future__ import annotations

import numpy as np

from fake_cuda import installed_driver
from fake_tensorrt_builder import FakeMachine, unpack_plan
from fake_tensorrt_recording import Recorded, RecordedEnum
from fake_tensorrt_types import DataType, Dims, ILogger, Severity

_TYPES = {
    "float32": "FLOAT",
    "float16": "HALF",
    "uint8": "UINT8",
    "int8": "INT8",
    "int32": "INT32",
    "int64": "INT64",
    "bool": "BOOL",
}


class TensorIOMode(RecordedEnum):
    NONE = 0
    INPUT = 1
    OUTPUT = 2


class TensorLocation(RecordedEnum):
    DEVICE = 0
    HOST = 1


class TensorFormat(RecordedEnum):
    LINEAR = 0
    CHW4 = 3


class _Graph:
    """The packed model, its tensors and their types."""

    def __init__(self, model: bytes):
        import onnx
        import onnxruntime

        self.model = onnx.load_from_string(model)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(model, options, ["CPUExecutionProvider"])
        to_numpy = onnx.helper.tensor_dtype_to_np_dtype
        stored = {tensor.name for tensor in self.model.graph.initializer}
        self.inputs = [value for value in self.model.graph.input if value.name not in stored]
        self.outputs = list(self.model.graph.output)
        self.dtypes = {
            value.name: np.dtype(to_numpy(value.type.tensor_type.elem_type))
            for value in (*self.inputs, *self.outputs)
        }

    def shapes(self, input_shapes: dict[str, tuple[int, ...]]) -> dict[str, tuple[int, ...]]:
        """Shapes of the outputs; -1 where they depend on what is in the inputs."""
        import onnx

        model = onnx.ModelProto()
        model.CopyFrom(self.model)
        for value in model.graph.input:
            if value.name in input_shapes:
                sides = value.type.tensor_type.shape.dim
                for side, size in zip(sides, input_shapes[value.name], strict=True):
                    side.dim_value = size
        for value in model.graph.output:
            value.type.tensor_type.ClearField("shape")
        inferred = onnx.shape_inference.infer_shapes(model, data_prop=True)
        return {value.name: shape_of(value) for value in inferred.graph.output}


def shape_of(value) -> tuple[int, ...]:
    return tuple(
        side.dim_value if side.HasField("dim_value") else -1
        for side in value.type.tensor_type.shape.dim
    )


class IExecutionContext(Recorded):
    def __init__(self, engine, logger):
        self._engine, self._logger = engine, logger
        self._shapes: dict[str, tuple[int, ...]] = {}
        self._addresses: dict[str, int] = {}

    def set_input_shape(self, name, shape):
        assert isinstance(shape, (tuple, list, Dims))
        least, _, most = (tuple(sizes) for sizes in self._engine._profile[name])
        if any(not low <= size <= high for low, size, high in zip(least, shape, most, strict=True)):
            self._logger.log(
                Severity["ERROR"],
                f"IExecutionContext::setInputShape: {list(shape)} does not satisfy the profile",
            )
            return False
        self._shapes[name] = tuple(shape)
        return True

    def get_tensor_shape(self, name):
        if name in self._engine._profile:
            return Dims(self._shapes[name])
        return Dims(self._engine._graph.shapes(self._shapes)[name])

    def set_tensor_address(self, name, memory):
        assert type(memory) is int
        self._addresses[name] = memory
        return name in self._engine._names

    def execute_async_v3(self, stream_handle):
        driver = installed_driver()
        if set(self._addresses) != set(self._engine._names):
            self._logger.log(Severity["ERROR"], "address is not set for some tensor")
            return False
        if driver.execution_error is not None:
            self._logger.log(Severity["ERROR"], driver.execution_error)
            return False
        shapes = dict(self._shapes)
        driver.queue(stream_handle, lambda: self._run(driver, shapes))
        return True

    def _run(self, driver, shapes):
        if driver.before_execution is not None:
            driver.before_execution()
        graph = self._engine._graph
        inputs = {}
        for name, shape in shapes.items():
            dtype = graph.dtypes[name]
            block = driver.block(self._addresses[name], int(np.prod(shape)) * dtype.itemsize)
            inputs[name] = block.view(dtype).reshape(shape).copy()
        names = [value.name for value in graph.outputs]
        for name, array in zip(names, graph.session.run(names, inputs), strict=True):
            block = driver.block(self._addresses[name], array.nbytes)
            block[:] = np.ascontiguousarray(array).reshape(-1).view(np.uint8)


class ICudaEngine(Recorded):
    def __init__(self, header, model, logger):
        self._logger = logger
        self._graph = _Graph(model)
        self._inputs = {value.name for value in self._graph.inputs}
        self._names = [value.name for value in (*self._graph.inputs, *self._graph.outputs)][::-1]
        self._profile = {
            value.name: header["profile"].get(value.name) or [shape_of(value)] * 3
            for value in self._graph.inputs
        }

    @property
    def num_io_tensors(self):
        return len(self._names)

    def get_tensor_name(self, index):
        return self._names[index]

    def get_tensor_mode(self, name):
        return TensorIOMode["INPUT" if name in self._inputs else "OUTPUT"]

    def get_tensor_dtype(self, name):
        return DataType[_TYPES[self._graph.dtypes[name].name]]

    def get_tensor_location(self, name):
        return TensorLocation["DEVICE"]

    def get_tensor_format(self, name):
        return TensorFormat["LINEAR"]

    def get_tensor_format_desc(self, name):
        return "Row major linear format (kLINEAR)"

    def get_tensor_profile_shape(self, name, profile_index):
        assert profile_index == 0
        assert name in self._inputs
        return [Dims(sizes) for sizes in self._profile[name]]

    def create_execution_context(self):
        driver = installed_driver()
        if driver.context_bytes > driver.free_and_total()[0]:
            for line in (
                "[defaultAllocator.cpp::allocate::31] Error Code 1: Cuda Runtime (out of memory)",
                f"Requested amount of GPU memory ({driver.context_bytes} bytes) could not be "
                "allocated. There may not be enough free memory for allocation to succeed.",
            ):
                self._logger.log(Severity["ERROR"], line)
            return None
        return IExecutionContext(self, self._logger)


def runtime_class(machine: FakeMachine):
    class Runtime(Recorded):
        def __init__(self, logger):
            assert isinstance(logger, ILogger)
            installed_driver().current()
            self._logger = logger

        def deserialize_cuda_engine(self, serialized_engine):
            unpacked = unpack_plan(bytes(serialized_engine))
            if unpacked is None:
                self._logger.log(
                    Severity["ERROR"], "IRuntime::deserializeCudaEngine: Error Code 1: Magic tag"
                )
                return None
            header, model = unpacked
            if header["tensorrt"] != machine.version:
                self._logger.log(
                    Severity["ERROR"],
                    "The engine plan file is not compatible with this version of TensorRT, "
                    f"expecting library version {machine.version} got {header['tensorrt']}, "
                    "please rebuild.",
                )
                return None
            if header["compute_capability"] != machine.capability_text:
                self._logger.log(
                    Severity["ERROR"],
                    "The engine plan file is generated on an incompatible device, expecting "
                    f"compute {machine.capability_text} got compute "
                    f"{header['compute_capability']}, please rebuild.",
                )
                return None
            return ICudaEngine(header, model, self._logger)

    return Runtime


def runtime_names(machine: FakeMachine) -> dict[str, object]:
    """The names of this half of the module."""
    names = (ICudaEngine, IExecutionContext, TensorFormat, TensorIOMode, TensorLocation)
    return {cls.__name__: cls for cls in names} | {"Runtime": runtime_class(machine)}
