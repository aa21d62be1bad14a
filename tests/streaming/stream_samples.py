"""Sources and predictions for the tests of streams, without any network or file."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from fractions import Fraction

import numpy as np

from dwpose_infer.errors import InputError
from dwpose_infer.media.frames import DamagedFrame, Frame, Source, SourceItem
from dwpose_infer.results import PoseResult

SIZE_WH = (64, 48)


def frame(index: int, size_wh: tuple[int, int] = SIZE_WH) -> Frame:
    """A frame that carries its index in its pixels."""
    image = np.zeros((size_wh[1], size_wh[0], 3), np.uint8)
    image[0, 0, :2] = divmod(index, 256)
    return Frame(index, index / 25, image, 1 / 25)


def damaged(index: int, *, is_last: bool = False) -> DamagedFrame:
    return DamagedFrame(index, index / 25, InputError(f"frame {index} is damaged"), is_last)


class ListSource(Source):
    """Gives what is in a list; an error in it is raised."""

    def __init__(
        self, items: Sequence[SourceItem | Exception], *, is_live: bool = False, pause_s: float = 0
    ) -> None:
        self.name, self.size_wh, self.frame_rate = "list", SIZE_WH, Fraction(25)
        self.frame_count, self.is_live = len(items), is_live
        self.items, self.pause_s = items, pause_s
        self.given = 0
        self.closed = threading.Event()

    @property
    def dropped_frames(self) -> int:
        return 0

    def __iter__(self) -> Iterator[SourceItem]:
        for item in self.items:
            if self.closed.is_set():
                return
            time.sleep(self.pause_s)
            if isinstance(item, Exception):
                raise item
            self.given += 1
            yield item

    def close(self) -> None:
        self.closed.set()


class ChainPrediction:
    """One person a frame, whose keypoints depend on its box: an error in a chain goes on in it.

    Attributes:
        batches: The frames of each call, and which of them were searched.
    """

    def __init__(self, *, lost: frozenset[int] = frozenset(), delay_s: float = 0.0) -> None:
        self.batches: list[list[tuple[int, bool]]] = []
        self._lost = lost
        self._delay_s = delay_s

    def __call__(self, images_bgr, boxes) -> list[PoseResult]:
        time.sleep(self._delay_s)
        indices = [256 * int(image[0, 0, 0]) + int(image[0, 0, 1]) for image in images_bgr]
        self.batches.append([(i, box is None) for i, box in zip(indices, boxes, strict=True)])
        return [
            self._result(index, box, image)
            for index, box, image in zip(indices, boxes, images_bgr, strict=True)
        ]

    def _result(self, index, box, image) -> PoseResult:
        if box is None:
            box = np.array([[10 + index % 3, 10, 30, 40]], np.float32)
        points = np.linspace(box[:, :2] + 0.1, box[:, 2:] - 0.1 - index % 2, 133, axis=1)
        scores = np.full((len(box), 133), 0.0 if index in self._lost else 0.9, np.float32)
        return PoseResult(
            keypoints=points.astype(np.float32),
            scores=scores,
            boxes_xyxy=box,
            box_scores=np.full(len(box), 0.75 - index % 5 / 100, np.float32),
            image_size=(image.shape[1], image.shape[0]),
        )

    @property
    def searched(self) -> list[int]:
        return sorted(index for batch in self.batches for index, search in batch if search)
