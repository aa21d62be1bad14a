"""Unpickling a PyTorch checkpoint without running anything it contains.

A pickle names functions, and unpickling calls them. Here only the handful of names that tensors
need mean something (`KNOWN_NAMES`, all defined in this module); every other name becomes an inert
object, whatever it is called. Tensors come out as descriptions, without their numbers.

A pickle can also set attributes of whatever it has in hand, unless that has a `__setstate__`;
therefore everything it can get hold of here has one that does nothing.
"""

from __future__ import annotations

import math
import pickle
import pickletools
from collections.abc import Callable
from dataclasses import dataclass
from typing import IO, Any, cast

import torch

from ..errors import ModelFormatError

STORAGE_DTYPES: dict[str, torch.dtype] = {
    "BFloat16Storage": torch.bfloat16,
    "BoolStorage": torch.bool,
    "ByteStorage": torch.uint8,
    "CharStorage": torch.int8,
    "DoubleStorage": torch.float64,
    "FloatStorage": torch.float32,
    "HalfStorage": torch.float16,
    "IntStorage": torch.int32,
    "LongStorage": torch.int64,
    "ShortStorage": torch.int16,
}


class InertObject:
    """Stands for an object of a kind that is not known: accepts everything, does nothing."""

    def __new__(cls, *_args: object, **_kwargs: object) -> InertObject:
        """Take and drop any arguments."""
        return super().__new__(cls)

    def __init__(self, *_args: object, **_kwargs: object) -> None:
        pass

    def __call__(self, *_args: object, **_kwargs: object) -> InertObject:
        """Drop a call."""
        return self

    def __setstate__(self, state: object) -> None:
        pass

    def __setitem__(self, key: object, value: object) -> None:
        pass

    def append(self, item: object) -> None:
        """Drop an item."""

    def extend(self, items: object) -> None:
        """Drop items."""

    def add(self, item: object) -> None:
        """Drop an item."""


class PickleFunction:
    """A function that a pickle may call but not change.

    Args:
        function: The function.
    """

    def __init__(self, function: Callable[..., object]) -> None:
        self._function = function

    def __call__(self, *args: object) -> object:
        """Call it."""
        return self._function(*args)

    def __setstate__(self, state: object) -> None:
        pass


class StorageType:
    """Stands for a storage class, such as `torch.FloatStorage`.

    Args:
        dtype: Type of the numbers in such a storage.
    """

    def __init__(self, dtype: torch.dtype) -> None:
        self.dtype = dtype

    def __setstate__(self, state: object) -> None:
        pass


class PlainDict(dict[Any, Any]):
    """Stands for `OrderedDict`: a dictionary whose attributes the file cannot set."""

    def __setstate__(self, state: object) -> None:
        pass


@dataclass(frozen=True)
class Storage:
    """A run of numbers in the file.

    Attributes:
        key: Its name in the file.
        dtype: Type of the numbers.
        count: How many there are.
    """

    key: str
    dtype: torch.dtype
    count: int

    def __setstate__(self, state: object) -> None:
        pass

    @property
    def size_bytes(self) -> int:
        """Length of the raw data."""
        return self.count * self.dtype.itemsize


@dataclass(frozen=True)
class StoredTensor:
    """A tensor that has not been read yet.

    Attributes:
        storage: Where its numbers are.
        offset: Index of its first number in the storage.
        shape: Its shape.
        stride: Distance between neighbours along each dimension, in numbers.
    """

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    stride: tuple[int, ...]

    def __setstate__(self, state: object) -> None:
        pass

    @property
    def span(self) -> int:
        """Distance from its first number in the storage to behind its last one."""
        if 0 in self.shape:
            return 0
        steps = zip(self.shape, self.stride, strict=True)
        return 1 + sum((side - 1) * step for side, step in steps)


def _rebuild_tensor(
    storage: object, offset: object, shape: object, stride: object, *_unused: object
) -> StoredTensor:
    """Stand in for `torch._utils._rebuild_tensor_v2`; refuse what does not fit the storage."""
    if not isinstance(storage, Storage) or not isinstance(offset, int):
        raise ModelFormatError("a tensor without a storage")
    shape, stride = _sizes(shape), _sizes(stride)
    if offset < 0 or len(shape) != len(stride):
        raise ModelFormatError("a tensor with a shape that makes no sense")
    tensor = StoredTensor(storage, offset, shape, stride)
    if offset + tensor.span > storage.count or math.prod(shape) > storage.count:
        raise ModelFormatError("a tensor larger than its storage")
    return tensor


