"""What is exported: a checkpoint, a model of the store, or an ONNX file."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper, version_converter

from .. import zoo
from ..arrays import Array
from ..backends import Backend, load_backend
from ..detector import STRIDES
from ..errors import InferenceError, InvalidArgumentError, ModelFormatError
from ..files.atomic import sha256_of
from ..layouts import LAYOUTS, known_layouts
from ..simcc import SPLIT_RATIO
from ..zoo.model_file import is_checkpoint
from .from_checkpoint import DEFAULT_OPSET, OPSETS
from .from_deploy import deploy_kind, deploy_reference, require_reversible, to_official
from .graph import (
    constants_to_initializers,
    elem_type_of,
    free_batch,
    initializers,
    network_inputs,
    opset_of,
    remove_identities,
    remove_unused,
    rename_tensor,
    replace_nodes,
    shape_of,
    simplify_flattening,
)
from .int8 import has_trained_grids

if TYPE_CHECKING:
    from ..models.checkpoints import Stage

Reference = Callable[[Array], dict[str, Array]]


@dataclass(frozen=True, slots=True, eq=False)
class Source:
    """A network to export, whatever it was read from.

    Attributes:
        path: The file.
        sha256: Its SHA-256 in lower-case hex.
        kind: "pose" or "detector".
        name: Name of the network.
        input_size_wh: (width, height) of the input in pixels.
        model: The network as ONNX in official form, float32: `input` -> `simcc_x`, `simcc_y`,
            or `images` -> `output`.
        reference: Runs the source itself on (N, 3, H, W) float32, not through `model`; gives
            its outputs under the same names.
        trained_for_int8: Whether it was trained with the roundings of an int8 file, which
            `model` then marks, see `int8`.
    """

    path: Path
    sha256: str
    kind: zoo.ModelKind
    name: str
    input_size_wh: tuple[int, int]
    model: onnx.ModelProto
    reference: Reference
    trained_for_int8: bool = False


def load_source(
    source: str | os.PathLike[str],
    *,
    opset: int = DEFAULT_OPSET,
    detector_size_wh: tuple[int, int] | None = None,
    distiller_stage: Stage | None = None,
    offline: bool | None = None,
    progress: bool = False,
) -> Source:
    """Reads a source.

    Args:
        source: Path of a checkpoint or of an ONNX file (official form, or deploy form as
            this exporter writes it), or the name of a model of the store.
        opset: Operator set of the result.
        detector_size_wh: Input of a detector read from a checkpoint, see
            `from_checkpoint.load_network`.
        distiller_stage: Of DWPose's own training files, see `models.checkpoints.Stage`.
        offline: Forbid downloads; None obeys DWPOSE_OFFLINE.
        progress: Show a progress bar while downloading.

    Raises:
        ModelNotFoundError: There is no such file and no model of that name.
        DownloadError: The model cannot be downloaded.
        ModelFormatError: The file is not a source, is damaged, or holds numbers that are not
            finite.
        MissingDependencyError: It is a checkpoint and torch is not installed.
        InvalidArgumentError: An option cannot be used with this source.
    """
    if opset not in OPSETS:
        raise InvalidArgumentError(
            f"opset {opset} is not supported; choose from {OPSETS.start} to {OPSETS.stop - 1}"
        )
    path = zoo.resolve_model(source, offline=offline, progress=progress)
    sha256 = sha256_of(path)
    if is_checkpoint(path):
        return _from_checkpoint(path, sha256, opset, detector_size_wh, distiller_stage)
    if detector_size_wh is not None or distiller_stage is not None:
        raise InvalidArgumentError(
            "an input size or a distiller's stage can be chosen for checkpoints only; this source "
            "is an ONNX file"
        )
    spec = zoo.find_spec(source)
    return _from_onnx(path, sha256, opset, name=spec.name if spec else path.stem)


def _from_checkpoint(
    path: Path,
    sha256: str,
    opset: int,
    detector_size_wh: tuple[int, int] | None,
    distiller_stage: Stage | None,
) -> Source:
    from .from_checkpoint import load_network, to_official

    network = load_network(path, detector_size_wh=detector_size_wh, distiller_stage=distiller_stage)
    model = to_official(network, opset=opset)
    return Source(
        path,
        sha256,
        network.kind,
        network.name,
        network.input_size_wh,
        model,
        network,
        trained_for_int8=has_trained_grids(model),
    )


def _from_onnx(path: Path, sha256: str, opset: int, *, name: str) -> Source:
    original = read_onnx(path)
    form = deploy_kind(original)
    if form is not None:
        return _from_deploy(path, sha256, opset, original, form, name=name)
    kind = _kind_of(path, original)
    (fed,) = network_inputs(original)
    names = {value.name: value.name for value in original.graph.output}
    if kind == "detector":
        names = {original.graph.output[0].name: "output"}
    height, width = shape_of(fed)[2:]
    assert height is not None and width is not None  # checked by _kind_of
    model = _cleaned(path, original, opset)
    rename_tensor(model, fed.name, "input" if kind == "pose" else "images")
    for old, new in names.items():
        rename_tensor(model, old, new)
    model = _with_free_batch(path, model)
    loaded: list[Backend] = []  # when it is asked: who only converts has no use for it

    def reference(pictures: Array) -> dict[str, Array]:
        if not loaded:
            loaded.append(load_backend("ort", path))
        (backend,) = loaded
        outputs = backend.run({fed.name: pictures})
        return {new: outputs[old] for old, new in names.items()}

    return Source(path, sha256, kind, name, (width, height), model, reference)


def _from_deploy(
    path: Path,
    sha256: str,
    opset: int,
    original: onnx.ModelProto,
    kind: zoo.ModelKind,
    *,
    name: str,
) -> Source:
    try:
        require_reversible(original)
        model = to_official(_cleaned(path, original, opset), kind)
    except ModelFormatError as error:
        raise ModelFormatError(f"{path}: {error}") from error
    _, _, height, width = shape_of(network_inputs(model)[0])
    assert height is not None and width is not None  # checked by to_official
    size_wh = (width, height)
    return Source(path, sha256, kind, name, size_wh, model, deploy_reference(original, kind))


def _cleaned(path: Path, original: onnx.ModelProto, opset: int) -> onnx.ModelProto:
    """A copy in the opset asked for, its weights plain float32 tensors, tracing's traces gone."""
    model = onnx.ModelProto()
    model.CopyFrom(original)
    model = _with_opset(path, model, opset)
    constants_to_initializers(model)
    widen_stored_halves(model)
    remove_identities(model)
    simplify_flattening(model)
    _require_finite(path, model)
    return model


