"""Memory does not grow with the length of a clip."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("av")
from video_samples import even_pts, make_clip

from dwpose_infer.media import Frame, VideoWriter, open_source

MAX_GROWTH_BYTES = 20e6
"""From frame 500 to frame 5,000; frames of 128x96 that leaked would be 166 MB."""


def resident_bytes():
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs Linux")
def test_reading_and_writing_five_thousand_frames(tmp_path):
    clip = make_clip(tmp_path / "clip.mp4", pts=even_pts(5001), size_wh=(128, 96))
    at_500 = at_5000 = 0
    with (
        open_source(clip) as source,
        VideoWriter(tmp_path / "out.mp4", like=source, preset="ultrafast") as writer,
    ):
        for frame in source:
            assert isinstance(frame, Frame)
            writer.write(frame.image_bgr, frame.time_s, frame.duration_s)
            if frame.index == 500:
                at_500 = resident_bytes()
            if frame.index == 5000:
                at_5000 = resident_bytes()
    assert at_500 > 0
    assert at_5000 - at_500 < MAX_GROWTH_BYTES
