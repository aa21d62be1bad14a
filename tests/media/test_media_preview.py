from __future__ import annotations

import cv2
import numpy as np
import pytest

from dwpose_infer.errors import BackendUnavailableError, MissingDependencyError
from dwpose_infer.media import PreviewWindow, preview

HEADLESS = "General configuration\n  GUI:                           NONE\n  Media I/O:\n"
WINDOWED = HEADLESS.replace("NONE", "QT5")


def test_an_opencv_without_windows_names_the_wheel_that_has_them(monkeypatch):
    monkeypatch.setattr(cv2, "getBuildInformation", lambda: HEADLESS)
    with pytest.raises(MissingDependencyError, match=r'pip install "opencv-python>=4\.8,<5"'):
        PreviewWindow()


def test_a_build_without_that_line_has_no_windows(monkeypatch):
    monkeypatch.setattr(cv2, "getBuildInformation", lambda: "nothing of the kind")
    assert not preview.has_gui()


def test_no_display(monkeypatch):
    def fail(*args):
        raise cv2.error("no display")

    monkeypatch.setattr(cv2, "getBuildInformation", lambda: WINDOWED)
    monkeypatch.setattr(cv2, "namedWindow", fail)
    with pytest.raises(BackendUnavailableError, match="DISPLAY"):
        PreviewWindow()


@pytest.mark.parametrize(("key", "visible"), [(ord("q"), 1.0), (27, 1.0), (255, 0.0)])
def test_the_window_is_shown_until_it_is_left(monkeypatch, key, visible):
    calls = []
    keys, states = [255, key], [1.0, visible]
    monkeypatch.setattr(cv2, "getBuildInformation", lambda: WINDOWED)
    monkeypatch.setattr(cv2, "namedWindow", lambda *args: calls.append("open"))
    monkeypatch.setattr(cv2, "imshow", lambda title, image: calls.append("show"))
    monkeypatch.setattr(cv2, "waitKey", lambda delay: keys.pop(0))
    monkeypatch.setattr(cv2, "getWindowProperty", lambda *args: states.pop(0))
    monkeypatch.setattr(cv2, "destroyWindow", lambda title: calls.append("close"))
    with PreviewWindow() as window:
        assert window.show(np.zeros((8, 8, 3), np.uint8))
        assert not window.show(np.zeros((8, 8, 3), np.uint8))
        assert not window.show(np.zeros((8, 8, 3), np.uint8))
    assert calls == ["open", "show", "show", "close"]
