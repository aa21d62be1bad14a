"""From what stands on the command line to lists of pictures and clips and their output names."""

from __future__ import annotations

import glob
import logging
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from urllib.parse import unquote

from .errors import InputError, InvalidArgumentError
from .files.atomic import is_folder, is_there
from .picture_file import PICTURE_SUFFIXES
from .picture_url import is_url, split_url, without_password

logger = logging.getLogger(__name__)

VIDEO_SUFFIXES = frozenset(
    {".3gp", ".avi", ".flv", ".m2ts", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".mts"}
    | {".ogv", ".ts", ".webm", ".wmv"}
)
"""Endings that count as videos."""

STREAM_SUFFIXES = frozenset({".m3u8", ".mpd"})
"""Endings of playlists behind a URL, which are videos too."""

STDIN = "-"


@dataclass(frozen=True, slots=True)
class Picture:
    """One picture to work on.

    Attributes:
        source: Path or URL, or "-" for standard input.
        stem: Where its results go, relative to the output folder, without an ending.
        keeps_ending: Whether `stem` holds the picture's own ending, because another picture
            would have results of the same name.
    """

    source: str
    stem: Path
    keeps_ending: bool = False


@dataclass(frozen=True, slots=True)
class Clip:
    """One video to work on.

    Attributes:
        source: What `dwpose_infer.media.open_source` is given: path, URL or number of a camera.
        stem: Where its results go, relative to the output folder, without an ending.
    """

    source: str
    stem: Path

    @property
    def name(self) -> str:
        """The source as it may be shown: with *** in place of a password."""
        return without_password(self.source)


def find_inputs(
    inputs: Sequence[str],
    *,
    out_folder: Path | None,
    cameras: Sequence[int] = (),
    sequences: bool = False,
) -> tuple[list[Picture], list[Clip]]:
    """Lists the pictures and the clips behind the inputs, each once.

    Args:
        inputs: As `find_pictures` takes them; videos among them, and URLs of live streams.
        out_folder: Folder of the results, see `find_pictures`.
        cameras: Numbers of cameras.
        sequences: Whether each folder and each pattern is one clip, of the pictures in it.

    Raises:
        InputError: An input leads to nothing.
        InvalidArgumentError: Two inputs would have results of the same name.
    """
    found: dict[str, Picture] = {}
    clips = {f"camera {number}": Clip(str(number), Path(f"camera{number}")) for number in cameras}
    for entry in inputs:
        if is_live(entry) or (sequences and is_sequence(entry)):
            clips[entry] = Clip(entry, Path(_name_of(entry)))
            continue
        for picture in _expand(entry, out_folder, PICTURE_SUFFIXES | VIDEO_SUFFIXES):
            if _is_video(picture.source):
                clips[_key(picture)] = Clip(picture.source, picture.stem)
            else:
                found.setdefault(_key(picture), picture)
    pictures = _told_apart(list(found.values()))
    _require_different_stems(pictures)
    _require_different_stems(clips.values())
    return pictures, list(clips.values())


def is_live(source: str) -> bool:
    """Tells whether an input is the device of a camera or a URL of a live stream."""
    from .media.opening import LIVE_SCHEMES

    if source.startswith("/dev/video"):
        return True
    return "://" in source and source.partition("://")[0].lower() in LIVE_SCHEMES


def _is_video(source: str) -> bool:
    if is_url(source):
        suffix = PurePosixPath(_path_of(source)).suffix.lower()
        return suffix in VIDEO_SUFFIXES | STREAM_SUFFIXES
    return source != STDIN and Path(source).suffix.lower() in VIDEO_SUFFIXES


def _path_of(url: str) -> str:
    try:
        return unquote(split_url(url).path)
    except InputError:  # which costs this input alone, when it is read
        return ""


def is_sequence(entry: str) -> bool:
    """Tells whether an input is a folder or a pattern, which may be taken for one video."""
    if is_url(entry):
        return False
    return is_folder(entry) or (glob.has_magic(entry) and not is_there(entry))


def _name_of(entry: str) -> str:
    from .media.image_sequence import split_pattern

    if is_live(entry):
        parts = split_url(entry)
        return _safe_name("_".join(filter(None, [parts.hostname, *parts.path.split("/")])))
    folder = Path(entry) if is_folder(entry) else split_pattern(entry)[0]
    return _safe_name(folder.resolve().name)


