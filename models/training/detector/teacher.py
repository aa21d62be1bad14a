"""The teacher: a detector in ONNX that says at every cell whether a person is there, and where."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from ....arrays import Float32Array, UInt8Array
from ....backends import Backend, load_backend
from ....detector import PERSON_CLASS, STRIDES, Detector
from ....errors import InferenceError, ModelFormatError, ModelNotFoundError

if TYPE_CHECKING:
    from onnx import GraphProto

Float16Array = npt.NDArray[np.float16]


@dataclass(frozen=True, slots=True, eq=False)
class TeacherOutputs:
    """What the teacher says about a canvas, at every cell.

    Attributes:
        scores: (A,) float32, objectness times the score of the class "person".
        boxes: (A, 4) float32, the box numbers as the network gives them, see `Cells.boxes_xyxy`.
        features: (A, C) float16, what the head makes its answers of; C is 0 where they were not
            asked for.
    """

    scores: Float32Array
    boxes: Float32Array
    features: Float16Array


class Teacher:
    """A detector that is asked about one canvas at a time.

    It is checked at once and loaded when first asked, so that forked workers each have their own
    session, with one thread: there are as many workers as cores.

    Attributes:
        path: The ONNX file.
    """

    def __init__(
        self, path: str | Path, *, input_wh: tuple[int, int], features: bool = False
    ) -> None:
        """Checks the file.

        Args:
            path: YOLOX in official form.
            input_wh: Width and height of the canvases in pixels.
            features: Give its features too.

        Raises:
            ModelNotFoundError: There is no such file.
            ModelFormatError: It is not such a network, or its input has another size.
            MissingDependencyError: ONNX Runtime is not installed.
        """
        self.path = Path(path)
        self._features = features
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
            self._backend = self._load()
        (spec,) = self._backend.inputs
        planes = np.ascontiguousarray(canvas.transpose(2, 0, 1))[None].astype(spec.dtype)
        rows, *levels = self._backend.run({spec.name: planes}).values()
        outputs = rows[0].astype(np.float32, copy=False)
        if not np.isfinite(outputs).all():
            raise InferenceError(f"the teacher {self.path} gave something that is not a number")
        scores = outputs[:, 4] * outputs[:, 5 + PERSON_CLASS]
        cells = [level[0].reshape(level.shape[1], -1).T.astype(np.float16) for level in levels]
        features = np.concatenate(cells) if cells else np.zeros((len(scores), 0), np.float16)
        return TeacherOutputs(scores, outputs[:, :4].copy(), features)

    def _load(self) -> Backend:
        if not self._features:
            return load_backend("ort", self.path, threads=1)
        import onnx

        model = onnx.load(self.path)
        for name in _head_features(model.graph, self.path):
            model.graph.output.append(onnx.ValueInfoProto(name=name))
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "teacher.onnx"
            onnx.save(model, path)
            return load_backend("ort", path, threads=1)


def _head_features(graph: GraphProto, path: Path) -> list[str]:
    """Names of the tensors that boxes and classes of a level are both made of, stride 8 first.

    They are what the paths to both last have in common: the outputs of the head's stems.

    Raises:
        ModelFormatError: The graph has no such head.
    """
    made_by = {name: index for index, node in enumerate(graph.node) for name in node.output}

    def before(tensor: str) -> set[int]:
        found: set[int] = set()
        waiting = [tensor]
        while waiting:
            index = made_by.get(waiting.pop())
            if index is not None and index not in found:
                found.add(index)
                waiting += graph.node[index].input
        return found

    def is_score(name: str) -> bool:
        return name in made_by and graph.node[made_by[name]].op_type == "Sigmoid"

    names = []
    for node in graph.node:
        if node.op_type == "Concat" and [is_score(name) for name in node.input] == [0, 1, 1]:
            box, _, classes = node.input
            names += graph.node[max(before(box) & before(classes))].output[:1]
    if len(names) != len(STRIDES):
        raise ModelFormatError(
            f"{path}: the features that the head works on are not found; train without "
            "loss.feature_weight, or take a teacher exported as the public yolox_nano.onnx is"
        )
    return names
