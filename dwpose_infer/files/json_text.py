"""JSON and numbers: what the JSON formats share."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, Final, TypeVar

from ..errors import FormatError, InvalidArgumentError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

Layout = TypeVar("Layout")

_PLAIN_LIMIT: Final = 2.0**24
"""float32 numbers from here on are whole, and some have a shorter decimal form than their own."""

_PLAIN_PLACES: Final = 12


def dump(document: Any) -> bytes:
    """Returns a document as strict JSON in UTF-8, ending with a line feed.

    NumPy arrays are lists of it, NaN in them is null, and every float32 stands as its shortest
    decimal. Text that is no valid Unicode, as names of files may be on Linux, has escapes for it.

    Raises:
        InvalidArgumentError: It holds an infinite number, or NaN outside arrays, which JSON does
            not know.
    """
    import orjson

    if not _is_finite(document):  # orjson would write null
        raise InvalidArgumentError("the result holds an infinite number, which JSON cannot hold")
    try:
        options = orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_APPEND_NEWLINE
        return orjson.dumps(document, option=options)
    except TypeError:  # of text that is no valid Unicode
        return f"{json.dumps(document, default=with_nulls)}\n".encode("ascii")


def _is_finite(value: Any) -> bool:
    """Tells whether all numbers of a document are finite; NaN may be in arrays."""
    if hasattr(value, "dtype"):
        import numpy as np

        return not bool(np.isinf(value).any())
    if isinstance(value, float):
        return math.isfinite(value)
    if isinstance(value, dict):
        return all(map(_is_finite, value.values()))
    if isinstance(value, (list, tuple)):
        return all(map(_is_finite, value))
    return True


def dump_list(items: Iterable[Any]) -> Iterator[bytes]:
    """Yields what `dump` returns for a list, without the line feed, item by item."""
    yield b"["
    for index, item in enumerate(items):
        yield (b"," if index else b"") + dump(item)[:-1]
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

    single = np.ascontiguousarray(array, np.float32)
    flat = single.reshape(-1)
    exact = flat.astype(np.float64)
    decimals = exact.copy()
    # A float32 times 10**12 is exact as a double (5**12 has 28 bits), so the first number of places
    # that rounds back is the shortest. Whole numbers are there already.
    (left,) = np.nonzero((exact != np.rint(exact)) & (np.abs(exact) < _PLAIN_LIMIT))
    for places in range(1, _PLAIN_PLACES + 1):
        power = 10.0**places
        tried = np.rint(exact[left] * power) / power
        fits = tried.astype(np.float32) == flat[left]
        decimals[left[fits]] = tried[fits]
        left = left[~fits]
        if not len(left):
            break
    large = np.abs(exact) >= _PLAIN_LIMIT
    if len(left) or large.any():  # NumPy's own text of the few that are very small or large
        rest = np.concatenate([left, np.flatnonzero(large)])
        words = flat[rest].astype("U32").astype(np.float64)
        decimals[rest] = np.where(words.astype(np.float32) == flat[rest], words, exact[rest])
    shaped: npt.NDArray[np.float64] = decimals.reshape(single.shape)
    return shaped


def with_nulls(array: npt.NDArray[np.float32]) -> Any:
    """Returns an array as nested lists of `shortest_decimals`, None in place of NaN."""
    import numpy as np

    decimals = shortest_decimals(array)
    absent = np.isnan(decimals)
    if not absent.any():
        return decimals.tolist()
    values = decimals.astype(object)
    values[absent] = None
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
