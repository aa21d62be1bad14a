from __future__ import annotations

import numpy as np
import onnx
import pytest

from dwpose_infer.backends.onnxruntime_session import read_metadata
from dwpose_infer.zoo import resolve_model


def test_metadata_are_those_that_onnx_reads():
    path = resolve_model("dwpose-t-bundled")
    expected = {entry.key: entry.value for entry in onnx.load(path).metadata_props}
    assert expected["dwpose_infer.kind"] == "pose"
    assert read_metadata(path) == expected


def test_long_and_empty_texts(save_graph):
    metadata = {"empty": "", "long": "x" * 5000, "umlaut": "ä"}
    path = save_graph(
        [onnx.helper.make_node("Relu", ["x"], ["y"])],
        {"x": (np.float32, [1])},
        {"y": (np.float32, [1])},
        metadata=metadata,
    )
    assert read_metadata(path) == metadata


@pytest.mark.parametrize("content", [b"", b"not a protobuf at all", b"\xff" * 40, b"\x72\x05\x0a"])
def test_what_is_no_onnx_file_has_none(tmp_path, content):
    path = tmp_path / "model.onnx"
    path.write_bytes(content)
    assert read_metadata(path) == {}


def test_a_cut_off_file(tmp_path):
    data = resolve_model("yolox-nano-person-bundled").read_bytes()
    path = tmp_path / "model.onnx"
    for size in (1, 100, len(data) // 2, len(data) - 10, len(data) - 1):
        path.write_bytes(data[:size])
        assert isinstance(read_metadata(path), dict)
