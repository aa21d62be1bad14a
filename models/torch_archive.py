"""Reading tensors out of the files of `torch.save`, safely and one by one.

Both formats are read: the zip archive, and the older sequence of pickles followed by the raw
data, in which the official weights are published. The numbers of a tensor are read when it is
asked for, so the optimizer's state that training leaves beside the weights costs nothing.
"""

from __future__ import annotations

import io
import struct
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import IO

import torch
from torch import Tensor

from ..errors import ModelFormatError, ModelNotFoundError
from ..zoo.model_file import require_model_file
from .restricted_pickle import RestrictedUnpickler, Storage, StoredTensor

LEGACY_MAGIC = 0x1950A86A20F9469CFC6C  # torch/serialization.py
LEGACY_PROTOCOL = 1001
ZIP_MAGIC = b"PK\x03\x04"
PICKLE_MAGIC = b"\x80"  # of protocol 2 and later
ZIP_LOCAL_HEADER = struct.Struct("<26x2H")  # its last two fields: lengths of name and extra data


class TorchArchive:
    """An open checkpoint. Use it as a context manager.

    Args:
        path: The file.

    Attributes:
        tree: What was saved: dictionaries, lists, numbers and strings as they were, tensors as
            `StoredTensor`, everything else as `InertObject`.

    Raises:
        ModelNotFoundError: There is no such file.
        ModelFormatError: The file is not a checkpoint, is damaged, or is of an unknown format.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        if path.is_file():
            require_model_file(path)
        self.tree: object = None
        self._data: dict[str, tuple[int, int]] = {}  # storage key -> position and length in bytes
        try:
            self._file = path.open("rb")
        except FileNotFoundError as error:
            raise ModelNotFoundError(f"there is no file {path}") from error
        except OSError as error:
            raise ModelFormatError(f"{path} cannot be read: {error}") from error
        try:
            self._limit_bytes = path.stat().st_size
            start = self._file.read(len(ZIP_MAGIC))
            self._file.seek(0)
            if start == ZIP_MAGIC:
                self._open_zip()
            elif start.startswith(PICKLE_MAGIC):
                self._open_legacy()
            else:
                raise ModelFormatError("neither a zip archive nor a pickle")
        except zipfile.BadZipFile as error:
            self._file.close()
            raise ModelFormatError(
                f"{path} is cut off or damaged: its archive has no end; download or copy it again"
            ) from error
        except Exception as error:  # damaged or hostile bytes can raise anything
            self._file.close()
            reason = str(error) or type(error).__name__
            raise ModelFormatError(f"{path} is not a readable checkpoint: {reason}") from error

    def __enter__(self) -> TorchArchive:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def read(self, tensor: StoredTensor) -> Tensor:
        """Read a tensor of the tree.

        Args:
            tensor: Its description.

        Returns:
            The tensor on the CPU, in row-major order and in the type it was saved in.

        Raises:
            ModelFormatError: The file does not hold its data.
        """
        storage = tensor.storage
        position, length = self._data.get(storage.key, (0, -1))
        if length != storage.size_bytes:
            raise ModelFormatError(f"{self.path} lacks the data of storage {storage.key!r}")
        numbers = torch.empty(tensor.span, dtype=storage.dtype)
        raw = numbers.view(torch.uint8).numpy().data
        self._file.seek(position + tensor.offset * storage.dtype.itemsize)
        if self._file.readinto(raw) != raw.nbytes:
            raise ModelFormatError(f"{self.path} ends too early")
        # A copy, not contiguous(): that keeps the odd strides which a training run in channels-last
        # order leaves on 1x1 kernels, and with them convolutions take another, less exact path.
        strided = numbers.as_strided(tensor.shape, tensor.stride)
        return strided.clone(memory_format=torch.contiguous_format)

    def _unpickle(self, file: IO[bytes]) -> tuple[object, dict[str, Storage]]:
        unpickler = RestrictedUnpickler(file, self._limit_bytes)
        return unpickler.load(), unpickler.storages

    def _open_zip(self) -> None:
        """Read `<name>/data.pkl` and note where each `<name>/data/<key>` lies."""
        with zipfile.ZipFile(self._file) as archive:
            members = {info.filename: info for info in archive.infolist()}
            pickles = [
                name for name in members if name.count("/") == 1 and name.endswith("/data.pkl")
            ]
            if len(pickles) != 1:
                raise ModelFormatError("a zip archive, but not one written by torch.save")
            if any(info.compress_type != zipfile.ZIP_STORED for info in members.values()):
                raise ModelFormatError("a compressed archive")
            folder = pickles[0].removesuffix("data.pkl")
            if f"{folder}byteorder" in members and archive.read(f"{folder}byteorder") != b"little":
                raise ModelFormatError("saved on a big-endian machine")
            self.tree, storages = self._unpickle(io.BytesIO(archive.read(pickles[0])))
        for key in storages:
            info = members.get(f"{folder}data/{key}")
            if info is not None:
                self._data[key] = (self._data_position(info), info.file_size)

    def _data_position(self, info: zipfile.ZipInfo) -> int:
        # A member's data follow its local header, whose two variable fields have their own sizes.
        self._file.seek(info.header_offset)
        name_length, extra_length = ZIP_LOCAL_HEADER.unpack(self._file.read(ZIP_LOCAL_HEADER.size))
        return info.header_offset + ZIP_LOCAL_HEADER.size + int(name_length) + int(extra_length)

    def _open_legacy(self) -> None:
        """Read the five pickles (magic, protocol, machine, object, keys), note where data lie."""
        file = self._file
        preamble = [self._unpickle(file)[0] for _ in range(3)]
        if preamble[:2] != [LEGACY_MAGIC, LEGACY_PROTOCOL]:
            raise ModelFormatError("a pickle, but not one written by torch.save")
        machine = preamble[2]
        if not isinstance(machine, dict) or machine.get("little_endian") is not True:
            raise ModelFormatError("saved on a big-endian machine")
        self.tree, storages = self._unpickle(file)
        keys, _ = self._unpickle(file)
        if not isinstance(keys, Sequence) or isinstance(keys, str):
            raise ModelFormatError("the list of storages is missing")
        for key in map(str, keys):
            (count,) = struct.unpack("<q", file.read(8))
            storage = storages.get(key)
            if storage is None or count != storage.count:
                raise ModelFormatError(f"storage {key!r} is not the one announced")
            self._data[key] = (file.tell(), storage.size_bytes)
            file.seek(storage.size_bytes, io.SEEK_CUR)
