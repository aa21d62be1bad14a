"""From the arguments of `Predictor.stream` to a `Stream`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from importlib.util import find_spec
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from ..errors import InvalidArgumentError, MissingDependencyError
from ..media.frames import Source
from ..media.opening import SourceLike, open_source
from ..media.span import Position
from ..results import PoseResult
from ..tracking import SmootherSettings, TrackerSettings
from .following import Boxes
from .settings import DEFAULT_BATCH_FRAMES, OnError, StreamSettings
from .stream import Stream

if TYPE_CHECKING:
    from ..predictor import Predictor


def open_stream(
    predictor: Predictor,
    source: SourceLike | Source,
    *,
    start: Position | None,
    end: Position | None,
    stride: int,
    detect_every: int,
    track: bool | TrackerSettings,
    smooth: bool | SmootherSettings,
    max_persons: int | None,
    whole_image: bool,
    batch_frames: int | None,
    on_error: OnError,
    known: Mapping[int, PoseResult] | None = None,
) -> Stream:
    """Returns a stream of a predictor's results; most arguments are those of `Predictor.stream`.

    Args:
        predictor: Finds the persons.
        source: See `Predictor.stream`, as the following ones.
        start: See there.
        end: See there.
        stride: See there.
        detect_every: See there.
        track: See there.
        smooth: See there.
        max_persons: See there.
        whole_image: See there.
        batch_frames: See there.
        on_error: See there.
        known: Index of a frame -> its persons, of those that need not be predicted again; as
            `FrameResult.found` had them.

    Raises:
        InputError: The source cannot be read.
        InvalidArgumentError: An argument has an impossible value.
        MissingDependencyError: Tracking needs a package that is not installed.
    """
    smoother = SmootherSettings() if smooth is True else smooth or None
    tracker = TrackerSettings() if track is True else track or None
    if smoother is not None and tracker is None:
        tracker = TrackerSettings()
    settings = StreamSettings(
        detect_every=detect_every,
        batch_frames=DEFAULT_BATCH_FRAMES if batch_frames is None else batch_frames,
        tracker=tracker,
        smoother=smoother,
        max_persons=max_persons,
        whole_image=whole_image,
        on_error=on_error,
    )
    if tracker is not None:
        require_tracking()
    if predictor.detector is None and not whole_image:
        raise InvalidArgumentError(
            "this predictor has no detector to search frames with; pass whole_image=True to take "
            "each whole frame for one person"
        )
    if isinstance(source, Source):
        if (start, end, stride) != (None, None, 1):
            raise InvalidArgumentError(
                "this source is open already; pass start, end and stride to open_source"
            )
        opened = source
    else:
        opened = open_source(source, start=start, end=end, stride=stride)
    predict = partial(_predict, predictor, whole_image=whole_image)
    return Stream(opened, predict, settings, known=known)


def require_tracking() -> None:
    """Raises unless the package that tracking needs is there.

    Raises:
        MissingDependencyError: It is not installed.
    """
    if find_spec("scipy") is None:
        raise MissingDependencyError(
            'tracking needs SciPy, which is not installed: pip install "dwpose-infer[video]"'
        )


def _predict(
    predictor: Predictor,
    images_bgr: Sequence[npt.NDArray[np.uint8]],
    boxes: Sequence[Boxes],
    *,
    whole_image: bool,
) -> list[PoseResult]:
    return predictor(list(images_bgr), boxes=boxes, whole_image=whole_image, color="bgr")
