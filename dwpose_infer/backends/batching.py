"""Any number of samples through a graph that takes batches of its own size."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from ..arrays import Array
from ..closing import ClosesOnExit
from ..errors import InvalidArgumentError
from .base import TensorSpec

FREE_SIDE = 64
"""Height and width of zeros for graphs that take any: a multiple of every stride there is."""

INPUT_SIZE_ENTRY = "dwpose_infer.input_size"
"""Entry of an exported file's metadata that says its own input size, "416x416", width first."""

RunOnce = Callable[[Mapping[str, Array]], dict[str, Array]]


def check_inputs(inputs: Mapping[str, Array], specs: Sequence[TensorSpec]) -> int:
    """Checks arrays against a graph's inputs and returns their common batch size.

    Raises:
        InvalidArgumentError: A name, a shape or a dtype is not the graph's, or there is no
            sample at all.
    """
    expected = {spec.name: spec for spec in specs}
    if set(inputs) != set(expected):
        raise InvalidArgumentError(
            f"the graph's inputs are {sorted(expected)}, given were {sorted(inputs)}"
        )
    sizes = set()
    for name, array in inputs.items():
        spec = expected[name]
        fits = array.ndim == len(spec.shape) and all(
            wanted is None or size == wanted
            for size, wanted in zip(array.shape[1:], spec.shape[1:], strict=True)
        )
        if not fits or array.dtype != spec.dtype:
            raise InvalidArgumentError(
                f"input {name} is {array.dtype}{list(array.shape)}, the graph takes {spec}"
            )
        sizes.add(len(array))
    if len(sizes) != 1 or 0 in sizes:
        raise InvalidArgumentError(f"the inputs' batch sizes are {sorted(sizes)}")
    return sizes.pop()


def run_in_chunks(
    run_once: RunOnce, inputs: Mapping[str, Array], *, batch: int, graph_batch: int | None
) -> dict[str, Array]:
    """Runs a batch through a graph, in chunks where the graph's own batch size is fixed.

    The last chunk is filled up with copies of its last sample; what they give is dropped.

    Args:
        run_once: Runs the graph on one batch it accepts.
        inputs: Arrays of `batch` samples each.
        batch: Number of samples.
        graph_batch: Batch size of the graph; None where it takes any.
    """
    if graph_batch is None or graph_batch == batch:
        return run_once(inputs)
    chunks: list[dict[str, Array]] = []
    for start in range(0, batch, graph_batch):
        chunk = {name: array[start : start + graph_batch] for name, array in inputs.items()}
        missing = start + graph_batch - batch
        if missing > 0:
            chunk = {
                name: np.concatenate([array, np.repeat(array[-1:], missing, axis=0)])
                for name, array in chunk.items()
            }
        chunks.append(run_once(chunk))
    return {name: np.concatenate([chunk[name] for chunk in chunks])[:batch] for name in chunks[0]}


class ChunkedBackend(ClosesOnExit):
    """A backend that has only to run batches of a size its graph takes.

    Attributes:
        inputs: The graph's inputs.
        outputs: The graph's outputs.
        metadata: Key and value pairs stored in the model file.
        description: Runtime and device in words.
    """

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    metadata: Mapping[str, str]
    description: str

    @abstractmethod
    def _run_once(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Runs the graph on inputs that were checked, of a batch size it takes."""

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Runs the graph; see `Backend.run`."""
        batch = check_inputs(inputs, self.inputs)
        return run_in_chunks(
            self._run_once, inputs, batch=batch, graph_batch=self._batch_for(batch)
        )

    def _batch_for(self, batch: int) -> int | None:
        """Returns the batch size in which so many samples are run; None where it takes any."""
        del batch
        return self.inputs[0].shape[0]

    def warmup(self, up_to: int = 1) -> None:
        """Runs the graph once on zeros, in every batch size that has to be prepared."""
        for batch in sorted({self._batch_for(batch) or 1 for batch in range(1, up_to + 1)}):
            self._run_once(
                {
                    spec.name: np.zeros(whole_shape(spec, self.metadata, batch), spec.dtype)
                    for spec in self.inputs
                }
            )


def whole_shape(spec: TensorSpec, metadata: Mapping[str, str], batch: int = 1) -> tuple[int, ...]:
    """Returns a shape that an input takes.

    Args:
        spec: The input.
        metadata: That of the file, which knows the own input size of one that takes any.
        batch: The batch where it is free.
    """
    first, *others = spec.shape
    width, _, height = metadata.get(INPUT_SIZE_ENTRY, "").partition("x")
    if others[:2] == [None, None] and width.isdigit() and height.isdigit():
        others[:2] = int(height), int(width)
    return (first or batch, *(size or FREE_SIDE for size in others))
