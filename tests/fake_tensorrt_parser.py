"""The parser of the fake TensorRT: what ONNX graphs it takes, by TensorRT's own rules."""

from __future__ import annotations

from pathlib import Path

from fake_tensorrt_recording import Recorded
from fake_tensorrt_types import ILogger, ITensor

_LISTED = (Path(__file__).parent / "tensorrt_operators.txt").read_text().splitlines()

SUPPORTED = frozenset(name for line in _LISTED if not line.startswith("#") for name in line.split())

MAX_K = 3840
"""Largest K of TopK, from NVIDIA's operator reference."""


class ParserError(Recorded):
    def __init__(self, desc, operator="", node=""):
        self._desc, self._operator, self._node = desc, operator, node

    def desc(self):
        return self._desc

    def node_name(self):
        return self._node

    def node_operator(self):
        return self._operator


class OnnxParser(Recorded):
    def __init__(self, network, logger):
        assert isinstance(logger, ILogger)
        self._network, self._logger = network, logger
        self._errors: list[ParserError] = []

    @property
    def num_errors(self):
        return len(self._errors)

    def get_error(self, index):
        return self._errors[index]

    def parse(self, model, path=None):
        import onnx

        try:
            read = onnx.load_from_string(bytes(model))
            # Strongly typed: every operator's inputs must fit one another as they are.
            onnx.checker.check_model(read, full_check=True)
        except Exception as error:
            self._errors.append(ParserError(f"Failed to parse ONNX model: {error}"))
            return False
        self._errors += _objections(read)
        self._network._model = read
        stored = {tensor.name for tensor in read.graph.initializer}
        for value in read.graph.input:
            if value.name not in stored:
                sides = value.type.tensor_type.shape.dim
                shape = [side.dim_value if side.dim_value > 0 else -1 for side in sides]
                self._network._inputs.append(ITensor(value.name, shape))
        return not self._errors


def _objections(model) -> list[ParserError]:
    """What TensorRT's parser would not accept."""
    from onnx import TensorProto, numpy_helper

    found = []
    stored = {tensor.name: tensor for tensor in model.graph.initializer}
    bytes_in = {
        value.name
        for value in model.graph.input
        if value.type.tensor_type.elem_type == TensorProto.UINT8
    }
    opset = next(entry.version for entry in model.opset_import if entry.domain == "")
    if not 9 <= opset <= 20:
        found.append(ParserError(f"opset {opset} is not in the range of opset 9 to opset 20"))
    for node in model.graph.node:

        def object_to(desc, node=node):
            found.append(ParserError(desc, node.op_type, node.name))

        if node.op_type not in SUPPORTED or node.domain:
            object_to("Plugin not found, are the plugin name, version, and namespace correct?")
        if bytes_in.intersection(node.input) and node.op_type != "Cast":
            object_to("Found invalid input type of UINT8")
        if node.op_type == "Cast" and node.attribute[0].i == TensorProto.UINT8:
            object_to("TensorRT does not support UINT8 types for intermediate tensors!")
        if node.op_type == "TopK":
            count = stored.get(node.input[1])
            if count is None or numpy_helper.to_array(count).max() > MAX_K:
                object_to(f"K has to be an initializer of at most {MAX_K}")
        if node.op_type == "Slice" and node.input[3] not in stored:
            object_to("axes has to be an initializer")
    return found
