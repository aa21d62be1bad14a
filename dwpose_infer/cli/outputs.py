"""What a run writes: names of files, checks before the work starts, and the writing itself."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import cv2

from ..arrays import UInt8Array
from ..drawing import draw
from ..errors import InvalidArgumentError, OutputError
from ..files.atomic import is_file, write_bytes
from ..formats import FORMATS, save
from ..inputs import Picture
from ..layouts import KeypointLayout
from ..results import PoseResult

DrawStyle = Literal["overlay", "openpose"]

DRAWN_FILE_NAMES: dict[DrawStyle, str] = {
    "overlay": "{stem}_overlay.jpg",
    "openpose": "{stem}_openpose.png",  # lossless, for ControlNet reads its colours
}

JPEG_QUALITY = 95


@dataclass(frozen=True, slots=True)
class OutputPlan:
    """What is written for each picture, and for all of them together.

    Attributes:
        folder: Folder of the results.
        formats: Names of `dwpose_infer.formats.FORMATS`.
        styles: Drawings wanted.
        format_options: Options of the writers: name of the format -> its options.
        draw_options: Options of the drawings: style -> its options.
        clip_names: Names of a clip's files that differ from the usual: name of the format -> name.
    """

    folder: Path
    formats: Sequence[str]
    styles: Sequence[DrawStyle]
    format_options: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    draw_options: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    clip_names: Mapping[str, str] = field(default_factory=dict)

    @property
    def shared_formats(self) -> list[str]:
        """Formats with one file for the whole run."""
        return [name for name in self.formats if FORMATS[name].per == "run"]

    def format_paths(self, picture: Picture) -> dict[str, Path]:
        """Pose files of one picture: name of the format -> path."""
        return {
            name: self._path(picture, FORMATS[name].file_name)
            for name in self.formats
            if FORMATS[name].per == "picture"
        }

    def drawing_paths(self, picture: Picture) -> dict[DrawStyle, Path]:
        """Drawings of one picture: style -> path."""
        return {style: self._path(picture, DRAWN_FILE_NAMES[style]) for style in self.styles}

    def shared_paths(self) -> dict[str, Path]:
        """Pose files of the whole run: name of the format -> path."""
        return {name: self.folder / FORMATS[name].file_name for name in self.shared_formats}

    def picture_paths(self, picture: Picture) -> list[Path]:
        """All files that are written for one picture alone."""
        return [*self.format_paths(picture).values(), *self.drawing_paths(picture).values()]

    def _path(self, picture: Picture, file_name: str) -> Path:
        return self.folder / picture.stem.parent / file_name.format(stem=picture.stem.name)

    def is_done(self, picture: Picture) -> bool:
        """Tells whether every file of a picture is there already."""
        return all(map(is_file, self.picture_paths(picture)))

    def check(self, pictures: Sequence[Picture]) -> None:
        """Finds out before the work starts what would go wrong at its end.

        Raises:
            InvalidArgumentError: An input would be overwritten, two files would have one name,
                or a format cannot hold these pictures.
            MissingDependencyError: A format needs a package.
            OutputError: The folder cannot be written.
        """
        sources = [picture.source for picture in pictures]
        check_paths(self.all_paths(pictures), sources)
        _require_writable(self.folder)
        for name in self.formats:
            if FORMATS[name].per == "clip":
                known = ", ".join(each for each, item in FORMATS.items() if item.per != "clip")
                raise InvalidArgumentError(
                    f"--format {name} is for videos, not for pictures: use {known}"
                )
            FORMATS[name].check(sources, **self.format_options.get(name, {}))

    def check_points(self, layout: KeypointLayout) -> None:
        """Checks that every format has a place for the points of the network.

        Raises:
            InvalidArgumentError: One does not; the message says what to do.
        """
        for name in self.formats:
            FORMATS[name].check_points(layout, **self.format_options.get(name, {}))

    def all_paths(self, pictures: Sequence[Picture]) -> Iterator[Path]:
        """Yields everything that is written for pictures; nothing where there is none."""
        if pictures:
            yield from self.shared_paths().values()
        for picture in pictures:
            yield from self.picture_paths(picture)

    def write(self, picture: Picture, image_bgr: UInt8Array, result: PoseResult) -> None:
        """Writes the files of one picture.

        Raises:
            OutputError: A file cannot be written.
        """
        for name, path in self.format_paths(picture).items():
            save(result, path, format=name, **self.format_options.get(name, {}))
        for style, path in self.drawing_paths(picture).items():
            drawn = draw(result, image_bgr, style=style, **self.draw_options.get(style, {}))
            write_bytes(path, _encode(drawn, path))


def check_paths(paths: Iterable[Path], inputs: Iterable[str]) -> None:
    """Checks that no file is written twice and none is an input.

    Raises:
        InvalidArgumentError: One is.
    """
    read = {Path(source).resolve() for source in inputs}
    written: set[Path] = set()
    for path in paths:
        place = path.resolve()
        if place in read:
            raise InvalidArgumentError(
                f"{path} is an input and would be overwritten; choose another --out"
            )
        if place in written:
            raise InvalidArgumentError(
                f"{path} would be written twice; use two runs with two --out"
            )
        written.add(place)


def _require_writable(folder: Path) -> None:
    probe = folder / ".dwpose-infer.tmp"
    write_bytes(probe, b"")
    probe.unlink(missing_ok=True)


def _encode(image_bgr: UInt8Array, path: Path) -> bytes:
    options = [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY] if path.suffix == ".jpg" else []
    done, data = cv2.imencode(path.suffix, image_bgr, options)
    if not done:
        height, width = image_bgr.shape[:2]
        raise OutputError(f"{path}: a picture of {width}x{height} pixels cannot be encoded")
    return data.tobytes()
