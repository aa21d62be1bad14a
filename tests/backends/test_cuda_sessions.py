"""A session for every shape, replayed as a CUDA graph, on a fake of the GPU wheel."""

from __future__ import annotations

import logging
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import onnx
import onnxruntime
import pytest

from dwpose_infer.backends import load_backend
from dwpose_infer.backends.cuda_sessions import MAX_SHAPES, ShapedSessions, fixed_batch
from dwpose_infer.errors import InferenceError, InvalidArgumentError


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


@pytest.mark.parametrize("provider", ["cuda", "tensorrt"])
@pytest.mark.parametrize("option", ["enable_cuda_graph", "trt_cuda_graph_enable"])
@pytest.mark.parametrize("value", [1, "1", "True"])
def test_graphs_cannot_be_forced(ort, graph, provider, option, value):
    with pytest.raises(InvalidArgumentError, match=rf"{option} cannot be.*enable_cuda_graph=0"):
        load_backend(
            "ort",
            graph(),
            device="cuda",
            provider=provider,
            provider_options={option: value},
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


def test_sessions_are_opened_side_by_side_and_nothing_else_is_done_meanwhile(ort, graph):
    """What is captured while another thread allocates is lost."""
    path, meeting, running = graph(), threading.Barrier(2), threading.Event()
    warm = load_backend("ort", path, device="cuda")
    started = ort.InferenceSession

    def start_together(*arguments, **options):
        if options["providers"][0] != "CPUExecutionProvider":
            meeting.wait(timeout=30)
            assert not running.is_set()
            time.sleep(0.05)
            assert not running.is_set()
        return started(*arguments, **options)

    def run(results):
        running.set()
        return results

    ort.InferenceSession = start_together
    ones = {"x": np.ones((1, 2), np.float32), "w": np.ones((1, 2), np.float32)}
    with ThreadPoolExecutor(3) as pool:
        opening = [pool.submit(load_backend, "ort", path, device="cuda") for _ in range(2)]
        while meeting.n_waiting == 0 and not opening[0].done():
            time.sleep(0.001)
        ort.distort = run
        ran = pool.submit(warm.run, ones)
        assert (ran.result()["y"] == 2).all()
        assert all(future.result().inputs == warm.inputs for future in opening)
    assert running.is_set()
