"""Running a graph that is still in memory, on ONNX Runtime's CPU provider."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path

import onnx

from ..arrays import Array
from ..backends import Backend, load_backend
from ..closing import ClosesOnExit


class GraphRunner(ClosesOnExit):
    """A model in a session of its own; close it, or use it in a `with` statement.

    Attributes:
        backend: The session behind the package's own protocol.
    """

    def __init__(self, model: onnx.ModelProto, *, threads: int | None = None) -> None:
        """Loads the model.

        Args:
            model: The model; it is not changed.
            threads: Threads inside one operator; None leaves it to ONNX Runtime.

        Raises:
            ModelFormatError: ONNX Runtime cannot load it.
            MissingDependencyError: ONNX Runtime is not installed.
        """
        with tempfile.TemporaryDirectory(prefix="dwpose-export-") as folder:
            path = Path(folder) / "model.onnx"
            path.write_bytes(model.SerializeToString())
            self.backend: Backend = load_backend("ort", path, threads=threads)

    def __call__(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Runs the graph; see `Backend.run`."""
        return self.backend.run(inputs)

    def close(self) -> None:
        """Frees the session; may be called again."""
        self.backend.close()
