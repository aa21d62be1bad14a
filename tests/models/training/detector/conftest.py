"""A synthetic set and a teacher, made once for each module of tests."""

from __future__ import annotations

import pytest

pytest.importorskip("torch")
pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
pytest.importorskip("pycocotools")

from detector_samples import make_teacher, write_pictures, write_teacher


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """Ten pictures, nine of them with a person: two steps of four and one of two in an epoch."""
    return write_pictures(tmp_path_factory.mktemp("pictures"), pictures=10)


@pytest.fixture(scope="module")
def teacher_network():
    return make_teacher()


@pytest.fixture(scope="module")
def teacher(teacher_network, tmp_path_factory):
    """The same as ONNX in official form, 64x64 pixels."""
    return write_teacher(tmp_path_factory.mktemp("teacher"), teacher_network)
