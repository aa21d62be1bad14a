"""A clip's poses read back whole: its frames with index and time, and one array of all points."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from os import PathLike, fspath
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np

from .. import keypoints as kp
from ..arrays import Float32Array, Float64Array, Int64Array
from ..errors import FormatError, InputError, InvalidArgumentError
from ..files.atomic import read_bytes
from ..poses import PoseTable, stack, unstack
from ..results import PoseResult
from .codecs import FORMATS, read
from .dense import By, dense_points, from_points, identities
from .frame_log import LoggedFrame, read_frame_log
from .interchange import to_dataframe

_FRAME_NUMBER: Final = re.compile(r"(\d+)_keypoints\.json$")
_PERSON_NUMBER: Final = re.compile(r"_id(-?\d+)$")


@dataclass(frozen=True, slots=True, eq=False)
class PoseClip:
    """The frames of a clip, in order.

    Attributes:
        frames: Each with `index`, `time_s` and `result`, which is None for a damaged frame.
    """

    frames: tuple[LoggedFrame, ...]

    def __len__(self) -> int:
        return len(self.frames)

    def __getitem__(self, index: int) -> LoggedFrame:
        return self.frames[index]

    def __iter__(self) -> Iterator[LoggedFrame]:
        return iter(self.frames)

    def __repr__(self) -> str:
        ids = ", not tracked" if self.ids is None else f", ids {self.ids.tolist()}"
        return f"PoseClip({len(self)} frames{ids})"

    @property
    def indices(self) -> Int64Array:
        """(T,) int64, index of each frame in the clip."""
        return np.array([frame.index for frame in self.frames], np.int64)

    @property
    def times_s(self) -> Float64Array:
        """(T,) float64, time of each frame in seconds, NaN where unknown."""
        times_s = [np.nan if frame.time_s is None else frame.time_s for frame in self.frames]
        return np.array(times_s, np.float64)

    @property
    def has_times(self) -> bool:
        """Whether the time of every frame is known."""
        return all(frame.time_s is not None for frame in self.frames)

    @property
    def ids(self) -> Int64Array | None:
        """(P,) int64, all identities in ascending order; None where people were not tracked."""
        return identities([frame.result for frame in self.frames])

    def as_array(self, *, by: By = "id") -> Float32Array:
        """Returns all points of the clip as one array: x, y, score.

        Args:
            by: What the second axis stands for: "id" an identity each, in the order of `ids`;
                "place" the first person of each frame, the second and so on, who need not be the
                same from frame to frame.

        Returns:
            (T, P, 133, 3) float32, in the order of `frames`; NaN where a person or a point is
            absent. With networks of 17, 23 or 26 points, so many in place of 133.

        Raises:
            InvalidArgumentError: The clip was not tracked and `by` is "id", a frame has one id
                twice, or `by` is another word.
        """
        results = [frame.result for frame in self.frames]
        return dense_points(results, self.indices, by=by)

    def to_dataframe(self, *, library: Literal["pandas", "polars"] | None = None) -> Any:
        """Returns a row for each point of each person of each frame.

        The columns are those of `PoseResult.to_dataframe`, after `frame` and `time_s`; frames
        with nobody have no rows.

        Args:
            library: "pandas" or "polars"; None takes the first one installed.

        Raises:
            MissingDependencyError: The library is not installed, or neither is.
            InvalidArgumentError: The library is another one.
        """
        known = [(frame, frame.result) for frame in self.frames if frame.result is not None]
        table = stack([result for _, result in known])
        indices = [frame.index for frame, _ in known]
        times_s = [frame.time_s for frame, _ in known]
        return to_dataframe(table.at(indices, times_s), library=library)


def load_clip(path: str | PathLike[str]) -> PoseClip:
    """Reads the poses of a clip, as `dwpose-infer` and `open_clip` write them.

    Args:
        path: A frame log (.jsonl), a NumPy archive or table of a clip (.npz, .csv, .parquet), or a
            folder of OpenPose files, whose names end with the frame's number and
            `_keypoints.json`, or of .trc files, whose names end with `_id` and the person's
            number; .trc, .pose, .nwb and .slp files too. OpenPose files know no times.

    Raises:
        InputError: It does not exist or cannot be read.
        FormatError: It is not what its ending says, or holds pictures, which `load` reads.
        InvalidArgumentError: The ending is of no format that holds clips.
    """
    source = Path(path)
    if source.is_dir():
        persons = sorted(source.glob("*.trc"))
        return _persons_clip(persons) if persons else PoseClip(tuple(_folder_frames(source)))
    ending = source.suffix.lower()
    if ending == Path(FORMATS["json"].clip_name).suffix:
        return PoseClip(tuple(read_frame_log(source)))
    for format in FORMATS.values():
        if format.decode_clip is not None and format.ending == ending:
            return _clip_of(format.decode_clip(read_bytes(source), origin=fspath(source)))
    endings = [format.ending for format in FORMATS.values() if format.decode_clip is not None]
    raise InvalidArgumentError(
        f"{source}: a clip is read from .jsonl, {', '.join(endings)} or a folder of OpenPose "
        "files; dwpose_infer.formats.load reads pictures"
    )


def _clip_of(table: PoseTable) -> PoseClip:
    assert table.frame_indices is not None and table.times_s is not None
    times_s = [None if np.isnan(time) else time for time in table.times_s.tolist()]
    rows = zip(table.frame_indices.tolist(), times_s, unstack(table), strict=True)
    return PoseClip(
        tuple(LoggedFrame(index, time_s, PoseResult.of(poses)) for index, time_s, poses in rows)
    )


def _persons_clip(paths: list[Path]) -> PoseClip:
    """The clip of .trc files, one for each person."""
    if len(paths) == 1 and _PERSON_NUMBER.search(paths[0].stem) is None:
        return load_clip(paths[0])
    clips: dict[int, PoseClip] = {}
    for path in paths:
        ending = _PERSON_NUMBER.search(path.stem)
        if ending is None:
            raise FormatError(f"{path}: its name does not end with _id and a person's number")
        clips[int(ending[1])] = load_clip(path)
    ids = sorted(clips)
    first = clips[ids[0]]
    if any(clip.indices.tolist() != first.indices.tolist() for clip in clips.values()):
        raise FormatError(f"{paths[0].parent}: the files have not the same frames")
    points = np.full((len(first), len(ids), kp.NUM_KEYPOINTS, 3), np.nan, np.float32)
    for column, number in enumerate(ids):
        found = clips[number].as_array(by="place")  # of nobody if no point is there
        points[:, column : column + found.shape[1]] = found
    table = from_points(
        points, np.array(ids, np.int64), first.indices.tolist(), first.times_s.tolist()
    )
    return _clip_of(table)


def _folder_frames(folder: Path) -> list[LoggedFrame]:
    """The frames of a folder of OpenPose files, by number."""
    found: dict[int, Path] = {}
    for path in sorted(folder.glob("*.json")):
        number = _FRAME_NUMBER.search(path.name)
        if number is None:
            continue
        index = int(number[1])
        if index in found:
            raise FormatError(f"{folder}: {found[index].name} and {path.name} are one frame")
        found[index] = path
    if not found:
        raise InputError(f"{folder}: no file of a frame in it, named like clip_12_keypoints.json")
    frames = []
    for index, path in sorted(found.items()):
        (poses,) = read(path, format="openpose")
        frames.append(LoggedFrame(index, None, PoseResult.of(poses)))
    return frames
