"""The help of every command is there at once: it loads nothing that takes long to load."""

from __future__ import annotations

import subprocess
import sys
from configparser import ConfigParser
from pathlib import Path

import pytest

from dwpose_infer.benchmarks.catalogue import BENCHMARKS

ROOT = Path(__file__).resolve().parent.parent
HEAVY = {
    "PIL",
    "av",
    "cuda",
    "cv2",
    "fastapi",
    "fsspec",
    "matplotlib",
    "msgspec",
    "numpy",
    "onnx",
    "onnxruntime",
    "openvino",
    "orjson",
    "psutil",
    "pyarrow",
    "prometheus_client",
    "pycocotools",
    "pydantic",
    "ray",
    "requests",
    "safetensors",
    "scipy",
    "tensorboard",
    "tensorrt",
    "torch",
    "tqdm",
    "uvicorn",
}


def scripts():
    """Console script -> the module with its `main`, as installed."""
    config = ConfigParser()
    config.read(ROOT / "setup.cfg")
    lines = config["options.entry_points"]["console_scripts"].strip().splitlines()
    pairs = (line.split(" = ") for line in lines)
    return {name: target.removesuffix(":main") for name, target in pairs}


def loaded_by_help(module, *command):
    """The modules of `HEAVY` that a command with --help loads in a process of its own."""
    code = (
        f"import sys\nfrom {module} import main\n"
        f"try:\n    main({[*command, '--help']})\n"
        "except SystemExit as status:\n    assert status.code == 0\n"
        "else:\n    raise AssertionError('there is no help')\n"
        "print('\\n' + ' '.join(sys.modules))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return HEAVY & set(done.stdout.splitlines()[-1].split())


@pytest.mark.parametrize("script", scripts())
def test_help_loads_no_heavy_module(script):
    assert loaded_by_help(scripts()[script]) == set()


@pytest.mark.parametrize("command", BENCHMARKS)
def test_help_of_benchmarks_loads_no_heavy_module(command):
    assert loaded_by_help("dwpose_infer.benchmarks.cli", command) == set()


def test_a_heavy_module_would_be_noticed(tmp_path, monkeypatch):
    (tmp_path / "heavy_command.py").write_text(
        "import numpy\ndef main(argv):\n    raise SystemExit(0)\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    assert loaded_by_help("heavy_command") == {"numpy"}
