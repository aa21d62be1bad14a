"""How a run ended, as a file: for the process that started it, and for measurements."""

from __future__ import annotations

import json
from dataclasses import asdict, fields
from pathlib import Path

from ...errors import FormatError
from ...files.atomic import read_bytes, write_bytes
from .run_options import TrainingSummary

_PATHS = ("folder", "checkpoint", "best")


def write_summary(path: Path, summary: TrainingSummary) -> None:
    """Writes a summary as JSON, its paths as text.

    Raises:
        OutputError: The file cannot be written.
    """
    plain = asdict(summary)
    for name in _PATHS:
        plain[name] = None if plain[name] is None else str(plain[name])
    write_bytes(path, (json.dumps(plain, indent=2) + "\n").encode())


def read_summary(path: Path) -> TrainingSummary:
    """Reads what `write_summary` wrote.

    Raises:
        InputError: The file cannot be read.
        FormatError: It is no such file.
    """
    try:
        plain = json.loads(read_bytes(path))
        values = {field.name: plain[field.name] for field in fields(TrainingSummary)}
        for name in _PATHS:
            values[name] = None if values[name] is None else Path(values[name])
    except (ValueError, KeyError, TypeError) as error:
        raise FormatError(f"{path} does not tell how a run ended: {error!r}") from error
    return TrainingSummary(**values)
