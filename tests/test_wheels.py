from __future__ import annotations

from importlib import metadata

import cv2
import pytest

from dwpose_infer import wheels
from dwpose_infer.errors import BackendUnavailableError
from dwpose_infer.wheels import join_wheels


def test_installed_wheels_are_found():
    assert "opencv-python-headless" in wheels.opencv_wheels()


def test_which_opencv_is_loaded_is_said_where_the_wheels_do_not_tell(monkeypatch):
    version = metadata.version("opencv-python-headless")
    assert wheels.opencv_in_words() == f"opencv-python-headless {version}"
    monkeypatch.setattr(cv2, "__version__", "5.0.0")
    over = {"opencv-python": "5.0.0.93", "opencv-python-headless": "4.14.0.94"}
    monkeypatch.setattr(wheels, "opencv_wheels", lambda: over)
    said = "opencv-python 5.0.0.93, opencv-python-headless 4.14.0.94, loaded: 5.0.0"
    assert wheels.opencv_in_words() == said
    monkeypatch.setattr(wheels, "opencv_wheels", dict)  # as Debian's python3-opencv
    assert wheels.opencv_in_words() == "loaded: 5.0.0"


def test_opencv_4_is_accepted():
    assert wheels.check_opencv() is None


def test_opencv_5_is_said_once(monkeypatch, caplog):
    """MediaPipe, ultralytics and others bring it; it has to work beside them."""
    monkeypatch.setattr(cv2, "__version__", "5.0.0")
    wheels.warn_about_opencv.cache_clear()
    wheels.warn_about_opencv()
    wheels.warn_about_opencv()
    (record,) = caplog.records
    assert record.levelname == "WARNING"
    assert "OpenCV 5.0.0 resamples a little differently" in record.message
    assert 'pip install "opencv-python-headless>=4.8,<5"' in record.message
    wheels.warn_about_opencv.cache_clear()


@pytest.mark.parametrize("version", ["3.4.18", "6.0.0"])
def test_other_opencv_is_an_error_with_a_remedy(monkeypatch, version):
    monkeypatch.setattr(cv2, "__version__", version)
    monkeypatch.setattr(
        wheels,
        "opencv_wheels",
        lambda: {"opencv-python": version, "opencv-contrib-python": ""},
    )
    wheels.warn_about_opencv.cache_clear()
    for check in (wheels.check_opencv, wheels.warn_about_opencv):
        with pytest.raises(BackendUnavailableError) as caught:
            check()
        assert f"OpenCV {version}" in str(caught.value)
        assert "pip uninstall -y opencv-python opencv-contrib-python && pip install" in str(
            caught.value
        )


def test_remedy_for_a_clean_machine(monkeypatch):
    monkeypatch.setattr(wheels, "onnxruntime_wheels", dict)
    assert wheels.ort_remedy("cpu") == 'Remedy: pip install "dwpose-infer[cpu]"'
    assert "nvidia-smi" in wheels.ort_remedy("cuda")
    assert 'pip install "dwpose-infer[gpu]", which brings the CUDA' in wheels.ort_remedy("cuda")
    assert '"dwpose-infer[gpu]" "tensorrt>=10,<11"' in wheels.ort_remedy("tensorrt")


def test_wheels_in_words():
    assert join_wheels({}) == "not installed"
    assert join_wheels({"a": "1", "b": "2"}, None, "c 3") == "a 1, b 2, c 3"
