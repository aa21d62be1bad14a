"""The teacher: a detector in ONNX that says at every cell whether a person is there, and where."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ....backends import Backend, load_backend
from ....detector import PERSON_CLASS, Detector
from ....errors import InferenceError, ModelFormatError, ModelNotFoundError

UInt8Array = npt.NDArray[np.uint8]
Float32Array = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class TeacherOutputs:
    """What the teacher says about a canvas, at every cell.

    Attributes:
        scores: (A,) float32, objectness times the score of the class "person".
        boxes: (A, 4) float32, the box numbers as the network gives them, see `Cells.boxes_xyxy`.
    """

    scores: Float32Array
    boxes: Float32Array


class Teacher:
    """A detector that is asked about one canvas at a time.

    It is checked at once and loaded when first asked, so that forked workers each have their own
    session, with one thread: there are as many workers as cores.

    Attributes:
        path: The ONNX file.
    """

    def __init__(self, path: str | Path, *, input_wh: tuple[int, int]) -> None:
        """Checks the file.

        Args:
            path: YOLOX in official form.
            input_wh: Width and height of the canvases in pixels.

        Raises:
            ModelNotFoundError: There is no such file.
            ModelFormatError: It is not such a network, or its input has another size.
            MissingDependencyError: ONNX Runtime is not installed.
        """
        self.path = Path(path)
        self._backend: Backend | None = None
        if not self.path.is_file():
            raise ModelNotFoundError(
                f"{self.path}: there is no such file; it should hold the teacher, a YOLOX in "
                "ONNX's official form, such as the public yolox_nano.onnx (416x416 pixels)"
            )
        with load_backend("ort", self.path, threads=1) as backend:
            detector = Detector(backend)
        if detector.form != "raw":
            raise ModelFormatError(
                f"{self.path} is in {detector.form} form, which leaves out most cells; a teacher "
                "has to be in official form (dwpose-export ... --form official)"
            )
        if detector.input_size_wh != input_wh:
            size, wanted = ("x".join(map(str, wh)) for wh in (detector.input_size_wh, input_wh))
            raise ModelFormatError(
                f"the input of the teacher {self.path} has {size} pixels, that of the student "
                f"{wanted} (width x height): they have to be equal"
            )

    def __call__(self, canvas: UInt8Array) -> TeacherOutputs:
        """Asks about a canvas, (height, width, 3) uint8, BGR.

        Raises:
            InferenceError: The network failed, or gave something that is not a number.
        """
        if self._backend is None:
            self._backend = load_backend("ort", self.path, threads=1)
        (spec,) = self._backend.inputs
        planes = np.ascontiguousarray(canvas.transpose(2, 0, 1))[None].astype(spec.dtype)
        (rows,) = self._backend.run({spec.name: planes}).values()
        outputs = rows[0].astype(np.float32, copy=False)
        if not np.isfinite(outputs).all():
            raise InferenceError(f"the teacher {self.path} gave something that is not a number")
        scores = outputs[:, 4] * outputs[:, 5 + PERSON_CLASS]
        return TeacherOutputs(scores, outputs[:, :4].copy())
