"""ONNX Runtime's GPU providers, on a fake of what the GPU wheel adds to the real one."""

from __future__ import annotations

import logging
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import onnx
import onnxruntime
import pytest

from dwpose_infer.backends import load_backend, onnxruntime_session
from dwpose_infer.backends import onnxruntime as ort_backend
from dwpose_infer.backends.base import TensorSpec
from dwpose_infer.backends.cuda_sessions import MAX_SHAPES, ShapedSessions, fixed_batch
from dwpose_infer.backends.device import Device
from dwpose_infer.backends.onnxruntime import CudaOptions, OrtOptions, TensorRtOptions
from dwpose_infer.backends.tensorrt.system import Driver
from dwpose_infer.errors import (
    BackendUnavailableError,
    InferenceError,
    InvalidArgumentError,
    OutputError,
)

CUDA = Device("cuda", 1)


class FakeValue:
    """An `OrtValue`: an array on a device, at an address of its own."""

    def __init__(self, array, device, index):
        self.array, self.place = array.copy(), (device, index)

    @staticmethod
    def ortvalue_from_numpy(array, device_type="cpu", device_id=0):
        assert array.flags.c_contiguous
        return FakeValue(array, device_type, device_id)

    @staticmethod
    def ortvalue_from_shape_and_type(shape, element_type, device_type="cpu", device_id=0):
        return FakeValue(np.full(shape, 99, element_type), device_type, device_id)

    def update_inplace(self, array):
        assert array.flags.c_contiguous
        assert (array.shape, array.dtype) == (self.array.shape, self.array.dtype)
        self.array[...] = array


class FakeBinding:
    """An `IOBinding`; outputs come back in the order in which they were bound."""

    def __init__(self):
        self.inputs, self.outputs, self.results, self.steps = {}, {}, None, []

    def bind_ortvalue_input(self, name, value):
        self.inputs[name] = value

    def bind_ortvalue_output(self, name, value):
        self.outputs[name] = value

    def bind_output(self, name, device_type="cpu", device_id=0):
        self.outputs[name] = (device_type, device_id)

    def synchronize_inputs(self):
        self.steps.append("inputs are there")

    def synchronize_outputs(self):
        self.steps.append("outputs are there")

    def copy_outputs_to_cpu(self):
        return [self.results[name].copy() for name in self.outputs]

    @property
    def fixed(self):
        return all(isinstance(output, FakeValue) for output in self.outputs.values())


class FakeSession:
    """A session that claims other providers than the CPU's, and computes on the CPU.

    With graphs on it does as ONNX Runtime does: the first run runs, the second captures, and
    later ones replay what was captured, whatever is bound.
    """

    def __init__(self, fake, path, settings, providers):
        names = [name if isinstance(name, str) else name[0] for name in providers]
        options = {} if isinstance(providers[0], str) else providers[0][1]
        self.graphs = str(options.get("enable_cuda_graph", 0)) == "1"
        self.search = options.get("cudnn_conv_algo_search")
        if self.graphs and fake.leaves_nodes_to_the_cpu:
            raise RuntimeError("This session cannot use the graph capture feature as requested")
        self.real = onnxruntime.InferenceSession(path, settings, ["CPUExecutionProvider"])
        self.fake, self.providers, self.runs, self.captured = fake, names, 0, None
        self.get_inputs, self.get_outputs = self.real.get_inputs, self.real.get_outputs
        self.get_modelmeta = self.real.get_modelmeta
        self.shapes, self.threads = set(), set()

    def get_providers(self):
        return self.fake.used or self.providers

    def disable_fallback(self):
        pass

    def run(self, names, inputs):
        raise AssertionError("on a GPU, inputs and outputs are to be bound")

    def io_binding(self):
        self.fake.bindings.append(FakeBinding())
        return self.fake.bindings[-1]

    def run_with_iobinding(self, binding):
        if self.fake.failure is not None:
            raise self.fake.failure
        self.runs += 1
        self.threads.add(threading.get_ident())
        assert len(self.threads) == 1, "graphs belong to the thread that captured them"
        if self.graphs:
            assert binding.fixed, "a graph writes where it wrote when it was captured"
            if self.runs == 2:
                self.captured = binding
            binding = self.captured or binding
        self.shapes.add(tuple(value.array.shape for value in binding.inputs.values()))
        assert len(self.shapes) == 1, "cuDNN's algorithms are searched anew at every change"
        binding.steps.append("run")
        if self.fake.refused_search == self.search:
            raise RuntimeError("Failed to initialize CUDNN Frontend")
        names = [node.name for node in self.get_outputs()]
        inputs = {name: value.array for name, value in binding.inputs.items()}
        results = self.real.run(names, inputs)
        if self.captured is not None:
            results = [result + self.fake.replay_error for result in results]
        binding.results = dict(zip(names, results, strict=True))


