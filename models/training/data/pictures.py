"""Pictures of the persons, decoded when needed or kept decoded in memory.

Files on a local disk need no cache of their own: the operating system keeps them in memory, for
all workers together. What costs time is decoding, so that is what the cache saves: it holds
decoded pixels, in one block that is filled once, before the workers start, and never written
again. Workers made by forking therefore share it.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import cv2
import numpy as np
from tqdm import tqdm

from ....arrays import Int64Array, UInt8Array
from ....cores import usable_cores
from ....errors import InputError
from .persons import Persons


@dataclass(frozen=True, slots=True, eq=False)
class Pictures:
    """The pictures of a table of persons.

    Attributes:
        persons: The table.
        cached_bytes: (B,) uint8, the decoded pixels of the pictures that are kept, read-only.
        cached_at: (I,) int64, where each picture starts in them; -1 where it is not kept.
    """

    persons: Persons
    cached_bytes: UInt8Array
    cached_at: Int64Array

    def __len__(self) -> int:
        return len(self.persons.paths_utf8)

    @property
    def cached(self) -> int:
        """Number of pictures that are kept decoded."""
        return int((self.cached_at >= 0).sum())

    def __getitem__(self, image_index: int) -> UInt8Array:
        """Returns a picture, (H, W, 3) uint8, BGR; it must not be written to.

        Raises:
            InputError: The picture cannot be read or has another size than its labels say.
        """
        start = self.cached_at[image_index]
        if start < 0:
            return decode(self.persons, image_index)
        width, height = self.persons.sizes_wh[image_index].tolist()
        pixels = self.cached_bytes[start : start + 3 * width * height]
        return pixels.reshape(height, width, 3)


def open_pictures(
    persons: Persons, *, cache_bytes: int = 0, show_progress: bool = False
) -> Pictures:
    """Makes the pictures of a table of persons readable, and decodes some of them in advance.

    Args:
        persons: The table.
        cache_bytes: Memory for decoded pictures; they are kept in the order of the table as far
            as it reaches. Every process that is not a worker of this one has its own.
        show_progress: Whether to show how far the decoding is.

    Raises:
        InputError: A picture cannot be read or has another size than its labels say.
    """
    needed = 3 * persons.sizes_wh.astype(np.int64).prod(axis=1)
    ends = np.cumsum(needed)
    kept = int(np.searchsorted(ends, cache_bytes, side="right"))
    cached_at = np.full(len(needed), -1, np.int64)
    cached_at[:kept] = ends[:kept] - needed[:kept]
    block = np.empty(int(ends[kept - 1]) if kept else 0, np.uint8)

    def fill(index: int) -> None:
        block[cached_at[index] : ends[index]] = decode(persons, index).ravel()

    if kept:
        with ThreadPoolExecutor(max_workers=usable_cores()) as pool:
            decoded = pool.map(fill, range(kept))
            bar = tqdm(decoded, "decoding", kept, unit="picture", disable=not show_progress)
            for _ in bar:
                pass
    block.flags.writeable = False
    return Pictures(persons, block, cached_at)


def decode(persons: Persons, image_index: int) -> UInt8Array:
    """Reads one picture as mmpose does: `cv2.imdecode`, upright by its EXIF orientation.

    Ordinary JPEG and PNG files come out equal to `images.read_image`.

    Args:
        persons: The table.
        image_index: Which picture.

    Returns:
        (H, W, 3) uint8, BGR.

    Raises:
        InputError: The picture cannot be read or has another size than its labels say.
    """
    path = persons.path(image_index)
    try:
        data = np.fromfile(path, np.uint8)
    except OSError as error:
        raise InputError(
            f"{path} cannot be read: {error}; {_owner(persons, image_index)}"
        ) from error
    image = cv2.imdecode(data, cv2.IMREAD_COLOR) if len(data) else None
    if image is None:
        raise InputError(
            f"{path} is damaged or no picture that OpenCV can read; {_owner(persons, image_index)}"
        )
    width, height = persons.sizes_wh[image_index].tolist()
    if image.shape != (height, width, 3):
        raise InputError(
            f"{path} has {image.shape[1]}x{image.shape[0]} pixels, its labels are for "
            f"{width}x{height}; {_owner(persons, image_index)}"
        )
    return np.asarray(image, np.uint8)


def _owner(persons: Persons, image_index: int) -> str:
    person = int(np.flatnonzero(persons.image_indices == image_index)[0])
    return f"it belongs to {persons.describe(person)}"
