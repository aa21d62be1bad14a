"""From what stands on the command line to the list of pictures and their output names."""

from __future__ import annotations

import glob
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

from ..errors import InputError, InvalidArgumentError
from ..images import is_url

PICTURE_SUFFIXES = frozenset(
    {".avif", ".bmp", ".gif", ".jpeg", ".jpg", ".jp2", ".png", ".ppm", ".tif", ".tiff", ".webp"}
)
"""Endings that count as pictures when a folder is searched; files named one by one need none."""

STDIN = "-"


@dataclass(frozen=True, slots=True)
class Picture:
    """One picture to work on.

    Attributes:
        source: Path or URL, or "-" for standard input.
        stem: Where its results go, relative to the output folder, without an ending.
    """

    source: str
    stem: Path


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
        for picture in _expand(entry, out_folder):
            key = picture.source if _is_special(picture.source) else _identity(picture.source)
            pictures.setdefault(key, picture)
    _require_different_stems(pictures.values())
    return list(pictures.values())


def _is_special(source: str) -> bool:
    return source == STDIN or is_url(source)


def _identity(path: str) -> str:
    return str(Path(path).resolve())


def _expand(entry: str, out_folder: Path | None) -> Iterator[Picture]:
    path = Path(entry)
    if entry == STDIN:
        yield Picture(STDIN, Path("stdin"))
    elif is_url(entry):
        name = PurePosixPath(unquote(urlsplit(entry).path)).stem
        yield Picture(entry, Path(_safe_name(name)))
    elif path.is_dir():
        yield from _in_folder(path, out_folder)
    elif path.exists() or not glob.has_magic(entry):
        yield Picture(entry, Path(path.stem))
    else:
        yield from _matching(entry, out_folder)


def _safe_name(name: str) -> str:
    kept = "".join(letter if letter.isalnum() or letter in "-_. " else "_" for letter in name)
    return kept.strip(". ") or "picture"


def _in_folder(folder: Path, out_folder: Path | None) -> Iterator[Picture]:
    found = False
    for path in sorted(folder.rglob("*")):
        if _is_picture(path) and not _is_inside(path, out_folder):
            found = True
            yield Picture(str(path), path.relative_to(folder).with_suffix(""))
    if not found:
        raise InputError(
            f"{folder}: there is no picture in this folder "
            f"(looked for {', '.join(sorted(PICTURE_SUFFIXES))})"
        )


def _matching(pattern: str, out_folder: Path | None) -> Iterator[Picture]:
    parts = Path(pattern).parts
    depth = next(index for index, part in enumerate(parts) if glob.has_magic(part))
    fixed = Path(*parts[:depth])
    found = False
    for path in sorted(fixed.glob(str(Path(*parts[depth:])))):
        if path.is_file() and not _is_inside(path, out_folder):
            found = True
            yield Picture(str(path), path.relative_to(fixed).with_suffix(""))
    if not found:
        raise InputError(f"{pattern}: no file matches this pattern")


def _is_picture(path: Path) -> bool:
    return path.suffix.lower() in PICTURE_SUFFIXES and path.is_file()


def _is_inside(path: Path, folder: Path | None) -> bool:
    return folder is not None and path.resolve().is_relative_to(folder.resolve())


def _require_different_stems(pictures: Iterable[Picture]) -> None:
    # Compared without case: on some file systems the two would be one file.
    taken: dict[str, str] = {}
    for picture in pictures:
        other = taken.setdefault(str(picture.stem).casefold(), picture.source)
        if other != picture.source:
            raise InvalidArgumentError(
                f"{other} and {picture.source} would both be written as {picture.stem}.*; "
                "rename one, give their common folder instead, or use two runs with two --out"
            )
