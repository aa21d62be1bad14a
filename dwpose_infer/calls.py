"""A call of a `Predictor`: its options, and results out of what the pipeline finds."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain
from typing import TypedDict

from .errors import DwposeError, InputError
from .images import ColorOrder
from .picture_groups import OnError, PictureInput
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
