from __future__ import annotations

import errno
import logging
import threading
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

av = pytest.importorskip("av")
from video_samples import (
    BACKGROUND_BGR,
    SQUARE_BGR,
    TIME_BASE,
    audio_packets,
    make_clip,
    picture,
    square_left,
    uneven_pts,
    video_times,
)

from dwpose_infer.errors import InvalidArgumentError, MissingDependencyError, OutputError
from dwpose_infer.files import output_file
from dwpose_infer.media import VideoWriter, encoding, open_source
from dwpose_infer.media.encoding import fit_into, holds_lead, pad_to_even


def copy(source_path, out, **options):
    """Reads a clip and writes it again; returns the writer."""
    part = {name: options.pop(name) for name in ("start", "end", "stride") if name in options}
    with (
        open_source(source_path, **part) as source,
        VideoWriter(out, like=source, **options) as writer,
    ):
        for frame in source:
            writer.write(frame.image_bgr, frame.time_s, frame.duration_s)
    return writer


def images(path):
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="bgr24") for frame in container.decode(video=0)]


@pytest.fixture(scope="module")
def sounding(tmp_path_factory):
    """60 frames of variable rate, with sound in AAC."""
    folder = tmp_path_factory.mktemp("sounding")
    return make_clip(folder / "clip.mp4", pts=uneven_pts(60), audio="aac")


@pytest.mark.parametrize("ending", [".mp4", ".mov", ".m4v", ".mkv"])
def test_frames_times_length_and_sound_are_those_of_the_source(tmp_path, sounding, ending):
    out = tmp_path / f"out{ending}"
    writer = copy(sounding, out)
    assert writer.frames_written == 60
    assert [path.name for path in tmp_path.iterdir()] == [out.name]
    matroska = ending == ".mkv"  # counts milliseconds
    np.testing.assert_allclose(
        video_times(out), video_times(sounding), atol=5.1e-4 if matroska else 1e-9
    )
    sound = audio_packets(sounding)
    assert len(sound) > 90
    assert audio_packets(out) == (sound if holds_lead(av, ending) else sound[1:])
    with av.open(str(out)) as written, av.open(str(sounding)) as original:
        assert written.streams.video[0].codec_context.name == "h264"
        assert written.streams.video[0].codec_context.pix_fmt == "yuv420p"
        assert written.duration == pytest.approx(original.duration, abs=1000)
        assert written.streams.audio[0].start_time == 0
    for index, image in enumerate(images(out)):
        assert square_left(image) == pytest.approx(2 * index, abs=1)


def test_a_constant_frame_rate_stays_one(tmp_path):
    clip = make_clip(tmp_path / "clip.mp4")
    copy(clip, tmp_path / "out.mp4")
    with av.open(str(tmp_path / "out.mp4")) as written:
        assert written.streams.video[0].average_rate == Fraction(30000, 1001)
        assert written.streams.video[0].frames == 60
        assert not written.streams.audio


def test_part_of_a_clip_begins_at_zero_with_its_own_sound(tmp_path, sounding):
    copy(sounding, tmp_path / "out.mp4", start=1.0, end=1.8)
    times = np.array(video_times(sounding))
    wanted = times[(times >= 1.0) & (times < 1.8)]
    np.testing.assert_allclose(
        video_times(tmp_path / "out.mp4"), wanted - wanted[0], atol=float(TIME_BASE)
    )
    heard = audio_packets(tmp_path / "out.mp4")
    assert len(heard) == pytest.approx(0.8 * 44100 / 1024, abs=4)
    packets = audio_packets(sounding)
    first = packets.index(heard[0])
    assert packets[first : first + len(heard)] == heard
    # Packet 0 lies one packet before 0 s; up to one is kept before the new beginning.
    assert (first - 1) * 1024 / 44100 == pytest.approx(wanted[0], abs=2 * 1024 / 44100)


def test_stride_keeps_the_times(tmp_path, sounding):
    copy(sounding, tmp_path / "out.mp4", stride=4)
    np.testing.assert_allclose(video_times(tmp_path / "out.mp4"), video_times(sounding)[::4])
    assert len(audio_packets(tmp_path / "out.mp4")) >= len(audio_packets(sounding)) - 1


def test_sound_is_left_out_on_wish(tmp_path, sounding):
    copy(sounding, tmp_path / "out.mp4", audio=False)
    with av.open(str(tmp_path / "out.mp4")) as written:
        assert [stream.type for stream in written.streams] == ["video"]


def test_sound_of_another_file(tmp_path, sounding):
    silent = make_clip(tmp_path / "silent.mp4")
    copy(silent, tmp_path / "out.mp4", audio_from=sounding)
    heard = audio_packets(tmp_path / "out.mp4")
    assert len(heard) >= 85  # the clip has 2.002 s, its sound 2.35 s
    lead = 0 if holds_lead(av, ".mp4") else 1
    assert heard == audio_packets(sounding)[lead : lead + len(heard)]


