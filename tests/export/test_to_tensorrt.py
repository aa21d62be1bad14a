from __future__ import annotations

import sys

import numpy as np
import pytest

pytest.importorskip("onnxruntime")
onnx = pytest.importorskip("onnx")

from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper

from dwpose_infer.backends.device import Device
from dwpose_infer.backends.tensorrt.engine_record import EngineOptions
from dwpose_infer.errors import (
    BackendUnavailableError,
    EngineBuildError,
    InvalidArgumentError,
    MissingDependencyError,
    ModelFormatError,
)
from dwpose_infer.export.to_tensorrt import BuildProgress, build_engine, create_monitor
from fake_cuda import FakeGpu
from fake_cuda import install as install_cuda
from fake_tensorrt import install_tensorrt, make_tensorrt, press_ctrl_c
from fake_tensorrt_builder import FakeMachine, unpack_plan

CUDA = Device("cuda")


@pytest.fixture
def machine(monkeypatch):
    return install_tensorrt(monkeypatch)


@pytest.fixture
def graph(save_graph):
    """Bytes of a small graph: uint8 in, float out; its operators may be replaced."""

    def make(nodes=None, batch="N", constants=None):
        nodes = nodes or [
            helper.make_node("Cast", ["x"], ["f"], name="to_float", to=TensorProto.FLOAT),
            helper.make_node("Relu", ["f"], ["y"], name="relu"),
        ]
        path = save_graph(
            nodes,
            {"x": (np.uint8, [batch, 4])},
            {"y": (np.float32, [batch, 4])},
            constants,
        )
        return path.read_bytes()

    return make


def build(model, options=None, device=CUDA):
    options = options or EngineOptions()
    return build_engine(model, options, device=device, label="test", show_bar=False)


def header_of(built):
    header, _ = unpack_plan(built.plan)
    return header


def test_the_plan_has_the_profile_and_the_settings(machine, graph):
    built = build(graph(), EngineOptions(max_batch=8, opt_batch=3, workspace_mib=64))
    header = header_of(built)
    assert header["profile"] == {"x": [[1, 4], [3, 4], [8, 4]]}
    assert header["workspace"] == 64 << 20
    assert header["tf32"] is False  # float32 means float32
    assert built.build_s >= 0
    assert len(machine.builds) == 1


def test_without_a_limit_the_workspace_is_left_to_tensorrt(machine, graph):
    assert header_of(build(graph()))["workspace"] is None


def test_tensorrt_11_numbers_its_flags_otherwise(monkeypatch, graph):
    install_tensorrt(monkeypatch, FakeMachine(version="11.4.0.106"))
    header = header_of(build(graph()))
    assert header["tensorrt"] == "11.4.0.106"


def test_a_graph_of_a_fixed_batch_needs_no_profile(machine, graph):
    assert header_of(build(graph(batch=2)))["profile"] == {}


def test_the_gpu_asked_for_is_built_for(monkeypatch, graph):
    install_cuda(monkeypatch, gpus=(FakeGpu(), FakeGpu("NVIDIA H200", (9, 0))))
    monkeypatch.setitem(sys.modules, "tensorrt", make_tensorrt(FakeMachine()))
    header = header_of(build(graph(), device=Device("cuda", 1)))
    assert (header["gpu"], header["compute_capability"]) == ("NVIDIA H200", "9.0")
    with pytest.raises(BackendUnavailableError, match="no GPU 2"):
        build(graph(), device=Device("cuda", 2))


def test_nothing_is_left_on_the_gpu(machine, graph):
    from fake_cuda import installed_driver

    build(graph())
    assert installed_driver().is_clean()


def test_the_parser_names_the_nodes(machine, graph):
    nodes = [
        helper.make_node("Cast", ["x"], ["f"], name="to_float", to=TensorProto.FLOAT),
        helper.make_node("Unique", ["f"], ["y"], name="only_once", axis=0),
    ]
    with pytest.raises(ModelFormatError, match=r"Unique node 'only_once': Plugin not found"):
        build(graph(nodes))
    assert not machine.builds


def test_bytes_may_only_be_cast(machine, graph):
    nodes = [
        helper.make_node("Reshape", ["x", "shape"], ["r"], name="reshape"),
        helper.make_node("Cast", ["r"], ["y"], name="to_float", to=TensorProto.FLOAT),
    ]
    with pytest.raises(ModelFormatError, match=r"Reshape node .reshape.: .*UINT8"):
        build(graph(nodes, constants={"shape": np.array([0, 4])}))