class FakeOrt:
    """Stands for the GPU wheel; `used` are the providers it takes in the end."""

    __version__ = "9.9"
    SessionOptions = onnxruntime.SessionOptions
    GraphOptimizationLevel = onnxruntime.GraphOptimizationLevel
    OrtValue = FakeValue

    def __init__(self, used=None):
        self.preloaded, self.used, self.failure = 0, used, None
        self.bindings, self.requested, self.sessions, self.refusal = [], [], [], None
        self.leaves_nodes_to_the_cpu, self.replay_error, self.refused_search = False, 0, ""

    def preload_dlls(self):
        self.preloaded += 1
        sys.stdout.write("Failed to load libcublasLt.so.13: cannot open shared object file")

    def get_available_providers(self):
        return list(ort_backend.PROVIDER_NAMES.values())

    def InferenceSession(self, path, sess_options, providers, enable_fallback=1):
        if providers == ["CPUExecutionProvider"]:  # what the file says of itself
            return onnxruntime.InferenceSession(path, sess_options, providers)
        assert not enable_fallback
        if self.refusal is not None:
            raise RuntimeError(self.refusal)
        self.requested.append(providers)
        self.sessions.append(FakeSession(self, path, sess_options, providers))
        return self.sessions[-1]


@pytest.fixture
def ort(monkeypatch):
    fake = FakeOrt()
    monkeypatch.setattr(ort_backend, "import_onnxruntime", lambda: fake)
    return fake


@pytest.fixture
def graph(save_graph):
    """Graph with two inputs and two outputs: y = x + w, z = x - w."""

    def save(batch="N", side=2):
        return save_graph(
            [
                onnx.helper.make_node("Sub", ["x", "w"], ["z"]),
                onnx.helper.make_node("Add", ["x", "w"], ["y"]),
            ],
            {"x": (np.float32, [batch, side]), "w": (np.float32, [batch, side])},
            {"z": (np.float32, [batch, side]), "y": (np.float32, [batch, side])},
        )

    return save


def test_inputs_and_outputs_are_bound_to_the_gpu_by_name(ort, graph, rng):
    with load_backend("ort", graph(), device="cuda:1") as backend:
        x, w = rng.standard_normal((2, 5, 2)).astype(np.float32)
        outputs = backend.run({"w": w[:, ::-1], "x": x})
    np.testing.assert_array_equal(outputs["y"], x + w[:, ::-1])
    np.testing.assert_array_equal(outputs["z"], x - w[:, ::-1])
    assert len(ort.bindings) == 2  # for one sample and for eight
    for binding in ort.bindings:
        places = [value.place for value in (*binding.inputs.values(), *binding.outputs.values())]
        assert set(places) == {("cuda", 1)}


def test_batches_are_filled_up_to_sizes_that_are_prepared_once(ort, graph, rng):
    backend = load_backend("ort", graph(), device="cuda")
    for batch in (3, 1, 4, 130, 3, 2, 65):
        x, w = rng.standard_normal((2, batch, 2)).astype(np.float32)
        outputs = backend.run({"x": x, "w": w})
        np.testing.assert_array_equal(outputs["y"], x + w)
        np.testing.assert_array_equal(outputs["z"], x - w)
    sizes = sorted(shape[0][0] for session in ort.sessions for shape in session.shapes)
    assert sizes == [1, 2, 4, 64]
    assert all(session.captured for session in ort.sessions)


@pytest.mark.parametrize(
    ("batch", "size"), [(1, 1), (2, 2), (3, 4), (5, 8), (16, 16), (17, 32), (64, 64), (65, 64)]
)
def test_fixed_batches(batch, size):
    assert fixed_batch(batch) == size


