"""NWB files of neuroscience, through ndx-pose: a clip's points beside what else was recorded.

The processing module `behavior` has the skeleton of 133 points, and for each identity a
`PoseEstimation` called `person_7`, or `place_0` and so on where nobody was tracked: a series for
each point, in pixels from the upper left corner, NaN where absent, with its scores and the frames'
times. What a file does not hold: boxes, and the frames' indices, which are counted from 0 again.

Needs pynwb and ndx-pose.
"""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from datetime import datetime, timezone
from types import ModuleType
from typing import Any, Final

import numpy as np

from .. import keypoints as kp
from .._version import __version__
from ..arrays import Float32Array
from ..errors import FormatError, needs_extra
from ..files.json_text import require
from ..poses import Poses, PoseTable, unstack
from .dense import from_points, points_of, seconds_of
from .format import Format

_NAME: Final = re.compile(r"(person|place)_(-?\d+)")
_SCORE: Final = (
    "SimCC score of the pose network, the smaller maximum along x and y; it may exceed 1"
)
_UNKNOWN_BEGIN: Final = datetime(1970, 1, 1, tzinfo=timezone.utc)


def encode(
    table: PoseTable,
    *,
    session_start_time: datetime | None = None,
    session_description: str = "poses of a video",
    frame_rate: float | None = None,
) -> bytes:
    """Returns the file of a clip.

    Args:
        table: The frames.
        session_start_time: When the clip begins, with its time zone, which NWB wants to know; None
            writes 1970-01-01 and says so in the description.
        session_description: What the file says that it is.
        frame_rate: Frames per second, where the frames' times are not known.

    Raises:
        InvalidArgumentError: There is no frame, or no way to know the times.
        MissingDependencyError: pynwb or ndx-pose is not installed.
    """
    pynwb, ndx_pose, h5py = _import_nwb()
    points, ids = points_of(table, "NWB")
    times_s = seconds_of(table, frame_rate)
    if session_start_time is None:
        session_description += "; when it began is not known, the start time stands for that"
    source = next((each for each in table.sources if each is not None), "a clip")
    nwb = pynwb.NWBFile(
        session_description=session_description,
        identifier=source,
        session_start_time=session_start_time or _UNKNOWN_BEGIN,
    )
    behavior = nwb.create_processing_module(name="behavior", description="poses")
    edges = np.array(kp.SKELETON_LINKS, np.uint8)
    skeleton = ndx_pose.Skeleton(name="wholebody", nodes=list(kp.KEYPOINT_NAMES), edges=edges)
    behavior.add(ndx_pose.Skeletons(skeletons=[skeleton]))
    names = [f"place_{place}" for place in range(points.shape[1])]
    if ids is not None:
        names = [f"person_{number}" for number in ids.tolist()]
    for place, name in enumerate(names):
        behavior.add(
            ndx_pose.PoseEstimation(
                name=name,
                pose_estimation_series=_series(ndx_pose, points[:, place], times_s),
                description=f"133 whole-body points of {source}",
                source_software="dwpose_infer",
                source_software_version=__version__,
                skeleton=skeleton,
            )
        )
    file = io.BytesIO()
    with h5py.File(file, "w") as opened, pynwb.NWBHDF5IO(file=opened, mode="w") as writer:
        writer.write(nwb)
    return file.getvalue()


def _series(ndx_pose: Any, points: Float32Array, times_s: Any) -> list[Any]:
    """The series of one person; all share the times of the first."""
    series: list[Any] = []
    for index, name in enumerate(kp.KEYPOINT_NAMES):
        series.append(
            ndx_pose.PoseEstimationSeries(
                name=name,
                data=points[:, index, :2],
                confidence=points[:, index, 2],
                confidence_definition=_SCORE,
                unit="pixels",
                reference_frame="the upper left corner of the picture, x right, y down",
                timestamps=series[0] if series else times_s,
            )
        )
    return series


def decode(data: bytes, *, origin: str) -> list[Poses]:
    """Returns the frames of a file; see `decode_clip`."""
    return unstack(decode_clip(data, origin=origin))


def decode_clip(data: bytes, *, origin: str) -> PoseTable:
    """Returns the frames of a file that `encode` made, with their times, and indices from 0.

    Raises:
        FormatError: It is no such file.
        MissingDependencyError: pynwb or ndx-pose is not installed.
    """
    pynwb, _, h5py = _import_nwb()
    try:
        with (
            h5py.File(io.BytesIO(data), "r") as opened,
            pynwb.NWBHDF5IO(file=opened, mode="r") as reader,
        ):
            return _read(reader.read(), origin)
    except FormatError:
        raise
    except Exception as error:  # of HDF5, hdmf and pynwb, of many kinds
        raise FormatError(f"{origin}: not an NWB file of poses: {error}") from error


def _read(nwb: Any, origin: str) -> PoseTable:
    require("behavior" in nwb.processing, origin, "it has no processing module called behavior")
    found = nwb.processing["behavior"].data_interfaces
    people = {match: found[name] for name in found if (match := _NAME.fullmatch(name))}
    tracked = all(match[1] == "person" for match in people)
    order = sorted(people, key=lambda match: int(match[2]))
    require(bool(order), origin, "nobody is in it: no PoseEstimation is called person_1 or alike")
    columns, times_s = [], np.zeros(0)
    for match in order:
        series = people[match].pose_estimation_series
        lacking = [name for name in kp.KEYPOINT_NAMES if name not in series]
        require(not lacking, origin, f"{match[0]} lacks {', '.join(lacking[:3])}")
        each = [series[name] for name in kp.KEYPOINT_NAMES]
        times_s = np.asarray(each[0].timestamps)
        places = np.stack([np.asarray(one.data) for one in each], axis=1)
        scores = np.stack([np.asarray(one.confidence) for one in each], axis=1)
        columns.append(np.concatenate([places, scores[..., None]], axis=2).astype(np.float32))
    ids = np.array([int(match[2]) for match in order], np.int64) if tracked else None
    frames = range(len(times_s))
    return from_points(np.stack(columns, axis=1), ids, frames, times_s.tolist())


def _import_nwb() -> tuple[ModuleType, ModuleType, ModuleType]:
    with needs_extra("NWB files need pynwb and ndx-pose", "nwb"):
        import h5py
        import ndx_pose
        import pynwb
    return pynwb, ndx_pose, h5py


def _check(sources: Sequence[str]) -> None:
    _import_nwb()


FORMAT: Final = Format(
    name="nwb",
    ending=".nwb",
    per="clip",
    lossless=False,
    description="NWB with ndx-pose, as neuroscience reads it",
    encode=encode,
    decode=decode,
    decode_clip=decode_clip,
    of_clip="file",
    clip_name="{stem}.nwb",
    check=_check,
    wholebody_only=True,
)
