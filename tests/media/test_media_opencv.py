from __future__ import annotations

import sys
import threading
import time

import cv2
import numpy as np
import pytest

from dwpose_infer.errors import InputError, InvalidArgumentError
from dwpose_infer.media import Frame, open_source, opencv_capture


class FakeCamera:
    """A camera that gives `frames` grey pictures of rising brightness, and then fails."""

    def __init__(self, frames, *, opened=True, pause_s=0.0, fails_first=0):
        self.frames, self.opened, self.pause_s = frames, opened, pause_s
        self.fails_first = fails_first
        self.given = 0
        self.released = False

    def isOpened(self):
        return self.opened

    def get(self, prop):
        return {cv2.CAP_PROP_FPS: 30.0}.get(prop, 0.0)

    def wait_for(self, count):
        """Waits until so many frames were given, however long that takes on a busy machine."""
        until = time.monotonic() + 60
        while self.given < count:
            assert time.monotonic() < until, f"{self.given} frames of {count} in a minute"
            time.sleep(0.001)

    def read(self):
        time.sleep(self.pause_s)
        if self.fails_first > 0:
            self.fails_first -= 1
            return False, None
        if self.given >= self.frames:
            return False, None
        self.given += 1
        return True, np.full((48, 64, 3), self.given % 256, np.uint8)

    def release(self):
        self.released = True


@pytest.fixture
def camera(monkeypatch):
    """Puts a camera in place of those of the machine."""

    def plug_in(*args, **options):
        fake = FakeCamera(*args, **options)
        monkeypatch.setattr(opencv_capture, "open_capture", lambda target, timeout_s: fake)
        return fake

    return plug_in


@pytest.mark.parametrize("name", [0, "0", "/dev/video0"])
def test_a_camera(camera, name):
    fake = camera(10**9, pause_s=0.002)
    before = threading.active_count()
    with open_source(name) as source:
        assert source.name == "camera 0"
        assert source.is_live and source.frame_count is None
        assert source.size_wh == (64, 48)
        assert source.frame_rate == 30
        items = iter(source)
        first = next(items)
        fake.wait_for(first.index + 25)
        second = next(items)
    assert isinstance(first, Frame)
    assert second.index >= first.index + 20
    assert second.image_bgr[0, 0, 0] == (second.index + 1) % 256
    assert second.time_s - first.time_s > 0.03  # 20 pauses and more, none of them shorter than said
    assert source.dropped_frames >= second.index - first.index - 2
    assert fake.released
    assert threading.active_count() == before


def test_a_camera_that_is_pulled_out(camera):
    camera(5, pause_s=0.01)
    with open_source(0) as source, pytest.raises(InputError, match="camera 0: no frame comes any"):
        for item in source:
            assert item.index < 5


def test_a_camera_that_needs_a_moment(camera):
    camera(3, fails_first=4)
    with open_source(0) as source:
        assert next(iter(source)).index in (0, 1, 2)


@pytest.mark.parametrize("fake", [{"opened": False}, {}])
def test_no_camera(camera, fake):
    plugged = camera(0, **fake)
    with pytest.raises(InputError, match=r"camera 7: there is no (camera|frame)"):
        open_source(7)
    assert plugged.released


def test_cameras_have_no_parts(camera):
    camera(5)
    with pytest.raises(InvalidArgumentError, match="is live"):
        open_source(0, start=1)
    with pytest.raises(InvalidArgumentError, match="frame_rate is for pictures"):
        open_source("0", frame_rate=5)
    with pytest.raises(InvalidArgumentError, match="no number -1"):
        open_source(-1)
    for wrong in (True, 1.5, None, b"clip.mp4"):
        with pytest.raises(InvalidArgumentError, match="cannot be read from"):
            open_source(wrong)


@pytest.fixture
def no_av(monkeypatch):
    monkeypatch.setitem(sys.modules, "av", None)


@pytest.fixture
def avi(tmp_path):
    """40 frames at 20 per second; OpenCV writes Motion JPEG without PyAV."""
    path = tmp_path / "clip.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 20.0, (64, 48))
    assert writer.isOpened()
    for index in range(40):
        writer.write(np.full((48, 64, 3), 6 * index, np.uint8))
    writer.release()
    return path


def test_clips_are_read_without_pyav(no_av, avi):
    with open_source(avi) as source:
        assert isinstance(source, opencv_capture.OpenCVCapture)
        assert (source.size_wh, source.frame_rate, source.frame_count) == ((64, 48), 20, 40)
        assert not source.is_live
        assert source.path == str(avi)
        frames = list(source)
    assert [frame.index for frame in frames] == list(range(40))
    assert [frame.time_s for frame in frames] == pytest.approx([i / 20 for i in range(40)])
    assert [int(frame.image_bgr.mean()) for frame in frames] == pytest.approx(
        [6 * index for index in range(40)], abs=3
    )


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"start": "7f", "end": "20f", "stride": 4}, [7, 11, 15, 19]),
        ({"start": 1.0, "end": 1.2}, [20, 21, 22, 23]),
    ],
)
def test_parts_without_pyav(no_av, avi, options, expected):
    with open_source(avi, **options) as source:
        assert [frame.index for frame in source] == expected


def test_bad_clips_without_pyav(no_av, avi, tmp_path):
    with pytest.raises(InputError, match="no frame in the part"):
        open_source(avi, start=99)
    text = tmp_path / "text.mp4"
    text.write_text("no video")
    with pytest.raises(InputError, match=r"OpenCV cannot open it.*dwpose-infer\[video\]"):
        open_source(text)
