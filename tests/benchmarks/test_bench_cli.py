from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from dwpose_infer.benchmarks import cli
from dwpose_infer.benchmarks.catalogue import BENCHMARKS, find_benchmark

COMMANDS = (*BENCHMARKS, "readme", "schema")


def test_help_names_every_command(capsys):
    with pytest.raises(SystemExit, match="0"):
        cli.main(["--help"])
    printed = capsys.readouterr().out
    for command in COMMANDS:
        assert f"    {command}" in printed


def test_the_whole_parser_describes_every_benchmark():
    parser = cli.build_parser()
    for command in BENCHMARKS:
        assert parser.parse_args([command, "--json", "a.json"]).json == Path("a.json")


def test_an_unknown_benchmark():
    with pytest.raises(KeyError, match="speed"):
        find_benchmark("speed")


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_every_command(command, capsys):
    with pytest.raises(SystemExit, match="0"):
        cli.main([command, "--help"])
    assert f"usage: dwpose-bench {command}" in capsys.readouterr().out


@pytest.mark.parametrize("arguments", [[], ["nonsense"], ["readme"], ["table", "--runs", "many"]])
def test_wrong_usage(arguments, capsys):
    with pytest.raises(SystemExit, match="2"):
        cli.main(arguments)
    assert "usage: dwpose-bench" in capsys.readouterr().err


def test_a_missing_package_is_told_with_the_command_that_installs_it():
    code = (
        "import sys\nsys.modules['psutil'] = None\n"
        "from dwpose_infer.benchmarks.cli import main\n"
        "sys.exit(main(['complexity', 'dwpose-t-bundled']))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 3
    assert done.stderr.startswith("dwpose-bench complexity: error: the package psutil is needed")
    assert 'pip install "dwpose-infer[bench]"' in done.stderr


def test_a_module_of_our_own_that_is_missing_is_no_missing_package(monkeypatch):
    def broken(_settings):
        raise ModuleNotFoundError("No module", name="dwpose_infer.nonsense")

    monkeypatch.setattr("dwpose_infer.benchmarks.complexity.counting.count_published", broken)
    with pytest.raises(ModuleNotFoundError):
        cli.main(["complexity"])


def test_interrupted(monkeypatch, capsys):
    def interrupted(_settings):
        raise KeyboardInterrupt

    monkeypatch.setattr("dwpose_infer.benchmarks.complexity.counting.count_published", interrupted)
    assert cli.main(["complexity"]) == 130
    assert "interrupted" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["pipeline", "video", "cold-start", "sweep"])
def test_a_gpu_that_is_not_there_is_told_before_anything_is_measured(command, capsys):
    onnxruntime = pytest.importorskip("onnxruntime")
    if "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        pytest.skip("a GPU may be here")
    assert cli.main([command, "--device", "cuda"]) == 3
    assert "CUDA" in capsys.readouterr().err
