"""DWPose: the RTMPose network, a CSPNeXt backbone with a SimCC head, in five sizes.

DWPose (arXiv 2307.15880) is a way of training by distillation; the network that comes out is
RTMPose with 133 points. RTMPose's own networks of 17, 23 and 26 points are the same, with another
last layer. Sizes t, s, m and l were published, x is the teacher.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from ..errors import InvalidArgumentError
from .cspnext import STRIDE, CSPNeXt
from .simcc_head import SPLIT_RATIO, SimCCHead
from .sizes import DWPOSE_SIZES

WHOLE_BODY_KEYPOINTS = 133  # COCO-WholeBody: 17 body, 6 feet, 68 face, 42 hands


@dataclass(frozen=True)
class DWPoseArchitecture:
    """Everything that determines the shape of a DWPose network.

    Attributes:
        size: Letter of the size, one of `DWPOSE_SIZES`.
        input_height: Height of the input in pixels, a multiple of 32.
        input_width: Width of the input in pixels, a multiple of 32.
        keypoints: Number of points.
    """

    size: str
    input_height: int = 256
    input_width: int = 192
    keypoints: int = WHOLE_BODY_KEYPOINTS

    def __post_init__(self) -> None:
        if self.size not in DWPOSE_SIZES:
            known = ", ".join(DWPOSE_SIZES)
            raise InvalidArgumentError(f"no DWPose of size {self.size!r}; the sizes are {known}")
        for name, pixels in (("height", self.input_height), ("width", self.input_width)):
            if pixels <= 0 or pixels % STRIDE:
                raise InvalidArgumentError(
                    f"the input {name} must be a positive multiple of {STRIDE}, not {pixels}"
                )
        if self.keypoints <= 0:
            raise InvalidArgumentError(f"there must be at least one point, not {self.keypoints}")

    @property
    def name(self) -> str:
        """Name in the usual form, height first: `dwpose-l-384x288`.

        Networks of other points than the whole body's carry their number, as in
        `rtmpose-t-256x192-26-points`.
        """
        rest = f"{self.size}-{self.input_height}x{self.input_width}"
        if self.keypoints == WHOLE_BODY_KEYPOINTS:
            return f"dwpose-{rest}"
        return f"rtmpose-{rest}-{self.keypoints}-points"

    @property
    def deepen(self) -> float:
        """Factor on the number of bottlenecks."""
        return DWPOSE_SIZES[self.size][0]

    @property
    def widen(self) -> float:
        """Factor on the number of channels."""
        return DWPOSE_SIZES[self.size][1]


class DWPose(nn.Module):
    """The pose network.

    Args:
        architecture: Size, input size and number of points.

    Attributes:
        architecture: The same.
        backbone: Picture -> features at a 32nd of its resolution.
        head: Features -> distributions along x and y.
    """

    def __init__(self, architecture: DWPoseArchitecture) -> None:
        super().__init__()
        self.architecture = architecture
        height, width = architecture.input_height, architecture.input_width
        self.backbone = CSPNeXt(deepen=architecture.deepen, widen=architecture.widen)
        self.head = SimCCHead(
            self.backbone.out_channels,
            architecture.keypoints,
            features_hw=(height // STRIDE, width // STRIDE),
            bins_xy=(width * SPLIT_RATIO, height * SPLIT_RATIO),
        )

    def forward(self, crops: Tensor) -> tuple[Tensor, Tensor]:
        """Work out where the points are.

        Args:
            crops: (N, 3, input_height, input_width) float, RGB, with ImageNet's mean subtracted
                and divided by its standard deviation.

        Returns:
            simcc_x (N, keypoints, 2 * input_width) and simcc_y (N, keypoints, 2 * input_height):
            the place of the largest value, halved, is the pixel.
        """
        simcc: tuple[Tensor, Tensor] = self.head(self.backbone(crops))
        return simcc
