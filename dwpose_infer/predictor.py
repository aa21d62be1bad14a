"""`Predictor`: pictures in, `PoseResult` out."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from os import PathLike
from typing import TYPE_CHECKING, Any, Literal, cast, overload

import numpy as np
import numpy.typing as npt

from .backends import BackendName
from .calls import CallOptions, results_of, warm_up
from .closing import ClosesOnExit
from .detector import Detector
from .errors import InputError, InvalidArgumentError
from .estimator import DEFAULT_MAX_BATCH, PoseEstimator
from .given_boxes import persons_per_picture
from .images import MAX_PIXELS, ColorOrder, ImageSource, as_sources
from .picture_groups import PictureInput
from .picture_url import UrlAccess
from .pipeline import detector_options, open_pipeline
from .preference import Preference
from .results import PoseResult
from .runtime import Runtime
from .zoo import DEFAULT_DETECTOR, DEFAULT_POSE

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from .backends import Precision, Provider
    from .media.frames import Source
    from .media.opening import SourceLike
    from .media.span import Position
    from .streaming import Stream
    from .streaming.settings import OnError
    from .tracking import PersonTracker, SmootherSettings, TrackerSettings

logger = logging.getLogger(__name__)


class Predictor(ClosesOnExit):
    """Finds every person in pictures, and 133 keypoints of each.

    May be called from several threads at once. Close it, or use it in a `with` statement, to
    free the networks' memory at once. Pickled, it is its arguments, with which it opens anew in
    the process that loads it. Its `urls` say where URLs may lead.

    Example:
        >>> from dwpose_infer import Predictor
        >>> with Predictor() as predictor:
        ...     result = predictor("photo.jpg")
        >>> result.keypoints.shape
        (1, 133, 2)
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
        prefer: Preference = "score",
        square_input: bool = False,
        tile_side: int | None = None,
        drop_weak_hands: bool = False,
        keep_doubtful: bool = False,
        flip_test: bool = False,
        color: ColorOrder = "bgr",
        max_pixels: int = MAX_PIXELS,
        url_hosts: Sequence[str] | None = None,
        allow_private_urls: bool = False,
        offline: bool | None = None,
        progress: bool = False,
    ) -> None:
        """Loads the networks, downloading them first where they are not at hand.

        Args:
            pose: Name of a pose model (see `list_models`) or path of an ONNX file, with "trt"
                also of a TensorRT engine.
            detector: The same of a detector; None for none: calls need `boxes` or `whole_image`.
            backend: Runtime, "ort" for ONNX Runtime, "trt" for TensorRT or TensorRT for RTX
                on NVIDIA GPUs, "openvino" for OpenVINO on the CPU. "trt" builds the engine of an
                ONNX file when it is used for the first time, here and not in a call; with
                TensorRT that takes minutes.
            device: "cpu", "cuda" or "cuda:N"; None means "cpu", with "trt" "cuda:0". It is used,
                or an error says why it cannot be.
            provider: Execution provider of ONNX Runtime, "cpu", "cuda" or "tensorrt"; None
                takes the one of the device's own name. With "trt" the library, "tensorrt" or
                "tensorrt-rtx" (TensorRT for RTX); None takes the one that is installed.
            provider_options: Further options of it, in ONNX Runtime's own words.
            threads: CPU threads inside one operator; None leaves it to the runtime.
            precision: What is calculated in. "trt": "fp16" where it is safe (None means this),
                or "fp32". "openvino": "fp32" (None means this), "bf16" where the CPU has it, or
                "auto", see `openvino_precision`. ONNX Runtime takes the precision of the file.
            max_batch: Persons per call of the pose network at most.
            score_threshold: Boxes of persons must score above this; None takes the model's own
                rule: above 0.3, and with the bundled detector a product of box score and mean
                score of the body's points of at least 0.085. A call may give its own.
            nms_threshold: Of two boxes whose IoU exceeds this the better stays; None takes 0.45.
            max_persons: Keep at most so many persons of a picture.
            prefer: Which ones then: "score" those the detector is most sure of, "largest" the
                largest boxes, "center" those nearest to the middle of the picture.
            square_input: Give the detector every picture on its whole square, as the official
                code does. Off, a detector that takes inputs of any size, as the bundled one,
                gets a canvas cut to the picture, on CPUs.
            tile_side: Search larger pictures in overlapping tiles of this side too, in pixels, two
                to four times as large as the persons: for pictures the detector shrinks a lot.
            keep_doubtful: Keep what the detector found even where the points say that nobody is
                there (mean score of the body below 0.1), or that a better one is there already
                (OKS of the body from 0.9); off, these are left out. Of given boxes none is.
            drop_weak_hands: Leave out doubtful hands, see `PoseResult.without_weak_hands`.
            flip_test: Look at every person's mirror image too, in the same batch, and decode the
                mean: a little more accurate for about twice the time of the pose network. A
                model in deploy form, as the bundled ones are, is converted for it, for which the
                package onnx has to be installed.
            color: Channel order of arrays given as pictures, unless a call says otherwise.
            max_pixels: Larger pictures are refused before they are decoded.
            url_hosts: Hosts that are asked for pictures and videos, in URLs, their redirects and
                playlists; ".example.org" stands for all below it. None is for all.
            allow_private_urls: Follow redirects and playlists from the internet into private
                networks, and from https to http. A private URL that is given needs no permission.
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
        self._color = color
        self._max_pixels = max_pixels
        self.urls = UrlAccess.of(url_hosts, allow_private=allow_private_urls)
        runtime = Runtime(
            backend=backend,
            device=device,
            provider=provider,
            provider_options=provider_options,
            threads=threads,
            precision=precision,
            max_batch=max_batch,
            offline=offline,
            progress=progress,
        )
        options = detector_options(
            detector,
            score_threshold=score_threshold,
            nms_threshold=nms_threshold,
            max_persons=max_persons,
            prefer=prefer,
            square_input=square_input,
            tile_side=tile_side,
        )
        self._open = partial(
            open_pipeline,
            pose,
            detector,
            runtime,
            options,
            flip_test=flip_test,
            drop_weak_hands=drop_weak_hands,
            keep_doubtful=keep_doubtful,
        )
        self._pipeline = self._open()

    def __repr__(self) -> str:
        pose, detector = self._open.args[:2]
        runtime = self.estimator.backend.description
        return f"Predictor({pose}, {detector or 'no detector'}, {runtime})"

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "_pipeline"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._pipeline = self._open()

    @property
    def detector(self) -> Detector | None:
        """The person detector, or None."""
        return self._pipeline.detector

    @property
    def estimator(self) -> PoseEstimator:
        """The pose network."""
        return cast(PoseEstimator, self._pipeline.estimator)  # it was opened with one

    @overload
    def __call__(
        self,
        images: list[ImageSource] | tuple[ImageSource, ...],
        *,
        boxes: Sequence[npt.ArrayLike | None] | None = None,
        on_error: Literal["raise"] = "raise",
        **options: Unpack[CallOptions],
    ) -> list[PoseResult]: ...

    @overload
    def __call__(
        self,
        images: list[ImageSource] | tuple[ImageSource, ...],
        *,
        boxes: Sequence[npt.ArrayLike | None] | None = None,
        on_error: Literal["return"],
        **options: Unpack[CallOptions],
    ) -> list[PoseResult | InputError]: ...

    @overload
    def __call__(
        self,
        images: ImageSource,
        *,
        boxes: npt.ArrayLike | None = None,
        on_error: Literal["raise"] = "raise",
        **options: Unpack[CallOptions],
    ) -> PoseResult: ...

    @overload
    def __call__(
        self,
        images: Iterator[ImageSource],
        *,
        boxes: None = None,
        on_error: Literal["raise"] = "raise",
        **options: Unpack[CallOptions],
    ) -> Iterator[PoseResult]: ...

    @overload
    def __call__(
        self,
        images: Iterator[ImageSource],
        *,
        boxes: None = None,
        on_error: Literal["return"],
        **options: Unpack[CallOptions],
    ) -> Iterator[PoseResult | InputError]: ...

    def __call__(
        self,
        images: ImageSource | list[ImageSource] | tuple[ImageSource, ...] | Iterator[ImageSource],
        *,
        boxes: npt.ArrayLike | Sequence[npt.ArrayLike | None] | None = None,
        whole_image: bool = False,
        color: ColorOrder | None = None,
        score_threshold: float | None = None,
        max_persons: int | None = None,
        prefer: Preference | None = None,
        on_error: Literal["raise", "return"] = "raise",
    ) -> (
        PoseResult
        | list[PoseResult]
        | list[PoseResult | InputError]
        | Iterator[PoseResult]
        | Iterator[PoseResult | InputError]
    ):
        """Finds the persons and their keypoints.

        Args:
            images: One picture, or a list or tuple of pictures: paths, URLs, bytes of picture
                files, binary files, PIL pictures or arrays, also of PyTorch, see
                `dwpose_infer.images.read_image`. Of an iterator, such as a generator or
                `Path.glob`, pictures are taken as results are asked for, a group of 8 and a few
                read ahead at a time.
            boxes: Boxes of the persons, (P, 4), left, top, right, bottom in pixels; the
                detector is not asked then, and the persons keep this order. With several
                pictures, one entry for each, None where the detector is to be asked.
            whole_image: Where nobody is found, take the whole picture for one person, with
                box score 0. Off by default: the network places a skeleton on anything.
            color: Channel order of arrays in this call, "bgr" or "rgb".
            score_threshold: Boxes of persons must score above this in this call, and their score
                alone decides; None takes the predictor's own rule.
            max_persons: Keep at most so many persons of a picture in this call, in place of as
                many as the predictor was made for.
            prefer: Which ones then, in this call.
            on_error: What to do with a picture of a list that cannot be read: "raise", or
                "return" its error in its place, so that the others have their results.

        Returns:
            One result, or a list of results in the order of the pictures; for an iterator an
            iterator of results, in which errors come up when their picture does.

        Raises:
            InputError: A picture cannot be read.
            InvalidArgumentError: The boxes are not usable, there is neither detector nor boxes,
                or a threshold is given where no picture is searched for persons.
            InferenceError: A network failed.
        """
        if on_error not in ("raise", "return"):
            raise InvalidArgumentError(f'on_error is {on_error!r}, must be "raise" or "return"')
        pipeline = self._pipeline.detecting(
            score_threshold=score_threshold, max_persons=max_persons, prefer=prefer
        )
        find = partial(results_of, pipeline, whole_image=whole_image, on_error=on_error)
        limits: dict[str, Any] = {"max_pixels": self._max_pixels, "urls": self.urls}
        picture = partial(PictureInput.of, color=color or self._color, **limits)
        if isinstance(images, Iterator) and not hasattr(images, "read"):
            if boxes is not None:
                raise InvalidArgumentError(
                    "boxes go with a picture or a list; of an iterator nobody knows how many"
                )
            return find(map(picture, images), read_ahead=True)
        sources, single = as_sources(cast(ImageSource, images))
        given = persons_per_picture(boxes, len(sources), single=single)
        if pipeline is not self._pipeline and sources and None not in given:
            raise InvalidArgumentError(
                "score_threshold, max_persons and prefer choose among the detector's boxes; here "
                "all boxes are given"
            )
        if on_error == "return" and single:
            raise InvalidArgumentError('on_error="return" is for lists; give [picture]')
        pictures = list(map(picture, sources, given))
        read_ahead = not all(isinstance(source, np.ndarray) for source in sources)
        results = list(find(pictures, read_ahead=read_ahead))
        return cast(PoseResult, results[0]) if single else results

    def stream(
        self,
        source: SourceLike | Source,
        *,
        start: Position | None = None,
        end: Position | None = None,
        stride: int = 1,
        detect_every: int = 1,
        track: bool | TrackerSettings | PersonTracker = False,
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
            track: Give persons ids that stay: True, the settings of the tracker, or a tracker of
                your own, anything with `update(result, time_s=...)`, see `PersonTracker`.
            smooth: Take the jitter out of keypoints; the settings of the smoother, or True.
                Persons are tracked for it.
            max_persons: Keep at most so many, the tracker's choice or, without one of this
                package, those that the detector prefers.
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
        from .streaming.settings import DEFAULT_BATCH_FRAMES, StreamSettings
        from .tracking import SmootherSettings, TrackerSettings

        settings = StreamSettings(
            detect_every=detect_every,
            batch_frames=DEFAULT_BATCH_FRAMES if batch_frames is None else batch_frames,
            tracker=TrackerSettings() if track is True or (smooth and not track) else track or None,
            smoother=SmootherSettings() if smooth is True else smooth or None,
            max_persons=max_persons,
            whole_image=whole_image,
            on_error=on_error,
        )
        open_ = partial(open_stream, start=start, end=end, stride=stride, urls=self.urls)
        return open_(self._pipeline, source, settings)

    def warmup(self, persons: int = 1, pictures: int = 1) -> None:
        """Runs the networks on nothing, so that real calls of up to so many are not slower."""
        warm_up(self._pipeline, persons, pictures)

    def close(self) -> None:
        """Frees the networks; may be called again."""
        self._pipeline.close()
