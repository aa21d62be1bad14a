"""Clips, cameras and streams: frames in, videos and files of results out.

Sources: `open_source` returns a `Source`, which gives a `Frame` or a `DamagedFrame` at a time.
Sinks: `VideoWriter`, `FrameLog` (JSON lines), `save_openpose_frame`, `save_clip` (npz, CSV,
Parquet), `save_face_clip` (a video of one face) and `PreviewWindow`. Reading videos with exact
times and writing them needs PyAV, the extra `video`; without it OpenCV reads, see
`dwpose_infer.media.opencv_capture`.
"""

from __future__ import annotations

from ..formats.clip_files import save_clip, save_openpose_frame
from ..formats.frame_log import FrameLog, LoggedFrame, read_frame_log
from .face_clip import FaceClipReport, save_face_clip
from .frames import DamagedFrame, Frame, Source, SourceItem
from .network_stream import Reconnection
from .opening import SourceLike, open_source
from .preview import PreviewWindow
from .span import Position
from .video_writer import VideoWriter

__all__ = [
    "DamagedFrame",
    "FaceClipReport",
    "Frame",
    "FrameLog",
    "LoggedFrame",
    "Position",
    "PreviewWindow",
    "Reconnection",
    "Source",
    "SourceItem",
    "SourceLike",
    "VideoWriter",
    "open_source",
    "read_frame_log",
    "save_clip",
    "save_face_clip",
    "save_openpose_frame",
]
