"""The image ids of COCO: which number an annotation file gives a picture."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile
from os import PathLike, fspath
from pathlib import PureWindowsPath
from typing import Any
from urllib.parse import urlsplit

from ..errors import FormatError, InvalidArgumentError
from ..files.atomic import read_bytes
from ..files.json_text import parse, require

Annotations = str | PathLike[str] | Mapping[str, Any]
"""Path of a COCO annotation file, its parsed content, or a mapping from file name to image id."""


@dataclass(frozen=True, slots=True)
class ImageIds:
    """The image ids of a set of annotations, found by file name.

    Attributes:
        by_name: Last part of a file name -> all (parts of the file name, image id) that end so.
    """

    by_name: dict[str, list[tuple[tuple[str, ...], int]]]

    @classmethod
    def of(cls, annotations: Annotations) -> ImageIds:
        """Reads the images of an annotation file or of its content.

        Raises:
            InputError: The file cannot be read.
            FormatError: It is not a COCO annotation file.
        """
        by_name: dict[str, list[tuple[tuple[str, ...], int]]] = {}
        for file_name, image_id in _images(annotations):
            parts = parts_of(file_name)
            by_name.setdefault(parts[-1], []).append((parts, image_id))
        return cls(by_name)

    def find(self, source: str) -> int:
        """Returns the id of a picture by its path or URL.

        The annotated file name that is the longest end of the path wins; failing any, the only
        one with the same last part.

        Raises:
            InvalidArgumentError: No annotated picture has the name, or several have.
        """
        parts = parts_of(source)
        named = self.by_name.get(parts[-1], []) if parts else []
        ends = [item for item in named if parts[-len(item[0]) :] == item[0]]
        longest = max((len(item[0]) for item in ends), default=0)
        fitting = [item for item in ends if len(item[0]) == longest] or named
        ids = {image_id for _, image_id in fitting}
        if not ids:
            raise InvalidArgumentError(f"the annotations have no picture named {source}")
        if len(ids) > 1:
            raise InvalidArgumentError(
                f"the annotations have {len(ids)} pictures that {source} may be "
                f"(ids {', '.join(map(str, sorted(ids)))}): keep the folders that tell them apart"
            )
        return ids.pop()


def id_from_name(source: str) -> int | None:
    """Returns the number that is a picture's whole file name, as in 000000000785.jpg, or None."""
    parts = parts_of(source)
    stem = PureWindowsPath(parts[-1]).stem if parts else ""
    return int(stem) if re.fullmatch(r"[0-9]{1,18}", stem) else None


def ids_and_names(sources: Sequence[str | None]) -> tuple[list[int], list[str], bool]:
    """Returns ids and file names of the pictures of a run, by the rule of this package.

    A picture's id is the number that is its file name (785 of 000000000785.jpg) where every
    picture has one of its own, else its place in the run, from 1. Its name is the last part of
    its source, or where two have the same, what follows the folder that all are in.

    Returns:
        Ids, names, and whether the ids are numbers of the names.
    """
    named = [None if source is None else id_from_name(source) for source in sources]
    numbers = [number for number in named if number is not None]
    by_name = len(set(numbers)) == len(sources)
    ids = numbers if by_name else list(range(1, len(sources) + 1))
    pairs = zip(sources, ids, strict=True)
    parts = [parts_of(source or "") or (f"{image_id}",) for source, image_id in pairs]
    if len({each[-1] for each in parts}) == len(parts):
        return ids, [each[-1] for each in parts], by_name
    shortest = min(len(each) for each in parts) - 1
    columns = zip(*(each[:shortest] for each in parts), strict=True)
    shared = sum(1 for _ in takewhile(lambda column: len(set(column)) == 1, columns))
    return ids, ["/".join(each[shared:]) for each in parts], by_name


def parts_of(source: str) -> tuple[str, ...]:
    """Splits a path of either system, or a URL's path, at its separators."""
    path = urlsplit(source).path if re.match(r"[a-z][a-z0-9+.-]+://", source) else source
    return tuple(part for part in re.split(r"[/\\]+", path) if part not in ("", "."))


def _images(annotations: Annotations) -> Iterator[tuple[str, int]]:
    if isinstance(annotations, Mapping) and "images" not in annotations:
        yield from annotations.items()
        return
    if isinstance(annotations, Mapping):
        document, origin = annotations, "the annotations"
    else:
        origin = fspath(annotations)
        document = parse(read_bytes(origin), origin)
    images = document.get("images") if isinstance(document, Mapping) else None
    if not isinstance(images, list):
        raise FormatError(f"{origin}: not a COCO annotation file: it has no list of images")
    for index, image in enumerate(images):
        fits = (
            isinstance(image, Mapping)
            and isinstance(image.get("file_name"), str)
            and isinstance(image.get("id"), int)
            and bool(parts_of(image["file_name"]))
        )
        require(fits, origin, f"image {index} lacks a file_name or a whole number as id")
        yield image["file_name"], image["id"]
