"""Pictures read ahead, in groups that are searched for persons together."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from os import PathLike, fspath
from threading import Condition
from typing import Literal, TypeVar

from .arrays import UInt8Array
from .detector import Detections
from .errors import DwposeError
from .given_boxes import read_fitting
from .images import ColorOrder, ImageSource, ReadPicture, read_and_log
from .picture_url import DEFAULT_ACCESS, UrlAccess

OnError = Literal["raise", "return"]

_Before = TypeVar("_Before")
_After = TypeVar("_After")

GROUP_PICTURES = 8
"""Pictures that are searched for persons together: the detector's largest batch."""

GROUP_PIXELS = 32_000_000
"""Decoded pixels after which a group of pictures is complete, and after which reading ahead
pauses, however few the pictures. A picture of so many has the memory for itself: the next one is
read when it is done with."""

READ_AHEAD = 4
"""Pictures that are decoded while the networks work on earlier ones."""


@dataclass(frozen=True, slots=True, eq=False)
class PictureInput:
    """A picture that is to be read, and what is known of it.

    Attributes:
        read: Returns it, (H, W, 3) uint8, BGR, with or without notes; raises `InputError` where it
            cannot be read.
        source: Its name in the result.
        persons: Its persons where they are known; None asks the detector.
    """

    read: Callable[[], UInt8Array | ReadPicture]
    source: str | None = None
    persons: Detections | None = None

    @classmethod
    def of(
        cls,
        source: ImageSource,
        persons: Detections | None = None,
        *,
        color: ColorOrder,
        max_pixels: int,
        urls: UrlAccess = DEFAULT_ACCESS,
    ) -> PictureInput:
        """Returns a picture that a caller gives, named where its source has a name.

        Args:
            source: What `dwpose_infer.images.read_image` takes.
            persons: Its persons, who are checked to be on it when it is read.
            color: Channel order of an array.
            max_pixels: A larger picture is refused before it is decoded.
            urls: Where a URL and its redirects may lead.
        """
        name = getattr(source, "name", None) if hasattr(source, "read") else source
        read = partial(read_and_log, source, color=color, max_pixels=max_pixels, urls=urls)
        return cls(
            read if persons is None else partial(read_fitting, read, persons),
            fspath(name) if isinstance(name, (str, PathLike)) else None,
            persons,
        )


@dataclass(frozen=True, slots=True, eq=False)
class Decoded:
    """A picture that was read.

    Attributes:
        image_bgr: (H, W, 3) uint8.
        picture: What was known of it.
        notes: What was left out, altered or assumed when it was read, in words.
    """

    image_bgr: UInt8Array
    picture: PictureInput
    notes: tuple[str, ...] = ()


def read_groups(
    pictures: Iterable[PictureInput], *, on_error: OnError, ahead: bool
) -> Iterator[list[Decoded | DwposeError]]:
    """Yields pictures in order, as many together as are searched together.

    Args:
        pictures: What to read; gone through once, and only as far as is read ahead.
        on_error: "raise" the error of a picture that cannot be read, or "return" it in its place.
        ahead: Read the next ones in a thread meanwhile.

    Raises:
        InputError: A picture cannot be read.
    """
    group: list[Decoded | DwposeError] = []
    pixels = 0
    for picture, image in _read(pictures, ahead=ahead):
        if isinstance(image, DwposeError):
            if on_error == "raise":
                raise image
            group.append(image)
        else:
            group.append(Decoded(image.image_bgr, picture, image.notes))
        pixels += _pixels(image)
        del image  # or it would stay until the next one is decoded
        if len(group) >= GROUP_PICTURES or pixels >= GROUP_PIXELS:
            yield group
            group, pixels = [], 0
    if group:
        yield group


def _pixels(image: ReadPicture | DwposeError) -> int:
    return 0 if isinstance(image, DwposeError) else image.image_bgr.size // 3


def _read_one(picture: PictureInput) -> ReadPicture | DwposeError:
    try:
        found = picture.read()
        return found if isinstance(found, ReadPicture) else ReadPicture(found)
    except DwposeError as error:
        return error


def _read(
    pictures: Iterable[PictureInput], *, ahead: bool
) -> Iterator[tuple[PictureInput, ReadPicture | DwposeError]]:
    """Yields pictures in order while the next ones are read in the background."""
    if not ahead or (isinstance(pictures, Sequence) and len(pictures) < 2):
        for picture in pictures:
            yield picture, _read_one(picture)
        return
    changed = Condition()
    pixels_ahead = pixels_at_work = 0
    stopped = False

    def count(pixels: int) -> None:
        nonlocal pixels_ahead
        with changed:
            pixels_ahead += pixels
            changed.notify_all()

    def read(picture: PictureInput) -> ReadPicture | DwposeError:
        with changed:
            changed.wait_for(lambda: stopped or pixels_ahead < GROUP_PIXELS)
        image = _read_one(picture)
        count(_pixels(image))
        return image

    def take() -> tuple[PictureInput, ReadPicture | DwposeError]:
        nonlocal pixels_at_work
        count(-pixels_at_work)
        picture, future = waiting.popleft()
        image = future.result()
        pixels_at_work = _pixels(image)
        if pixels_at_work < GROUP_PIXELS:
            count(-pixels_at_work)
            pixels_at_work = 0
        return picture, image

    waiting: deque[tuple[PictureInput, Future[ReadPicture | DwposeError]]] = deque()
    pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="read pictures")
    try:
        for picture in pictures:
            waiting.append((picture, pool.submit(read, picture)))
            if len(waiting) > READ_AHEAD:
                yield take()
        while waiting:
            yield take()
    finally:
        stopped = True
        count(0)
        pool.shutdown(wait=False, cancel_futures=True)


def work_on_good(
    work: Callable[[Sequence[_Before]], Sequence[_After]],
    entries: Sequence[_Before | DwposeError],
    on_error: OnError,
) -> list[_After | DwposeError]:
    """Does a step of the work on the pictures without an error; errors keep their places.

    Args:
        work: Takes the good entries together and returns one thing for each.
        entries: Pictures, or the errors that took their places.
        on_error: "raise" what the work raises, or "return" it in the place of each of them.

    Raises:
        DwposeError: The work failed, and it is to be raised.
    """
    good = [entry for entry in entries if not isinstance(entry, DwposeError)]
    try:
        done = iter(work(good) if good else ())
    except DwposeError as error:
        if on_error == "raise":
            raise
        return [entry if isinstance(entry, DwposeError) else error for entry in entries]
    return [entry if isinstance(entry, DwposeError) else next(done) for entry in entries]
