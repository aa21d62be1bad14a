"""Tables and plot from a document; nothing is measured here."""

from __future__ import annotations

import datetime

import cv2
import msgspec
import pytest

from dwpose_infer.benchmarks.latency.command import BENCHMARK
from dwpose_infer.benchmarks.latency.plot import save_plot
from dwpose_infer.benchmarks.latency.result import (
    LatencyDocument,
    LatencyRow,
    LatencySettings,
    caption,
    detail_table,
    full_report,
    published_table,
    ratio_table,
)
from dwpose_infer.benchmarks.machine import Cpu, Environment
from dwpose_infer.errors import FormatError, InvalidArgumentError
from dwpose_infer.files.document import write_document

ENVIRONMENT = Environment(
    label="virtual machine, 2 cores of Intel Xeon",
    cpu=Cpu(model="Xeon", flags=(), physical_cores=2, logical_cores=2, usable_cores=2),
    memory_gib=8.0,
    os="Linux",
    python="3.11.7",
    wheels={"onnxruntime": "1.23.0"},
    dwpose_infer="0.1.0",
    threads={"network": 2},
    gpus=(),
    load_average_1min=0.25,
    date=datetime.date(2026, 11, 22),
)
SETTINGS = LatencySettings(batch=1, warmup=50, runs=200, repetitions=3, threads=2)


def row(network, backend, mean_ms, *, shape=(1, 3, 256, 192), weights="random"):
    return LatencyRow(
        network=network,
        weights=weights,
        input_shape=shape,
        input_dtype="float32",
        backend=backend,
        description="ONNX Runtime 1.23.0" if backend == "ort" else "OpenVINO 2026",
        mean_ms=mean_ms,
        means_ms=(mean_ms, 0.9 * mean_ms, 1.1 * mean_ms),
        median_ms=0.95 * mean_ms,
        p95_ms=1.5 * mean_ms,
        min_ms=0.8 * mean_ms,
    )


def document_of(*rows):
    return LatencyDocument(environment=ENVIRONMENT, settings=SETTINGS, rows=rows)


@pytest.fixture
def document():
    return document_of(
        row("dwpose-m", "ort", 20.0),
        row("dwpose-m", "openvino", 15.0),
        row("dwpose-l", "ort", 36.0),
        row("dwpose-l-384", "ort", 80.0, shape=(1, 384, 288, 3)),
        row("mine.onnx", "openvino", 3.0, weights="file"),
    )


def test_published_and_measured_columns(document):
    assert published_table(document).splitlines() == [
        "| network | input | AP, published | published ms: ONNX Runtime, i7-11700 "
        "| published ms: TensorRT FP16, GTX 1660 Ti | **measured ms: ONNX Runtime** "
        "| **measured ms: OpenVINO** |",
        "| --- | --- | ---: | ---: | ---: | ---: | ---: |",
        "| dwpose-m | 256x192 | 60.6 | 13.50 | 4.00 | 20.00 | 15.00 |",
        "| dwpose-l | 256x192 | 63.1 | 23.41 | 5.67 | 36.00 | - |",
        "| dwpose-l-384 | 384x288 | 66.5 | 44.58 | 7.68 | 80.00 | - |",
        "| mine.onnx | 256x192 | - | - | - | - | 3.00 |",
    ]


def test_ratios(document):
    """23.41 / 13.50 = 1.734, 44.58 / 13.50 = 3.302; 5.67 / 4 = 1.4175, 7.68 / 4 = 1.92."""
    assert ratio_table(document).splitlines() == [
        "| time / dwpose-m | published: ONNX Runtime, i7-11700 "
        "| published: TensorRT FP16, GTX 1660 Ti | **measured: ONNX Runtime** "
        "| **measured: OpenVINO** |",
        "| --- | ---: | ---: | ---: | ---: |",
        "| dwpose-m | 1.00 | 1.00 | 1.00 | 1.00 |",
        "| dwpose-l | 1.73 | 1.42 | 1.80 | - |",
        "| dwpose-l-384 | 3.30 | 1.92 | 4.00 | - |",
        "| mine.onnx | - | - | - | 0.20 |",
    ]


