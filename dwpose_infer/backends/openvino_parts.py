"""Networks of OpenVINO in one part or two, of which the second goes on in fp32.

With bf16, what a pose network does behind its last convolution stays in fp32: there 8 bits of
mantissa decide between neighbouring places. With bf16 throughout whole-body AP of the bundled s
falls from .466 to .456 (401 labelled persons), so it stays at .466; a call takes 1.1 to 1.2 times
the time of bf16 throughout, .6 to .67 of fp32 (Zen 4).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from ..arrays import Array


def cut_head(openvino: Any, model: Any) -> list[Any]:
    """Cuts a pose network behind its last convolution; others stay whole.

    OpenVINO has no setting for parts of a network that its Python package could reach.
    """
    nodes = model.get_ordered_ops()
    convolutions = [node for node in nodes if node.get_type_name() == "Convolution"]
    if not convolutions or not any(node.get_type_name() == "MatMul" for node in nodes):
        return [model]
    cut = _joint_behind(model, nodes[nodes.index(convolutions[-1]) :])
    if cut is None:
        return [model]
    joint = openvino.opset13.parameter(cut.get_partial_shape(), cut.get_element_type())
    for reader in cut.get_target_inputs():
        reader.replace_source_output(joint.output(0))
    head = openvino.Model(model.get_results(), [joint])
    return [openvino.Model([cut], model.get_parameters()), head]


def _joint_behind(model: Any, nodes: Sequence[Any]) -> Any | None:
    """The first tensor before a product of matrices that all ways lead through; None without one.

    That is what a convolution gives, or, where its kernel was taken apart, the sum of its parts.
    """
    for node in nodes:
        if node.get_type_name() == "MatMul":
            return None
        if not _reaches_input(model, node.output(0)):
            return node.output(0)
    return None


def _reaches_input(model: Any, cut: Any) -> bool:
    """Whether a way from an output to an input leads past the cut."""
    waiting = [result.input_value(0) for result in model.get_results()]
    seen: set[str] = set()
    while waiting:
        node = waiting.pop().get_node()
        name = node.get_name()
        if name in seen or name == cut.get_node().get_name():
            continue
        if node.get_type_name() == "Parameter":
            return True
        seen.add(name)
        waiting += node.input_values()
    return False


class Request:
    """Inference requests of a network's parts, which hold the tensors of one call."""

    def __init__(self, compiled: Sequence[Any]) -> None:
        """Creates a request of OpenVINO for each compiled part."""
        *self._first, self._last = [part.create_infer_request() for part in compiled]

    def infer(self, arrays: Sequence[Array]) -> Sequence[Array]:
        """Runs part after part; the outputs are copies, so that the request may be reused."""
        for request in self._first:
            arrays = request.infer(arrays, share_outputs=True).to_tuple()
        given = self._last.infer(arrays, share_inputs=bool(self._first))
        outputs: tuple[Array, ...] = given.to_tuple()
        return outputs

    def repeat(self) -> None:
        """Runs the last call again, without copying in or out."""
        for request in (*self._first, self._last):
            request.start_async()
            request.wait()


class RequestPool:
    """Requests of a compiled network: as many as calls ever ran at the same time.

    Two calls must never share one.
    """

    def __init__(self, compiled: Sequence[Any]) -> None:
        self._compiled = compiled
        self._idle: deque[Request] = deque()  # append and pop are atomic

    def create(self) -> Request:
        """Returns a new request, which is not one of the pool."""
        return Request(self._compiled)

    @contextmanager
    def borrow(self) -> Iterator[Request]:
        """Lends a request that nobody else uses; one that failed does not come back."""
        try:
            request = self._idle.pop()
        except IndexError:
            request = self.create()
        yield request
        self._idle.append(request)
