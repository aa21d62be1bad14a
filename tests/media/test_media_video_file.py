from __future__ import annotations

import threading
import time
from fractions import Fraction

import numpy as np
import pytest

av = pytest.importorskip("av")
from video_samples import (
    BACKGROUND_BGR,
    SQUARE_BGR,
    TIME_BASE,
    even_pts,
    make_clip,
    set_matrix,
    square_left,
    uneven_pts,
)

from dwpose_infer.errors import InputError, InvalidArgumentError
from dwpose_infer.media import Frame, VideoWriter, open_source
from dwpose_infer.media.reading_ahead import MAX_QUEUE_FRAMES, QUEUE_BYTES


@pytest.fixture(scope="module")
def uneven(tmp_path_factory):
    """60 frames of variable rate."""
    return make_clip(tmp_path_factory.mktemp("clip") / "uneven.mp4", pts=uneven_pts(60))


def times_of(pts):
    return [float(stamp * TIME_BASE) for stamp in pts]


@pytest.mark.parametrize("ending", ["mp4", "mov", "mkv"])
@pytest.mark.parametrize("make_pts", [even_pts, uneven_pts])
def test_every_frame_at_its_time(tmp_path, ending, make_pts):
    clip = make_clip(tmp_path / f"clip.{ending}", pts=make_pts(60))
    with open_source(clip) as source:
        assert source.size_wh == (160, 120)
        assert source.frame_count == pytest.approx(60, abs=10 if ending == "mkv" else 0)
        assert not source.is_live
        assert source.path == str(clip)
        frames = list(source)
    assert all(isinstance(frame, Frame) for frame in frames)
    assert [frame.index for frame in frames] == list(range(60))
    rounding = 1e-9 if ending != "mkv" else 5.1e-4  # Matroska counts milliseconds
    times = [frame.time_s for frame in frames]
    np.testing.assert_allclose(times, times_of(make_pts(60)), atol=rounding)
    np.testing.assert_allclose(
        [frame.duration_s for frame in frames[:-1]], np.diff(times), atol=1e-9
    )
    assert frames[-1].duration_s == pytest.approx(0.0334, abs=0.002)
    for frame in frames:
        assert square_left(frame.image_bgr) == pytest.approx(2 * frame.index % 136, abs=1)


@pytest.mark.parametrize("colorspace", [1, 6])  # ITU-R BT.709 and BT.601
def test_colours_come_by_the_matrix_the_clip_names(tmp_path, colorspace):
    clip = make_clip(tmp_path / "clip.mp4", colorspace=colorspace)
    with open_source(clip) as source:
        image = next(iter(source)).image_bgr
    np.testing.assert_allclose(image[80, 80], BACKGROUND_BGR, atol=4)
    np.testing.assert_allclose(image[20, 12], SQUARE_BGR, atol=4)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"start": "17f"}, range(17, 60)),
        ({"start": "17f", "end": "40f", "stride": 3}, range(17, 40, 3)),
        ({"end": "1f"}, range(1)),
        ({"stride": 7}, range(0, 60, 7)),
        ({"start": 1.0}, range(26, 60)),  # frame 25 is at 87000/90000 s
        ({"start": "0:01", "end": "1.5s"}, range(26, 38)),  # frame 38 is at 1.5 s
        ({"start": 0.1, "end": 0.1166}, range(2, 3)),
    ],
)
def test_parts_are_exact(uneven, options, expected):
    stamps = times_of(uneven_pts(60))
    with open_source(uneven, **options) as source:
        assert source.frame_count == pytest.approx(len(expected), abs=1)
        frames = list(source)
    assert [frame.index for frame in frames] == list(expected)
    np.testing.assert_allclose([frame.time_s for frame in frames], [stamps[i] for i in expected])
    assert [square_left(frame.image_bgr) for frame in frames] == pytest.approx(
        [2 * index % 136 for index in expected], abs=1
    )


@pytest.mark.parametrize(("ending", "codec"), [("ts", "libx264"), ("avi", "mpeg4")])
def test_other_containers_start_where_asked(tmp_path, ending, codec):
    clip = make_clip(tmp_path / f"clip.{ending}", codec=codec)
    with open_source(clip, start=1.0) as source:
        frames = list(source)
    assert [frame.index for frame in frames] == list(range(30, 60))
    assert frames[0].time_s == pytest.approx(30 * 1001 / 30000, abs=1e-6)


def test_stride_counts_in_the_frame_rate(uneven):
    with open_source(uneven) as all_frames, open_source(uneven, stride=4) as fewer:
        assert all_frames.frame_rate is not None
        assert fewer.frame_rate == all_frames.frame_rate / 4
        assert all_frames.time_base == TIME_BASE


