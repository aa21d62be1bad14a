"""A YOLOX in ONNX's official form, read back as a torch network.

The file's convolutions are matched to the network's by their order and shapes, and what the two
answer is compared, so that a file that is built in another way is refused and not misread.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import torch
from torch import nn

from ....arrays import Float32Array
from ....backends import load_backend
from ....detector import Detector
from ....errors import ModelFormatError, needs_extra
from ...csp_darknet import CSPLayer
from ...layers import ConvBNSiLU, fold_batch_norm
from ...sizes import YOLOX_SIZES
from ...yolox import YOLOX, YOLOXArchitecture

if TYPE_CHECKING:
    import onnx

TOLERANCE: Final = 1e-4
"""Largest difference of two answers as a share of the largest of their kind; the public
yolox_nano.onnx comes within 1e-5."""

_ROUNDING: Final = 1e-6

_HEAD_ORDER: Final = ("stems", "cls_convs", "cls_preds", "reg_convs", "reg_preds", "obj_preds")


class _Weights(NamedTuple):
    """Weight and bias of one convolution of the file."""

    weight: Float32Array
    bias: Float32Array


def read_onnx_yolox(path: Path) -> YOLOX:
    """Reads a detector.

    Args:
        path: YOLOX in official form, with batch normalisation folded into its convolutions.

    Returns:
        The network in evaluation mode, on the CPU, float32; its batch normalisation only shifts.

    Raises:
        MissingDependencyError: The package onnx or ONNX Runtime is not installed.
        ModelFormatError: The file is no such network, or does not answer as it does.
    """
    with needs_extra(f"{path} is an ONNX file, and learning from it needs onnx", "train"):
        import onnx
    with load_backend("ort", path, threads=1) as backend:
        detector = Detector(backend)
        if detector.form != "raw":
            raise ModelFormatError(
                f"{path} is in {detector.form} form, which leaves out most cells; a teacher "
                "has to be in official form (dwpose-export ... --form official)"
            )
        width, height = detector.input_size_wh
        (spec,) = backend.inputs
        sample = np.random.default_rng(0).integers(0, 256, (1, 3, height, width))
        (rows,) = backend.run({spec.name: sample.astype(spec.dtype)}).values()
    network = _from_graph(onnx.load(path), path, classes=rows.shape[-1] - 5)
    with torch.inference_mode():
        answer = network(torch.from_numpy(sample.astype(np.float32))).numpy()
    expected = rows.astype(np.float32)
    difference = np.abs(answer - expected).max(axis=(0, 1))
    if not (difference <= TOLERANCE * np.abs(expected).max(axis=(0, 1)) + _ROUNDING).all():
        raise _unknown(path, "its weights in the places of YOLOX's answer something else")
    return network


def _from_graph(model: onnx.ModelProto, path: Path, *, classes: int) -> YOLOX:
    weights = list(_convolutions(model, path))
    for size in YOLOX_SIZES:
        with torch.device("meta"):
            network = YOLOX(YOLOXArchitecture(size, classes))
        own_order = _execution_order(network)
        for order in (own_order, _official_order(network, own_order)):
            layers = [network.get_submodule(name) for name in order]
            if _fit(layers, weights):
                return _filled(size, classes, order, weights)
    raise _unknown(path, f"no size of it has these {len(weights)} convolutions")


def _convolutions(model: onnx.ModelProto, path: Path) -> Iterator[_Weights]:
    from onnx import numpy_helper

    stored = {tensor.name: tensor for tensor in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type != "Conv":
            continue
        if len(node.input) != 3 or not {*node.input[1:]} <= stored.keys():
            raise _unknown(
                path, f"the convolution {node.name!r} has no weights and bias of its own"
            )
        weight, bias = (numpy_helper.to_array(stored[name]) for name in node.input[1:])
        yield _Weights(weight.astype(np.float32), bias.astype(np.float32))


def _execution_order(network: YOLOX) -> list[str]:
    """Names of the network's convolutions as they take their turns."""
    order: list[str] = []
    hooks = [
        layer.register_forward_pre_hook(lambda _, __, name=name: order.append(name))
        for name, layer in network.named_modules()
        if isinstance(layer, nn.Conv2d)
    ]
    device = next(network.parameters()).device
    with torch.no_grad():
        network.eval()(torch.zeros(1, 3, 32, 32, device=device))
    for hook in hooks:
        hook.remove()
    return order


def _official_order(network: YOLOX, own_order: Sequence[str]) -> list[str]:
    """The same in the official order: second paths of stages earlier, classes before boxes."""
    order = list(own_order)
    for name, layer in network.named_modules():
        if isinstance(layer, CSPLayer):
            order.remove(f"{name}.conv2.conv")
            order.insert(order.index(f"{name}.conv1.conv") + 1, f"{name}.conv2.conv")

    def place(name: str) -> tuple[int, int]:
        if not name.startswith("head."):
            return 0, 0
        _, kind, level, *_ = name.split(".")
        return 1 + int(level), _HEAD_ORDER.index(kind)

    return sorted(order, key=place)


def _fit(layers: Sequence[nn.Module], weights: Sequence[_Weights]) -> bool:
    return len(layers) == len(weights) and all(
        isinstance(layer, nn.Conv2d) and tuple(layer.weight.shape) == one.weight.shape
        for layer, one in zip(layers, weights, strict=True)
    )


@torch.no_grad()
def _filled(size: str, classes: int, order: Sequence[str], weights: Sequence[_Weights]) -> YOLOX:
    network = YOLOX(YOLOXArchitecture(size, classes)).eval()
    for layer in network.modules():
        if isinstance(layer, ConvBNSiLU):
            fold_batch_norm(layer)
    parameters = dict(network.named_parameters())
    for name, one in zip(order, weights, strict=True):
        owner = name.removesuffix(".conv")
        bias = f"{owner}.bn.bias" if owner != name else f"{name}.bias"
        parameters[f"{name}.weight"].copy_(torch.from_numpy(one.weight))
        parameters[bias].copy_(torch.from_numpy(one.bias))
    return network


def _unknown(path: Path, why: str) -> ModelFormatError:
    return ModelFormatError(
        f"{path} is not built as the official export of YOLOX is: {why}. Give the checkpoint it "
        "was made of (.pth) as the teacher"
    )