def _sizes(values: object) -> tuple[int, ...]:
    if not isinstance(values, tuple | list):
        raise ModelFormatError("a tensor with a shape that makes no sense")
    sizes = tuple(value for value in values if isinstance(value, int) and value >= 0)
    if len(sizes) != len(values):
        raise ModelFormatError("a tensor with a shape that makes no sense")
    return sizes


def _rebuild_parameter(tensor: object, *_unused: object) -> object:
    """Stand in for `torch._utils._rebuild_parameter`: a parameter is its tensor."""
    return tensor


def _encode(text: object, *_unused: object) -> object:
    """Stand in for `_codecs.encode`, with which pickles of protocol 2 write bytes as Latin-1."""
    return text.encode("latin1") if isinstance(text, str) else InertObject()


KNOWN_NAMES: dict[tuple[str, str], object] = {
    ("collections", "OrderedDict"): PlainDict,
    ("torch._utils", "_rebuild_tensor_v2"): PickleFunction(_rebuild_tensor),
    ("torch._utils", "_rebuild_parameter"): PickleFunction(_rebuild_parameter),
    ("_codecs", "encode"): PickleFunction(_encode),
    **{("torch", name): StorageType(dtype) for name, dtype in STORAGE_DTYPES.items()},
}


def _require_modest(file: IO[bytes], limit_bytes: int) -> None:
    """Refuses numbers in a pickle for which the unpickler would make room before it looks on.

    A place in its memo may be any number of 32 bits, and it makes a table up to there: 30 bytes
    could take many gigabytes. Picklers count the places from 0 or 1.
    """
    start = file.tell()
    places = 1
    for opcode, argument, _ in pickletools.genops(cast("IO[bytes]", _Bounded(file, limit_bytes))):
        number = argument if isinstance(argument, int) else 0
        if opcode.name in ("PUT", "BINPUT", "LONG_BINPUT"):
            places += 1
            if number >= places:
                raise ModelFormatError("a pickle that skips places in its memo")
        elif opcode.name == "FRAME" and number > limit_bytes:
            raise ModelFormatError("a frame longer than the file")
    file.seek(start)


class _Bounded:
    """A file that is not asked for more than it can hold."""

    def __init__(self, file: IO[bytes], limit_bytes: int) -> None:
        self._file, self._limit_bytes = file, limit_bytes
        self.readline = file.readline

    def read(self, count: int) -> bytes:
        if count > self._limit_bytes:
            raise ModelFormatError("a text longer than the file")
        return self._file.read(count)


class RestrictedUnpickler(pickle.Unpickler):
    """An unpickler that knows `KNOWN_NAMES` and nothing else.

    Args:
        file: The pickle; it is gone through once before anything of it is done.
        limit_bytes: Storages longer than this (the size of the whole file) are refused.

    Raises:
        ModelFormatError: The pickle asks for far more memory than it is long.

    Attributes:
        storages: Every storage the pickle spoke of, by key.
    """

    def __init__(self, file: IO[bytes], limit_bytes: int) -> None:
        _require_modest(file, limit_bytes)
        super().__init__(file)
        self.limit_bytes = limit_bytes
        self.storages: dict[str, Storage] = {}

    def find_class(self, module_name: str, global_name: str) -> Any:
        """Give a known name its meaning and every other one none; nothing is imported."""
        return KNOWN_NAMES.get((module_name, global_name), InertObject)

    def persistent_load(self, pid: Any) -> object:
        """Note a storage: ("storage", type, key, device, count[, view])."""
        if pid[0] == "module":  # a class with its source code, in older files of whole models
            return InertObject
        tag, storage_type, key, _device, count, *view = pid
        if tag != "storage" or not isinstance(storage_type, StorageType):
            raise ModelFormatError("a storage of an unknown type")
        if view and view[0] is not None:
            raise ModelFormatError("storages that are views of others are not supported")
        storage = Storage(str(key), storage_type.dtype, int(count))
        if not 0 <= storage.size_bytes <= self.limit_bytes:
            raise ModelFormatError("a storage longer than the file")
        if self.storages.setdefault(storage.key, storage) != storage:
            raise ModelFormatError(f"two different storages named {storage.key!r}")
        return storage
