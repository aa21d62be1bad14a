from __future__ import annotations

import pytest

from dwpose_infer.errors import ModelFormatError
from dwpose_infer.zoo import resolve_model
from dwpose_infer.zoo.model_file import require_model_file

POINTER = (
    b"version https://git-lfs.github.com/spec/v1\n"
    b"oid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393\nsize 12345\n"
)


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        (b"", "is empty"),
        (POINTER, "git lfs pull"),
        (b"\xef\xbb\xbf\n<!DOCTYPE html><html>", "is a web page"),
        (b"<HTML><head>", "is a web page"),
    ],
)
def test_stand_ins_are_named(tmp_path, data, complaint):
    path = tmp_path / "model.onnx"
    path.write_bytes(data)
    for call in (require_model_file, resolve_model):
        with pytest.raises(ModelFormatError, match=complaint) as caught:
            call(path)
        assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.pth", b"\x80\x02ccollections"),
        ("a.bin", b"PK\x03\x04rest"),
        ("a.safetensors", b"\x10\0\0\0\0\0\0\0{}"),
    ],
)
def test_checkpoints_have_to_be_exported_before_they_run(tmp_path, name, data):
    path = tmp_path / name
    path.write_bytes(data)
    require_model_file(path)
    with pytest.raises(ModelFormatError, match=rf"dwpose-export {name} --out a\.onnx"):
        resolve_model(path, kind="pose")


def test_models_pass():
    path = resolve_model("yolox-nano-person-bundled")
    require_model_file(path, to_run=True)