def test_sound_the_container_cannot_hold_is_told(tmp_path, caplog):
    clip = make_clip(tmp_path / "clip.mkv", audio="wavpack")
    with caplog.at_level(logging.WARNING):
        copy(clip, tmp_path / "out.mp4")
    assert "sound left out, .mp4 cannot hold it: wavpack" in caplog.text
    assert len(video_times(tmp_path / "out.mp4")) == 60
    copy(clip, tmp_path / "out.mkv")
    assert audio_packets(tmp_path / "out.mkv") == audio_packets(clip)


@pytest.mark.parametrize("size_wh", [(161, 120), (160, 121), (161, 121)])
def test_odd_sizes_get_one_more_column_or_row(tmp_path, size_wh):
    out = tmp_path / "out.mp4"
    with VideoWriter(out, frame_rate=25) as writer:
        for index in range(5):
            writer.write(picture(index, size_wh))
    written = images(out)
    width, height = size_wh
    assert [image.shape for image in written] == [(height + height % 2, width + width % 2, 3)] * 5
    np.testing.assert_allclose(written[0][-1, -1], BACKGROUND_BGR, atol=6)


def test_colours_survive(tmp_path):
    with VideoWriter(tmp_path / "out.mp4", frame_rate=25, crf=5) as writer:
        for index in range(3):
            writer.write(picture(index))
    with open_source(tmp_path / "out.mp4") as source:
        image = next(iter(source)).image_bgr
    np.testing.assert_allclose(image[80, 80], BACKGROUND_BGR, atol=4)
    np.testing.assert_allclose(image[20, 12], SQUARE_BGR, atol=4)


def test_times_from_the_frame_rate_alone(tmp_path):
    with VideoWriter(tmp_path / "out.mp4", frame_rate=Fraction(30000, 1001)) as writer:
        for index in range(10):
            writer.write(picture(index))
    np.testing.assert_allclose(
        video_times(tmp_path / "out.mp4"), [i * 1001 / 30000 for i in range(10)], atol=1.2e-5
    )


def test_pictures_of_another_size_are_fitted_in(tmp_path):
    with VideoWriter(tmp_path / "out.mp4", frame_rate=25) as writer:
        writer.write(picture(0))
        writer.write(picture(0, (320, 120)))
    first, second = images(tmp_path / "out.mp4")
    assert first.shape == second.shape == (120, 160, 3)
    assert second[10, 80].max() < 12 and second[110, 80].max() < 12  # bars above and below
    np.testing.assert_allclose(second[70, 80], BACKGROUND_BGR, atol=8)


def test_fitting_and_padding():
    image = np.full((10, 20, 3), 9, np.uint8)
    assert fit_into(image, (20, 10)) is image
    fitted = fit_into(image, (10, 10))
    assert fitted[:2].max() == 0 and fitted[3:7].min() == 9 and fitted[8:].max() == 0
    assert pad_to_even(image) is image
    assert pad_to_even(image[:9, :19]).shape == (10, 20, 3)


def test_leaving_by_an_error_keeps_what_was_written(tmp_path, sounding, caplog):
    out = tmp_path / "out.mp4"
    with (
        caplog.at_level(logging.WARNING),
        pytest.raises(KeyboardInterrupt),
        open_source(sounding) as source,
        VideoWriter(out, like=source) as writer,
    ):
        for frame in source:
            writer.write(frame.image_bgr, frame.time_s, frame.duration_s)
            if frame.index == 40:
                raise KeyboardInterrupt
    partial = tmp_path / "out.partial.mp4"
    assert writer.partial_path == partial
    assert list(tmp_path.iterdir()) == [partial]
    np.testing.assert_allclose(video_times(partial), video_times(sounding)[:41])
    assert len(audio_packets(partial)) == pytest.approx(1.6 * 44100 / 1024, abs=3)
    assert f"stopped after 41 frames; they are in {partial}" in caplog.text


def test_an_existing_video_stays_until_the_new_one_is_complete(tmp_path):
    out = tmp_path / "out.mp4"
    out.write_bytes(b"old")
    with pytest.raises(ZeroDivisionError), VideoWriter(out, frame_rate=25) as writer:
        writer.write(picture(0))
        raise ZeroDivisionError
    assert out.read_bytes() == b"old"
    with VideoWriter(out, frame_rate=25) as writer:
        writer.write(picture(0))
    assert len(video_times(out)) == 1


@pytest.fixture
def small_disk(monkeypatch):
    """Sets how many bytes can be written."""

    def limit(room):
        left = [room]

        def write_some(file, data):
            if left[0] <= 0:
                raise OSError(errno.ENOSPC, "No space left on device")
            done = file.write(data[: left[0]])
            left[0] -= done
            return done

        monkeypatch.setattr(output_file, "write_some", write_some)

    return limit


