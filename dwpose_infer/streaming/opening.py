"""From a source and settings to a `Stream`."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from importlib.util import find_spec

from ..errors import InvalidArgumentError, MissingDependencyError
from ..media.frames import Source
from ..media.opening import SourceLike, open_source
from ..media.span import Position
from ..picture_url import DEFAULT_ACCESS, UrlAccess
from ..pipeline import Pipeline
from ..results import PoseResult
from ..tracking import TrackerSettings
from .settings import StreamSettings
from .stream import Stream


def open_stream(
    pipeline: Pipeline,
    source: SourceLike | Source,
    settings: StreamSettings,
    *,
    start: Position | None = None,
    end: Position | None = None,
    stride: int = 1,
    urls: UrlAccess = DEFAULT_ACCESS,
    known: Mapping[int, PoseResult] | None = None,
) -> Stream:
    """Returns a stream of what the networks find in frames.

    Args:
        pipeline: Finds the persons.
        source: What `open_source` takes; or a source it opened, without start, end and stride.
        settings: How the frames are worked on.
        start: First frame wanted, see `open_source`.
        end: Where to stop, see `open_source`.
        stride: Take every so many frames.
        urls: Where URLs may lead.
        known: Index of a frame -> its persons, of those that need not be predicted again; as
            `FrameResult.found` had them.

    Raises:
        InputError: The source cannot be read.
        InvalidArgumentError: An argument has an impossible value.
        MissingDependencyError: Tracking needs a package that is not installed.
    """
    if isinstance(settings.tracker, TrackerSettings):
        require_tracking()
    else:
        pipeline = pipeline.keeping(settings.max_persons)
    if pipeline.detector is None and not settings.whole_image:
        raise InvalidArgumentError(
            "this predictor has no detector to search frames with; pass whole_image=True to take "
            "each whole frame for one person"
        )
    if not isinstance(source, Source):
        source = open_source(source, start=start, end=end, stride=stride, urls=urls)
    elif (start, end, stride) != (None, None, 1):
        raise InvalidArgumentError(
            "this source is open already; pass start, end and stride to open_source"
        )
    predict = partial(pipeline.predict, whole_image=settings.whole_image)
    return Stream(source, predict, settings, known=known, overlap=pipeline.overlap)


def require_tracking() -> None:
    """Raises unless the package that tracking needs is there.

    Raises:
        MissingDependencyError: It is not installed.
    """
    if find_spec("scipy") is None:
        raise MissingDependencyError(
            'tracking needs SciPy, which is not installed: pip install "dwpose-infer[video]"'
        )