def find_pictures(inputs: Sequence[str], *, out_folder: Path | None) -> list[Picture]:
    """Lists the pictures behind the inputs, each once.

    Args:
        inputs: Files, folders (searched with all their subfolders), glob patterns, URLs, "-".
        out_folder: Folder of the results; left out where it lies inside an input folder, so that
            a second run does not work on the pictures of the first.

    Raises:
        InputError: An input leads to no picture.
        InvalidArgumentError: Two pictures would have results of the same name.
    """
    pictures: dict[str, Picture] = {}
    for entry in inputs:
        for picture in _expand(entry, out_folder, PICTURE_SUFFIXES):
            pictures.setdefault(_key(picture), picture)
    found = _told_apart(list(pictures.values()))
    _require_different_stems(found)
    return found


def _key(picture: Picture) -> str:
    """What tells a picture from all others, however it is written."""
    if picture.source == STDIN or is_url(picture.source):
        return picture.source
    return str(Path(picture.source).resolve())


def _expand(entry: str, out_folder: Path | None, suffixes: Collection[str]) -> Iterator[Picture]:
    if not entry:
        raise InputError("an input is empty text: is a variable of the shell not set?")
    path = Path(entry)
    if entry == STDIN:
        yield Picture(STDIN, Path("stdin"))
    elif is_url(entry):
        name = PurePosixPath(_path_of(entry)).stem
        yield Picture(entry, Path(_safe_name(name)))
    elif is_folder(entry):
        yield from _in_folder(path, out_folder, suffixes)
    elif is_there(entry) or not glob.has_magic(entry):
        yield Picture(entry, Path(path.stem))
    else:
        yield from _matching(entry, out_folder)


def _safe_name(name: str) -> str:
    kept = "".join(letter if letter.isalnum() or letter in "-_. " else "_" for letter in name)
    return kept.strip(". ") or "picture"


def _in_folder(
    folder: Path, out_folder: Path | None, suffixes: Collection[str]
) -> Iterator[Picture]:
    found, bare = False, 0
    for path in sorted(folder.rglob("*")):
        inside = path.relative_to(folder)
        if any(part.startswith(".") for part in inside.parts):  # .ipynb_checkpoints, ._photo.jpg
            continue
        bare += not path.suffix and path.is_file()
        wanted = path.suffix.lower() in suffixes and path.is_file()
        if wanted and not _is_inside(path, out_folder):
            found = True
            yield Picture(str(path), inside.with_suffix(""))
    if bare:
        logger.warning(
            "%s: %d file(s) without an ending left out; name them one by one to use them",
            *(folder, bare),
        )
    if not found:
        kinds = "picture" if suffixes == PICTURE_SUFFIXES else "picture or video"
        raise InputError(
            f"{folder}: there is no {kinds} in this folder "
            f"(looked for {', '.join(sorted(suffixes))})"
        )


def _matching(pattern: str, out_folder: Path | None) -> Iterator[Picture]:
    from .media.image_sequence import matching_files, split_pattern

    fixed, rest = split_pattern(pattern)
    found = False
    for path in matching_files(fixed, rest):
        if not _is_inside(path, out_folder):
            found = True
            yield Picture(str(path), path.relative_to(fixed).with_suffix(""))
    if not found:
        raise InputError(f"{pattern}: no file matches this pattern")


def _is_inside(path: Path, folder: Path | None) -> bool:
    return folder is not None and path.resolve().is_relative_to(folder.resolve())


def _told_apart(pictures: list[Picture]) -> list[Picture]:
    """Keeps the ending of pictures that differ in nothing else: IMG_1.jpg and IMG_1.png."""
    stems = Counter(str(picture.stem).casefold() for picture in pictures)
    whole = [replace(each, stem=_with_ending(each), keeps_ending=True) for each in pictures]
    names = Counter(str(picture.stem).casefold() for picture in whole)
    return [
        longer
        if stems[str(plain.stem).casefold()] > 1 and names[str(longer.stem).casefold()] == 1
        else plain
        for plain, longer in zip(pictures, whole, strict=True)
    ]


def _with_ending(picture: Picture) -> Path:
    source = picture.source
    path = _path_of(source) if is_url(source) else source
    suffix = PurePosixPath(path).suffix if is_url(source) else Path(path).suffix
    ending = f".{_safe_name(suffix[1:])}" if suffix[1:] else ""
    return picture.stem.with_name(picture.stem.name + ending)


def _require_different_stems(pictures: Iterable[Picture | Clip]) -> None:
    # Compared without case: on some file systems the two would be one file.
    taken: dict[str, str] = {}
    for picture in pictures:
        other = taken.setdefault(str(picture.stem).casefold(), picture.source)
        if other != picture.source:
            raise InvalidArgumentError(
                f"{other} and {picture.source} would both be written as {picture.stem}.*; "
                "rename one, give their common folder instead, or use two runs with two --out"
            )
