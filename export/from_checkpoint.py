"""PyTorch checkpoints -> ONNX in official form, the form of the published files."""

from __future__ import annotations

import io
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import onnx

from ..arrays import Array
from ..errors import InvalidArgumentError, ModelFormatError, needs_extra
from ..layouts import LAYOUTS, known_layouts
from ..zoo import ModelKind
from .graph import (
    BATCH,
    constants_to_initializers,
    network_inputs,
    remove_identities,
    rename_tensor,
    shape_of,
    simplify_flattening,
    tensor_info,
)

if TYPE_CHECKING:
    from ..models.checkpoints import Stage
    from ..models.dwpose import DWPose
    from ..models.yolox import YOLOX

DEFAULT_OPSET = 17
"""Read by ONNX Runtime from 1.12, OpenVINO and TensorRT 10 and 11 alike, and the last one whose
reductions keep their axes as attributes, which older tools for quantisation expect."""

OPSETS = range(17, 21)
"""What torch's TorchScript exporter writes and those runtimes read."""

SMALL_DETECTORS = ("nano", "tiny")
SMALL_DETECTOR_SIDE = 416
LARGE_DETECTOR_SIDE = 640
"""Sides of the published YOLOX files in pixels."""

DETECTOR_STRIDE = 32


@dataclass(frozen=True, slots=True, eq=False)
class TorchNetwork:
    """A network loaded from a checkpoint.

    Attributes:
        module: The torch module, in evaluation mode.
        kind: "pose" or "detector".
        name: Its usual name, such as "dwpose-t-256x192".
        input_size_wh: (width, height) of the input in pixels.
        output_shapes: Output name -> shape of one sample.
    """

    module: Any
    kind: ModelKind
    name: str
    input_size_wh: tuple[int, int]
    output_shapes: dict[str, tuple[int, ...]]

    @property
    def input_name(self) -> str:
        """Name of the input in official files of this kind."""
        return "input" if self.kind == "pose" else "images"

    def __call__(self, pictures: Array) -> dict[str, Array]:
        """Runs the network on (N, 3, H, W) float32."""
        import torch

        with torch.inference_mode():
            outputs = self.module(torch.from_numpy(pictures))
        if not isinstance(outputs, tuple):
            outputs = (outputs,)
        return {
            name: output.numpy() for name, output in zip(self.output_shapes, outputs, strict=True)
        }


def load_network(
    path: Path,
    *,
    detector_size_wh: tuple[int, int] | None = None,
    distiller_stage: Stage | None = None,
) -> TorchNetwork:
    """Loads a checkpoint of DWPose or YOLOX.

    Args:
        path: The checkpoint.
        detector_size_wh: (width, height) of a detector's input in pixels, multiples of 32;
            None takes that of the published files: 416 x 416 for nano and tiny, else 640 x 640.
            The input size of a pose network is part of its weights.
        distiller_stage: See `dwpose_infer.models.checkpoints.Stage`.

    Raises:
        MissingDependencyError: torch is not installed.
        ModelFormatError: The file is not a checkpoint of a known network, its keypoints are in no
            known order, or some weights are not finite numbers.
        InvalidArgumentError: The input size cannot be used.
    """
    with needs_extra(f"{path} is a checkpoint, and reading it needs torch", "export"):
        from ..models.checkpoints import load_model
        from ..models.dwpose import DWPose
    module = load_model(path, distiller_stage=distiller_stage)
    _require_finite(path, module)
    if isinstance(module, DWPose):
        if detector_size_wh is not None:
            raise InvalidArgumentError("the input size of a pose network is fixed by its weights")
        points = module.architecture.keypoints
        if points not in LAYOUTS:
            raise ModelFormatError(
                f"{path} holds {module.architecture.name}, a pose network of {points} keypoints; "
                f"{known_layouts()}"
            )
        return pose_network(module)
    return detector_network(module, input_size_wh=detector_size_wh)


def pose_network(module: DWPose) -> TorchNetwork:
    """Returns a pose network that is in memory already, as `load_network` gives one.

    Args:
        module: The network, float32, in evaluation mode, on the CPU.
    """
    architecture = module.architecture
    height, width = architecture.input_height, architecture.input_width
    points = architecture.keypoints
    shapes: dict[str, tuple[int, ...]] = {
        "simcc_x": (points, 2 * width),
        "simcc_y": (points, 2 * height),
    }
    return TorchNetwork(module, "pose", architecture.name, (width, height), shapes)


