"""A backend without a runtime: gives what a test tells it to."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from dwpose_infer.arrays import Array
from dwpose_infer.backends.base import TensorSpec


def spec(name: str, *shape: int | None, dtype: type = np.float32) -> TensorSpec:
    return TensorSpec(name, np.dtype(dtype), shape)


class FakeBackend:
    def __init__(
        self,
        inputs: TensorSpec,
        *outputs: TensorSpec,
        answer: Callable[[Array], dict[str, Array]] | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> None:
        self.inputs = (inputs,)
        self.outputs = outputs
        self.metadata: Mapping[str, str] = metadata or {}
        self.description = "a fake backend"
        self.answer = answer
        self.calls: list[Array] = []
        self.closed = False

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        (array,) = inputs.values()
        self.calls.append(array)
        assert self.answer is not None
        return self.answer(array)

    def warmup(self, up_to=1) -> None:
        self.calls.append(np.zeros(0))

    def close(self) -> None:
        self.closed = True

    def __enter__(self):
        return self

    def __exit__(self, *error: object) -> None:
        self.close()
