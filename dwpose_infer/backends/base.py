"""What every backend offers: run a graph, nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from ..arrays import Array

if TYPE_CHECKING:
    from typing_extensions import Self


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """One input or output of a graph.

    Attributes:
        name: Name of the tensor in the graph.
        dtype: Element type.
        shape: Sizes; None where the size is free. The first one is the batch.
    """

    name: str
    dtype: np.dtype[Any]
    shape: tuple[int | None, ...]

    def __str__(self) -> str:
        sizes = ", ".join("?" if size is None else str(size) for size in self.shape)
        return f"{self.name} {self.dtype}[{sizes}]"


class Backend(Protocol):
    """A loaded graph on a device. Calls of `run` from several threads at once are safe."""

    @property
    def inputs(self) -> tuple[TensorSpec, ...]:
        """The graph's inputs."""

    @property
    def outputs(self) -> tuple[TensorSpec, ...]:
        """The graph's outputs."""

    @property
    def metadata(self) -> Mapping[str, str]:
        """Key and value pairs stored in the model file."""

    @property
    def description(self) -> str:
        """Runtime and device in words, for messages: "ONNX Runtime 1.23 on CPU"."""

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Runs the graph.

        Args:
            inputs: One array per input, of the input's dtype; all have the same batch size,
                whatever batch size the graph was made for.

        Returns:
            One array per output, with that batch size.

        Raises:
            InvalidArgumentError: Names, shapes or dtypes are not the graph's.
            InferenceError: The runtime failed or the backend is closed.
        """

    def warmup(self, up_to: int = 1) -> None:
        """Runs the graph on zeros, so that the first real calls are not slower.

        Args:
            up_to: Largest batch to come: GPUs prepare every size by itself.
        """

    def close(self) -> None:
        """Frees the graph and its memory; may be called again."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None: ...
