"""JSON and numbers: what the JSON formats share."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, TypeVar

from ..errors import FormatError, InvalidArgumentError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

Layout = TypeVar("Layout")


def dump(document: Any) -> bytes:
    """Returns a document as strict JSON, in ASCII with escapes, ending with a line feed.

    Raises:
        InvalidArgumentError: It holds NaN or an infinite number, which JSON does not know.
    """
    try:
        text = json.dumps(document, allow_nan=False)
    except ValueError as error:
        raise InvalidArgumentError(
            "the result holds an infinite number, which JSON cannot hold"
        ) from error
    return f"{text}\n".encode("ascii")


def dump_list(items: Iterable[Any]) -> Iterator[bytes]:
    """Yields what `dump` returns for a list, without the line feed, item by item."""
    yield b"["
    for index, item in enumerate(items):
        yield (b", " if index else b"") + dump(item)[:-1]
    yield b"]"


def parse(data: bytes, origin: str) -> Any:
    """Returns the document a JSON text holds.

    Raises:
        FormatError: The text is not JSON; the message begins with `origin`.
    """
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:  # ValueError: bad text, bad JSON, huge integer
        raise FormatError(f"{origin}: not a JSON file: {error}") from error


def decode(data: Any, layout: type[Layout], origin: str) -> Layout:
    """Returns what a JSON text holds, of the type given.

    Args:
        data: The text, or a `msgspec.Raw` part of one.
        layout: Any type that msgspec reads.
        origin: What the message begins with.

    Raises:
        FormatError: The text is not JSON, or of another type.
    """
    import msgspec

    try:
        return msgspec.json.decode(data, type=layout)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise FormatError(f"{origin}: {error}") from error


def require(condition: bool, origin: str, problem: str) -> None:
    """Raises a `FormatError` that names the origin and the problem unless the condition holds."""
    if not condition:
        raise FormatError(f"{origin}: {problem}")


def require_version(version: object, known: int, origin: str) -> None:
    """Checks the schema version of a document.

    Raises:
        FormatError: It is not a whole number from 1 to `known`.
    """
    require(
        isinstance(version, int) and not isinstance(version, bool) and version >= 1,
        origin,
        f"schema_version is {version!r}, expected a whole number from 1",
    )
    require(
        isinstance(version, int) and version <= known,
        origin,
        f"schema_version is {version}, written by a newer release; this one reads up to {known}",
    )


def shortest_decimals(array: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    """Returns doubles that print with the fewest digits and still round back to each float32.

    412.3 as float32 is 412.29998779296875; the double 412.3 rounds to the same float32 and takes
    a third of the room in a text file.

    Args:
        array: float32 of any shape; NaN stays NaN.
    """
    import numpy as np

    single = np.asarray(array, np.float32)
    decimals = single.astype("U32").astype(np.float64)
    return np.where(decimals.astype(np.float32) == single, decimals, single.astype(np.float64))


def with_nulls(array: npt.NDArray[np.float32]) -> Any:
    """Returns an array as nested lists of `shortest_decimals`, None in place of NaN."""
    import numpy as np

    decimals = shortest_decimals(array)
    values = decimals.astype(object)
    values[np.isnan(decimals)] = None
    return values.tolist()


def numbers(value: Any, origin: str, name: str) -> npt.NDArray[np.float64]:
    """Returns nested lists of numbers as an array, NaN in place of null.

    Raises:
        FormatError: They are ragged, hold something else, or exceed the range of float32.
    """
    import numpy as np

    problem = f"{name} is not a list of numbers"
    try:
        array = np.array(value)
        require(array.ndim > 0 and array.dtype.kind in "iufO", origin, problem)
        array = array.astype(np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        raise FormatError(f"{origin}: {problem}") from error
    with np.errstate(over="ignore"):
        too_large = bool(np.isinf(array.astype(np.float32)).any())
    require(not too_large, origin, f"{name} holds a number beyond the range of float32")
    return array
