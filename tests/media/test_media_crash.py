"""What a killed process leaves, and videos of skeletons alone."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

av = pytest.importorskip("av")
from video_samples import audio_packets, even_pts, make_clip, video_times

from dwpose_infer import PoseResult
from dwpose_infer.drawing import draw
from dwpose_infer.media import Frame, VideoWriter, open_source

WRITE_FOREVER = """
import itertools, sys
import numpy as np
from dwpose_infer.media import VideoWriter
writer = VideoWriter(sys.argv[1], frame_rate=30, preset="ultrafast")
for index in itertools.count():
    writer.write(np.full((120, 160, 3), index % 256, np.uint8))
    print(index, flush=True)
"""


@pytest.mark.slow
@pytest.mark.parametrize("ending", [".mp4", ".mkv"])
def test_a_killed_process_leaves_a_video_that_can_be_read(tmp_path, ending):
    path = tmp_path / f"out{ending}"
    command = [sys.executable, "-c", WRITE_FOREVER, str(path)]
    written = 0
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        for line in process.stdout:
            written = int(line)
            if written >= 300:
                break
        process.kill()
        process.communicate()
    assert not path.exists()
    with open_source(tmp_path / f"out.partial{ending}") as source:
        frames = [item for item in source if isinstance(item, Frame)]
    assert len(frames) > written - 90
    assert [frame.index for frame in frames] == list(range(len(frames)))
    np.testing.assert_allclose(
        [frame.time_s for frame in frames], np.arange(len(frames)) / 30, atol=1e-3
    )
    for frame in frames[:: len(frames) // 7]:
        assert frame.image_bgr.mean() == pytest.approx(frame.index % 256, abs=4)


def test_skeletons_alone_on_black(tmp_path):
    """The canvas that animation models take, moving ten pixels a frame to the right."""
    out = tmp_path / "skeletons.mp4"
    with VideoWriter(out, frame_rate=25, crf=10) as writer:
        for index in range(8):
            keypoints = np.full((1, 133, 2), np.nan, np.float32)
            scores = np.zeros((1, 133), np.float32)
            keypoints[0, 5], keypoints[0, 7] = (50 + 10 * index, 40), (50 + 10 * index, 160)
            scores[0, [5, 7]] = 1.0
            result = PoseResult(keypoints, scores, image_size=(255, 200))
            writer.write(draw(result))
    with open_source(out) as source:
        frames = list(source)
    assert len(frames) == len(video_times(out)) == 8
    for frame in frames:
        assert frame.image_bgr.shape == (200, 256, 3)
        _, columns = np.nonzero(frame.image_bgr.max(axis=2) > 60)
        assert columns.mean() == pytest.approx(50 + 10 * frame.index, abs=1.5)
        assert frame.image_bgr[:, 200:].max() < 16


def test_sound_of_a_transport_stream(tmp_path):
    """AAC has a header in each packet there, and the stream does not begin at 0."""
    clip = make_clip(tmp_path / "clip.ts", audio="aac")
    with open_source(clip) as source, VideoWriter(tmp_path / "out.mp4", like=source) as writer:
        for frame in source:
            writer.write(frame.image_bgr, frame.time_s, frame.duration_s)
    np.testing.assert_allclose(
        video_times(tmp_path / "out.mp4"), np.arange(60) * 1001 / 30000, atol=1e-6
    )
    original, copied = audio_packets(clip), audio_packets(tmp_path / "out.mp4")
    assert len(original) - 2 <= len(copied) <= len(original)
    assert copied[-1] in original[-1]  # without its header


def test_sound_that_is_over_before_the_part_begins(tmp_path):
    sound = make_clip(tmp_path / "sound.mp4", pts=even_pts(15), audio="aac")
    clip = make_clip(tmp_path / "clip.mp4")
    out = tmp_path / "out.mp4"
    with (
        open_source(clip, start=1.0) as source,
        VideoWriter(out, like=source, audio_from=sound) as writer,
    ):
        for frame in source:
            writer.write(frame.image_bgr, frame.time_s, frame.duration_s)
    assert len(video_times(out)) == 30
    with av.open(str(out)) as written:
        assert not written.streams.audio
