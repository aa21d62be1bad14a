"""What a format says of itself; each module of formats makes one or more of these."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from ..errors import InvalidArgumentError
from ..layouts import KeypointLayout
from ..poses import Poses, PoseTable


def _nothing_to_check(sources: Sequence[str], **options: Any) -> None:
    """Most formats can hold whatever there is."""


def _any_points(layout: KeypointLayout, **options: Any) -> None:
    """Most formats can hold all points."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """A format of pose files.

    Attributes:
        name: Name by which `save`, `load` and the commands know it.
        ending: Ending of its files' names.
        file_name: Usual name of its files; `{stem}` is the picture's name without its ending.
        per: Whether each picture usually has a file of its own, one file holds a whole run, or a
            file holds a clip and no pictures.
        lossless: Whether a result read back equals the one saved.
        description: What it is, in a few words.
        encode: Makes of poses, or of the `PoseTable` of them where one file holds a clip, the
            bytes of a file, or the values of a JSON file; its keyword-only parameters are the
            format's options.
        decode: Reads poses from a file's bytes, or from the values of a JSON file; `origin` is
            what errors call them.
        write_pictures: Writes what `encode` returns to a binary file; the pictures are gone through
            one after the other, perhaps several times, and only a few are in memory. None where a
            picture has a file of its own.
        recognises: Tells whether a parsed JSON document is of this format; None for the others,
            which are known by their ending.
        of_clip: What holds the frames of a clip: one file, a folder with a file for each frame or
            for each person, or a `FrameLog`; None where clips cannot be saved.
        clip_name: Usual name of that; `{stem}` is the clip's name without its ending.
        decode_clip: Reads, as `decode` does, the frames of a file that holds a clip, with their
            indices and times; None where clips are not held by one file.
        check: Finds out, before there are results, what would go wrong: given the pictures'
            sources and the options.
        check_points: Finds out, given the layout of the points and the options, whether the
            format can hold them.
        wholebody_only: Whether points that COCO-WholeBody does not have, Halpe's head, neck and
            hip, have no place in it and are left out.
    """

    name: str
    ending: str
    per: Literal["picture", "run", "clip"]
    lossless: bool
    description: str
    encode: Callable[..., Any]
    decode: Callable[..., list[Poses]]
    file_name: str = ""
    write_pictures: Callable[..., None] | None = None
    recognises: Callable[[Any], bool] | None = None
    of_clip: Literal["file", "folder", "persons", "log"] | None = None
    clip_name: str = ""
    decode_clip: Callable[..., PoseTable] | None = None
    check: Callable[..., None] = _nothing_to_check
    check_points: Callable[..., None] = _any_points
    wholebody_only: bool = False

    @property
    def takes_table(self) -> bool:
        """Whether `encode` takes a `PoseTable`."""
        return self.of_clip in ("file", "persons")

    @property
    def options(self) -> tuple[str, ...]:
        """Names of the options."""
        parameters = inspect.signature(self.encode).parameters.values()
        return tuple(each.name for each in parameters if each.kind is each.KEYWORD_ONLY)

    def require_options(self, options: Mapping[str, Any]) -> None:
        """Checks that options are the format's.

        Raises:
            InvalidArgumentError: One is not.
        """
        for option in options:
            if option not in self.options:
                known = ", ".join(self.options)
                valid = f"its options are {known}" if known else "it has no options"
                raise InvalidArgumentError(
                    f"format {self.name!r} has no option {option!r}; {valid}"
                )
