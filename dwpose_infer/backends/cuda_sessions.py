"""CUDA: a session of ONNX Runtime for every shape of the inputs, replayed as a CUDA graph.

ONNX Runtime searches cuDNN's algorithms anew whenever the shape changes, also back to one seen
before, which takes .5 to 7 seconds (H200, 1.31.1). And a graph it captured keeps addresses that
runs of another shape in the same session free: replays then gave wrong keypoints or ended in
illegal memory accesses there. A session that never meets another shape has neither. Its graphs,
and the handles of cuDNN and cuBLAS, belong to a thread: in a new thread a call took 8 ms more.
So all work of a network is done by one thread of its own.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from typing import Any, TypeVar

import numpy as np

from ..arrays import Array
from ..closing import ClosesOnExit
from ..errors import DwposeError, InferenceError
from .base import TensorSpec
from .onnxruntime_options import ConvSearch

logger = logging.getLogger(__name__)

MAX_BATCH = 64
"""Largest batch of one call; `fixed_batch` has a size for every one below."""

MAX_SHAPES = 16
"""Shapes kept on the GPU; the one that was not used for longest makes room."""

_Result = TypeVar("_Result")
_Turn = Callable[[], AbstractContextManager[None]]

Shapes = tuple[tuple[int, ...], ...]
OpenSession = Callable[[Mapping[str, int], bool, ConvSearch], Any]


class _Turns:
    """Who speaks to GPUs when: sessions open side by side, everything else happens alone.

    While ONNX Runtime captures a graph, CUDA refuses copies and allocations of every other thread
    of the process, and the graph is lost.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._side_by_side = 0
        self._alone = False

    @contextmanager
    def side_by_side(self) -> Iterator[None]:
        """Waits for who is alone."""
        with self._changed:
            self._changed.wait_for(lambda: not self._alone)
            self._side_by_side += 1
        try:
            yield
        finally:
            with self._changed:
                self._side_by_side -= 1
                self._changed.notify_all()

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Waits for everybody else."""
        with self._changed:
            self._changed.wait_for(lambda: not (self._alone or self._side_by_side))
            self._alone = True
        try:
            yield
        finally:
            with self._changed:
                self._alone = False
                self._changed.notify_all()


_TURNS = _Turns()


def fixed_batch(batch: int) -> int:
    """Returns the batch size that so many samples are filled up to: 1, 2, 4, 8 ... `MAX_BATCH`."""
    return min(1 << (batch - 1).bit_length(), MAX_BATCH)


class ShapedSessions(ClosesOnExit):
    """A graph on one GPU, for inputs of any shape; calls of several threads take turns."""

    def __init__(
        self,
        ort: Any,
        open_session: OpenSession,
        *,
        inputs: Sequence[TensorSpec],
        outputs: Sequence[TensorSpec],
        free: Sequence[Sequence[str | None]],
        gpu_index: int,
        searches: Sequence[ConvSearch],
    ) -> None:
        """Opens nothing yet.

        Args:
            ort: The package onnxruntime.
            open_session: Opens a session, given the sizes of free dimensions by name; whether it
                is to capture a graph, which it refuses with "graph capture" in its message where
                a part of the network is left to the CPU; and how to search cuDNN's algorithms.
            inputs: The graph's inputs.
            outputs: Its outputs.
            free: The names of the inputs' dimensions; None where a size is fixed or has no name.
            gpu_index: Number of the GPU.
            searches: Ways to search, the next of which is taken where one finds nothing.
        """
        self._searches = tuple(searches)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="cuda")
        self._ort, self._open, self._gpu_index = ort, open_session, gpu_index
        self._inputs, self._outputs, self._free = tuple(inputs), tuple(outputs), tuple(free)
        self._shaped: OrderedDict[Shapes, _ShapedSession] = OrderedDict()
        self._closed = False

    def open(self, shapes: Shapes) -> Any:
        """Opens the session for these shapes of the inputs, and returns it; nothing is run."""
        return self._do(lambda: self._of(shapes).session, turn=_TURNS.side_by_side)

    def run(self, inputs: Mapping[str, Array]) -> list[Array]:
        """Runs the graph and returns its outputs in order.

        Raises:
            InferenceError: This is closed, or a replay does not give what the run gave.
            Exception: Whatever ONNX Runtime raises.
        """
        return self._do(lambda: self._ready(inputs).run(inputs))

    def bound(self, inputs: Mapping[str, Array]) -> Callable[[], None]:
        """Copies inputs to the GPU; what is returned runs the graph on them and copies nothing."""
        shaped = self._do(lambda: self._ready(inputs))
        self._do(lambda: shaped.upload(inputs))
        return partial(self._do, shaped.execute)

    def _do(self, work: Callable[[], _Result], *, turn: _Turn = _TURNS.alone) -> _Result:
        """Does work in the thread of the sessions, when it is its turn."""

        def in_turn() -> _Result:
            with turn():
                return work()

        if self._closed:
            raise InferenceError("this backend is closed; create a new one")
        return self._thread.submit(in_turn).result()

    def _ready(self, inputs: Mapping[str, Array]) -> _ShapedSession:
        shapes = tuple(inputs[spec.name].shape for spec in self._inputs)
        shaped = self._of(shapes)
        if shaped.ready:
            return shaped
        logger.info("preparing the GPU for batches of %d, once", shapes[0][0])
        began = time.perf_counter()
        rng = np.random.default_rng(0)
        sample = {
            name: rng.integers(0, 256, array.shape).astype(array.dtype)
            for name, array in inputs.items()
        }
        for search in (*self._searches[1:], None):
            try:
                shaped.prepare(sample)
                break
            except Exception as error:
                # At l-384, half precision and 64 samples HEURISTIC names an engine that cuDNN
                # then refuses (ONNX Runtime 1.31.1).
                if search is None or isinstance(error, DwposeError):
                    raise
                logger.debug("searching again, %s: %s", search, error)
                shaped = self._shaped[shapes] = self._new(shapes, search)
        logger.debug("that took %.1f s", time.perf_counter() - began)
        return shaped

    def _of(self, shapes: Shapes) -> _ShapedSession:
        if shapes not in self._shaped:
            self._shaped[shapes] = self._new(shapes, self._searches[0])
            if len(self._shaped) > MAX_SHAPES:
                self._shaped.popitem(last=False)
        self._shaped.move_to_end(shapes)
        return self._shaped[shapes]

    def _new(self, shapes: Shapes, search: ConvSearch) -> _ShapedSession:
        sizes = {
            name: size
            for names, shape in zip(self._free, shapes, strict=True)
            for name, size in zip(names, shape, strict=True)
            if name is not None
        }
        try:
            session = self._open(sizes, True, search)
            known = all(
                isinstance(size, int) for node in session.get_outputs() for size in node.shape
            )
        except DwposeError as error:
            if "graph capture" not in str(error):
                raise
            logger.debug("no CUDA graph for %s: %s", shapes, error)
            known = False
        if not known:  # a graph writes to fixed addresses: its outputs have to be of known size
            session = self._open(sizes, False, search)
        values = {
            spec.name: self._allocate(spec, shape)
            for spec, shape in zip(self._inputs, shapes, strict=True)
        }
        binding = self._bind(session, values, fixed_outputs=known)
        return _ShapedSession(session, values, binding, replayed=known)

    def _allocate(self, spec: TensorSpec, shape: Sequence[int]) -> Any:
        make = self._ort.OrtValue.ortvalue_from_shape_and_type
        return make(list(shape), spec.dtype, "cuda", self._gpu_index)

    def _bind(self, session: Any, values: Mapping[str, Any], *, fixed_outputs: bool) -> Any:
        binding = session.io_binding()
        for name, value in values.items():
            binding.bind_ortvalue_input(name, value)
        for spec, node in zip(self._outputs, session.get_outputs(), strict=True):
            if fixed_outputs:
                binding.bind_ortvalue_output(spec.name, self._allocate(spec, node.shape))
            else:
                binding.bind_output(spec.name, "cuda", self._gpu_index)
        return binding

    def close(self) -> None:
        """Frees all sessions, after calls that are under way; may be called again."""
        if not self._closed:
            self._closed = True
            self._thread.submit(self._shaped.clear).result()
            self._thread.shutdown()


class _ShapedSession:
    """A session that meets one shape only, with its inputs and outputs at fixed addresses."""

    def __init__(
        self, session: Any, values: Mapping[str, Any], binding: Any, *, replayed: bool
    ) -> None:
        self.session, self.ready = session, False
        self._values, self._binding, self._replayed = values, binding, replayed

    def prepare(self, sample: Mapping[str, Array]) -> None:
        """Runs it as often as a graph takes to be captured, and compares a replay with the run.

        Raises:
            InferenceError: They differ.
        """
        first = self.run(sample)
        if self._replayed:
            self.run(sample)  # captures
            for ran, replayed in zip(first, self.run(sample), strict=True):
                if not np.array_equal(ran, replayed, equal_nan=True):
                    raise InferenceError(
                        "a CUDA graph does not give what the network gave when it was captured; "
                        "leave graphs out: provider_options={'enable_cuda_graph': 0}"
                    )
        self.ready = True

    def upload(self, inputs: Mapping[str, Array]) -> None:
        """Copies inputs to the GPU."""
        for name, value in self._values.items():
            value.update_inplace(np.ascontiguousarray(inputs[name]))

    def execute(self) -> None:
        """Runs the network on what was uploaded, and waits for it."""
        self.session.run_with_iobinding(self._binding)

    def run(self, inputs: Mapping[str, Array]) -> list[Array]:
        """Uploads, runs, and copies the outputs back."""
        self.upload(inputs)
        self.execute()
        outputs: list[Array] = self._binding.copy_outputs_to_cpu()
        return outputs
