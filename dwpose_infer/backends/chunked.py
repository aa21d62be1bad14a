"""What the backends have in common: any batch size in, the graph's own batch size inside."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping

import numpy as np

from ..closing import ClosesOnExit
from .base import Array, TensorSpec
from .batching import check_inputs, run_in_chunks

FREE_SIDE = 64
"""Height and width of zeros for graphs that take any: a multiple of every stride there is."""


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
        graph_batch = self.inputs[0].shape[0]
        return run_in_chunks(self._run_once, inputs, batch=batch, graph_batch=graph_batch)

    def warmup(self) -> None:
        """Runs the graph once on zeros."""
        self._run_once(
            {spec.name: np.zeros(_whole_shape(spec), spec.dtype) for spec in self.inputs}
        )


def _whole_shape(spec: TensorSpec) -> list[int]:
    first, *others = spec.shape
    return [first or 1, *(size or FREE_SIDE for size in others)]
