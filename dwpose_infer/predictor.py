"""`Predictor`: pictures in, `PoseResult` out."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from os import PathLike, fspath
from typing import TYPE_CHECKING, Any, Literal, overload

import numpy as np
import numpy.typing as npt

from . import zoo
from .backends import Backend, BackendName, check_backend
from .closing import ClosesOnExit
from .detector import Detections, Detector, DetectorOptions
from .errors import InputError, InvalidArgumentError
from .estimator import DEFAULT_MAX_BATCH, Crops, PoseEstimator, join_crops
from .export.engine_cache import load_or_build
from .flip import official_form
from .given_boxes import boxes_per_picture
from .images import MAX_PIXELS, ColorOrder, ImageSource, as_sources, read_image
from .results import PoseResult
from .wheels import check_opencv
from .zoo import DEFAULT_DETECTOR, DEFAULT_POSE

if TYPE_CHECKING:
    from .backends import Precision
    from .backends.onnxruntime import Provider
    from .media.frames import Source
    from .media.opening import SourceLike
    from .media.span import Position
    from .streaming import Stream
    from .streaming.settings import OnError
    from .tracking import SmootherSettings, TrackerSettings

logger = logging.getLogger(__name__)

GROUP_PICTURES = 8
"""Pictures that are in memory and searched for persons together when a list is given."""

GROUP_PIXELS = 32_000_000
"""Decoded pixels after which such a group is complete, however few its pictures."""


@dataclass(frozen=True, slots=True, eq=False)
class _Readable:
    """A decoded picture, with its persons' boxes where the caller gave them."""

    image_bgr: npt.NDArray[np.uint8]
    source: str | None
    boxes_xyxy: npt.NDArray[np.float32] | None


@dataclass(frozen=True, slots=True, eq=False)
class _Picture:
    """A picture whose persons are found and cut out, but not yet given keypoints."""

    detections: Detections
    crops: Crops
    image_size: tuple[int, int]
    source: str | None


