from __future__ import annotations

import subprocess
import sys

import pytest

from dwpose_infer.benchmarks import cli

COMMANDS = (
    "complexity",
    "table",
    "outside",
    "pipeline",
    "sweep",
    "cold-start",
    "soak",
    "video",
    "readme",
    "schema",
)


def test_help_names_every_command_and_loads_no_heavy_module():
    code = (
        "import sys\nfrom dwpose_infer.benchmarks.cli import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit as status:\n    assert status.code == 0\n"
        "heavy = {'torch', 'onnx', 'onnxruntime', 'openvino', 'matplotlib', 'msgspec', 'psutil'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    for command in COMMANDS:
        assert f"    {command}" in done.stdout


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
        "import sys\nsys.modules['msgspec'] = None\n"
        "from dwpose_infer.benchmarks.cli import main\n"
        "sys.exit(main(['complexity', 'dwpose-t-bundled']))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 3
    assert done.stderr.startswith("dwpose-bench complexity: error: the package msgspec is needed")
    assert 'pip install "dwpose-infer[bench]"' in done.stderr


def test_a_module_of_our_own_that_is_missing_is_no_missing_package(monkeypatch):
    def broken(_settings):
        raise ModuleNotFoundError("No module", name="dwpose_infer.nonsense")

    monkeypatch.setattr("dwpose_infer.benchmarks.complexity.counting.count", broken)
    with pytest.raises(ModuleNotFoundError):
        cli.main(["complexity"])


def test_interrupted(monkeypatch, capsys):
    def interrupted(_settings):
        raise KeyboardInterrupt

    monkeypatch.setattr("dwpose_infer.benchmarks.complexity.counting.count", interrupted)
    assert cli.main(["complexity"]) == 130
    assert "interrupted" in capsys.readouterr().err
