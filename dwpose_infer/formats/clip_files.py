"""What holds the frames of a clip: a file, a folder with files of frames or persons, a log."""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import Any

from ..closing import ClosesOnExit
from ..errors import InvalidArgumentError
from ..files.atomic import write_bytes
from ..poses import Poses, stack
from ..results import PoseResult
from .codecs import FORMATS, write
from .dense import identities
from .frame_log import FrameLog


def save_openpose_frame(
    result: Poses, folder: str | PathLike[str], *, stem: str, index: int, **options: Any
) -> Path:
    """Writes one frame as OpenPose itself does for videos: `<stem>_000000000012_keypoints.json`.

    Args:
        result: What was found in the frame.
        folder: Folder of the files.
        stem: Name of the clip without its ending.
        index: Index of the frame in the clip, from 0.
        **options: Options of the format "openpose", see `dwpose_infer.formats.openpose`.

    Returns:
        The path written.

    Raises:
        OutputError: The file cannot be written.
        InvalidArgumentError: An option is unknown.
    """
    path = _frame_file(folder, "openpose", stem, index)
    return write([result], path, format="openpose", **options)


def save_clip(
    results: Sequence[Poses],
    path: str | PathLike[str],
    *,
    indices: Sequence[int],
    times_s: Sequence[float | None],
    format: str | None = None,
    **options: Any,
) -> Path:
    """Writes all frames of a clip to one file, in one step.

    The file is that of `dwpose_infer.formats` with more in it, and is read back by its `load`:
    in npz the arrays `frame_indices` (R,) int64 and `frame_times_s` (R,) float64, NaN where
    unknown; in tables the columns `frame` and `time_s` after the others.

    Args:
        results: One result a frame.
        path: File to write.
        indices: Index of each frame in the clip.
        times_s: Time of each in seconds, or None.
        format: One that has a file for a clip, as "npz", "csv" or "parquet"; None takes it from
            the ending of the path.
        **options: Options of the format, see `dwpose_infer.formats.save`.

    Returns:
        The path written.

    Raises:
        InvalidArgumentError: The format is another one, or cannot hold these frames, an option is
            unknown, or the lengths differ.
        MissingDependencyError: The format needs a package that is not installed.
        OutputError: The file cannot be written.
    """
    ending = Path(path).suffix.lower()
    known = {name: item for name, item in FORMATS.items() if item.takes_table}
    named = [name for name, item in known.items() if item.ending == ending]
    name = format or (named[0] if named else ending.lstrip("."))
    if name not in known:
        raise InvalidArgumentError(
            f"{path}: a clip is saved as {', '.join(known)}, not as {name or 'this'}"
        )
    known[name].require_options(options)
    return write_bytes(path, known[name].encode(stack(results).at(indices, times_s), **options))


class FrameFiles(ClosesOnExit):
    """Writes each frame to a file of its own, named as OpenPose numbers frames."""

    def __init__(self, folder: Path, *, format: str, stem: str, **options: Any) -> None:
        """Writes nothing yet.

        Args:
            folder: Folder of the files.
            format: Name of their format.
            stem: Name of the clip without its ending.
            **options: Options of the format.
        """
        self._folder, self._format, self._stem, self._options = folder, format, stem, options

    def write(self, index: int, time_s: float | None, result: Poses) -> None:
        """Writes a frame; see `save_openpose_frame`."""
        path = _frame_file(self._folder, self._format, self._stem, index)
        write([result], path, format=self._format, **self._options)

    def close(self) -> None:
        """Every file is whole already."""


class ClipFile(ClosesOnExit):
    """Keeps the frames and writes all of them to one file when closed; none if there is none."""

    def __init__(self, path: Path, *, format: str, **options: Any) -> None:
        """Writes nothing yet; the arguments are those of `save_clip`."""
        self._path, self._format, self._options = path, format, options
        self._frames: list[tuple[int, float | None, Poses]] = []

    def write(self, index: int, time_s: float | None, result: Poses) -> None:
        """Keeps a frame."""
        self._frames.append((index, time_s, result))

    def close(self) -> None:
        """Writes the file; may be called again.

        Raises:
            OutputError: It cannot be written.
        """
        frames, self._frames = self._frames, []
        if frames:
            indices, times_s, results = (list(each) for each in zip(*frames, strict=True))
            self._save(results, indices, times_s)

    def _save(
        self,
        results: Sequence[Poses],
        indices: Sequence[int],
        times_s: Sequence[float | None],
    ) -> None:
        save_clip(
            results,
            self._path,
            indices=indices,
            times_s=times_s,
            format=self._format,
            **self._options,
        )


class PersonFiles(ClipFile):
    """Keeps the frames and writes a file for each identity when closed: `<stem>_id7.trc`.

    Every file has all frames, so that they go together. Where nobody was tracked and no frame has
    two people the one file is `<stem>.trc`.
    """

    def __init__(self, folder: Path, *, format: str, stem: str, **options: Any) -> None:
        """Writes nothing yet; the arguments are those of `FrameFiles`."""
        super().__init__(folder, format=format, **options)
        self._stem = stem

    def _save(
        self,
        results: Sequence[Poses],
        indices: Sequence[int],
        times_s: Sequence[float | None],
    ) -> None:
        ids, ending = identities(results), FORMATS[self._format].ending
        known: list[int | None] = [None] if ids is None else list(ids.tolist())
        for number in known:
            name = self._stem if number is None else f"{self._stem}_id{number}"
            save_clip(
                [_person_alone(result, number) for result in results],
                self._path / f"{name}{ending}",
                indices=indices,
                times_s=times_s,
                format=self._format,
                **self._options,
            )


def _person_alone(result: Poses, number: int | None) -> Poses:
    """The persons of one identity; all of them for None."""
    if number is None or result.ids is None:
        return result
    return PoseResult.of(result).select(result.ids == number)


def open_clip(
    path: Path, *, format: str, stem: str, **options: Any
) -> FrameFiles | ClipFile | FrameLog:
    """Opens what holds a clip's frames in a format; use it in a `with` statement.

    Args:
        path: The file or folder.
        format: Name of a format that holds clips.
        stem: Name of the clip without its ending.
        **options: Options of the format.

    Raises:
        OutputError: It cannot be written.
    """
    kind = FORMATS[format].of_clip
    if kind == "folder":
        return FrameFiles(path, format=format, stem=stem, **options)
    if kind == "persons":
        return PersonFiles(path, format=format, stem=stem, **options)
    return FrameLog(path) if kind == "log" else ClipFile(path, format=format, **options)


def _frame_file(folder: str | PathLike[str], format: str, stem: str, index: int) -> Path:
    return Path(folder) / FORMATS[format].file_name.format(stem=f"{stem}_{index:012d}")
