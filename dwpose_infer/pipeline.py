"""The way of pictures through the networks: detect, crop, join, run, split.

Pictures are read ahead and searched for persons in groups; the persons of several pictures share
the pose network's batches; a picture that cannot be read costs itself alone.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from .arrays import Float32Array, UInt8Array
from .backends import check_backend
from .closing import ClosesOnExit
from .detector import Detections, Detector, DetectorOptions
from .doubtful import believable
from .errors import DwposeError, InvalidArgumentError
from .estimator import Crops, PoseEstimator, join_crops
from .given_boxes import given_persons
from .keypoints import NUM_KEYPOINTS
from .layouts import WHOLEBODY_133, KeypointLayout
from .picture_groups import (
    GROUP_PICTURES,
    Decoded,
    OnError,
    PictureInput,
    read_groups,
    work_on_good,
)
from .results import PoseResult
from .runtime import Runtime, open_networks
from .wheels import warn_about_opencv
from .zoo import ModelKind, StrPath, find_spec


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """What the networks found in a picture.

    Attributes:
        result: The persons; without a pose network all their points are absent.
        region_wh: (P, 2) float32, width and height of what was cut out for each person in pixels
            of the picture; empty without a pose network.
        image_bgr: The picture, where it was to be kept.
    """

    result: PoseResult
    region_wh: Float32Array
    image_bgr: UInt8Array | None


@dataclass(frozen=True, slots=True, eq=False)
class _Cut:
    """A picture whose persons are found and cut out, but not yet given keypoints."""

    detections: Detections
    searched: bool
    crops: Crops
    image_size: tuple[int, int]
    source: str | None
    notes: tuple[str, ...]
    image_bgr: UInt8Array | None


@dataclass(frozen=True, slots=True, eq=False)
class Pipeline(ClosesOnExit):
    """The networks, and the way through them.

    Attributes:
        detector: The person detector, or None: persons have to be known then.
        estimator: The pose network, or None where boxes alone are wanted.
        drop_weak_hands: Leave out hands that cannot be believed.
        keep_doubtful: Keep persons found by the detector whose points say that nobody is there,
            or that a better one is there already, see `doubtful`.
        overlap: Search and cut out the next pictures while the pose network works on the last
            ones, where that runs on a GPU; a CPU has no cores to spare.
    """

    detector: Detector | None
    estimator: PoseEstimator | None
    drop_weak_hands: bool = False
    keep_doubtful: bool = False
    overlap: bool = False

    @property
    def layout(self) -> KeypointLayout:
        """Order of the keypoints of results."""
        return WHOLEBODY_133 if self.estimator is None else self.estimator.layout

    @property
    def _person_threshold(self) -> float:
        return 0.0 if self.detector is None else self.detector.options.person_threshold

    def keeping(self, max_persons: int | None) -> Pipeline:
        """Returns the pipeline that keeps at most so many of the persons it detects."""
        if self.detector is None or max_persons is None:
            return self
        return self.detecting(
            max_persons=min(max_persons, self.detector.options.max_persons or max_persons)
        )

    def detecting(self, **options: Any) -> Pipeline:
        """Returns the pipeline with other options of its detector, on the same networks.

        Args:
            **options: See `Detector.with_options`.

        Raises:
            InvalidArgumentError: There is no detector, or an option has an impossible value.
        """
        given = [name for name, value in options.items() if value is not None]
        if not given:
            return self
        if self.detector is None:
            raise InvalidArgumentError(
                f"this predictor has no detector, and {', '.join(given)} would be for one"
            )
        return replace(self, detector=self.detector.with_options(**options))

    def run(
        self,
        pictures: Iterable[PictureInput],
        *,
        whole_image: bool = False,
        on_error: OnError = "raise",
        read_ahead: bool = True,
        keep_images: bool = False,
    ) -> Iterator[list[Found | DwposeError]]:
        """Yields what is found, in the order of the pictures, as many together as got ready.

        Only a few pictures and one batch of crops are in memory, with `overlap` two.

        Args:
            pictures: What to work on; an iterator is gone through as far as is read ahead.
            whole_image: Where nobody is found, take the whole picture for one person.
            on_error: "raise", or "return" the error of a picture in its place: of reading its
                own, of the networks that of its group.
            read_ahead: Read the next pictures in a thread meanwhile.
            keep_images: Give the pictures back with what was found in them. Pictures of one group
                share batches then, but not with the next ones.

        Raises:
            InputError: A picture cannot be read.
            InvalidArgumentError: There is neither detector nor persons.
            InferenceError: A network failed.
        """
        ready = self._cut_groups(
            pictures,
            whole_image=whole_image,
            on_error=on_error,
            read_ahead=read_ahead,
            keep_images=keep_images,
        )
        few = isinstance(pictures, Sequence) and len(pictures) <= GROUP_PICTURES
        if few or not self.overlap:
            for cuts in ready:
                found = work_on_good(self._place, cuts, on_error)
                del cuts  # with their pictures, as below
                yield found
                del found
            return
        with ThreadPoolExecutor(1, thread_name_prefix="keypoints") as worker:
            before: Future[list[Found | DwposeError]] | None = None
            for cuts in ready:
                placed = worker.submit(work_on_good, self._place, cuts, on_error)
                if before is not None:
                    yield before.result()
                before = placed
            if before is not None:
                yield before.result()

    def _cut_groups(
        self,
        pictures: Iterable[PictureInput],
        *,
        whole_image: bool,
        on_error: OnError,
        read_ahead: bool,
        keep_images: bool,
    ) -> Iterator[list[_Cut | DwposeError]]:
        """Yields pictures whose persons are cut out, as many as the pose network takes at once."""
        waiting: list[_Cut | DwposeError] = []
        cut = partial(self._cut, whole_image=whole_image, keep_images=keep_images)
        for group in read_groups(pictures, on_error=on_error, ahead=read_ahead):
            waiting += work_on_good(cut, group, on_error)
            crops = sum(len(each.crops) for each in waiting if isinstance(each, _Cut))
            if keep_images or self.estimator is None or crops >= self.estimator.max_batch:
                yield waiting
                waiting = []
            del group  # with its pictures, before the next ones are decoded
        if waiting:
            yield waiting

    def predict(
        self,
        images_bgr: Sequence[UInt8Array],
        boxes_xyxy: Sequence[Float32Array | None],
        *,
        whole_image: bool = False,
    ) -> list[PoseResult]:
        """Returns what is found in pictures that are in memory.

        Args:
            images_bgr: Pictures, each (H, W, 3) uint8.
            boxes_xyxy: One entry for each: (P, 4) in pixels, or None to ask the detector.
            whole_image: Where nobody is found, take the whole picture for one person.
        """
        pictures = [
            PictureInput(
                partial(_itself, image), persons=None if boxes is None else given_persons(boxes)
            )
            for image, boxes in zip(images_bgr, boxes_xyxy, strict=True)
        ]
        groups = self.run(pictures, whole_image=whole_image, read_ahead=False)
        return [each.result for group in groups for each in group if isinstance(each, Found)]

    def _cut(
        self, decoded: Sequence[Decoded], *, whole_image: bool, keep_images: bool
    ) -> list[_Cut]:
        unknown = [each.image_bgr for each in decoded if each.picture.persons is None]
        if unknown and self.detector is None and not whole_image:
            raise InvalidArgumentError(
                "this predictor has no detector; pass boxes=, or whole_image=True to take the "
                "whole picture for one person"
            )
        found = iter(self.detector(unknown) if self.detector is not None else ())
        cuts = []
        for each in decoded:
            height, width = each.image_bgr.shape[:2]
            detections = each.picture.persons
            searched, notes = detections is None, each.notes
            if detections is None:
                if self.detector is not None:
                    notes = (*notes, *self.detector.notes_on(each.image_bgr))
                detections = next(found, _NOBODY)
                if whole_image and not len(detections):
                    searched = False
                    detections = Detections(
                        np.array([[0, 0, width, height]], np.float32), np.zeros(1, np.float32)
                    )
            crops = _NO_CROPS
            if self.estimator is not None:
                crops = self.estimator.crop(each.image_bgr, detections.boxes_xyxy)
            cuts.append(
                _Cut(
                    detections=detections,
                    searched=searched,
                    crops=crops,
                    image_size=(width, height),
                    source=each.picture.source,
                    notes=notes,
                    image_bgr=each.image_bgr if keep_images else None,
                )
            )
        return cuts

    def _place(self, cuts: Sequence[_Cut]) -> list[Found]:
        if self.estimator is None:
            persons = sum(len(cut.detections) for cut in cuts)
            keypoints = np.full((persons, NUM_KEYPOINTS, 2), np.nan, np.float32)
            scores = np.zeros((persons, NUM_KEYPOINTS), np.float32)
        else:
            keypoints, scores = self.estimator(join_crops([cut.crops for cut in cuts]))
        places, start = [], 0
        for cut in cuts:
            rows = slice(start, start + len(cut.detections))
            start = rows.stop
            result = PoseResult(
                keypoints=keypoints[rows],
                scores=scores[rows],
                boxes_xyxy=cut.detections.boxes_xyxy,
                box_scores=cut.detections.scores,
                image_size=cut.image_size,
                source=cut.source,
                notes=cut.notes,
            )
            region_wh = cut.crops.scale
            if cut.searched and self.estimator is not None and not self.keep_doubtful:
                kept = believable(result, person_threshold=self._person_threshold)
                if not kept.all():
                    result, region_wh = result.select(kept), region_wh[kept]
            if self.drop_weak_hands:
                result = result.without_weak_hands()
            places.append(Found(result, region_wh, cut.image_bgr))
        return places

    def close(self) -> None:
        """Frees the networks; may be called again."""
        for network in (self.detector, self.estimator):
            if network is not None:
                network.backend.close()


def open_pipeline(
    pose: StrPath | None,
    detector: StrPath | None,
    runtime: Runtime,
    options: DetectorOptions | None = None,
    *,
    flip_test: bool = False,
    drop_weak_hands: bool = False,
    keep_doubtful: bool = False,
) -> Pipeline:
    """Loads networks, downloading them first where they are not at hand.

    Args:
        pose: Name of a pose model or path of its file; None for boxes alone.
        detector: Name of a detector or path of its file; None for no detector.
        runtime: Where they run.
        options: The detector's, see `detector_options`.
        flip_test: Decode the mean of every person and their mirror image; a pose model in deploy
            form is converted for it.
        drop_weak_hands: Leave out hands that cannot be believed.
        keep_doubtful: Keep persons that are nobody, or there twice, see `Pipeline`.

    Raises:
        DwposeError: A model cannot be had or cannot be used as asked; see `Predictor`.
    """
    warn_about_opencv()
    place = check_backend(runtime.backend, runtime.device, runtime.provider)
    on_cuda = runtime.backend == "ort" and place.kind == "cuda"
    wanted: dict[ModelKind, StrPath | None] = {"detector": detector, "pose": pose}
    networks = open_networks(
        {kind: model for kind, model in wanted.items() if model is not None},
        runtime,
        official_pose=flip_test,
        side_by_side=on_cuda,  # sessions there take half a second each; TensorRT builds by itself
    )
    with ExitStack() as on_error:
        for network in networks.values():
            on_error.callback(network.close)
        found = estimator = None
        if "detector" in networks:
            options = options or detector_options(detector, with_points=pose is not None)
            square = options.square_input or place.kind != "cpu"
            found = Detector(networks["detector"], replace(options, square_input=square))
        if "pose" in networks:
            estimator = PoseEstimator(
                networks["pose"], max_batch=runtime.max_batch, flip_test=flip_test
            )
        on_error.pop_all()
    if runtime.progress and on_cuda:
        sys.stderr.write(
            "preparing the GPU: for each number of persons and pictures met for the first time, "
            "cuDNN's algorithms are searched for some seconds\n"
        )
    return Pipeline(found, estimator, drop_weak_hands, keep_doubtful, overlap=place.kind != "cpu")


def detector_options(
    model: StrPath | None,
    *,
    score_threshold: float | None = None,
    nms_threshold: float | None = None,
    with_points: bool = True,
    **others: Any,
) -> DetectorOptions:
    """Returns the options of a detector; what is None is its model's own, or the general one.

    Args:
        model: Name of the detector, or path of its file.
        score_threshold: See `DetectorOptions`. With one that is given, box scores alone decide.
        nms_threshold: See `DetectorOptions`.
        with_points: Whether a pose network has its say afterwards.
        **others: Further ones of `DetectorOptions`.
    """
    spec = None if model is None else find_spec(model)
    if score_threshold is None and spec is not None:
        score_threshold = spec.score_threshold
        if with_points and spec.with_points is not None:
            score_threshold = spec.with_points.score_threshold
            others["person_threshold"] = spec.with_points.person_threshold
    thresholds = {"score_threshold": score_threshold, "nms_threshold": nms_threshold}
    others |= {name: value for name, value in thresholds.items() if value is not None}
    return DetectorOptions(**others)


_NOBODY = Detections(np.zeros((0, 4), np.float32), np.zeros(0, np.float32))

_NO_CROPS = Crops(
    np.zeros((0, 0, 0, 3), np.uint8), np.zeros((0, 2), np.float32), np.zeros((0, 2), np.float32)
)


def _itself(image_bgr: UInt8Array) -> UInt8Array:
    return image_bgr
