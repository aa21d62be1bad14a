"""What a run writes for a clip: videos, files of each frame and files of the whole clip."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from ..arrays import UInt8Array
from ..drawing import draw
from ..errors import FormatError, InvalidArgumentError
from ..formats.clip_files import ClipFile, FrameFiles, open_clip
from ..formats.codecs import FORMATS
from ..formats.frame_log import FrameLog, read_frame_log
from ..inputs import Clip
from ..media import Source, VideoWriter
from ..media.encoding import CONTAINERS
from ..media.libraries import require_av
from ..results import PoseResult
from ..streaming import FrameResult
from .outputs import DrawStyle, OutputPlan

if TYPE_CHECKING:
    from typing_extensions import Self

VIDEO_ENDING = ".mp4"


@dataclass(frozen=True, slots=True)
class ClipPlan:
    """What is written for each clip.

    Attributes:
        plan: What is written for pictures; formats, styles and their options are taken from it.
        video: The drawn video's own path, where --out names one; the clip's other files are
            then named after it.
        settings: All that the poses depend on; tells whether an earlier run can be gone on with.
        with_face: Whether one person's face is written as a video of its own.
    """

    plan: OutputPlan
    video: Path | None
    settings: str
    with_face: bool = False

    def base(self, clip: Clip) -> Path:
        """Returns the path of a clip's files without what follows its name."""
        if self.video is not None:
            return self.video.with_suffix("")
        return self.plan.folder / clip.stem

    def video_paths(self, clip: Clip) -> dict[DrawStyle, Path]:
        """Returns the videos: style -> path."""
        if self.video is not None:
            return dict.fromkeys(self.plan.styles, self.video)
        base = self.base(clip)
        return {
            style: base.with_name(f"{base.name}_{style}{VIDEO_ENDING}")
            for style in self.plan.styles
        }

    def format_paths(self, clip: Clip) -> dict[str, Path]:
        """Returns the files and folders of poses: format -> path."""
        base = self.base(clip)
        names = {name: FORMATS[name].clip_name for name in self.plan.formats}
        names |= {name: self.plan.clip_names.get(name, usual) for name, usual in names.items()}
        return {name: base.with_name(each.format(stem=base.name)) for name, each in names.items()}

    def face_path(self, clip: Clip) -> Path:
        """Returns the video of a face."""
        base = self.base(clip)
        return base.with_name(f"{base.name}_face{VIDEO_ENDING}")

    def journal_path(self, clip: Clip) -> Path:
        """Returns the file of an unfinished run: what the networks found, frame by frame."""
        key = hashlib.sha256(f"{self.settings}\n{_state_of(clip.source)}".encode()).hexdigest()
        base = self.base(clip)
        return base.with_name(f".{base.name}.{key[:12]}.unfinished")

    def all_paths(self, clip: Clip) -> Iterator[Path]:
        """Yields everything that is written for a clip."""
        yield from self.video_paths(clip).values()
        yield from self.format_paths(clip).values()
        if self.with_face:
            yield self.face_path(clip)

    def is_done(self, clip: Clip) -> bool:
        """Tells whether everything of a clip is there already, and complete."""
        base = self.base(clip)
        unfinished = list(base.parent.glob(f".{_escaped(base.name)}.*.unfinished"))
        return not unfinished and all(path.exists() for path in self.all_paths(clip))

    def check(self, clips: Sequence[Clip]) -> None:
        """Finds out before the work starts what would go wrong at its end.

        Raises:
            InvalidArgumentError: A format does not go with clips, or --out with these inputs.
            MissingDependencyError: A package is needed.
        """
        if self.video is not None and (len(clips) != 1 or len(self.plan.styles) != 1):
            raise InvalidArgumentError(
                f"--out {self.video} is one video, so it goes with one clip and one --draw; name "
                "a folder instead"
            )
        for name in self.plan.formats:
            if FORMATS[name].of_clip is None:
                known = ", ".join(each for each, item in FORMATS.items() if item.of_clip)
                raise InvalidArgumentError(
                    f"--format {name} is for pictures, not for videos: use {known}"
                )
            FORMATS[name].check(())
        if clips and (self.plan.styles or self.with_face):
            require_av("writing videos")


