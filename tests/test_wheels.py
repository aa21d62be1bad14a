from __future__ import annotations

import cv2
import pytest

from dwpose_infer import wheels
from dwpose_infer.errors import BackendUnavailableError
from dwpose_infer.wheels import join_wheels


def test_installed_wheels_are_found():
    assert "opencv-python-headless" in wheels.opencv_wheels()


def test_opencv_4_is_accepted():
    wheels.check_opencv()


@pytest.mark.parametrize("version", ["5.0.0", "3.4.18"])
def test_other_opencv_is_an_error_with_a_remedy(monkeypatch, version):
    monkeypatch.setattr(cv2, "__version__", version)
    monkeypatch.setattr(
        wheels,
        "opencv_wheels",
        lambda: {"opencv-python": version, "opencv-contrib-python": ""},
    )
    with pytest.raises(BackendUnavailableError) as caught:
        wheels.check_opencv()
    assert f"OpenCV {version}" in str(caught.value)
    assert "pip uninstall -y opencv-python opencv-contrib-python && pip install" in str(
        caught.value
    )


def test_remedy_for_a_clean_machine(monkeypatch):
    monkeypatch.setattr(wheels, "onnxruntime_wheels", dict)
    assert wheels.ort_remedy("cpu") == 'Remedy: pip install "dwpose-infer[cpu]"'
    assert "nvidia-smi" in wheels.ort_remedy("cuda")
    assert '"tensorrt>=10,<11"' in wheels.ort_remedy("tensorrt")


def test_wheels_in_words():
    assert join_wheels({}) == "not installed"
    assert join_wheels({"a": "1", "b": "2"}, None, "c 3") == "a 1, b 2, c 3"
