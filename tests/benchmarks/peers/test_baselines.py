from __future__ import annotations

import importlib.util

import numpy as np
import pytest

from dwpose_infer.benchmarks.peers import baselines as rivals
from dwpose_infer.benchmarks.peers import constant_networks as networks

HAS_RTMLIB = importlib.util.find_spec("rtmlib") is not None


@pytest.mark.skipif(not HAS_RTMLIB, reason="rtmlib is not installed")
def test_rtmlib_is_silent(capsys):
    with rivals.constant_methods(1) as loaded:
        assert rivals.RTMLIB in loaded
    assert capsys.readouterr().out == ""


def test_all_methods_call_the_same_two_sessions():
    with rivals.constant_methods(2) as loaded:
        official = loaded[rivals.OFFICIAL]
        assert official._detector is not official._pose
        if HAS_RTMLIB:
            peer = loaded[rivals.RTMLIB]
            assert peer.detector.session is official._detector
            assert peer.pose.session is official._pose


def test_sessions_have_the_options_of_our_own(tmp_path):
    rows = {"output": networks.detector_output(1)}
    files = rivals.NetworkFiles(
        networks.save_constant_network(tmp_path / "d.onnx", networks.DETECTOR_WH, rows),
        networks.save_constant_network(
            tmp_path / "p.onnx", networks.CROP_WH, networks.pose_outputs()
        ),
        networks.DETECTOR_WH,
        networks.CROP_WH,
    )
    theirs = rivals.open_sessions(files, threads=2)
    with rivals.load_methods(files, threads=2) as (predictor, _):
        ours = rivals.sessions_of(predictor)
        for one, other in ((ours.detector, theirs.detector), (ours.pose, theirs.pose)):
            assert one.get_providers() == other.get_providers()
            for name in ("intra_op_num_threads", "inter_op_num_threads", "execution_mode"):
                assert getattr(one.get_session_options(), name) == getattr(
                    other.get_session_options(), name
                )
    assert theirs.pose.get_session_options().intra_op_num_threads == 2


def test_a_picture_in_both_orders_of_channels():
    bgr = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3)
    picture = rivals.Picture.of(bgr)
    assert picture.bgr is bgr
    np.testing.assert_array_equal(picture.rgb[..., ::-1], bgr)
    assert picture.rgb.flags.c_contiguous


def test_where_nobody_is_found_nothing_is_done():
    with rivals.constant_methods(1) as loaded:
        picture = rivals.Picture.of(networks.synthetic_picture())
        for name in set(loaded) - {rivals.OURS}:
            method = loaded[name]
            if name == rivals.OFFICIAL:
                method._score_threshold = 0.99
            else:
                method.detector.score_thr = 0.99
            assert method(picture).shape == (0, 133, 2)


def test_on_a_gpu_the_others_get_the_same_arithmetic(monkeypatch):
    given = []
    monkeypatch.setattr(
        "onnxruntime.InferenceSession",
        lambda path, *, sess_options, providers: given.append((path, providers)),
    )
    files = rivals.NetworkFiles("d.onnx", "p.onnx", networks.DETECTOR_WH, networks.CROP_WH)
    rivals.open_sessions(files, threads=1, device="cuda:1")
    cuda = ("CUDAExecutionProvider", {"device_id": 1, "use_tf32": 0})
    assert given == [(name, [cuda, "CPUExecutionProvider"]) for name in ("d.onnx", "p.onnx")]
    assert set(rivals.installed_methods("cuda:1")) <= set(rivals.METHODS)


def test_no_bf16_where_instruction_sets_are_limited(monkeypatch):
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "AVX2")
    assert not set(rivals.installed_methods()) & set(rivals.IN_BF16)