def test_no_ratios_without_the_network_they_are_to():
    assert ratio_table(document_of(row("dwpose-l", "ort", 1.0), row("dwpose-t", "ort", 2.0))) == ""
    assert ratio_table(document_of(row("dwpose-m", "ort", 1.0))) == ""


def test_details(document):
    lines = detail_table(document).splitlines()
    assert len(lines) == 2 + 5
    assert lines[2] == (
        "| dwpose-m | ONNX Runtime 1.23.0 | 20.00 | 20.0 % | 19.00 | 30.00 | 16.00 |"
    )


def test_batches_and_what_there_is_not():
    """Published figures are of batch 1; a column without a figure is one all the same."""
    settings = msgspec.structs.replace(
        SETTINGS,
        batches=(1, 8),
        deploy="fp16",
        device="cuda:0",
        backends=("ort-cuda", "torch-graph", "torch-compiled"),
    )
    rows = [
        row("dwpose-m", "ort-cuda", 1.0, shape=(1, 256, 192, 3)),
        row("dwpose-m", "ort-cuda", 1.6, shape=(8, 256, 192, 3)),
        row("dwpose-m", "torch-graph", 1.5, shape=(8, 3, 256, 192)),
        row("dwpose-l", "ort-cuda", 2.0, shape=(1, 256, 192, 3)),
        row("dwpose-l", "ort-cuda", 9.0, shape=(8, 256, 192, 3)),
    ]
    document = LatencyDocument(environment=ENVIRONMENT, settings=settings, rows=tuple(rows))
    header, _, *lines = published_table(document).splitlines()
    assert header.startswith("| network | input | batch | AP, published |")
    assert header.endswith(
        "| **measured ms: ONNX Runtime, CUDA** | **measured ms: PyTorch, CUDA graph** "
        "| **measured ms: PyTorch, compiled** |"
    )
    assert lines == [
        "| dwpose-m | 256x192 | 1 | 60.6 | 13.50 | 4.00 | 1.00 | - | - |",
        "| dwpose-m | 256x192 | 8 | 60.6 | - | - | 1.60 | 1.50 | - |",
        "| dwpose-l | 256x192 | 1 | 63.1 | 23.41 | 5.67 | 2.00 | - | - |",
        "| dwpose-l | 256x192 | 8 | 63.1 | - | - | 9.00 | - | - |",
    ]
    assert ratio_table(document).splitlines()[3] == "| dwpose-l | 1.73 | 1.42 | 2.00 | - | - |"
    assert detail_table(document).splitlines()[3].startswith("| dwpose-m | OpenVINO 2026 | 8 |")
    assert "Batch 1, 8, deploy form in fp16, 50 calls" in caption(document)


def test_caption_says_what_has_to_be_known(document):
    assert caption(document) == (
        "Measured on a virtual machine, 2 cores of Intel Xeon, 2 threads, 2026-11-22, load before "
        "it 0.25; ONNX Runtime 1.23.0; OpenVINO 2026; weights: random weights, on which the time "
        "does not depend; files given. Batch 1, 50 calls to warm up, mean of 200, the execute "
        "call alone; median of 3 repetitions, which differ by at most 20 %."
    )


def test_for_a_readme(document, tmp_path):
    path = write_document(tmp_path / "latency.json", document)
    parts = [published_table(document), ratio_table(document), caption(document)]
    assert BENCHMARK.load().table_of(path) == "\n\n".join(parts)
    assert set(parts) < set(full_report(document).split("\n\n"))
    path.write_text(path.read_text().replace("repetitions", "rounds"))
    with pytest.raises(FormatError, match=r"latency\.json: .*settings"):
        BENCHMARK.load().table_of(path)


@pytest.mark.slow
def test_plot(document, tmp_path):
    path = save_plot(document, tmp_path / "plot.png")
    picture = cv2.imread(str(path))
    assert picture.shape == (600, 960, 3)
    assert picture.std() > 5  # something is drawn on the white ground
    other = save_plot(document_of(row("dwpose-m", "ort", 2.0)), tmp_path / "other.png")
    assert (cv2.imread(str(other)) != picture).any()


def test_nothing_to_plot(tmp_path):
    with pytest.raises(InvalidArgumentError, match="nothing to plot"):
        save_plot(document_of(row("mine.onnx", "ort", 2.0)), tmp_path / "plot.png")
    assert list(tmp_path.iterdir()) == []
