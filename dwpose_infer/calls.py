"""A call of a `Predictor`: its options, and results out of what the pipeline finds."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain
from typing import TypedDict

from .errors import DwposeError, InputError, InvalidArgumentError
from .images import ColorOrder
from .picture_groups import GROUP_PICTURES, OnError, PictureInput
from .pipeline import Found, Pipeline
from .preference import Preference
from .results import PoseResult


class CallOptions(TypedDict, total=False):
    """Options that do not change the type of what a call returns; `Predictor` explains them."""

    whole_image: bool
    color: ColorOrder | None
    score_threshold: float | None
    max_persons: int | None
    prefer: Preference | None


def results_of(
    pipeline: Pipeline,
    pictures: Iterable[PictureInput],
    *,
    whole_image: bool,
    on_error: OnError,
    read_ahead: bool,
) -> Iterator[PoseResult | InputError]:
    """Yields the results of pictures in their order; the options are those of `Pipeline.run`.

    Args:
        pipeline: Finds the persons.
        pictures: What to work on.
        whole_image: Where nobody is found, take the whole picture for one person.
        on_error: "raise", or "return" the error of a picture that cannot be read in its place.
        read_ahead: Read the next pictures in a thread meanwhile.

    Raises:
        InputError: A picture cannot be read.
        DwposeError: A network failed, whatever `on_error` says.
    """
    groups = pipeline.run(
        pictures, whole_image=whole_image, on_error=on_error, read_ahead=read_ahead
    )
    for found in chain.from_iterable(groups):
        if isinstance(found, DwposeError) and not isinstance(found, InputError):
            raise found
        yield found.result if isinstance(found, Found) else found


def warm_up(pipeline: Pipeline, persons: int | None = None, pictures: int | None = None) -> None:
    """Runs the networks on empty pictures, so that the first real call is not slower.

    Args:
        pipeline: Whose networks.
        persons: For up to so many together, where each number has to be prepared, as with CUDA:
            half a second to four seconds for each power of two. None takes `max_batch`.
        pictures: The same for pictures that are searched together; None takes `GROUP_PICTURES`.

    Raises:
        InvalidArgumentError: A number is below 1.
        InferenceError: A network failed.
    """
    pictures = GROUP_PICTURES if pictures is None else min(pictures, GROUP_PICTURES)
    if pictures < 1 or (persons is not None and persons < 1):
        raise InvalidArgumentError(
            f"persons is {persons} and pictures {pictures}, they must be at least 1"
        )
    if pipeline.detector is not None:
        pipeline.detector.warmup(pictures)
    if pipeline.estimator is not None:
        pipeline.estimator.warmup(persons)
