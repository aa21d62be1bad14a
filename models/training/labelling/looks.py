"""What a network says of a person at several scales, and how far its answers lie apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec
import numpy as np

from ....arrays import Float32Array, UInt8Array
from ....closing import ClosesOnExit
from ....errors import InvalidArgumentError
from ....files.journal import Journal, whole_lines
from .networks import LabellingNetwork, crops_of

PADDINGS: Final = (1.0, 1.15, 1.35)
"""Room around a box at each look, as factors of its sides: from the box itself to more than the
1.25 that pose networks are trained with."""


@dataclass(frozen=True, slots=True, eq=False)
class Looks:
    """What several looks at persons say together.

    Attributes:
        points: (P, K, 2) float32, x then y, pixels of the picture: the median of the looks.
        scores: (P, K) float32, the mean of their scores.
        spread: (P, K) float32, how far the look that lies farthest from the median is away, as a
            share of the longer side of the person's box.
    """

    points: Float32Array
    scores: Float32Array
    spread: Float32Array


def look_at(
    network: LabellingNetwork,
    image_bgr: UInt8Array,
    boxes_xyxy: Float32Array,
    *,
    paddings: Sequence[float] = PADDINGS,
) -> Looks:
    """Asks a network about persons at several scales, each time mirrored too.

    Args:
        network: The network.
        image_bgr: (H, W, 3) uint8.
        boxes_xyxy: (P, 4) float32, left, top, right, bottom in pixels; none is empty.
        paddings: Room around a box at each look, as factors of its sides.

    Raises:
        InferenceError: The network failed.
    """
    looks = [
        network(crops_of(network, image_bgr, boxes_xyxy, padding=padding)) for padding in paddings
    ]
    points = np.stack([each for each, _ in looks])
    median = np.median(points, axis=0).astype(np.float32)
    longer_side = (boxes_xyxy[:, 2:] - boxes_xyxy[:, :2]).max(axis=1)
    apart = np.linalg.norm(points - median, axis=-1).max(axis=0) / longer_side[:, None]
    scores = np.stack([each for _, each in looks]).mean(axis=0)
    return Looks(median, scores.astype(np.float32), apart.astype(np.float32))


class LookSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What looks depend on, see `LookJournal`.

    Attributes:
        annotations_sha256: Of the annotation file.
        teacher_sha256: Of the network's file.
        paddings: Room around a box at each look.
        persons: Number of persons that are looked at.
    """

    annotations_sha256: str
    teacher_sha256: str
    paddings: tuple[float, ...]
    persons: int


class _Line(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    image_id: int
    ids: list[int]
    points: list[list[list[float]]]
    scores: list[list[float]]
    spread: list[list[float]]


class LookJournal(ClosesOnExit):
    """Looks on disk while they are made, so that an interrupted run can go on.

    The file has one JSON object a line: first the settings, then the persons of one picture each.

    Attributes:
        path: The file.
        done: Ids of the pictures it has.
        looks: Id of an annotation -> its points (K, 2), scores (K,) and spread (K,), float32.
    """

    def __init__(self, path: Path, settings: LookSettings, *, restart: bool = False) -> None:
        """Opens a journal, and reads what an earlier run with the same settings left.

        Args:
            path: File; made where there is none.
            settings: What the looks depend on.
            restart: Forget what is there.

        Raises:
            InvalidArgumentError: The file is of a run with other settings.
            OutputError: The file cannot be written.
        """
        self.path = path
        self.done: set[int] = set()
        self.looks: dict[int, tuple[Float32Array, Float32Array, Float32Array]] = {}
        kept_bytes = 0 if restart else self._read(settings)
        self._journal = Journal(path, kept_bytes=kept_bytes, sync_interval_s=5.0)
        if not kept_bytes:
            self._journal.add(msgspec.json.encode(settings) + b"\n")

    def _read(self, settings: LookSettings) -> int:
        """Takes in what is there; returns how much of the file is whole."""
        lines = whole_lines(self.path.read_bytes()) if self.path.is_file() else []
        if not lines:
            return 0
        try:
            known = msgspec.json.decode(lines[0], type=LookSettings)
        except msgspec.DecodeError:
            known = None
        if known != settings:
            raise InvalidArgumentError(
                f"{self.path} is of an interrupted run with another annotation file, teacher or "
                "other options: give --restart to begin anew, or another --out"
            )
        kept_bytes = len(lines[0])
        for line in lines[1:]:
            try:
                self._take(msgspec.json.decode(line, type=_Line))
            except msgspec.DecodeError:  # what a crash of the machine left; made again from here
                break
            kept_bytes += len(line)
        return kept_bytes

    def _take(self, line: _Line) -> None:
        self.done.add(line.image_id)
        arrays = (line.points, line.scores, line.spread)
        for row, person in enumerate(line.ids):
            points, scores, spread = (np.array(each[row], np.float32) for each in arrays)
            self.looks[person] = (points, scores, spread)

    def add(self, image_id: int, ids: Sequence[int], looks: Looks) -> None:
        """Adds the persons of a picture.

        Raises:
            OutputError: The file cannot be written.
        """
        line = _Line(
            image_id=image_id,
            ids=list(ids),
            points=looks.points.astype(np.float64).round(3).tolist(),
            scores=looks.scores.astype(np.float64).round(5).tolist(),
            spread=looks.spread.astype(np.float64).round(5).tolist(),
        )
        self._journal.add(msgspec.json.encode(line) + b"\n")
        self._take(line)

    def remove(self) -> None:
        """Closes and deletes the file: the run is complete."""
        self._journal.close()
        self.path.unlink(missing_ok=True)

    def close(self) -> None:
        """Closes the file, which stays; may be called again."""
        self._journal.close()