def test_sizes_can_be_prepared_ahead(ort, graph, caplog):
    backend = load_backend("ort", graph(), device="cuda")
    with caplog.at_level(logging.INFO):
        backend.warmup(16)
    assert [session.runs for session in ort.sessions] == [4] * 5
    assert "batches of 16" in caplog.text
    caplog.clear()
    backend.run({"x": np.ones((11, 2), np.float32), "w": np.ones((11, 2), np.float32)})
    assert not caplog.text


def test_graphs_that_forget_are_an_error(ort, graph):
    backend = load_backend("ort", graph(), device="cuda")
    ort.replay_error = 1
    ones = np.ones((1, 2), np.float32)
    with pytest.raises(InferenceError, match="enable_cuda_graph"):
        backend.run({"x": ones, "w": ones})


def test_networks_left_to_the_cpu_in_part_do_without_graphs(ort, graph, rng):
    ort.leaves_nodes_to_the_cpu = True
    backend = load_backend("ort", graph(), device="cuda")
    x, w = rng.standard_normal((2, 3, 2)).astype(np.float32)
    for _ in range(3):
        np.testing.assert_array_equal(backend.run({"x": x, "w": w})["y"], x + w)
    assert not any(session.graphs for session in ort.sessions)


def test_outputs_of_unknown_size_do_without_graphs(ort, save_graph):
    path = save_graph(
        [onnx.helper.make_node("NonZero", ["x"], ["y"])],
        {"x": (np.float32, ["N", 2])},
        {"y": (np.int64, [2, "found"])},
    )
    backend = load_backend("ort", path, device="cuda")
    for count in (2, 1):
        x = np.eye(count, 2, dtype=np.float32)
        assert backend._shaped.run({"x": x})[0].shape == (2, count)
    assert not ort.sessions[-1].graphs


def test_graphs_can_be_left_out(ort, graph):
    load_backend("ort", graph(), device="cuda", provider_options={"enable_cuda_graph": 0})
    assert not ort.sessions[-1].graphs
    with pytest.raises(InvalidArgumentError, match="enable_cuda_graph"):
        load_backend(
            "ort",
            graph(),
            device="cuda",
            provider="tensorrt",
            provider_options={"enable_cuda_graph": 1},
        )


def test_a_search_that_finds_nothing_is_followed_by_the_next(ort, save_graph):
    path = save_graph(
        [onnx.helper.make_node("Neg", ["x"], ["y"])],
        {"x": (np.float32, ["N", 2])},
        {"y": (np.float32, ["N", 2])},
        metadata={"dwpose_infer.precision": "fp16"},
    )
    x = np.ones((3, 2), np.float32)
    ort.refused_search = "HEURISTIC"
    assert (load_backend("ort", path, device="cuda").run({"x": x})["y"] == -1).all()
    assert ort.sessions[-1].search == "EXHAUSTIVE"
    ort.refused_search = "EXHAUSTIVE"
    options = {"cudnn_conv_algo_search": "EXHAUSTIVE"}
    with pytest.raises(InferenceError, match="CUDNN Frontend"):
        load_backend("ort", path, device="cuda", provider_options=options).run({"x": x})


def test_threads_share_the_prepared_sizes(ort, graph):
    backend = load_backend("ort", graph(), device="cuda")

    def call(batch):
        x = np.full((batch, 2), batch, np.float32)
        return (backend.run({"x": x, "w": x})["y"] == 2 * batch).all()

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(call, [1 + index % 7 for index in range(80)]))
    assert len(ort.sessions) == 4


def test_the_shape_not_used_for_longest_makes_room(ort, save_graph):
    path = save_graph(
        [onnx.helper.make_node("Neg", ["x"], ["y"])],
        {"x": (np.float32, ["N", "side"])},
        {"y": (np.float32, ["N", "side"])},
    )
    backend = load_backend("ort", path, device="cuda")
    for side in (*range(1, MAX_SHAPES + 3), 1):
        backend.run({"x": np.ones((1, side), np.float32)})
    assert len(backend._shaped._shaped) == MAX_SHAPES


def test_bound_inputs_are_not_copied_again(ort, graph):
    backend = load_backend("ort", graph(), device="cuda")
    x = np.ones((2, 2), np.float32)
    run = backend.bound({"x": x, "w": x})
    before = ort.sessions[-1].runs
    run()
    assert ort.sessions[-1].runs == before + 1
    assert (ort.bindings[-1].results["y"] == 2).all()


