"""Settings of the samples: where they come from, how they are changed, what their targets are.

Sources of the values as in `settings`, which exports these classes again.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from ....errors import InvalidArgumentError


def require(condition: bool, message: str) -> None:
    """Raises InvalidArgumentError with a message unless a condition holds."""
    if not condition:
        raise InvalidArgumentError(message)


def _check_probabilities(**values: float) -> None:
    for name, value in values.items():
        require(0 <= value <= 1, f"{name} is a probability, 0 to 1, not {value}")


@dataclass(frozen=True, slots=True, kw_only=True)
class DataSource:
    """One annotation file with its folder of pictures.

    Attributes:
        annotations: JSON file in COCO-WholeBody's layout, relative to `DataSettings.root`.
        images: Folder that the file's picture names are relative to, itself relative to
            `DataSettings.root`.
        frame_step: Keep the pictures whose id is a multiple of this. UBody is video: the official
            runs keep every tenth frame (base, `sample_interval` 10). 1 keeps all.
        labels: Keep the persons whose field `label` is one of these; empty keeps all.
        collections: Keep the pictures whose field `source` is one of these; empty keeps all.
        repeats: How often an epoch sees every sample of this source; official 1. Of 2.5, the
            fraction takes a new random half of the samples in every epoch.
        unlabelled_weight: Weight of points without a label. Officially 0: they count nothing.
            Where labels leave out what cannot be told from the picture, a small weight, below
            0.5, teaches low scores for such points: their target is flat along both axes.
            Leave it at 0 where whole parts were never labelled.
    """

    annotations: str
    images: str
    frame_step: int = 1
    labels: tuple[str, ...] = ()
    collections: tuple[str, ...] = ()
    repeats: float = 1.0
    unlabelled_weight: float = 0.0

    def __post_init__(self) -> None:
        weight = self.unlabelled_weight
        require(0 <= weight < 0.5, f"unlabelled_weight must be in 0..0.5, not {weight}")
        require(self.annotations != "", "the annotation file of a data source has no name")
        require(self.frame_step >= 1, f"frame_step must be at least 1, not {self.frame_step}")
        require(self.repeats > 0, f"repeats must be positive, not {self.repeats}")


@dataclass(frozen=True, slots=True, kw_only=True)
class DataSettings:
    """Where samples come from and how they are read.

    Attributes:
        root: Folder that relative paths of the sources and of `validation_boxes` start from.
        train: Sources, one after the other; their samples are shuffled together.
        validation: Source that the accuracy is measured on; none switches the measuring off.
        validation_boxes: Boxes of a person detector, a COCO results file; none takes the
            annotated boxes. The public figures use a detector with a human AP of 56.4.
        validation_batch_size: Persons per step of the validation, over all processes.
        flip_test: Average the outputs of a picture and its mirror image (base, `flip_test`).
        workers: Most processes that prepare samples, per training process (base, 10); no more
            are started than there are processor cores for them. 0 prepares in the training
            process itself.
        prefetch: Batches that every worker prepares ahead.
        cache_gb: Memory for decoded pictures over all workers of a machine, 10^9 bytes; 0 decodes
            every picture each time it is needed.
    """

    root: str = "data"
    train: tuple[DataSource, ...] = ()
    validation: DataSource | None = None
    validation_boxes: str | None = None
    validation_batch_size: int = 32
    flip_test: bool = True
    workers: int = 10
    prefetch: int = 2
    cache_gb: float = 0.0

    def __post_init__(self) -> None:
        size = self.validation_batch_size
        require(size >= 1, f"validation_batch_size must be at least 1, not {size}")
        require(self.workers >= 0, f"workers cannot be negative, not {self.workers}")
        require(self.prefetch >= 1, f"prefetch must be at least 1, not {self.prefetch}")
        require(self.cache_gb >= 0, f"cache_gb cannot be negative, not {self.cache_gb}")


@dataclass(frozen=True, slots=True, kw_only=True)
class AugmentSettings:
    """Random changes of a training sample. Values of base; defaults of the classes it names.

    A probability of 0 switches a change off. Fields named `final_...` replace the others in the
    last `final_epochs` epochs, see `at_epoch`; none there means "as before".

    Attributes:
        box_padding: Factor on the sides of the annotated box (GetBBoxCenterScale).
        flip_probability: Mirror image, left and right points swapped (RandomFlip).
        half_body_probability: A box around the upper or the lower points alone (RandomHalfBody,
            as the next five).
        half_body_min_total: Labelled points a person needs for that, of 133.
        half_body_min_upper: Labelled upper points that count as an upper body.
        half_body_min_lower: Labelled lower points that count as a lower body.
        half_body_padding: Factor on the sides of that box.
        half_body_upper_probability: How often the upper body is taken where both could be.
        shift_probability: Chance of moving the box (RandomBBoxTransform, as the next five).
        shift_factor: Largest shift as a share of the box's sides.
        scale_probability: Chance of scaling the box.
        scale_range: Smallest and largest factor.
        rotation_probability: Chance of turning the box.
        rotation_degrees: Largest angle in either direction.
        hsv_deltas: Largest shifts of hue, saturation and value as OpenCV counts them in 8 bits
            (mmdet's YOLOXHSVRandomAug); all 0 switches it off.
        blur_probability: Mean over a square window (albumentations' Blur).
        median_blur_probability: Median over a square window (albumentations' MedianBlur).
        blur_max_kernel: Largest side of either window, odd; the smallest is 3.
        hole_probability: One black rectangle (albumentations' CoarseDropout).
        hole_height_range: Its smallest and largest height as a share of the input's.
        hole_width_range: The same for its width.
        portrait_probability: Chance of cutting the picture down to a part of the person, as in
            portraits and video calls, see `data.portrait`; not part of the official runs.
        portrait_shares: How often that part is the face, head and shoulders, the upper body, one
            hand; any numbers, only their ratios count.
        portrait_margins: Smallest and largest margin left around the part, each side drawn on its
            own, as a share of the part's longer side.
        portrait_min_side: Smaller parts of pictures than this, in pixels, are not cut out.
        final_epochs: Length of the last phase (base, mmdet's PipelineSwitchHook at 240 of 270).
        final_shift_factor: `shift_factor` there.
        final_scale_range: `scale_range` there.
        final_rotation_degrees: `rotation_degrees` there.
        final_hole_probability: `hole_probability` there.
    """

    box_padding: float = 1.25
    flip_probability: float = 0.5
    half_body_probability: float = 0.3
    half_body_min_total: int = 9
    half_body_min_upper: int = 2
    half_body_min_lower: int = 3
    half_body_padding: float = 1.5
    half_body_upper_probability: float = 0.7
    shift_probability: float = 0.3
    shift_factor: float = 0.16
    scale_probability: float = 1.0
    scale_range: tuple[float, float] = (0.5, 1.5)
    rotation_probability: float = 0.6
    rotation_degrees: float = 90.0
    hsv_deltas: tuple[float, float, float] = (5.0, 30.0, 30.0)
    blur_probability: float = 0.1
    median_blur_probability: float = 0.1
    blur_max_kernel: int = 7
    hole_probability: float = 1.0
    hole_height_range: tuple[float, float] = (0.2, 0.4)
    hole_width_range: tuple[float, float] = (0.2, 0.4)
    portrait_probability: float = 0.0
    portrait_shares: tuple[float, float, float, float] = (0.2, 0.45, 0.25, 0.1)
    portrait_margins: tuple[float, float] = (0.05, 0.6)
    portrait_min_side: int = 32
    final_epochs: int = 30
    final_shift_factor: float | None = 0.0
    final_scale_range: tuple[float, float] | None = None
    final_rotation_degrees: float | None = None
    final_hole_probability: float | None = 0.5

    def __post_init__(self) -> None:
        _check_probabilities(
            flip_probability=self.flip_probability,
            half_body_probability=self.half_body_probability,
            half_body_upper_probability=self.half_body_upper_probability,
            shift_probability=self.shift_probability,
            scale_probability=self.scale_probability,
            rotation_probability=self.rotation_probability,
            blur_probability=self.blur_probability,
            median_blur_probability=self.median_blur_probability,
            hole_probability=self.hole_probability,
            portrait_probability=self.portrait_probability,
            final_hole_probability=self.final_hole_probability or 0.0,
        )
        ranges = {
            "scale_range": self.scale_range,
            "hole_height_range": self.hole_height_range,
            "hole_width_range": self.hole_width_range,
            "final_scale_range": self.final_scale_range or self.scale_range,
        }
        for name, (low, high) in ranges.items():
            require(0 < low <= high, f"{name} must be two positive numbers in order: {low}, {high}")
        kernel = self.blur_max_kernel
        require(
            kernel >= 3 and kernel % 2 == 1, f"blur_max_kernel must be odd, from 3, not {kernel}"
        )
        require(self.final_epochs >= 0, f"final_epochs cannot be negative, not {self.final_epochs}")
        require(self.box_padding > 0, f"box_padding must be positive, not {self.box_padding}")
        shares = self.portrait_shares
        require(
            min(shares) >= 0 and sum(shares) > 0,
            f"portrait_shares must not be negative nor all 0, not {shares}",
        )
        low, high = self.portrait_margins
        require(0 <= low <= high, f"portrait_margins must be in order, from 0: {low}, {high}")
        side = self.portrait_min_side
        require(side >= 8, f"portrait_min_side must be at least 8 pixels, not {side}")

    def at_epoch(self, epoch: int, *, epochs: int) -> AugmentSettings:
        """Returns the settings that hold in an epoch.

        Args:
            epoch: Which one, from 0.
            epochs: How many there are.

        Returns:
            These settings before the last `final_epochs` epochs; from there on a copy in which
            the `final_...` values have taken their places.
        """
        if epoch < epochs - self.final_epochs:
            return self
        shift, scale = self.final_shift_factor, self.final_scale_range
        rotation, hole = self.final_rotation_degrees, self.final_hole_probability
        return replace(
            self,
            shift_factor=self.shift_factor if shift is None else shift,
            scale_range=self.scale_range if scale is None else scale,
            rotation_degrees=self.rotation_degrees if rotation is None else rotation,
            hole_probability=self.hole_probability if hole is None else hole,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class CodecSettings:
    """SimCC targets: one Gaussian along x and one along y for every point.

    Attributes:
        sigma_xy: Standard deviation of the Gaussians in bins, along x and y: (4.9, 5.66) at
            256x192, (6.0, 6.93) at 384x288 (base). Not normalised: the peak is 1.
        split_ratio: Bins per pixel of the input (base); the network is built for 2.
        outside_weight: Weight of labelled points that lie outside of the crop. Officially 0: they
            count nothing, and the network says something about them all the same. Above 0 their
            target is flat along both axes, which teaches low scores for what cannot be seen;
            worth having together with `AugmentSettings.portrait_probability`.
    """

    sigma_xy: tuple[float, float] = (4.9, 5.66)
    split_ratio: float = 2.0
    outside_weight: float = 0.0

    def __post_init__(self) -> None:
        require(min(self.sigma_xy) > 0, f"sigma_xy must be positive, not {self.sigma_xy}")
        require(self.split_ratio == 2, f"the network has 2 bins per pixel, not {self.split_ratio}")
        weight = self.outside_weight
        require(weight >= 0, f"outside_weight cannot be negative, not {weight}")
