"""Predictions on disk while they are made, so that an interrupted run can go on.

The file has one JSON object a line: first the settings, then one picture each.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np

from ..arrays import FloatArray
from ..closing import ClosesOnExit
from ..errors import InvalidArgumentError
from ..files.journal import Journal, whole_lines
from ..files.json_text import shortest_decimals
from ..keypoints import NUM_KEYPOINTS
from .document import PredictionSettings
from .predictions import Predictions


class PicturePersons(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What was found in one picture.

    Attributes:
        image_id: Id of the picture.
        ids: Ids of the persons, unique in the picture.
        boxes_xyxy: Left, top, right, bottom of each, in pixels.
        box_scores: Score of each box.
        areas: Area of the region cropped for each, square pixels; empty for the task "detector".
        keypoints: x and y of the points of each in turn; empty for the task "detector".
        scores: Scores of the points of each; empty for the task "detector".
    """

    image_id: int
    ids: list[int]
    boxes_xyxy: list[tuple[float, float, float, float]]
    box_scores: list[float]
    areas: list[float]
    keypoints: list[list[float]]
    scores: list[list[float]]


class _Header(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    settings: PredictionSettings


class PredictionJournal(ClosesOnExit):
    """The pictures done so far, on disk and in memory; use it in a `with` statement.

    Attributes:
        path: The file.
        done: Image id -> what was found in it.
    """

    def __init__(self, path: Path, settings: PredictionSettings, *, restart: bool = False) -> None:
        """Opens a journal, and reads what an earlier run with the same settings left.

        Args:
            path: File; made where there is none.
            settings: What the predictions depend on.
            restart: Forget what is there.

        Raises:
            InvalidArgumentError: The file is of a run with other settings.
            OutputError: The file cannot be written.
        """
        self.path = path
        self.done: dict[int, PicturePersons] = {}
        kept_bytes = 0 if restart else self._read(settings)
        self._journal = Journal(path, kept_bytes=kept_bytes)
        if not kept_bytes:
            self._journal.add(msgspec.json.encode(_Header(settings=settings)) + b"\n")

    def _read(self, settings: PredictionSettings) -> int:
        """Fills `done`; returns how much of the file is whole."""
        lines = whole_lines(self.path.read_bytes()) if self.path.is_file() else []
        if not lines:
            return 0
        advice = "give --restart to begin anew, or another --out"
        try:
            header = msgspec.json.decode(lines[0], type=_Header)
        except msgspec.DecodeError as error:
            raise InvalidArgumentError(
                f"{self.path} is not what an interrupted run of this version left: {advice}"
            ) from error
        if header.settings != settings:
            different = [
                name
                for name in settings.__struct_fields__
                if getattr(settings, name) != getattr(header.settings, name)
            ]
            raise InvalidArgumentError(
                f"{self.path} is of an interrupted run with other settings "
                f"({', '.join(different)}): {advice}"
            )
        kept_bytes = len(lines[0])
        for line in lines[1:]:
            try:
                picture = msgspec.json.decode(line, type=PicturePersons)
            except msgspec.DecodeError:  # what a crash of the machine left; made again from here
                break
            self.done[picture.image_id] = picture
            kept_bytes += len(line)
        return kept_bytes

    def add(self, pictures: Sequence[PicturePersons]) -> None:
        """Adds pictures; they are on the disk when this returns.

        Raises:
            OutputError: The file cannot be written.
        """
        self._journal.add(b"".join(msgspec.json.encode(picture) + b"\n" for picture in pictures))
        self.done.update((picture.image_id, picture) for picture in pictures)

    def remove(self) -> None:
        """Closes and deletes the file: the run is complete."""
        self._journal.close()
        self.path.unlink(missing_ok=True)

    def close(self) -> None:
        """Closes the file, which stays; may be called again."""
        self._journal.close()


def picture_persons(
    image_id: int,
    *,
    ids: Sequence[int],
    boxes_xyxy: FloatArray,
    box_scores: FloatArray,
    areas: FloatArray | None = None,
    keypoints: FloatArray | None = None,
    scores: FloatArray | None = None,
) -> PicturePersons:
    """Returns what was found in one picture as plain numbers; every float32 comes back exactly."""

    def plain(array: FloatArray | None) -> list[list[float]]:
        if array is None:
            return []
        columns = int(np.prod(array.shape[1:]))
        values: list[list[float]] = shortest_decimals(array).reshape(-1, columns).tolist()
        return values

    return PicturePersons(
        image_id=image_id,
        ids=list(ids),
        boxes_xyxy=[(left, top, right, bottom) for left, top, right, bottom in plain(boxes_xyxy)],
        box_scores=[score for (score,) in plain(box_scores)],
        areas=[area for (area,) in plain(areas)],
        keypoints=plain(keypoints),
        scores=plain(scores),
    )


def to_predictions(pictures: Sequence[PicturePersons]) -> Predictions:
    """Returns the persons of all pictures, in order, as float32 arrays."""

    def joined(name: str, *shape: int) -> FloatArray:
        values = [row for picture in pictures for row in getattr(picture, name)]
        return np.array(values, np.float32).reshape(len(values), *shape)

    counts = [len(picture.ids) for picture in pictures]
    points = next((len(row) for picture in pictures for row in picture.scores), NUM_KEYPOINTS)
    image_ids = np.array([picture.image_id for picture in pictures], np.int64)
    return Predictions(
        image_ids=np.repeat(image_ids, counts),
        keypoints=joined("keypoints", points, 2),
        scores=joined("scores", points),
        box_scores=joined("box_scores"),
        areas=joined("areas"),
        ids=np.array([person for picture in pictures for person in picture.ids], np.int64),
        boxes_xyxy=joined("boxes_xyxy", 4),
    )
