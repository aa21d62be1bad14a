"""What the GPU providers are told, on a fake of the GPU wheel."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

from dwpose_infer.backends import load_backend
from dwpose_infer.backends.base import TensorSpec
from dwpose_infer.backends.device import Device
from dwpose_infer.backends.onnxruntime import CudaOptions, OrtOptions, TensorRtOptions
from dwpose_infer.errors import InvalidArgumentError, OutputError

CUDA = Device("cuda", 1)


def test_cuda_provider_is_told_to_be_exact(ort, graph):
    load_backend("ort", graph(), device="cuda:1", provider_options={"gpu_mem_limit": "4"})
    (providers,) = ort.requested
    assert providers == [
        (
            "CUDAExecutionProvider",
            {
                "device_id": 1,
                "cudnn_conv_algo_search": "EXHAUSTIVE",
                "use_tf32": 0,
                "enable_cuda_graph": 1,
                "gpu_mem_limit": "4",
            },
        ),
        ("CPUExecutionProvider", {}),
    ]


def test_all_options_of_cuda():
    options = CudaOptions(
        gpu_mem_limit=1 << 30,
        arena_extend_strategy="kSameAsRequested",
        cudnn_conv_algo_search="HEURISTIC",
        use_tf32=True,
    )
    assert options.as_provider_options(CUDA) == {
        "device_id": 1,
        "gpu_mem_limit": 1 << 30,
        "arena_extend_strategy": "kSameAsRequested",
        "cudnn_conv_algo_search": "HEURISTIC",
        "use_tf32": 1,
    }


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"gpu_mem_limit": 0}, "above 0"),
        ({"arena_extend_strategy": "kBig"}, "kNextPowerOfTwo, kSameAsRequested"),
        ({"cudnn_conv_algo_search": "heuristic"}, "EXHAUSTIVE, HEURISTIC, DEFAULT"),
    ],
)
def test_bad_options_of_cuda(options, message):
    with pytest.raises(InvalidArgumentError, match=message):
        CudaOptions(**options)


def test_tensorrt_keeps_its_engines_and_knows_its_batches(ort, graph, monkeypatch, tmp_path):
    monkeypatch.setenv("DWPOSE_HOME", str(tmp_path / "home"))
    load_backend(
        "ort", graph(), device="cuda:1", provider="tensorrt", precision="fp16", max_batch=8
    )
    (name, options), cuda, cpu = ort.requested[-1]
    folder = tmp_path / "home" / "engines" / "onnxruntime-9.9-tensorrt"
    assert folder.is_dir()
    assert name == "TensorrtExecutionProvider"
    assert options == {
        "device_id": 1,
        "trt_fp16_enable": True,
        "trt_engine_cache_enable": True,
        "trt_engine_cache_path": str(folder),
        "trt_timing_cache_enable": True,
        "trt_timing_cache_path": str(folder),
        "trt_profile_min_shapes": "x:1x2,w:1x2",
        "trt_profile_opt_shapes": "x:1x2,w:1x2",
        "trt_profile_max_shapes": "x:8x2,w:8x2",
    }
    assert cuda == ("CUDAExecutionProvider", {"device_id": 1, "use_tf32": 0})
    assert cpu == ("CPUExecutionProvider", {})


@pytest.mark.parametrize(
    ("shape", "max_batch"), [((None, 3, None, None), 8), ((1, 3), 8), ((None, 3), None)]
)
def test_tensorrt_gets_no_profile_where_the_batch_is_not_all_that_is_free(
    shape, max_batch, tmp_path
):
    options = TensorRtOptions(max_batch=max_batch, engine_cache=tmp_path / "kept")
    inputs = (TensorSpec("x", np.dtype(np.float32), shape),)
    given = options.as_provider_options(CUDA, inputs, ort_version="1.0")
    assert not [key for key in given if "profile" in key]
    assert given["trt_engine_cache_path"] == str(tmp_path / "kept")
    assert given["trt_fp16_enable"] is False


def test_tensorrt_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").touch()
    options = TensorRtOptions(engine_cache=tmp_path / "file" / "engines")
    with pytest.raises(OutputError, match="DWPOSE_HOME"):
        options.as_provider_options(CUDA, (), ort_version="1.0")


def test_options_of_the_session_stay_as_they_were():
    assert OrtOptions().provider_list("cpu", Device("cpu")) == [("CPUExecutionProvider", {})]


def test_detectors_are_not_searched_exhaustively(ort, save_graph):
    path = save_graph(
        [onnx.helper.make_node("Neg", ["x"], ["y"])],
        {"x": (np.float32, ["N", 2])},
        {"y": (np.float32, ["N", 2])},
        metadata={"dwpose_infer.kind": "detector"},
    )
    load_backend("ort", path, device="cuda")
    chosen = dict(ort.requested[-1])["CUDAExecutionProvider"]
    assert chosen["cudnn_conv_algo_search"] == "HEURISTIC"
    assert "prefer_nhwc" not in chosen


@pytest.mark.parametrize(("precision", "tf32"), [("fp16", 1), ("fp16-stored", 0), (None, 0)])
def test_files_in_half_precision_get_the_tensor_cores(ort, save_graph, precision, tf32):
    """use_tf32=0 takes them from half-precision convolutions too (H200, 1.31.1)."""
    path = save_graph(
        [onnx.helper.make_node("Relu", ["x"], ["y"])],
        {"x": (np.float32, ["N", 2])},
        {"y": (np.float32, ["N", 2])},
        metadata={"dwpose_infer.precision": precision} if precision else {"other": "fp16"},
    )
    load_backend("ort", path, device="cuda")
    chosen = dict(ort.requested[-1])["CUDAExecutionProvider"]
    assert chosen["use_tf32"] == tf32
    assert (chosen.get("prefer_nhwc"), chosen.get("cudnn_conv_algo_search")) == (
        (1, "HEURISTIC") if tf32 else (None, "EXHAUSTIVE")
    )
    load_backend("ort", path, device="cuda", provider_options={"use_tf32": 0})
    assert dict(ort.requested[-1])["CUDAExecutionProvider"]["use_tf32"] == 0