def detector_network(
    module: YOLOX, *, input_size_wh: tuple[int, int] | None = None
) -> TorchNetwork:
    """Returns a detector that is in memory already, as `load_network` gives one.

    Args:
        module: The network, float32, in evaluation mode, on the CPU.
        input_size_wh: As `detector_size_wh` of `load_network`.

    Raises:
        InvalidArgumentError: The input size cannot be used.
    """
    architecture = module.architecture
    width, height = input_size_wh or _published_size(architecture.size)
    if width < 1 or height < 1 or width % DETECTOR_STRIDE or height % DETECTOR_STRIDE:
        raise InvalidArgumentError(
            f"the detector's input is {width} x {height} pixels; both sides must be positive "
            f"multiples of {DETECTOR_STRIDE}"
        )
    cells = sum((height // stride) * (width // stride) for stride in (8, 16, 32))
    rows: dict[str, tuple[int, ...]] = {"output": (cells, 5 + architecture.classes)}
    return TorchNetwork(module, "detector", architecture.name, (width, height), rows)


def to_official(network: TorchNetwork, *, opset: int = DEFAULT_OPSET) -> onnx.ModelProto:
    """Traces a network into ONNX.

    The input is `input` (pose) or `images` (detector), (batch, 3, H, W) float32; the outputs
    are `simcc_x` and `simcc_y`, or `output`; only the batch is free. Batch normalisation is
    folded into the convolutions. Torch's TorchScript exporter is used: its newer one takes ten
    times as long on these networks and writes opset 18, for the same operators.

    Args:
        network: From `load_network`.
        opset: Operator set, one of `OPSETS`.

    Raises:
        InvalidArgumentError: The operator set is not supported.
    """
    import torch

    if opset not in OPSETS:
        raise InvalidArgumentError(
            f"opset {opset} is not supported; choose from {OPSETS.start} to {OPSETS.stop - 1}"
        )
    width, height = network.input_size_wh
    names = [network.input_name, *network.output_shapes]
    file = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that the TorchScript exporter is the older one
        torch.onnx.export(
            network.module,
            (torch.zeros(2, 3, height, width),),
            file,  # type: ignore[arg-type, unused-ignore]
            dynamo=False,
            opset_version=opset,
            input_names=names[:1],
            output_names=names[1:],
            dynamic_axes={name: {0: BATCH} for name in names},
        )
    model = onnx.load_model_from_string(file.getvalue())
    constants_to_initializers(model)
    remove_identities(model)
    simplify_flattening(model)
    _name_weights_after_nodes(model)
    _state_output_shapes(model, network)
    onnx.checker.check_model(model, full_check=True)
    return model


def _require_finite(path: Path, module: Any) -> None:
    broken = [
        name for name, value in module.state_dict().items() if not bool(value.isfinite().all())
    ]
    if broken:
        raise ModelFormatError(
            f"{path} holds weights that are not finite numbers, from a training run that failed: "
            + ", ".join(broken[:5])
            + (f" and {len(broken) - 5} more" if len(broken) > 5 else "")
        )


def _published_size(size: str) -> tuple[int, int]:
    side = SMALL_DETECTOR_SIDE if size in SMALL_DETECTORS else LARGE_DETECTOR_SIDE
    return side, side


def _name_weights_after_nodes(model: onnx.ModelProto) -> None:
    """Renames tensors that torch numbers by its own inner values, after the layer they are of."""
    taken = {tensor.name for tensor in model.graph.initializer}
    for node in list(model.graph.node):
        weights = node.op_type in ("Conv", "MatMul")
        place = node.name.strip("/").removesuffix(f"/{node.op_type}").replace("/", ".")
        for index, name in enumerate(node.input):
            role = ("", "weight", "bias")[index] if weights else f"{node.op_type}.{index}"
            new = f"{place}.{role}"
            if name in taken and new not in taken and (weights or name.startswith("onnx::")):
                rename_tensor(model, name, new)
                taken.add(new)


def _state_output_shapes(model: onnx.ModelProto, network: TorchNetwork) -> None:
    (value,) = network_inputs(model)
    if shape_of(value)[1:] != (3, *network.input_size_wh[::-1]):
        raise ModelFormatError(f"the traced input has the shape {shape_of(value)}")
    outputs = [
        tensor_info(name, onnx.TensorProto.FLOAT, (BATCH, *shape))
        for name, shape in network.output_shapes.items()
    ]
    del model.graph.output[:]
    model.graph.output.extend(outputs)
    del model.graph.value_info[:]
