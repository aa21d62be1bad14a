"""YOLOX, the person detector, in six sizes.

YOLOX (arXiv 2107.08430): a CSP-Darknet, a feature pyramid that goes down and up again, and a head
that keeps classes and boxes apart; no anchors. The attribute names are those of the published
checkpoints.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ..errors import InvalidArgumentError
from .csp_darknet import CSPDarknet, CSPLayer, conv3x3
from .layers import ConvBNSiLU
from .sizes import YOLOX_SIZES, YOLOXScale

STRIDES = (8, 16, 32)  # of the three levels, in the order of the output
LEVEL_CHANNELS = (256, 512, 1024)  # of the three levels at width 1
COCO_CLASSES = 80
BN_EPS = 1e-3  # yolox/exp/yolox_base.py, init_yolo
BN_MOMENTUM = 0.03
PRIOR_PROBABILITY = 0.01  # that a cell holds an object, before training (RetinaNet)


@dataclass(frozen=True)
class YOLOXArchitecture:
    """Everything that determines the shape of a YOLOX network.

    Attributes:
        size: Name of the size, one of `YOLOX_SIZES`.
        classes: Number of classes.
    """

    size: str
    classes: int = COCO_CLASSES

    def __post_init__(self) -> None:
        if self.size not in YOLOX_SIZES:
            known = ", ".join(YOLOX_SIZES)
            raise InvalidArgumentError(f"no YOLOX of size {self.size!r}; the sizes are {known}")
        if self.classes <= 0:
            raise InvalidArgumentError(f"there must be at least one class, not {self.classes}")

    @property
    def name(self) -> str:
        """Name in the usual form: `yolox-nano`."""
        return f"yolox-{self.size}"

    @property
    def scale(self) -> YOLOXScale:
        """Depth and width of the size."""
        return YOLOX_SIZES[self.size]


class FeaturePyramid(nn.Module):
    """The path-aggregating pyramid (PAFPN): coarse features flow down, then fine ones up again.

    Args:
        scale: Depth and width.
    """

    def __init__(self, scale: YOLOXScale) -> None:
        super().__init__()
        depthwise = scale.depthwise
        fine, middle, coarse = (int(channels * scale.width) for channels in LEVEL_CHANNELS)
        blocks = round(3 * scale.depth)

        def csp(in_channels: int, out_channels: int) -> CSPLayer:
            return CSPLayer(
                in_channels, out_channels, blocks=blocks, shortcut=False, depthwise=depthwise
            )

        self.backbone = CSPDarknet(depth=scale.depth, width=scale.width, depthwise=depthwise)
        self.upsample = nn.Upsample(scale_factor=2, mode="nearest")
        self.lateral_conv0 = ConvBNSiLU(coarse, middle, 1)
        self.C3_p4 = csp(2 * middle, middle)
        self.reduce_conv1 = ConvBNSiLU(middle, fine, 1)
        self.C3_p3 = csp(2 * fine, fine)
        self.bu_conv2 = conv3x3(fine, fine, depthwise=depthwise, stride=2)
        self.C3_n3 = csp(2 * fine, middle)
        self.bu_conv1 = conv3x3(middle, middle, depthwise=depthwise, stride=2)
        self.C3_n4 = csp(2 * middle, coarse)

    def forward(self, picture: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Map (N, 3, H, W) to the merged features at strides 8, 16 and 32."""
        stride8, stride16, stride32 = self.backbone(picture)
        coarse = self.lateral_conv0(stride32)
        down16 = self.C3_p4(torch.cat([self.upsample(coarse), stride16], dim=1))
        middle = self.reduce_conv1(down16)
        out8: Tensor = self.C3_p3(torch.cat([self.upsample(middle), stride8], dim=1))
        out16: Tensor = self.C3_n3(torch.cat([self.bu_conv2(out8), middle], dim=1))
        out32: Tensor = self.C3_n4(torch.cat([self.bu_conv1(out16), coarse], dim=1))
        return out8, out16, out32


class YOLOXHead(nn.Module):
    """The decoupled head: for every cell of every level a box, an objectness and class scores.

    Args:
        scale: Depth and width.
        classes: Number of classes.
    """

    def __init__(self, scale: YOLOXScale, classes: int) -> None:
        super().__init__()
        hidden = int(256 * scale.width)
        in_channels = [int(channels * scale.width) for channels in LEVEL_CHANNELS]

        def branch() -> nn.Sequential:
            return nn.Sequential(
                conv3x3(hidden, hidden, depthwise=scale.depthwise),
                conv3x3(hidden, hidden, depthwise=scale.depthwise),
            )

        def predictors(outputs: int) -> nn.ModuleList:
            return nn.ModuleList(nn.Conv2d(hidden, outputs, 1) for _ in STRIDES)

        self.cls_convs = nn.ModuleList(branch() for _ in STRIDES)
        self.reg_convs = nn.ModuleList(branch() for _ in STRIDES)
        self.cls_preds = predictors(classes)
        self.reg_preds = predictors(4)
        self.obj_preds = predictors(1)
        self.stems = nn.ModuleList(ConvBNSiLU(wide, hidden, 1) for wide in in_channels)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Start objectness and classes at a low probability, so that early losses stay small."""
        bias = -math.log((1 - PRIOR_PROBABILITY) / PRIOR_PROBABILITY)
        for predictor in (*self.cls_preds, *self.obj_preds):
            if isinstance(predictor, nn.Conv2d) and predictor.bias is not None:
                nn.init.constant_(predictor.bias, bias)

    def forward(self, levels: tuple[Tensor, Tensor, Tensor]) -> Tensor:
        """Map the pyramid's features to (N, A, 5 + classes), see `YOLOX.forward`."""
        rows: list[Tensor] = []
        for index, level in enumerate(levels):
            features = self.stems[index](level)
            class_features = self.cls_convs[index](features)
            box_features = self.reg_convs[index](features)
            boxes = self.reg_preds[index](box_features)
            objectness = self.obj_preds[index](box_features).sigmoid()
            classes = self.cls_preds[index](class_features).sigmoid()
            rows.append(torch.cat([boxes, objectness, classes], dim=1).flatten(2))
        return torch.cat(rows, dim=2).transpose(1, 2)


class YOLOX(nn.Module):
    """The detector.

    Args:
        architecture: Size and number of classes.

    Attributes:
        architecture: The same.
        backbone: Picture -> features at strides 8, 16 and 32.
        head: Features -> boxes, objectness and classes.
    """

    def __init__(self, architecture: YOLOXArchitecture) -> None:
        super().__init__()
        self.architecture = architecture
        self.backbone = FeaturePyramid(architecture.scale)
        self.head = YOLOXHead(architecture.scale, architecture.classes)
        for module in self.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.eps = BN_EPS
                module.momentum = BN_MOMENTUM

    def forward(self, pictures: Tensor) -> Tensor:
        """Find objects.

        Args:
            pictures: (N, 3, H, W) float, BGR 0..255, not normalised; H and W multiples of 32.

        Returns:
            (N, A, 5 + classes) float with A = H * W * (1/8² + 1/16² + 1/32²) cells, levels of
            stride 8, 16, 32 one after the other, row by row. A cell holds its box as dx, dy,
            log w, log h in units of its stride and relative to its corner (not decoded), the
            objectness and the classes (both 0..1).
        """
        output: Tensor = self.head(self.backbone(pictures))
        return output