def out_video(out: Path | None) -> Path | None:
    """Returns the video that --out names, or None where it is a folder.

    Raises:
        InvalidArgumentError: It is a video of a kind that cannot be written.
    """
    from ..inputs import VIDEO_SUFFIXES

    if out is None or out.is_dir() or out.suffix.lower() not in VIDEO_SUFFIXES:
        return None
    if out.suffix.lower() not in CONTAINERS:
        raise InvalidArgumentError(
            f"--out {out}: videos are written as {', '.join(CONTAINERS)}, not as {out.suffix}"
        )
    return out


def _state_of(source: str) -> str:
    """What tells whether a file is still the same."""
    path = Path(source)
    if not path.is_file():
        return source
    state = path.stat()
    return f"{path.resolve()} {state.st_size} {state.st_mtime_ns}"


def _escaped(name: str) -> str:
    return "".join(f"[{letter}]" if letter in "*?[" else letter for letter in name)


@dataclass
class ClipWriter:
    """Writes the files of one clip; use it in a `with` statement.

    Left by an error or Ctrl-C, everything holds the frames so far: files keep their names, a
    video the name that ends with .partial and its ending.

    Attributes:
        plan: What is written.
        clip: The clip.
        source: Its open source.
        last_drawn: The last frame's last drawing, or None.
        known: Frames found in an earlier run, by index.
    """

    plan: ClipPlan
    clip: Clip
    source: Source
    last_drawn: UInt8Array | None = None
    known: dict[int, PoseResult] = field(default_factory=dict)
    _videos: dict[DrawStyle, VideoWriter] = field(default_factory=dict)
    _poses: list[FrameFiles | ClipFile | FrameLog] = field(default_factory=list)
    _journal: FrameLog | None = None
    _stack: ExitStack = field(default_factory=ExitStack)

    def open(self, *, go_on: bool) -> None:
        """Opens the files.

        Args:
            go_on: Read what an unfinished run has found into `known`.

        Raises:
            OutputError: A file cannot be written.
            MissingDependencyError: A package is needed.
        """
        with ExitStack() as stack:
            for style, path in self.plan.video_paths(self.clip).items():
                writer = VideoWriter(path, like=self.source)
                self._videos[style] = stack.enter_context(writer)
            stem = self.plan.base(self.clip).name
            for name, path in self.plan.format_paths(self.clip).items():
                options = self.plan.plan.format_options.get(name, {})
                opened = open_clip(path, format=name, stem=stem, **options)
                stack.enter_context(opened)
                self._poses.append(opened)
            if not self.source.is_live:
                self._journal = stack.enter_context(self._open_journal(go_on=go_on))
            self._stack = stack.pop_all()

    def _open_journal(self, *, go_on: bool) -> FrameLog:
        path = self.plan.journal_path(self.clip)
        if go_on and path.is_file():
            try:
                for frame in read_frame_log(path):
                    if frame.result is not None:
                        self.known[frame.index] = frame.result
                return FrameLog(path, resume=True)
            except FormatError:  # nothing that can be gone on with: begin anew
                self.known.clear()
        return FrameLog(path)

    def write(self, frame: FrameResult, result: PoseResult) -> None:
        """Writes one frame.

        Args:
            frame: The frame.
            result: Its persons as they are to be written.

        Raises:
            OutputError: A file cannot be written.
        """
        if self._journal is not None and frame.index >= self._journal.next_index:
            self._journal.write(frame.index, frame.time_s, frame.found)
        for style, video in self._videos.items():
            options: Mapping[str, Any] = self.plan.plan.draw_options.get(style, {})
            self.last_drawn = draw(result, frame.image_bgr, style=style, **options)
            video.write(self.last_drawn, frame.time_s, frame.duration_s)
        for poses in self._poses:
            poses.write(frame.index, frame.time_s, result)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Finishes the files; after an error those of the whole clip hold the frames so far."""
        try:
            for poses in self._poses:
                poses.close()
        finally:
            self._stack.__exit__(error_type, error, traceback)
        if error_type is None and self._journal is not None:
            self._journal.path.unlink(missing_ok=True)
