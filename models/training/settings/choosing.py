"""The settings of a run from what a command line says: a recipe or a file, data, changes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from ....errors import InvalidArgumentError
from ....files.atomic import read_bytes
from ..overrides import Kind, apply_overrides, settings_of_kind, to_plain
from ..recipes import recipe
from .data import DataSettings, DataSource
from .pose import Settings

SETTINGS_NAME: Final = "settings.json"
"""The settings of a run in its folder."""

FileAndFolder = tuple[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class DataChoice:
    """What a command line says about data; paths are relative to the working folder.

    Attributes:
        train: Annotation file and folder of pictures of each source; empty leaves those of the
            recipe. Without `validation` too, accuracy is then not measured: the recipe's own
            pictures are another set.
        validation: The same for the validation.
        validation_boxes: COCO results file of a person detector; none takes the labelled boxes
            of a `validation` given, else what the recipe has.
        root: Folder that the recipe's own sources start from.
    """

    train: Sequence[FileAndFolder] = ()
    validation: FileAndFolder | None = None
    validation_boxes: str | None = None
    root: str | None = None

    def apply(self, data: DataSettings) -> DataSettings:
        """Returns a recipe's data settings with these choices.

        Files are kept as absolute paths, so that the settings mean the same from anywhere.
        """
        if self.root is not None:
            data = replace(data, root=self.root)
        if self.train:
            sources = tuple(source_of(pair) for pair in self.train)
            data = replace(data, train=sources, validation=None, validation_boxes=None)
        if self.validation is not None:
            data = replace(data, validation=source_of(self.validation), validation_boxes=None)
        if self.validation_boxes is not None:
            data = replace(data, validation_boxes=_absolute(self.validation_boxes))
        return data


def choose_settings(
    *,
    recipe_name: str | None = None,
    settings_file: Path | None = None,
    data: DataChoice | None = None,
    assignments: Sequence[str] = (),
) -> Settings:
    """Makes the settings of a run: first the recipe or the file, then the data, then the changes.

    Args:
        recipe_name: Name of a recipe, or
        settings_file: a JSON file of settings, such as `dwpose-train --print` writes.
        data: Where samples come from.
        assignments: `key=value` each, see `overrides.apply_overrides`.

    Raises:
        InvalidArgumentError: Not exactly one of recipe and file is given, or one of the choices
            cannot be used; the message names it.
        InputError: The file cannot be read.
    """
    if (recipe_name is None) == (settings_file is None):
        raise InvalidArgumentError(
            "say what to train: --recipe NAME (dwpose-train recipes lists them) or "
            "--settings FILE.json"
        )
    settings = recipe(recipe_name or "") if settings_file is None else read_settings(settings_file)
    if data is not None:
        settings = replace(settings, data=data.apply(settings.data))
    return apply_overrides(settings, assignments)


def read_settings(path: Path) -> Settings:
    """Reads a JSON file of settings; fields that it leaves out have their defaults.

    Raises:
        InputError: It cannot be read.
        InvalidArgumentError: It is not JSON, or holds a wrong key or value.
    """
    return read_settings_of_kind(Settings, path)


def read_settings_of_kind(kind: type[Kind], path: Path) -> Kind:
    """Reads settings of any kind of run, as `read_settings` reads those of pose networks."""
    try:
        plain = json.loads(read_bytes(path))
        if not isinstance(plain, dict):
            raise InvalidArgumentError("a JSON object is needed")
        return settings_of_kind(kind, plain)
    except (ValueError, RecursionError) as error:  # JSON, its encoding, InvalidArgumentError
        raise InvalidArgumentError(f"{path} does not hold settings: {error}") from error


def settings_json(settings: object) -> str:
    """Returns settings as JSON that `read_settings` reads."""
    return json.dumps(to_plain(settings), indent=2)


def source_of(pair: FileAndFolder) -> DataSource:
    """Returns an annotation file and a folder of pictures as a source, with absolute paths."""
    annotations, images = pair
    return DataSource(annotations=_absolute(annotations), images=_absolute(images))


def _absolute(path: str) -> str:
    return str(Path(path).absolute())