@pytest.mark.parametrize("ending", [".mp4", ".mkv"])
def test_a_full_disk_is_told_and_leaves_a_video_that_plays(tmp_path, small_disk, ending, rng):
    small_disk(500_000)
    out = tmp_path / f"out{ending}"
    with (
        pytest.raises(OutputError, match=r"no space is left on the disk; what was written plays"),
        VideoWriter(out, frame_rate=30) as writer,
    ):
        for _ in range(200):
            writer.write(rng.integers(0, 256, (120, 160, 3), np.uint8))
    assert not out.exists()
    times = video_times(writer.partial_path)
    assert writer.frames_written - 30 < len(times) < 200
    np.testing.assert_allclose(times, np.arange(len(times)) / 30, atol=6e-4)
    with open_source(writer.partial_path) as source:
        assert len(list(source)) >= len(times)


@pytest.mark.parametrize("ending", [".mp4", ".mkv"])
def test_a_disk_full_from_the_beginning_leaves_nothing(tmp_path, small_disk, ending):
    small_disk(20)
    with (
        pytest.raises(OutputError, match="no space is left on the disk"),
        VideoWriter(tmp_path / f"out{ending}", frame_rate=30) as writer,
    ):
        for index in range(300):
            writer.write(picture(index))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full here")
def test_a_full_device(tmp_path):
    (tmp_path / "out.partial.mkv").symlink_to("/dev/full")
    writer = VideoWriter(tmp_path / "out.mkv", frame_rate=30)
    writer.write(picture(0))
    with pytest.raises(OutputError, match="no space is left on the disk"):
        writer.close()


def test_places_that_cannot_be_written(tmp_path, sounding):
    (tmp_path / "file").touch()
    (tmp_path / "folder.mp4").mkdir()
    for path in (tmp_path / "file" / "a.mp4", tmp_path / "folder.mp4", tmp_path / "a\0.mp4"):
        with pytest.raises(OutputError, match="cannot write"):
            VideoWriter(path, frame_rate=25)
    with pytest.raises(InvalidArgumentError, match="not as"):
        VideoWriter(tmp_path / "a.avi", frame_rate=25)
    with (
        open_source(sounding) as source,
        pytest.raises(InvalidArgumentError, match="would be overwritten"),
    ):
        VideoWriter(sounding, like=source)
    assert len(video_times(sounding)) == 60


def test_bad_arguments(tmp_path):
    out = tmp_path / "a.mp4"
    for options, message in (
        ({}, "give like="),
        ({"frame_rate": 0}, "frame_rate is 0"),
        ({"frame_rate": float("nan")}, "frame_rate is nan"),
        ({"frame_rate": 25, "crf": 52}, "crf is 52"),
        ({"frame_rate": 25, "codec": "nonesuch"}, "no encoder 'nonesuch'"),
    ):
        with pytest.raises(InvalidArgumentError, match=message):
            VideoWriter(out, **options)
    assert list(tmp_path.iterdir()) == []


def test_what_is_no_frame(tmp_path):
    with VideoWriter(tmp_path / "a.mp4", frame_rate=25) as writer:
        writer.write(picture(0))
        for image in (np.zeros((8, 8)), np.zeros((8, 8, 3)), np.zeros((0, 8, 3), np.uint8)):
            with pytest.raises(InvalidArgumentError, match="is no frame"):
                writer.write(image)
        with pytest.raises(InvalidArgumentError, match="time_s"):
            writer.write(picture(0), float("inf"))
    with pytest.raises(InvalidArgumentError, match="closed"):
        writer.write(picture(0))


def test_no_frame_at_all_is_no_video(tmp_path):
    with pytest.raises(OutputError, match="no frame was written"):
        VideoWriter(tmp_path / "a.mp4", frame_rate=25).close()
    assert list(tmp_path.iterdir()) == []


def test_without_an_encoder_of_h264(tmp_path, monkeypatch):
    monkeypatch.setattr(encoding, "H264_ENCODERS", ("absent264",))
    with pytest.raises(MissingDependencyError, match="no encoder of H"):
        VideoWriter(tmp_path / "a.mp4", frame_rate=25)
    with VideoWriter(tmp_path / "a.mp4", frame_rate=25, codec="mpeg4") as writer:
        writer._options = encoding.EncodingOptions(
            "mpeg4", 18, "veryfast", Fraction(25), Fraction(1, 25)
        )
        for index in range(5):
            writer.write(picture(index))
    assert len(video_times(tmp_path / "a.mp4")) == 5


def test_without_pyav(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "av", None)
    with pytest.raises(MissingDependencyError, match=r"dwpose-infer\[video\]"):
        VideoWriter(tmp_path / "a.mp4", frame_rate=25)


def test_no_thread_is_left(tmp_path):
    before = threading.active_count()
    with VideoWriter(tmp_path / "a.mp4", frame_rate=25) as writer:
        writer.write(picture(0))
        assert threading.active_count() == before + 1
    assert threading.active_count() == before
    writer.close()
