from __future__ import annotations

import shutil
import time

import pytest

from dwpose_infer import zoo
from dwpose_infer.backends import load_backend
from dwpose_infer.backends.openvino_precision import choose_precision
from dwpose_infer.zoo.places import timings_folder

MODEL = "dwpose-t-bundled"


class Calls:
    """A network that takes so many milliseconds in each precision, and counts its loads."""

    def __init__(self, fp32_ms, bf16_ms):
        self.seconds = {"fp32": fp32_ms / 1e3, "bf16": bf16_ms / 1e3}
        self.loaded = []

    def __call__(self, precision, input_hw):
        self.loaded.append((precision, input_hw))
        return lambda: time.sleep(self.seconds[precision])


def choose(open_call, *, path=None, has_bf16=True, machine="some CPU"):
    path = path or zoo.resolve_model(MODEL)
    return choose_precision(path, has_bf16=has_bf16, machine=machine, open_call=open_call)


def test_a_cpu_without_bf16_is_not_timed():
    calls = Calls(1, 1)
    choice = choose(calls, has_bf16=False)
    assert choice.precision == "fp32"
    assert "no bf16 arithmetic" in choice.reason
    assert calls.loaded == []


def test_a_file_nobody_evaluated_is_not_timed(tmp_path):
    """One of the same size as a known one is told from it by its bytes."""
    other = tmp_path / "mine.onnx"
    data = bytearray(zoo.resolve_model(MODEL).read_bytes())
    data[-1] ^= 1
    other.write_bytes(data)
    calls = Calls(1, 1)
    choice = choose(calls, path=other)
    assert choice.precision == "fp32"
    assert "accuracy of mine.onnx; precision 'bf16'" in choice.reason
    assert choose(calls, path=tmp_path / "missing.onnx").precision == "fp32"
    assert calls.loaded == []


def test_the_faster_one_is_taken_and_timed_once(tmp_path):
    calls = Calls(4, 2)
    choice = choose(calls)
    assert choice.precision == "bf16"
    share = float(choice.reason.split()[2])
    assert 0.4 < share < 0.75
    assert calls.loaded == [("fp32", (256, 192)), ("bf16", (256, 192))]
    copy = shutil.copy(zoo.resolve_model(MODEL), tmp_path / "copy.onnx")
    assert choose(Calls(1, 9), path=copy) == choice  # the same bytes, on the same machine
    assert choose(Calls(1, 9)) == choice
    other = choose(Calls(2, 4), machine="another CPU")
    assert other.precision == "fp32"
    assert "no gain" in other.reason


def test_a_damaged_timing_is_made_anew(caplog):
    assert choose(Calls(4, 2)).precision == "bf16"
    (path,) = timings_folder().iterdir()
    path.write_text("{}")
    assert choose(Calls(2, 4)).precision == "fp32"
    assert "timing anew" in caplog.text
    assert choose(Calls(4, 2)).precision == "fp32"  # the new one was kept


def test_a_timing_that_cannot_be_kept_is_used(caplog, monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    monkeypatch.setenv("DWPOSE_HOME", str(tmp_path / "file"))
    assert choose(Calls(4, 2)).precision == "bf16"
    assert "cannot be kept" in caplog.text


def test_onnx_runtime_takes_the_precision_of_the_file():
    pytest.importorskip("onnxruntime")
    with load_backend("ort", zoo.resolve_model(MODEL), precision="auto", threads=1) as backend:
        assert "ONNX Runtime" in backend.description
