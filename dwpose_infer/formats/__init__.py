"""Pose files: the formats results are saved in and read from.

`save` and `load` choose a format by its name or by the ending of the path; each format is a
module of its own that says what it can hold.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from os import PathLike, fspath
from pathlib import Path
from typing import Any, Final

from ..errors import FormatError, InvalidArgumentError
from ..files.atomic import read_bytes, write_bytes
from ..results import PoseResult, as_results

__all__ = ["FORMATS", "Format", "load", "save"]


@dataclass(frozen=True, slots=True)
class Format:
    """What a caller needs to know of a format.

    Attributes:
        name: Name by which `save` and `load` know it.
        ending: Ending of its files' names.
        file_name: Usual name of its files; `{stem}` is the picture's name without its ending.
        per_picture: Whether each picture usually has a file of its own; if not, one file holds
            all of a run.
        lossless: Whether a result read back equals the one saved.
        description: What it is, in a few words.
    """

    name: str
    ending: str
    file_name: str
    per_picture: bool
    lossless: bool
    description: str


FORMATS: Final[dict[str, Format]] = {
    item.name: item
    for item in (
        Format(
            name="json",
            ending=".json",
            file_name="{stem}.json",
            per_picture=True,
            lossless=True,
            description="everything, as plain JSON",
        ),
        Format(
            name="openpose",
            ending=".json",
            file_name="{stem}_keypoints.json",  # the name OpenPose itself gives
            per_picture=True,
            lossless=False,
            description="OpenPose JSON, as ControlNet's tools read it",
        ),
        Format(
            name="coco",
            ending=".json",
            file_name="results_coco.json",
            per_picture=False,
            lossless=False,
            description="COCO-WholeBody results, as evaluations read them",
        ),
        Format(
            name="npz",
            ending=".npz",
            file_name="{stem}.npz",
            per_picture=True,
            lossless=True,
            description="everything, as NumPy arrays",
        ),
        Format(
            name="csv",
            ending=".csv",
            file_name="poses.csv",
            per_picture=False,
            lossless=False,
            description="a table with one row a person",
        ),
        Format(
            name="parquet",
            ending=".parquet",
            file_name="poses.parquet",
            per_picture=False,
            lossless=False,
            description="the same table as Parquet; needs pyarrow",
        ),
    )
}
"""The formats, by name."""

_FORMAT_OF_ENDING: Final = {".json": "json", ".npz": "npz", ".csv": "csv", ".parquet": "parquet"}


def save(
    results: PoseResult | Sequence[PoseResult],
    path: str | PathLike[str],
    *,
    format: str | None = None,
    **options: Any,
) -> Path:
    """Writes one or several results to one file, in one step.

    Args:
        results: What to write. "openpose" holds exactly one result, the others any number.
        path: File to write; missing folders are made, an existing file is replaced.
        format: A name of `FORMATS`; None takes it from the ending of the path, where .json
            means "json".
        **options: Options of the format: `body`, `pupils`, `confidence` and `min_score` of
            `openpose.result_to_dict`, `annotations` and `bbox` of `coco.to_document`, `compress`
            of `npz.encode`. The others have none.

    Returns:
        The path written.

    Raises:
        InvalidArgumentError: The format or an option is unknown, or the format cannot hold
            these results.
        MissingDependencyError: The format needs a package that is not installed.
        OutputError: The file cannot be written.
    """
    name = _format_name(path, format)
    encode = _encoder(name)
    known = [
        parameter.name
        for parameter in inspect.signature(encode).parameters.values()
        if parameter.kind is parameter.KEYWORD_ONLY
    ]
    unknown = [option for option in options if option not in known]
    if unknown:
        valid = f"its options are {', '.join(known)}" if known else "it has no options"
        raise InvalidArgumentError(f"format {name!r} has no option {unknown[0]!r}; {valid}")
    listed = as_results(results)
    if not all(isinstance(result, PoseResult) for result in listed):
        raise InvalidArgumentError("only a PoseResult or a sequence of them can be saved")
    data = encode(listed, **options)
    if not isinstance(data, bytes):
        from ..files.json_text import dump

        data = dump(data)
    return write_bytes(path, data)


def load(path: str | PathLike[str], *, format: str | None = None) -> list[PoseResult]:
    """Reads the results of a pose file.

    Args:
        path: File to read.
        format: A name of `FORMATS`; None takes it from the ending of the path, and for .json
            from what the file holds.

    Returns:
        The results, one for each picture. Points the format does not carry are NaN with score
        0, and what else it does not carry is None.

    Raises:
        InputError: The file does not exist or cannot be read.
        FormatError: It does not hold what the format prescribes.
        InvalidArgumentError: The format is unknown.
        MissingDependencyError: The format needs a package that is not installed.
    """
    name = _format_name(path, format)
    data, origin = read_bytes(path), fspath(path)
    if FORMATS[name].ending != ".json":
        return _decode(name, data, origin)
    from ..files.json_text import parse

    document = parse(data, origin)
    return _results_of_json(format or _kind_of_json(document, origin), document, origin)


def _format_name(path: str | PathLike[str], format: str | None) -> str:
    name = format or _FORMAT_OF_ENDING.get(Path(path).suffix.lower())
    if name is None:
        raise InvalidArgumentError(
            f"the ending of {fspath(path)} names no format: use {', '.join(_FORMAT_OF_ENDING)}, "
            f"or pass format=, one of {', '.join(FORMATS)}"
        )
    if name not in FORMATS:
        raise InvalidArgumentError(f"unknown format {name!r}; the formats are {', '.join(FORMATS)}")
    return name


def _encoder(name: str) -> Callable[..., Any]:
    """Returns the function that turns results into bytes or into the values of a JSON file."""
    if name == "openpose":
        from .openpose import to_document as openpose_document

        return openpose_document
    if name == "coco":
        from .coco import to_document as coco_document

        return coco_document
    if name == "npz":
        from .npz import encode

        return encode
    if name == "csv":
        from .table import encode_csv

        return encode_csv
    if name == "parquet":
        from .table import encode_parquet

        return encode_parquet
    from .plain_json import to_document

    return to_document


def _decode(name: str, data: bytes, origin: str) -> list[PoseResult]:
    if name == "npz":
        from .npz import decode

        return decode(data, origin=origin)
    if name == "csv":
        from .table import decode_csv

        return decode_csv(data, origin=origin)
    from .table import decode_parquet

    return decode_parquet(data, origin=origin)


def _results_of_json(name: str, document: Any, origin: str) -> list[PoseResult]:
    if name == "openpose":
        from .openpose import from_document as openpose_results

        return openpose_results(document, origin=origin)
    if name == "coco":
        from .coco import from_document as coco_results

        return coco_results(document, origin=origin)
    from .plain_json import from_document

    return from_document(document, origin=origin)


def _kind_of_json(document: Any, origin: str) -> str:
    """Returns the name of the format a JSON document is in."""
    if isinstance(document, dict) and str(document.get("schema")).startswith("dwpose_infer."):
        return "json"
    items = document if isinstance(document, list) else [document]
    if items and all(isinstance(item, dict) and "people" in item for item in items):
        return "openpose"
    if isinstance(document, list) and all(
        isinstance(item, dict) and "image_id" in item for item in items
    ):
        return "coco"
    hint = ""
    if isinstance(document, dict) and {"images", "annotations"} <= set(document):
        hint = ": this is a COCO annotation file, not results"
    raise FormatError(f"{origin}: neither this package's JSON, OpenPose's nor COCO results{hint}")
