"""`.pose` files of pose-format, which sign-language work keeps its clips in.

The four components are pose-format's own for the 133 points: `BODY` (body and feet), `FACE`,
`LEFT_HAND` and `RIGHT_HAND`, with x, y and the score of each point. People are the second axis, an
identity each, or the first, second and so on of each frame where nobody was tracked; read back they
are numbered by it. Frames that are missing are empty. A file knows a frame rate instead of times:
the mean of the clip's. What it does not hold: boxes, times, and where the clip began.

Needs pose-format.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from .. import keypoints as kp
from ..errors import FormatError, needs_extra
from ..files.json_text import require
from ..poses import Poses, PoseTable, unstack
from .dense import even_rows, from_points, points_of, seconds_of
from .format import Format

_VERSION: Final = 0.2
"""Version of the layout of files: pose-format's newest."""


def encode(table: PoseTable, *, frame_rate: float | None = None) -> bytes:
    """Returns the file of a clip.

    Args:
        table: The frames.
        frame_rate: Frames per second, where the frames' times are not known.

    Raises:
        InvalidArgumentError: There is no frame, or no way to know the frame rate.
        MissingDependencyError: pose-format is not installed.
    """
    pose_format, components = _import_pose_format()
    points, _ = points_of(table, ".pose")
    assert table.frame_indices is not None
    rows, rate = even_rows(table.frame_indices, seconds_of(table, frame_rate))
    people = max(1, points.shape[1])  # a file of nobody at all is none to its reader
    known = np.zeros((int(rows[-1]) + 1, people, kp.NUM_KEYPOINTS, 3), np.float32)
    known[rows, : points.shape[1]] = np.nan_to_num(points, nan=0)
    width, height = np.maximum(table.image_sizes.max(axis=0), 0).tolist()
    size = pose_format.pose_header.PoseHeaderDimensions(width=width, height=height, depth=0)
    header = pose_format.PoseHeader(version=_VERSION, dimensions=size, components=components)
    body = pose_format.numpy.NumPyPoseBody(rate, known[..., :2], known[..., 2])
    file = io.BytesIO()
    pose_format.Pose(header, body).write(file)
    return file.getvalue()


def decode(data: bytes, *, origin: str) -> list[Poses]:
    """Returns the frames of a file; see `decode_clip`."""
    return unstack(decode_clip(data, origin=origin))


def decode_clip(data: bytes, *, origin: str) -> PoseTable:
    """Returns the frames of a file with the 133 points, with their indices and times from 0.

    Raises:
        FormatError: It is no such file, or holds other points.
        MissingDependencyError: pose-format is not installed.
    """
    pose_format, components = _import_pose_format()
    try:
        pose = pose_format.Pose.read(data)
        found = [(each.name, tuple(each.points)) for each in pose.header.components]
        points, scores = pose.body.data.filled(0), np.asarray(pose.body.confidence)
        rate, size = float(pose.body.fps), pose.header.dimensions
    except Exception as error:  # struct.error, UnicodeDecodeError, MemoryError and others
        raise FormatError(f"{origin}: not a .pose file: {error}") from error
    expected = [(each.name, tuple(each.points)) for each in components]
    names = ", ".join(name for name, _ in found)
    require(found == expected, origin, f"its components ({names}) are not those of 133 points")
    require(points.ndim == 4 and rate > 0, origin, "a .pose file without frames or frame rate")
    values = np.concatenate([points[..., :2], scores[..., None]], axis=3).astype(np.float32)
    values[values[..., 2] <= 0] = np.nan
    count = len(values)
    return from_points(
        values,
        np.arange(values.shape[1], dtype=np.int64),
        range(count),
        [index / rate for index in range(count)],
        image_size=(int(size.width), int(size.height)) if size.width and size.height else None,
    )


def _import_pose_format() -> tuple[Any, list[Any]]:
    """Returns pose-format and its components of the 133 points."""
    with needs_extra(".pose files need pose-format 0.15 or newer", "pose-format"):
        import pose_format
        import pose_format.numpy
        from pose_format.utils.cocowholebody133_header import cocowholebody_components
    return pose_format, cocowholebody_components()


def _check(sources: Sequence[str]) -> None:
    _import_pose_format()


FORMAT: Final = Format(
    name="pose",
    ending=".pose",
    per="clip",
    lossless=False,
    description="pose-format's .pose, as sign-language tools read it",
    encode=encode,
    decode=decode,
    decode_clip=decode_clip,
    of_clip="file",
    clip_name="{stem}.pose",
    check=_check,
    wholebody_only=True,
)
