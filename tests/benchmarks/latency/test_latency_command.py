"""The command from end to end, on small files and few calls."""

from __future__ import annotations

import subprocess
import sys

import cv2
import numpy as np
import onnxruntime
import pytest

from dwpose_infer.benchmarks.cli import main
from dwpose_infer.benchmarks.latency.networks import find_networks, random_networks
from dwpose_infer.benchmarks.latency.result import LatencyDocument, full_report
from dwpose_infer.benchmarks.published import published_row
from dwpose_infer.benchmarks.random_networks import random_network
from dwpose_infer.errors import InvalidArgumentError, ModelNotFoundError
from dwpose_infer.export.pictures import official_input
from dwpose_infer.files.document import read_document

FEW = ["--warmup", "1", "--runs", "3", "--repetitions", "2", "--threads", "1"]


@pytest.mark.slow
def test_a_file_from_end_to_end(small_network, tmp_path, capsys):
    path, result = small_network(), tmp_path / "out/latency.json"
    arguments = ["table", str(path), f"dwpose-m={path}", "--backends", "ort", *FEW]
    markdown = tmp_path / "table.md"
    assert main([*arguments, "--json", str(result), "--markdown", str(markdown)]) == 0
    printed = capsys.readouterr().out
    document = read_document(result, LatencyDocument)
    assert printed == f"{full_report(document)}\n" == markdown.read_text()
    assert [(row.network, row.weights, row.backend) for row in document.rows] == [
        ("small.onnx", "file", "ort"),
        ("dwpose-m", "file", "ort"),
    ]
    for row in document.rows:
        assert len(row.means_ms) == 2
        assert 0 < row.min_ms <= row.median_ms <= row.p95_ms
        assert row.input_shape == (1, 3, 64, 48)
        assert "CPUExecutionProvider" in row.description
    assert "| dwpose-m | 64x48 | 60.6 | 13.50 | 4.00 |" in printed
    assert str(tmp_path) not in result.read_text()
    # Shown again, and drawn, without measuring.
    plot = tmp_path / "plot.png"
    assert main(["table", "--from", str(result), "--plot", str(plot)]) == 0
    assert capsys.readouterr().out == printed
    assert plot.read_bytes().startswith(b"\x89PNG")


def test_what_is_not_present_is_left_out_and_told(small_network, capsys):
    assert main(["table", str(small_network()), *FEW]) == 0
    captured = capsys.readouterr()
    assert "**measured ms: ONNX Runtime**" in captured.out
    if "CUDAExecutionProvider" not in onnxruntime.get_available_providers():
        assert "dwpose-bench table: ort-cuda is left out: " in captured.err


@pytest.mark.slow
def test_random_weights(tmp_path):
    pytest.importorskip("torch")
    (network,) = random_networks(["dwpose-t"], tmp_path, progress=False)
    assert (network.name, network.weights) == ("dwpose-t", "random")
    session = onnxruntime.InferenceSession(network.path, providers=["CPUExecutionProvider"])
    crops = np.random.default_rng(0).standard_normal((1, 3, 256, 192)).astype(np.float32)
    outputs = session.run(["simcc_x", "simcc_y"], {"input": crops})
    assert [output.shape for output in outputs] == [(1, 133, 384), (1, 133, 512)]


@pytest.mark.slow
def test_numbers_in_random_networks_stay_in_the_usual_range():
    """Or the processor would be busy with numbers next to zero, which takes much longer."""
    torch = pytest.importorskip("torch")
    network = random_network(published_row("dwpose-t"))
    again = random_network(published_row("dwpose-t"))
    spreads = []
    for module in network.module.modules():
        if isinstance(module, torch.nn.Conv2d):
            module.register_forward_hook(lambda _m, _i, output: spreads.append(float(output.std())))
    crops = np.random.default_rng(0).standard_normal((1, 3, 256, 192)).astype(np.float32)
    outputs = network(crops)
    assert len(spreads) == 38
    assert min(spreads) > 1e-4
    assert max(spreads) < 1e2
    np.testing.assert_array_equal(outputs["simcc_x"], again(crops)["simcc_x"])
    assert not network.module.training
    assert {part.momentum for part in network.module.modules() if hasattr(part, "momentum")} == {
        0.1
    }