class Predictor(ClosesOnExit):
    """Finds every person in pictures, and 133 keypoints of each.

    May be called from several threads at once. Close it, or use it in a `with` statement, to
    free the networks' memory at once.

    Example:
        >>> from dwpose_infer import Predictor
        >>> with Predictor() as predictor:
        ...     result = predictor("photo.jpg")
        >>> result.keypoints.shape
        (1, 133, 2)

    Attributes:
        detector: The person detector, or None.
        estimator: The pose network.
    """

    def __init__(
        self,
        pose: str | PathLike[str] = DEFAULT_POSE,
        detector: str | PathLike[str] | None = DEFAULT_DETECTOR,
        *,
        backend: BackendName = "ort",
        device: str | None = None,
        provider: Provider | None = None,
        provider_options: Mapping[str, Any] | None = None,
        threads: int | None = None,
        precision: Precision | None = None,
        max_batch: int = DEFAULT_MAX_BATCH,
        score_threshold: float | None = None,
        nms_threshold: float | None = None,
        max_persons: int | None = None,
        square_input: bool = False,
        drop_weak_hands: bool = False,
        flip_test: bool = False,
        color: ColorOrder = "bgr",
        max_pixels: int = MAX_PIXELS,
        offline: bool | None = None,
        progress: bool = False,
    ) -> None:
        """Loads the networks, downloading them first where they are not at hand.

        Args:
            pose: Name of a pose model (see `list_models`) or path of an ONNX file, with "trt"
                also of a TensorRT engine.
            detector: Name of a detector or path of such a file; None for no detector, then
                every call needs `boxes` or `whole_image`.
            backend: Runtime, "ort" for ONNX Runtime, "trt" for TensorRT on NVIDIA GPUs,
                "openvino" for OpenVINO on the CPU. "trt" builds the engine of an ONNX file when
                it is used for the first time, here and not in a call; that takes minutes.
            device: "cpu", "cuda" or "cuda:N"; None means "cpu", with "trt" "cuda:0". It is used,
                or an error says why it cannot be.
            provider: Execution provider of ONNX Runtime, "cpu", "cuda" or "tensorrt"; None
                takes the one of the device's own name.
            provider_options: Further options of the execution provider, in ONNX Runtime's own
                words.
            threads: CPU threads inside one operator; None leaves it to the runtime.
            precision: What is calculated in. "trt": "fp16" where it is safe (None means this),
                or "fp32". "openvino": "fp32" (None means this) or, on CPUs that have it, "bf16".
                ONNX Runtime takes the precision of the file.
            max_batch: Persons per call of the pose network at most.
            score_threshold: Persons must score above this; None takes the model's own default,
                0.3 for most.
            nms_threshold: Of two boxes whose IoU is above this the better one stays; None
                takes 0.45.
            max_persons: Keep at most so many persons of a picture, the best ones.
            square_input: Give the detector every picture on its whole square, as the official
                code does. Off, a detector that takes inputs of any size, as the bundled one,
                gets a canvas cut to the picture, on CPUs.
            drop_weak_hands: Leave out hands that cannot be believed, see
                `PoseResult.without_weak_hands`.
            flip_test: Look at every person's mirror image too, in the same batch, and decode the
                mean: a little more accurate for about twice the time of the pose network. A
                model in deploy form, as the bundled ones are, is converted for it, for which the
                package onnx has to be installed.
            color: Channel order of arrays given as pictures, unless a call says otherwise.
            max_pixels: Larger pictures are refused before they are decoded.
            offline: Forbid downloads; None obeys the environment variable DWPOSE_OFFLINE.
            progress: Show on standard error how models are downloaded and engines are built.

        Raises:
            InvalidArgumentError: An argument has an impossible value.
            ModelNotFoundError: There is no model of that name and no such file.
            DownloadError: A model cannot be downloaded.
            ModelFormatError: A file is not a model of the kind asked for.
            BackendUnavailableError: Backend or device cannot be used on this machine.
            MissingDependencyError: The backend's package is not installed.
            DeviceMemoryError: The GPU has too little free memory.
            EngineBuildError: TensorRT cannot build an engine of a model.
            ParityError: A new engine does not do what its model does; it was not kept.
        """
        check_opencv()
        check_backend(backend, device)
        self._color = color
        self._max_pixels = max_pixels
        self._drop_weak_hands = drop_weak_hands

        def load(model: str | PathLike[str], kind: zoo.ModelKind) -> Backend:
            path = zoo.resolve_model(model, kind=kind, offline=offline, progress=progress)
            return load_or_build(
                backend,
                path,
                device=device,
                provider=provider,
                provider_options=provider_options,
                threads=threads,
                precision=precision,
                max_batch=max_batch if kind == "pose" else GROUP_PICTURES,
                progress=progress,
            )

        with ExitStack() as on_error:
            self.detector: Detector | None = None
            if detector is not None:
                options = _detector_options(detector, score_threshold, nms_threshold, max_persons)
                on_gpu = device not in (None, "cpu")
                options = replace(options, square_input=square_input or on_gpu)
                loaded = on_error.enter_context(load(detector, "detector"))
                self.detector = Detector(loaded, options)
            if flip_test:
                path = zoo.resolve_model(pose, kind="pose", offline=offline, progress=progress)
                with official_form(path) as official:
                    loaded = on_error.enter_context(load(official, "pose"))
            else:
                loaded = on_error.enter_context(load(pose, "pose"))
            self.estimator = PoseEstimator(loaded, max_batch=max_batch, flip_test=flip_test)
            on_error.pop_all()

    @overload
    def __call__(
        self,
        images: list[ImageSource] | tuple[ImageSource, ...],
        *,
        boxes: Sequence[npt.ArrayLike | None] | None = None,
        whole_image: bool = False,
        color: ColorOrder | None = None,
        on_error: Literal["raise"] = "raise",
    ) -> list[PoseResult]: ...

    @overload
    def __call__(
        self,
        images: list[ImageSource] | tuple[ImageSource, ...],
        *,
        boxes: Sequence[npt.ArrayLike | None] | None = None,
        whole_image: bool = False,
        color: ColorOrder | None = None,
        on_error: Literal["return"],
    ) -> list[PoseResult | InputError]: ...

    @overload
    def __call__(
        self,
        images: ImageSource,
        *,
        boxes: npt.ArrayLike | None = None,
        whole_image: bool = False,
        color: ColorOrder | None = None,
        on_error: Literal["raise"] = "raise",
    ) -> PoseResult: ...

    def __call__(
        self,
        images: ImageSource | list[ImageSource] | tuple[ImageSource, ...],
        *,
        boxes: npt.ArrayLike | Sequence[npt.ArrayLike | None] | None = None,
        whole_image: bool = False,
        color: ColorOrder | None = None,
        on_error: Literal["raise", "return"] = "raise",
    ) -> PoseResult | list[PoseResult] | list[PoseResult | InputError]:
        """Finds the persons and their keypoints.

        Args:
            images: One picture, or a list or tuple of pictures: paths, URLs, bytes of picture
                files, PIL pictures or arrays, see `dwpose_infer.images.read_image`.
            boxes: Boxes of the persons, (P, 4), left, top, right, bottom in pixels; the
                detector is not asked then, and the persons keep this order. With several
                pictures, one entry for each, None where the detector is to be asked.
            whole_image: Where nobody is found, take the whole picture for one person, with
                box score 0. Off by default: the network places a skeleton on anything.
            color: Channel order of arrays in this call, "bgr" or "rgb".
            on_error: What to do with a picture of a list that cannot be read: "raise", or
                "return" its error in its place, so that the others have their results.

        Returns:
            One result, or a list of results in the order of the pictures.

        Raises:
            InputError: A picture cannot be read.
            InvalidArgumentError: The boxes are not usable, or there is neither detector nor
                boxes.
            InferenceError: A network failed.
        """
        sources, single = as_sources(images)
        given = boxes_per_picture(boxes, len(sources), single=single)
        if on_error not in ("raise", "return"):
            raise InvalidArgumentError(f'on_error is {on_error!r}, must be "raise" or "return"')
        failed: dict[int, InputError] | None = None
        if on_error == "return":
            if single:
                raise InvalidArgumentError('on_error="return" is for lists; give [picture]')
            failed = {}
        results = self._predict(
            sources,
            given,
            whole_image=whole_image,
            color=color or self._color,
            failed=failed,
        )
        if failed is None:
            found = list(results)
            return found[0] if single else found
        good = list(results)[::-1]
        return [failed[i] if i in failed else good.pop() for i in range(len(sources))]

    def stream(
        self,
        source: SourceLike | Source,
        *,
        start: Position | None = None,
        end: Position | None = None,
        stride: int = 1,
        detect_every: int = 1,
        track: bool | TrackerSettings = False,
        smooth: bool | SmootherSettings = False,
        max_persons: int | None = None,
        whole_image: bool = False,
        batch_frames: int | None = None,
        on_error: OnError = "raise",
    ) -> Stream:
        """Finds the persons of a video, a camera or a row of pictures, frame by frame.

        Reading, networks and the caller's work overlap. Live sources give the latest frame.

        Args:
            source: Path or URL of a video, number of a camera, stream, or pictures, see
                `dwpose_infer.media.open_source`; or a source it opened, without start, end and
                stride.
            start: First frame wanted: seconds, "1:30", or "300f" for a frame's index.
            end: Where to stop, the same way; that frame is not wanted any more.
            stride: Take every so many frames.
            detect_every: Search every so many of these for persons; follow them in between.
            track: Give persons ids that stay; the settings of the tracker, or True.
            smooth: Take the jitter out of keypoints; the settings of the smoother, or True.
                Persons are tracked for it.
            max_persons: Keep at most so many, the tracker's choice or else the best ones.
            whole_image: Where a search finds nobody, take the whole frame for one person.
            batch_frames: Frames of a clip that share a batch at most; None takes 4.
            on_error: What to do at a damaged frame: "raise", or "skip" and count it.

        Returns:
            An iterator of `FrameResult`, to be used in a `with` statement.

        Raises:
            InputError: The source cannot be read.
            InvalidArgumentError: An argument has an impossible value.
            MissingDependencyError: Tracking needs a package that is not installed.
        """
        from .streaming.opening import open_stream

        return open_stream(
            self,
            source,
            start=start,
            end=end,
            stride=stride,
            detect_every=detect_every,
            track=track,
            smooth=smooth,
            max_persons=max_persons,
            whole_image=whole_image,
            batch_frames=batch_frames,
            on_error=on_error,
        )

    def _predict(
        self,
        sources: Sequence[ImageSource],
        boxes: Sequence[npt.NDArray[np.float32] | None],
        *,
        whole_image: bool,
        color: ColorOrder,
        failed: dict[int, InputError] | None,
    ) -> Iterator[PoseResult]:
        """Yields results in order; only a few pictures and one batch of crops are in memory.

        Errors of pictures go into `failed`, by their place; where it is None they are raised.
        """
        waiting: list[_Picture] = []
        group: list[_Readable] = []
        for index, (source, given) in enumerate(zip(sources, boxes, strict=True)):
            try:
                image = read_image(source, color=color, max_pixels=self._max_pixels)
            except InputError as error:
                if failed is None:
                    raise
                failed[index] = error
            else:
                name = fspath(source) if isinstance(source, (str, PathLike)) else None
                group.append(_Readable(image, name, given))
            pixels = sum(picture.image_bgr.size // 3 for picture in group)
            last = index + 1 == len(sources)
            if group and (last or len(group) >= GROUP_PICTURES or pixels >= GROUP_PIXELS):
                waiting += self._find_persons(group, whole_image=whole_image)
                group = []
            crops = sum(len(picture.crops) for picture in waiting)
            if waiting and (last or crops >= self.estimator.max_batch):
                yield from self._place_keypoints(waiting)
                waiting = []

    def _find_persons(
        self, pictures: Sequence[_Readable], *, whole_image: bool
    ) -> Iterator[_Picture]:
        unknown = [picture.image_bgr for picture in pictures if picture.boxes_xyxy is None]
        if unknown and self.detector is None and not whole_image:
            raise InvalidArgumentError(
                "this predictor has no detector; pass boxes=, or whole_image=True to take the "
                "whole picture for one person"
            )
        found = iter(self.detector(unknown) if self.detector is not None else ())
        for picture in pictures:
            height, width = picture.image_bgr.shape[:2]
            if picture.boxes_xyxy is not None:
                detections = _given(picture.boxes_xyxy)
            else:
                detections = next(found, _nobody())
                if whole_image and not len(detections):
                    detections = _whole_picture(width, height)
            yield _Picture(
                detections=detections,
                crops=self.estimator.crop(picture.image_bgr, detections.boxes_xyxy),
                image_size=(width, height),
                source=picture.source,
            )

    def _place_keypoints(self, pictures: Sequence[_Picture]) -> Iterator[PoseResult]:
        keypoints, scores = self.estimator(join_crops([picture.crops for picture in pictures]))
        start = 0
        for picture in pictures:
            persons = slice(start, start + len(picture.crops))
            start = persons.stop
            result = PoseResult(
                keypoints=keypoints[persons],
                scores=scores[persons],
                boxes_xyxy=picture.detections.boxes_xyxy,
                box_scores=picture.detections.scores,
                image_size=picture.image_size,
                source=picture.source,
            )
            yield result.without_weak_hands() if self._drop_weak_hands else result

    def warmup(self) -> None:
        """Runs the networks once on empty pictures, so that the first real call is not slower."""
        if self.detector is not None:
            self.detector.warmup()
        self.estimator.backend.warmup()

    def close(self) -> None:
        """Frees the networks; may be called again."""
        if self.detector is not None:
            self.detector.backend.close()
        self.estimator.backend.close()


def _detector_options(
    model: str | PathLike[str],
    score_threshold: float | None,
    nms_threshold: float | None,
    max_persons: int | None,
) -> DetectorOptions:
    options = DetectorOptions(max_persons=max_persons)
    spec = zoo.find_spec(model)
    if score_threshold is None and spec is not None:
        score_threshold = spec.score_threshold
    if score_threshold is not None:
        options = replace(options, score_threshold=score_threshold)
    if nms_threshold is not None:
        options = replace(options, nms_threshold=nms_threshold)
    return options


def _given(boxes: npt.NDArray[np.float32]) -> Detections:
    return Detections(boxes, np.ones(len(boxes), np.float32))


def _nobody() -> Detections:
    return Detections(np.zeros((0, 4), np.float32), np.zeros(0, np.float32))


def _whole_picture(width: int, height: int) -> Detections:
    return Detections(np.array([[0, 0, width, height]], np.float32), np.zeros(1, np.float32))
