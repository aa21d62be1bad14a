"""Engines that TensorRT for RTX itself builds here; none of them can run without its GPUs."""

from __future__ import annotations

import re

import pytest

pytest.importorskip("onnxruntime")
pytest.importorskip("onnx")
tensorrt_rtx = pytest.importorskip("tensorrt_rtx", exc_type=ImportError)

from dwpose_infer.backends.tensorrt.engine_record import EngineOptions, read_record
from dwpose_infer.backends.tensorrt.library import MessageLog, create_logger
from dwpose_infer.backends.tensorrt.products import TENSORRT_RTX
from dwpose_infer.errors import EngineBuildError, ModelFormatError
from dwpose_infer.export.cli import main
from dwpose_infer.export.engine_source import load_engine_source
from dwpose_infer.export.exporter import ExportOptions
from dwpose_infer.export.fp16 import to_mixed_fp16
from dwpose_infer.export.to_tensorrt import build_engine
from dwpose_infer.export.turing import to_turing_form

POSE, DETECTOR = "dwpose-t-bundled", "yolox-nano-person-bundled"


def read(source, precision):
    options = ExportOptions(precision=precision, fixed_size=True)
    return load_engine_source(source, options).model


def build(model, *capabilities):
    return build_bytes(model.SerializeToString(), *capabilities)


def build_bytes(data, *capabilities):
    engine = EngineOptions(capabilities=capabilities)
    return build_engine(
        data, engine, product=TENSORRT_RTX, device=None, label="test", show_bar=False
    ).plan


def is_engine(plan):
    """Whether the library takes the bytes for an engine of its own, whatever the GPU."""
    runtime = tensorrt_rtx.Runtime(create_logger(tensorrt_rtx, MessageLog()))
    _, bits = runtime.get_engine_validity(plan)
    return not int(bits) & int(tensorrt_rtx.EngineInvalidityDiagnostics.MALFORMED_ENGINE)


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["fp16", "fp32"])
@pytest.mark.parametrize("name", [POSE, "dwpose-s-bundled", DETECTOR])
def test_bundled_networks_are_built_for_every_generation(name, precision):
    model = read(name, precision)
    plans = [build(model, "8.0+"), build(to_turing_form(model), "7.5")]
    plans.append(build(to_turing_form(model), "7.5", "8.0", "8.6", "8.9", "12.0", "12.1"))
    assert all(is_engine(plan) for plan in plans)
    assert not is_engine(b"no engine" * 100)
    weights = len(model.SerializeToString())
    assert all(0.9 * weights < len(plan) < 3 * weights + 4_000_000 for plan in plans)


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["fp16", "fp32"])
def test_without_its_own_form_a_pose_network_is_refused_for_turing(precision):
    with pytest.raises(EngineBuildError, match="FP32 GEMM is not supported"):
        build(read(POSE, precision), "7.5")


def test_what_is_no_graph_is_refused():
    with pytest.raises(ModelFormatError, match=re.escape(f"RTX {tensorrt_rtx.__version__}")):
        build_bytes(b"no graph", "8.0+")


@pytest.mark.slow
def test_the_command_builds_ahead_of_time(tmp_path, capsys):
    out = tmp_path / "person.engine"
    command = [DETECTOR, "--to", "engine", "--out", str(out), "--provider", "tensorrt-rtx"]
    assert main([*command, "--capabilities", "7.5,8.6", "--max-batch", "2"]) == 0
    said = capsys.readouterr().err
    assert f"TensorRT for RTX {tensorrt_rtx.__version__}, compute capability 7.5, 8.6" in said
    record = read_record(out)
    assert record.identity.product == "tensorrt-rtx"
    assert is_engine(out.read_bytes())
    if record.compared == "graph":  # no GPU of 7.5 or 8.6 is here
        assert "the engine itself has not run" in said
    assert record.parity["violations"] == []


@pytest.mark.slow
@pytest.mark.parametrize("size", ["m", "l", "l-384"])
def test_larger_sizes_are_built_for_every_generation(size, tmp_path):
    pytest.importorskip("torch")
    from dwpose_infer.benchmarks.latency.networks import random_networks

    (network,) = random_networks([f"dwpose-{size}"], tmp_path, progress=False)
    full = read(network.path, "fp32")
    for model in (to_mixed_fp16(full), full):
        assert is_engine(build(model, "8.0+"))
        assert is_engine(build(to_turing_form(model), "7.5"))
