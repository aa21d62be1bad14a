"""JSON Schemas of the files that are JSON, as they are written; readers take more than that."""

from __future__ import annotations

from importlib.resources import files
from typing import Final

from ..errors import InvalidArgumentError

SCHEMA_NAMES: Final = ("json", "openpose", "coco", "coco-dataset")
"""Formats that have a schema; that of "json" describes lines of a clip's .jsonl, too."""


def json_schema(format: str) -> str:
    """Returns the JSON Schema (2020-12) of what is written in a format, indented.

    Args:
        format: One of `SCHEMA_NAMES`.

    Raises:
        InvalidArgumentError: There is no schema of that name.
    """
    if format not in SCHEMA_NAMES:
        raise InvalidArgumentError(
            f"no JSON Schema is called {format!r}; there are {', '.join(SCHEMA_NAMES)}"
        )
    return (files(__package__) / "schemas" / f"{format}.schema.json").read_text("utf-8")