@pytest.mark.slow
def test_random_weights_from_end_to_end(tmp_path, capsys):
    pytest.importorskip("torch")
    backends = ["--backends", "ort,torch,torch-graph", "--deploy", "fp16", "--batches", "1", "2"]
    arguments = ["table", "--random-weights", "dwpose-t", *backends, *FEW]
    assert main([*arguments, "--json", str(tmp_path / "t.json")]) == 0
    document = read_document(tmp_path / "t.json", LatencyDocument)
    assert [(row.backend, row.weights, row.input_shape) for row in document.rows] == [
        ("ort", "random", (1, 256, 192, 3)),
        ("torch", "random", (1, 3, 256, 192)),
        ("ort", "random", (2, 256, 192, 3)),
        ("torch", "random", (2, 3, 256, 192)),
    ]
    captured = capsys.readouterr()
    assert "random weights, on which the time does not depend" in captured.out
    assert "Batch 1, 2, deploy form in fp16" in captured.out
    assert "| **measured ms: PyTorch, CUDA graph** |" in captured.out
    lines = [line for line in captured.out.splitlines() if line.startswith("| dwpose-t | 256x192")]
    assert [line.split(" | ")[2] for line in lines] == ["1", "2"]
    assert all(line.endswith(" | - |") for line in lines)
    assert "torch-graph has no figures" in captured.err


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["dwpose-m"], 4, "with random weights, which take the same time: --random-weights"),
        ([], 4, "--random-weights"),
        (["dwpose-q"], 4, "no model is called 'dwpose-q'"),
        (["--random-weights", "dwpose-x"], 4, "no published network is called 'dwpose-x'"),
        (["dwpose-q=mine.onnx"], 4, "no published network is called 'dwpose-q'"),
        (["dwpose-m=mine.onnx"], 4, "no model file 'mine.onnx'"),
        (["yolox-nano-person-bundled"], 2, "a pose model is needed here"),
        (["dwpose-t-bundled", "--backends", "cuda"], 2, "the backends are ort, openvino"),
        (["dwpose-t-bundled", "--backends", "torch"], 2, "--random-weights"),
        (["dwpose-t-bundled", "--backends", "ort-cuda"], 3, "Remedy"),
        (["dwpose-t-bundled", "--runs", "0"], 2, "runs is 0, must be at least 1"),
        (["dwpose-t-bundled", "--threads", "0"], 2, "threads is 0"),
        (["dwpose-t-bundled", "--batches", "0"], 2, "batches is 0"),
        (["dwpose-t-bundled", "--device", "gpu"], 2, "the devices are"),
        (["dwpose-t-bundled", "--backends", ""], 2, "the backends are ort"),
        (["--from", "missing.json"], 1, "missing.json"),
    ],
)
def test_errors(arguments, status, message, capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    if "ort-cuda" in arguments and "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        pytest.skip("there is CUDA here")
    assert main(["table", *arguments]) == status
    error = capsys.readouterr().err
    assert error.startswith("dwpose-bench table: error:")
    assert message in error


def test_each_network_once(small_network):
    path = small_network()
    with pytest.raises(InvalidArgumentError, match=r"two networks are called 'small\.onnx'"):
        find_networks([str(path), str(path)])
    with pytest.raises(ModelNotFoundError, match="there are dwpose-t, dwpose-s"):
        random_networks(["dwpose-m", "m"], path.parent, progress=False)


@pytest.mark.slow
def test_random_weights_need_torch():
    code = (
        "import sys\nsys.modules['torch'] = None\nfrom dwpose_infer.benchmarks.cli import main\n"
        "sys.exit(main(['table', '--random-weights', 'dwpose-t']))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 3
    assert 'pip install "dwpose-infer[bench,export]"' in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_pictures_keep_the_largest_random_network_within_half_precision(astronaut):
    """With the statistics of noise pictures reached 245,240; half precision ends at 65,504."""
    torch = pytest.importorskip("torch")
    network = random_network(published_row("dwpose-l"))
    largest = []
    for module in network.module.modules():
        if isinstance(module, torch.nn.Conv2d):
            module.register_forward_hook(
                lambda _m, _i, output: largest.append(float(output.abs().max()))
            )
    crop = cv2.resize(cv2.imread(str(astronaut)), (192, 256), interpolation=cv2.INTER_AREA)
    network(official_input("pose", crop[None]))
    assert len(largest) > 50
    assert max(largest) < 2_000