def test_a_closed_backend_says_so(ort, graph):
    backend = load_backend("ort", graph(), device="cuda")
    backend.close()
    ones = np.ones((1, 2), np.float32)
    with pytest.raises(InferenceError, match="closed"):
        backend.run({"x": ones, "w": ones})
    backend.close()


def test_the_real_bindings_take_and_give_the_same(graph, rng, monkeypatch):
    """What the fake pretends, against the real wheel, whose device is the CPU."""
    path = graph()
    backend = load_backend("ort", path)
    x, w = rng.standard_normal((2, 3, 2)).astype(np.float32)
    expected = backend.run({"x": x, "w": w})
    backend.bound({"x": x, "w": w})()

    real = onnxruntime.OrtValue.ortvalue_from_shape_and_type

    class OnCpu:
        ortvalue_from_shape_and_type = staticmethod(
            lambda shape, dtype, device, index: real(shape, dtype, "cpu", index)
        )

    def open_session(sizes, graph, search):
        assert sizes == {"N": 3}
        settings = onnxruntime.SessionOptions()
        for name, size in sizes.items():
            settings.add_free_dimension_override_by_name(name, size)
        return onnxruntime.InferenceSession(path, settings, providers=["CPUExecutionProvider"])

    sessions = ShapedSessions(
        type("Ort", (), {"OrtValue": OnCpu}),
        open_session,
        inputs=backend.inputs,
        outputs=backend.outputs,
        free=[("N", None)] * 2,
        gpu_index=0,
        searches=["EXHAUSTIVE"],
    )
    for _ in range(2):
        outputs = sessions.run({"w": w, "x": x})
        for spec, output in zip(backend.outputs, outputs, strict=True):
            np.testing.assert_array_equal(output, expected[spec.name])


def test_failure_on_the_gpu_is_chained(ort, graph):
    backend = load_backend("ort", graph(), device="cuda")
    ort.failure = RuntimeError("CUDA failure 2: out of memory")
    ones = np.ones((1, 2), np.float32)
    with pytest.raises(InferenceError, match="out of memory") as caught:
        backend.run({"x": ones, "w": ones})
    assert caught.value.__cause__ is ort.failure


def test_libraries_are_loaded_first_and_nothing_is_printed(ort, graph, capsys, caplog):
    with caplog.at_level(logging.DEBUG):
        load_backend("ort", graph(), device="cuda")
    assert ort.preloaded == 1
    assert capsys.readouterr().out == ""
    assert "libcublasLt" in caplog.text


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


def test_provider_that_did_not_start_is_an_error(ort, graph):
    ort.used = ["CPUExecutionProvider"]
    with pytest.raises(BackendUnavailableError, match="cuDNN") as caught:
        load_backend("ort", graph(), device="cuda:1")
    assert "CPUExecutionProvider" in str(caught.value)


def test_tensorrt_that_fell_to_cuda_is_an_error(ort, graph):
    ort.used = ["CUDAExecutionProvider", "CPUExecutionProvider"]
    with pytest.raises(BackendUnavailableError, match="TensorrtExecutionProvider was asked for"):
        load_backend("ort", graph(), device="cuda", provider="tensorrt")


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


def test_an_unknown_provider_option_is_not_blamed_on_libraries(ort, graph):
    ort.refusal = 'Unknown provider option: "no_such_option".'
    with pytest.raises(InvalidArgumentError, match="no_such_option") as caught:
        load_backend("ort", graph(), device="cuda", provider_options={"no_such_option": 1})
    assert "pip install" not in str(caught.value)


def test_a_gpu_that_is_not_there_is_not_blamed_on_libraries(ort, graph, monkeypatch):
    driver = Driver((13, 0), ("cuda:0 NVIDIA L4, 22 GiB",))
    monkeypatch.setattr(onnxruntime_session, "find_driver", lambda: driver)
    load_backend("ort", graph(), device="cuda:0")
    complaint = r"no GPU cuda:1 .* cuda:0 NVIDIA L4"
    with pytest.raises(BackendUnavailableError, match=complaint) as caught:
        load_backend("ort", graph(), device="cuda:1")
    assert "pip install" not in str(caught.value)