def test_a_file_that_is_no_model(machine):
    with pytest.raises(ModelFormatError, match="Failed to parse"):
        build(b"not a model")


def test_only_the_batch_may_be_free(machine, save_graph):
    path = save_graph(
        [helper.make_node("Relu", ["x"], ["y"])],
        {"x": (np.float32, ["N", "W"])},
        {"y": (np.float32, ["N", "W"])},
    )
    with pytest.raises(ModelFormatError, match=r"only the batch may be free"):
        build(path.read_bytes())


def test_a_failed_build_gives_the_reason_and_the_remedy(machine, graph):
    machine.build_error = "Error Code 2: OutOfMemory (no further information)"
    with pytest.raises(EngineBuildError, match=r"OutOfMemory.*--max-batch.*--workspace-mib"):
        build(graph(), EngineOptions(workspace_mib=16))


def test_a_library_without_a_builder(machine, graph):
    machine.broken_builder = True
    with pytest.raises(BackendUnavailableError, match=r"CUDA initialization failure.*driver"):
        build(graph())


@pytest.mark.parametrize("version", ["8.6.1", "9.3.0", "unknown"])
def test_old_versions_are_refused(monkeypatch, graph, version):
    install_tensorrt(monkeypatch, FakeMachine(version=version))
    with pytest.raises(BackendUnavailableError, match=f"TensorRT {version} is installed.*10"):
        build(graph())


@pytest.mark.parametrize("error", [ImportError("no module"), OSError("libnvinfer.so.10")])
def test_a_missing_library_is_named(monkeypatch, graph, error):
    class Finder:
        def find_spec(self, name, path=None, target=None):
            if name == "tensorrt":
                raise error

    monkeypatch.delitem(sys.modules, "tensorrt", raising=False)
    monkeypatch.setattr(sys, "meta_path", [Finder(), *sys.meta_path])
    with pytest.raises(MissingDependencyError, match=rf"{error}.*dwpose-infer\[trt\]"):
        build(graph())


def test_ctrl_c_ends_the_build_after_its_current_step(machine, graph, monkeypatch):
    steps = press_ctrl_c(monkeypatch, machine)
    with pytest.raises(KeyboardInterrupt):
        build(graph())
    assert steps() == 1
    assert not machine.builds


def test_a_bar_that_is_seen(machine, graph, capsys):
    options = EngineOptions()
    build_engine(graph(), options, device=CUDA, label="pose of mine", show_bar=True)
    assert "pose of mine: 100%" in capsys.readouterr().err


def test_nested_phases_add_up(machine):
    import tensorrt

    progress = BuildProgress("test", visible=False)
    monitor = create_monitor(tensorrt, progress)
    seen = []
    monitor.phase_start("build", None, 2)
    for outer in range(2):
        monitor.phase_start("time", "build", 4)
        for inner in range(4):
            assert monitor.step_complete("time", inner)
            seen.append(progress.share)
        monitor.phase_finish("time")
        monitor.step_complete("build", outer)
    assert seen == [0.125, 0.25, 0.375, 0.5, 0.625, 0.75, 0.875, 1.0]
    progress.cancel()
    assert monitor.step_complete("build", 1) is False


names = st.sampled_from(["a", "b", "c"])
events = st.one_of(
    st.tuples(st.just("start"), names, names, st.integers(-1, 5)),
    st.tuples(st.just("step"), names, st.integers(0, 5)),
    st.tuples(st.just("finish"), names),
)


@given(st.lists(events, max_size=40))
def test_the_share_never_falls_whatever_is_reported(reported):
    progress = BuildProgress("test", visible=False)
    before = 0.0
    for event, *arguments in reported:
        getattr(progress, event)(*arguments)
        assert before <= progress.share <= 1
        before = progress.share


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"precision": "int8"}, "unknown precision"),
        ({"max_batch": 0}, "batches of 1 to 0"),
        ({"opt_batch": 9, "max_batch": 8}, "cannot be tuned for batches of 9"),
        ({"workspace_mib": 0}, "workspace_mib is 0"),
    ],
)
def test_impossible_options(options, message):
    with pytest.raises(InvalidArgumentError, match=message):
        EngineOptions(**options)


def test_an_engine_takes_as_many_persons_as_one_call_of_the_estimator():
    from dwpose_infer.estimator import DEFAULT_MAX_BATCH

    assert EngineOptions().max_batch == DEFAULT_MAX_BATCH
