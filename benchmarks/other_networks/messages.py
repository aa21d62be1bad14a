"""What goes between the processes: a task, then answers."""

from __future__ import annotations

from pathlib import Path

import msgspec

from .command import Method


class LabelledPicture(msgspec.Struct, frozen=True):
    """A picture and the boxes of its labelled persons.

    Attributes:
        picture: Its file.
        boxes_xyxy: Corners in pixels.
    """

    picture: Path
    boxes_xyxy: list[list[float]]


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """What `program` is to do: time a clip or pictures, or tell who is in labelled pictures.

    Attributes:
        method: Who works.
        threads: Threads inside one operator, where the method has an option for them.
        pose: Pose network of this package.
        detector: Its detector.
        detect_every: It searches every so many frames for persons.
        weights: Network of Ultralytics.
        pictures: Pictures to time.
        clip: A clip to time instead.
        people: Labelled pictures; if there are any, nothing is timed.
    """

    method: Method
    threads: int
    pose: str
    detector: str
    detect_every: int
    weights: Path | None
    pictures: tuple[Path, ...] = ()
    clip: Path | None = None
    people: tuple[LabelledPicture, ...] = ()


class Ready(msgspec.Struct, frozen=True):
    """What it has found before anything is timed.

    Attributes:
        versions: Of Python and of the packages that do the work.
        persons: Persons of each picture or frame.
    """

    versions: dict[str, str]
    persons: list[int]


class Spent(msgspec.Struct, frozen=True):
    """What one call took, all pictures or frames together.

    Attributes:
        ms: Milliseconds.
        cpu_ms: CPU time of all threads of the process, in milliseconds.
    """

    ms: float
    cpu_ms: float


class Person(msgspec.Struct, frozen=True):
    """Somebody found.

    Attributes:
        points: COCO's 17, x, y and score, pixels of the picture.
        box_xyxy: Corners of the box, where there is one.
    """

    points: list[tuple[float, float, float]]
    box_xyxy: tuple[float, float, float, float] | None


class Who(msgspec.Struct, frozen=True):
    """Who is in a labelled picture.

    Attributes:
        own: Persons found in the whole picture.
        boxed: Who was found for each labelled box.
    """

    own: list[Person]
    boxed: list[Person | None]
