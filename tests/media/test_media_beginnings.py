"""Clips that do not begin as clips do: inside a group of pictures, or not at 0."""

from __future__ import annotations

import av
import numpy as np
import pytest
from video_samples import even_pts, make_clip

from dwpose_infer.media import open_source
from dwpose_infer.media.decoding import Decoder
from dwpose_infer.media.frames import Frame

RATE = 30000 / 1001


def read(clip, **options):
    with open_source(clip, **options) as source:
        return list(source)


def test_avi_with_reordered_frames_begins_at_0(tmp_path):
    """AVI counts in the order of decoding: the first frame shown has the stamp 1 or 2."""
    clip = make_clip(tmp_path / "a.avi", codec="mpeg4", options={"bf": "2"})
    with av.open(str(clip)) as container:
        video = container.streams.video[0]
        stamps = [packet.pts for packet in container.demux(video) if packet.pts is not None]
        assert min(stamps) > 0 and video.start_time == 0
    items = read(clip)
    assert [type(item) for item in items] == [Frame] * 60
    times_s = [item.time_s for item in items]
    np.testing.assert_allclose(times_s, np.arange(60) / RATE, atol=1e-4)
    later = read(clip, start="20f")
    assert [item.index for item in later] == list(range(20, 60))
    np.testing.assert_allclose([item.time_s for item in later], times_s[20:], atol=1e-4)


def recorded_from(clip, path, first_packet):
    """A recording that was switched on in the middle of a broadcast."""
    with av.open(str(clip)) as source, av.open(str(path), "w", format="mpegts") as out:
        stream = source.streams.video[0]
        copy = out.add_stream_from_template(stream)
        for number, packet in enumerate(source.demux(stream)):
            if packet.dts is not None and number >= first_packet:
                packet.stream = copy
                out.mux(packet)
    return path


@pytest.mark.parametrize("codec", ["libx264", "mpeg2video"])
def test_a_recording_that_begins_inside_a_group_of_pictures(tmp_path, caplog, codec):
    """Groups of 12: what comes before the first key frame is no damage."""
    whole = make_clip(tmp_path / "whole.ts", codec=codec, options={"g": "12", "bf": "2"})
    clip = recorded_from(whole, tmp_path / "late.ts", 5)
    items = read(clip)
    assert {type(item) for item in items} == {Frame}
    assert 46 <= len(items) <= 50
    assert [item.index for item in items] == list(range(len(items)))
    (line,) = [each for each in caplog.messages if "begins inside a group of pictures" in each]
    assert line.endswith("frames) is left out")
    expected = [item.image_bgr for item in read(whole)[-len(items) :]]
    for item, image_bgr in zip(items[3:], expected[3:], strict=True):
        np.testing.assert_array_equal(item.image_bgr, image_bgr)


class Stumbling:
    """A container as PyAV has it where damage makes a packet one of a stream it does not know."""

    def __init__(self, container, stumbles_at):
        self._packets = enumerate(container.demux(video=0))
        self._stumbles_at = stumbles_at
        self._container = container
        self.stumbled = 0

    def demux(self, stream):
        for number, packet in self._packets:
            if number in self._stumbles_at:
                self.stumbled += 1
                raise IndexError("list index out of range")
            yield packet

    def __getattr__(self, name):
        return getattr(self._container, name)


def test_packets_of_a_stream_that_was_not_there(tmp_path):
    """Seen with transport streams with a few bytes changed, in 5 of 150."""
    clip = make_clip(tmp_path / "a.ts", pts=tuple(even_pts(30)), options={"g": "5", "bf": "0"})
    with Decoder("a.ts", str(clip)) as decoder:
        decoder.container = Stumbling(decoder.container, {7, 8, 20})
        steps = list(decoder.decode())
        assert decoder.container.stumbled == 3
    good = [step for step in steps if step.frame is not None and step.problem is None]
    assert 20 <= len(good) <= 27