def test_odd_sizes(tmp_path):
    clip = make_clip(
        tmp_path / "odd.mp4", size_wh=(161, 121), pixel_format="yuv444p", pts=even_pts(5)
    )
    with open_source(clip) as source:
        assert source.size_wh == (161, 121)
        assert [frame.image_bgr.shape for frame in source] == [(121, 161, 3)] * 5


def test_a_size_that_changes_is_passed_on(tmp_path):
    """Two MPEG transport streams one after the other are one."""
    small = make_clip(tmp_path / "small.ts", pts=even_pts(12))
    large = make_clip(tmp_path / "large.ts", pts=even_pts(24)[12:], size_wh=(320, 180))
    both = tmp_path / "both.ts"
    both.write_bytes(small.read_bytes() + large.read_bytes())
    with open_source(both) as source:
        assert source.size_wh == (160, 120)
        shapes = [item.image_bgr.shape for item in source if isinstance(item, Frame)]
    assert shapes == [(120, 160, 3)] * 12 + [(180, 320, 3)] * 12


def test_the_queue_is_bounded(uneven):
    with open_source(uneven) as source:
        frames = iter(source)
        next(frames)
        time.sleep(0.3)
        assert source._channel.peak <= source.queue_frames == MAX_QUEUE_FRAMES
        assert len(list(frames)) == 59
        assert source._channel.peak <= MAX_QUEUE_FRAMES
        source.size_wh = (3840, 2160)
        assert source.queue_frames == QUEUE_BYTES // (3 * 3840 * 2160) == 2
    assert source.dropped_frames == 0


def test_closing_while_decoding_stops_the_thread(uneven):
    before = threading.active_count()
    source = open_source(uneven)
    frames = iter(source)
    next(frames)
    assert threading.active_count() == before + 1
    source.close()
    source.close()
    assert threading.active_count() == before
    assert list(frames) == []
    with pytest.raises(InvalidArgumentError, match="closed"):
        iter(source)


def test_reading_twice_is_refused(uneven):
    with open_source(uneven) as source:
        assert len(list(source)) == 60
        with pytest.raises(InvalidArgumentError, match="read already"):
            iter(source)


def test_a_part_without_frames(uneven):
    with pytest.raises(InputError, match=r"60 frames, the last one at 2\.317 s"):
        open_source(uneven, start=9)


def test_cover_pictures_are_no_video(tmp_path):
    path = tmp_path / "song.mp4"
    with av.open(str(path), "w") as container:
        sound = container.add_stream("aac", rate=44100)
        sound.layout = "mono"
        cover = container.add_stream("mjpeg", rate=Fraction(1))
        cover.width, cover.height, cover.pix_fmt = 64, 64, "yuvj420p"
        cover.disposition = av.stream.Disposition.attached_pic.value
        frame = av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8), format="bgr24")
        container.mux(cover.encode(frame.reformat(format="yuvj420p")))
        container.mux(cover.encode(None))
        silence = av.AudioFrame.from_ndarray(
            np.zeros((1, 1024), np.int16), format="s16", layout="mono"
        )
        silence.sample_rate = 44100
        container.mux(sound.encode(silence))
        container.mux(sound.encode(None))
    with pytest.raises(InputError, match="no video stream in it, only audio and video"):
        open_source(path)


def test_a_matroska_file_that_begins_later(tmp_path):
    """Its header notes when it ends, 12 s, not how long it is, 2 s (FFmpeg 8 writes it so)."""
    clip = make_clip(tmp_path / "part.mkv", pts=[900_000 + stamp for stamp in even_pts(60)])
    with av.open(str(clip)) as container:
        assert container.duration / 1e6 == pytest.approx(12.0, abs=0.01)
    with open_source(clip) as source:
        assert source.frame_count == 60
        items = list(source)
    assert [type(item) for item in items] == [Frame] * 60  # not: "cut off after 2 s"
    assert items[0].time_s == 0 and items[-1].time_s == pytest.approx(59 * 0.03337, abs=2e-3)


@pytest.mark.parametrize("turned", [False, True])
def test_the_shape_of_pixels_reaches_the_drawn_video(tmp_path, turned):
    """DV and AVCHD are stored squeezed; a drawn video without it shows thin people."""
    clip = make_clip(tmp_path / "dv.mp4", size_wh=(144, 116), pixel_aspect_ratio=Fraction(64, 45))
    if turned:
        set_matrix(clip, (0, 1, -1, 0))
    shown = Fraction(45, 64) if turned else Fraction(64, 45)
    with open_source(clip) as source, VideoWriter(tmp_path / "out.mp4", like=source) as writer:
        assert source.pixel_aspect_ratio == shown
        for frame in source:
            writer.write(frame.image_bgr, frame.time_s)
    with av.open(str(tmp_path / "out.mp4")) as container:
        assert Fraction(container.streams.video[0].sample_aspect_ratio) == shown