def read_onnx(path: Path) -> onnx.ModelProto:
    """Reads an ONNX file and checks that it is whole.

    Raises:
        ModelFormatError: The file is not an ONNX model, or damaged.
    """
    try:
        model = onnx.load(str(path))
        if not model.graph.node:
            raise ModelFormatError(f"{path} is neither a checkpoint nor an ONNX model")
        onnx.checker.check_model(model)
    except ModelFormatError:
        raise
    except Exception as error:  # protobuf's and onnx's exceptions have no common base
        raise ModelFormatError(
            f"{path} is neither a checkpoint nor a whole ONNX model: {error}"
        ) from error
    return model


def _kind_of(path: Path, model: onnx.ModelProto) -> zoo.ModelKind:
    """Tells pose network and detector apart; refuses what is not in official form."""
    fed = network_inputs(model)
    outputs = {value.name: shape_of(value) for value in model.graph.output}
    if set(outputs) == {"dets", "labels"}:
        raise ModelFormatError(
            f"{path} has suppression inside its graph (OpenMMLab's SDK form); only YOLOX files "
            "with undecoded output can be converted"
        )
    if len(fed) == 1 and len(shape_of(fed[0])) == 4:
        _, channels, height, width = shape_of(fed[0])
        if elem_type_of(fed[0]) != TensorProto.FLOAT:
            raise ModelFormatError(
                f"the input of {path} is not float32; a network that was converted to half "
                "precision or integers cannot be a source"
            )
        if channels == 3 and height and width:
            cells = sum((height // stride) * (width // stride) for stride in STRIDES)
            if set(outputs) == {"simcc_x", "simcc_y"}:
                _require_bins(path, outputs, width, height)
                return "pose"
            (rows, *more) = outputs.values()
            if not more and len(rows) == 3 and rows[1] == cells and (rows[2] or 0) > 5:
                return "detector"
    raise ModelFormatError(
        f"{path} is neither a pose network (a picture in, simcc_x and simcc_y out) nor a YOLOX "
        "detector (a picture of fixed size in, one undecoded output): it has the inputs "
        f"{ {value.name: shape_of(value) for value in fed} } and the outputs {outputs}"
    )


def _require_bins(
    path: Path, outputs: dict[str, tuple[int | None, ...]], width: int, height: int
) -> None:
    for name, pixels in (("simcc_x", width), ("simcc_y", height)):
        shape = outputs[name]
        if len(shape) != 3 or shape[2] not in (None, int(pixels * SPLIT_RATIO)):
            raise ModelFormatError(
                f"{path}: {name} has the shape {shape}; a pose network of {pixels} pixels gives "
                f"(N, points, {int(pixels * SPLIT_RATIO)})"
            )
        if shape[1] is not None and shape[1] not in LAYOUTS:
            raise ModelFormatError(
                f"{path}: this pose network has {shape[1]} keypoints; {known_layouts()}"
            )


def _with_opset(path: Path, model: onnx.ModelProto, opset: int) -> onnx.ModelProto:
    if opset_of(model) == opset:
        return model
    try:
        converted: onnx.ModelProto = version_converter.convert_version(model, opset)
    except Exception as error:  # the converter raises whatever an operator's adapter raises
        raise ModelFormatError(
            f"{path} is written in opset {opset_of(model)} and cannot be converted to {opset}: "
            f"{error}"
        ) from error
    del converted.graph.value_info[:]
    return converted


def widen_stored_halves(model: onnx.ModelProto) -> None:
    """Makes weights stored in half precision behind a Cast plain float32 weights again."""
    stored = initializers(model)
    kept: list[onnx.NodeProto] = []
    for node in model.graph.node:
        tensor = stored.get(node.input[0]) if node.op_type == "Cast" else None
        if tensor is None or tensor.data_type != TensorProto.FLOAT16:
            kept.append(node)
            continue
        value = numpy_helper.to_array(tensor).astype(np.float32)
        model.graph.initializer.append(numpy_helper.from_array(value, node.output[0]))
    replace_nodes(model, kept)
    remove_unused(model)


def _require_finite(path: Path, model: onnx.ModelProto) -> None:
    floats = (TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.DOUBLE)
    broken = [
        tensor.name
        for tensor in model.graph.initializer
        if tensor.data_type in floats
        # A Resize keeps its empty region of interest as a tensor, and limits may be infinite.
        and np.isnan(numpy_helper.to_array(tensor)).any()
    ]
    if broken:
        raise ModelFormatError(
            f"{path} holds weights that are not numbers: {', '.join(broken[:5])}"
        )


def _with_free_batch(path: Path, model: onnx.ModelProto) -> onnx.ModelProto:
    """Frees the batch where the graph then still treats every sample by itself."""
    if all(shape_of(value)[0] is None for value in (*network_inputs(model), *model.graph.output)):
        free_batch(model)  # only gives the free side its name
        return model
    freed = onnx.ModelProto()
    freed.CopyFrom(model)
    free_batch(freed)
    return freed if _treats_samples_apart(freed) else model


def _treats_samples_apart(model: onnx.ModelProto) -> bool:
    from .running import GraphRunner

    (fed,) = network_inputs(model)
    sides: Any = shape_of(fed)[1:]
    pictures = np.random.default_rng(0).random((2, *sides), np.float32) * np.float32(2)
    try:
        with GraphRunner(model) as runner:
            both = runner({fed.name: pictures})
            alone = [runner({fed.name: pictures[index : index + 1]}) for index in range(2)]
    except (InferenceError, ModelFormatError):
        return False
    return all(
        np.allclose(array[index : index + 1], alone[index][name], rtol=1e-3, atol=1e-4)
        for name, array in both.items()
        for index in range(2)
    )
