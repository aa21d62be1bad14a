"""The counts against the figures of the reference implementation (see the table below)."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from dwpose_infer.benchmarks.cli import main
from dwpose_infer.benchmarks.complexity.command import BENCHMARK
from dwpose_infer.benchmarks.complexity.counting import ComplexityDocument, count_files, full_table
from dwpose_infer.files.document import read_document, write_document

pytest.importorskip("torch")
pytest.importorskip("fvcore")

# Parameters exactly, GFLOPs of fvcore with mmpose's own networks, and where known those of
# convolutions, Linears and matrix products alone.
REFERENCE = {
    "dwpose-t": (5_519_779, 0.552, 0.5481, 0.5),
    "dwpose-s": (8_383_575, 0.910, None, 0.9),
    "dwpose-m": (17_953_039, 2.2268, 2.2158, 2.22),
    "dwpose-l": (33_480_871, 4.5280, None, 4.52),
    "dwpose-l-384": (33_610_919, 10.0784, 10.0385, 10.07),
}


@pytest.fixture(scope="module")
def document(tmp_path_factory):
    path = tmp_path_factory.mktemp("complexity") / "complexity.json"
    assert main(["complexity", "--json", str(path)]) == 0
    return read_document(path, ComplexityDocument)


@pytest.mark.slow
def test_networks_and_parameters(document):
    assert {row.model: row.parameters for row in document.rows} == {
        name: figures[0] for name, figures in REFERENCE.items()
    }


@pytest.mark.slow
@pytest.mark.parametrize("name", REFERENCE)
def test_counts(document, name):
    (row,) = (row for row in document.rows if row.model == name)
    _, fvcore, products, published = REFERENCE[name]
    assert row.fvcore / 1e9 == pytest.approx(fvcore, rel=1e-3)
    assert row.fvcore == sum(row.fvcore_by_operator.values())
    assert set(row.fvcore_by_operator) == {
        "conv",
        "linear",
        "bmm",
        "batch_norm",
        "adaptive_avg_pool2d",
    }
    if products is not None:
        assert row.products / 1e9 == pytest.approx(products, rel=1e-3)
    # Three ways to the same number: torch's counter, the ONNX file, and fvcore's operators.
    assert row.products_onnx == row.products
    assert row.products == sum(row.fvcore_by_operator[key] for key in ("conv", "linear", "bmm"))
    # The published table cuts off: 2.2268 is 2.22 there.
    decimals = 1 if name in ("dwpose-t", "dwpose-s") else 2
    assert row.published_gflops == published == int(row.fvcore / 1e9 * 10**decimals) / 10**decimals


@pytest.mark.slow
def test_golden_table(document, tmp_path):
    lines = full_table(document).splitlines()
    assert lines[0] == (
        "| network | input | parameters | GFLOPs, published | GFLOPs, fvcore "
        "| GFLOPs in products, torch | GFLOPs in products, ONNX |"
    )
    assert lines[1] == "| --- | --- | ---: | ---: | ---: | ---: | ---: |"
    assert lines[4] == "| dwpose-m | 256x192 | 17,953,039 | 2.22 | 2.2268 | 2.2158 | 2.2158 |"
    assert lines[6].startswith("| dwpose-l-384 | 384x288 | 33,610,919 | 10.07 | 10.0784 | 10.0385")
    path = write_document(tmp_path / "result.json", document)
    assert BENCHMARK.load().table_of(path) == full_table(document)


@pytest.mark.slow
def test_files_need_no_torch(capsys):
    code = (
        "import sys\nsys.modules['torch'] = sys.modules['fvcore'] = None\n"
        "from dwpose_infer.benchmarks.cli import main\n"
        "sys.exit(main(['complexity', 'dwpose-t-bundled']))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    last = done.stdout.splitlines()[-1]
    # 0.5481 with the head's kernels whole; without what falls on columns of padding 0.5138.
    assert last == "| dwpose-t-bundled | 256x192 | 5,517,065 | - | - | - | 0.5138 |"
    for package, message in (("torch", "needs torch"), ("fvcore", "needs fvcore")):
        code = (
            f"import sys\nsys.modules['{package}'] = None\n"
            "from dwpose_infer.benchmarks.cli import main\nsys.exit(main(['complexity']))"
        )
        command = [sys.executable, "-c", code]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 3
        assert message in done.stderr
        assert "pip install" in done.stderr
        assert "Traceback" not in done.stderr


def test_a_file_is_named_without_its_folder(save_graph, tmp_path, capsys):
    from onnx import helper

    node = helper.make_node("Relu", ["x"], ["y"])
    spec = (float, ["N", 4])
    path = save_graph([node], {"x": spec}, {"y": spec}, name="mine.onnx")
    assert main(["complexity", str(path), "--json", str(tmp_path / "out.json")]) == 0
    (row,) = json.loads((tmp_path / "out.json").read_text())["rows"]
    assert (row["model"], row["products_onnx"], row["parameters"]) == ("mine.onnx", 0, 0)
    assert str(tmp_path) not in (tmp_path / "out.json").read_text()
    assert "| mine.onnx | 4 | 0 | - | - | - | 0.0000 |" in capsys.readouterr().out
    assert count_files([str(path)]).rows[0].counted_from == "onnx"


@pytest.mark.parametrize(
    ("model", "status", "message"),
    [
        ("dwpose-q", 4, "no model is called 'dwpose-q'"),
        ("missing.onnx", 4, "no model file"),
        ("dwpose-l", 4, "downloads are switched off"),
        ("notes.onnx", 4, "is not an ONNX model"),
    ],
)
def test_models_that_are_not_there(model, status, message, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "notes.onnx").write_text("no model")
    assert main(["complexity", model]) == status
    error = capsys.readouterr().err
    assert error.startswith("dwpose-bench complexity: error:")
    assert message in error
