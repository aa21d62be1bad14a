"""SLEAP's label files (.slp), through sleap-io: predictions to look at and to correct.

The skeleton has the 133 points with their names, bones and mirrored pairs; people are predicted
instances with the scores of their points and their boxes' scores, and a track for each identity.
The video is named, not embedded. What a file does not hold: boxes, times, and frames with nobody
or that were damaged.

Needs sleap-io.
"""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from .. import keypoints as kp
from .._version import __version__
from ..errors import FormatError, needs_extra
from ..files.json_text import require
from ..layouts import WHOLEBODY_133
from ..poses import Poses, PoseTable, stack, unstack
from .dense import points_of
from .format import Format


def encode(table: PoseTable) -> bytes:
    """Returns the file of a clip.

    Raises:
        InvalidArgumentError: There is no frame.
        MissingDependencyError: sleap-io is not installed.
    """
    sleap_io = _import_sleap_io()
    points_of(table, ".slp")
    assert table.frame_indices is not None
    indices = table.frame_indices.tolist()
    source = next((each for each in table.sources if each is not None), "clip")
    width, height = np.maximum(table.image_sizes.max(axis=0), 0).tolist()
    shape = [indices[-1] + 1, height, width, 3]
    video = sleap_io.Video(source, backend_metadata={"shape": shape}, open_backend=False)
    skeleton = _skeleton(sleap_io)
    tracks: dict[int, Any] = {}
    frames = []
    for index, poses in zip(indices, unstack(table), strict=True):
        people = _instances(sleap_io, poses, skeleton, tracks)
        if people:
            frames.append(sleap_io.LabeledFrame(video=video, frame_idx=index, instances=people))
    labels = sleap_io.Labels(
        frames,
        videos=[video],
        skeletons=[skeleton],
        tracks=[tracks[number] for number in sorted(tracks)],
        provenance={"source": f"dwpose_infer {__version__}"},
    )
    with tempfile.TemporaryDirectory(prefix="dwpose-slp-") as folder:
        path = Path(folder) / "clip.slp"
        sleap_io.save_slp(labels, str(path), verbose=False)
        return path.read_bytes()


def _skeleton(sleap_io: Any) -> Any:
    nodes = [sleap_io.Node(name) for name in kp.KEYPOINT_NAMES]
    pairs = [(a, b) for a, b in enumerate(kp.FLIP_INDICES) if a < b]
    return sleap_io.Skeleton(
        nodes=nodes,
        edges=[sleap_io.Edge(nodes[first], nodes[second]) for first, second in kp.SKELETON_LINKS],
        symmetries=[sleap_io.Symmetry([nodes[a], nodes[b]]) for a, b in pairs],
        name="wholebody",
    )


def _instances(sleap_io: Any, poses: Poses, skeleton: Any, tracks: dict[int, Any]) -> list[Any]:
    instances = []
    for person in poses.in_layout(WHOLEBODY_133).persons:
        track = None
        if person.id is not None:
            track = tracks.setdefault(person.id, sleap_io.Track(name=str(person.id)))
        instances.append(
            sleap_io.PredictedInstance.from_numpy(
                person.keypoints.astype(np.float64),
                skeleton=skeleton,
                point_scores=person.scores.astype(np.float64),
                score=1.0 if person.box_score is None else person.box_score,
                track=track,
            )
        )
    return instances


def decode(data: bytes, *, origin: str) -> list[Poses]:
    """Returns the frames of a file that have people; see `decode_clip`."""
    return unstack(decode_clip(data, origin=origin))


def decode_clip(data: bytes, *, origin: str) -> PoseTable:
    """Returns the frames of a file that have people, with their indices.

    Points that people have placed have the score 1; identities are the numbers that name tracks,
    or else the tracks' places.

    Raises:
        FormatError: It is no such file, has another skeleton, or several videos.
        MissingDependencyError: sleap-io is not installed.
    """
    sleap_io = _import_sleap_io()
    with tempfile.TemporaryDirectory(prefix="dwpose-slp-") as folder:
        path = Path(folder) / "clip.slp"
        path.write_bytes(data)
        try:
            labels = sleap_io.load_slp(str(path), open_videos=False)
            frames = sorted(labels.labeled_frames, key=lambda frame: int(frame.frame_idx))
            return _read(labels, frames, origin)
        except FormatError:
            raise
        except Exception as error:  # of HDF5 and sleap-io, of many kinds
            raise FormatError(f"{origin}: not a SLEAP file of poses: {error}") from error


def _read(labels: Any, frames: list[Any], origin: str) -> PoseTable:
    named = all(tuple(each.node_names) == kp.KEYPOINT_NAMES for each in labels.skeletons)
    require(bool(labels.skeletons) and named, origin, "its skeleton is not that of the 133 points")
    require(len(labels.videos) <= 1, origin, f"it has {len(labels.videos)} videos, expected one")
    require(bool(frames), origin, "nobody is in it")
    tracks = list(labels.tracks)
    numbered = all(track.name.isdecimal() for track in tracks)
    number_of = {
        id(track): int(track.name) if numbered else place for place, track in enumerate(tracks)
    }
    video: Any = labels.videos[0] if labels.videos else None
    shape = None
    with contextlib.suppress(Exception):  # the video lies elsewhere
        shape = video.shape
    size = (int(shape[2]), int(shape[1])) if shape and shape[1] and shape[2] else None
    source = None if video is None else str(video.filename)
    poses = [_picture(frame, number_of, size, source) for frame in frames]
    return stack(poses).at([int(frame.frame_idx) for frame in frames], [None] * len(frames))


def _picture(
    frame: Any, number_of: dict[int, int], size: tuple[int, int] | None, source: str | None
) -> Poses:
    people = list(frame.instances)
    points = np.full((len(people), kp.NUM_KEYPOINTS, 3), np.nan, np.float32)
    for place, person in enumerate(people):
        points[place, :, :2] = person.numpy(invisible_as_nan=True)
        scored = "score" in person.points.dtype.names
        points[place, :, 2] = person.points["score"] if scored else 1
    absent = np.asarray(np.isnan(points).any(axis=2))
    ids = [None if each.track is None else number_of[id(each.track)] for each in people]
    box_scores = [getattr(person, "score", None) for person in people]
    return Poses(
        keypoints=np.where(absent[..., None], np.float32(np.nan), points[..., :2]),
        scores=np.where(absent, np.float32(0), points[..., 2]),
        box_scores=None if None in box_scores else np.array(box_scores, np.float32),
        ids=None if None in ids else np.array(ids, np.int64),
        image_size=size,
        source=source,
    )


def _import_sleap_io() -> Any:
    with needs_extra("SLEAP files need sleap-io", "sleap"):
        import sleap_io
    return sleap_io


def _check(sources: Sequence[str]) -> None:
    _import_sleap_io()


FORMAT: Final = Format(
    name="sleap",
    ending=".slp",
    per="clip",
    lossless=False,
    description="SLEAP's label file, to look at and to correct",
    encode=encode,
    decode=decode,
    decode_clip=decode_clip,
    of_clip="file",
    clip_name="{stem}.slp",
    check=_check,
    wholebody_only=True,
)
