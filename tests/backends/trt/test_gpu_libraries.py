from __future__ import annotations

import subprocess
import sys

import pytest

import fake_cuda
from dwpose_infer.backends.tensorrt import backend
from dwpose_infer.backends.tensorrt import system as gpu
from dwpose_infer.backends.tensorrt.products import TENSORRT
from dwpose_infer.backends.tensorrt.system import Driver
from dwpose_infer.cli import env as report
from dwpose_infer.errors import BackendUnavailableError, MissingDependencyError
from fake_tensorrt import make_tensorrt
from fake_tensorrt_builder import FakeMachine


@pytest.fixture
def nothing(monkeypatch):
    """A machine with a GPU and its driver, and no package for it."""
    fake_cuda.install(monkeypatch, binding=None)
    monkeypatch.setitem(sys.modules, "tensorrt", None)


def with_driver(monkeypatch, driver):
    monkeypatch.setattr(gpu, "find_driver", lambda: driver)


def test_all_that_is_missing_is_named_at_once_in_order(nothing, monkeypatch):
    with_driver(monkeypatch, None)
    with pytest.raises(BackendUnavailableError) as caught:
        gpu.check_tensorrt(TENSORRT)
    message = str(caught.value)
    places = [
        message.index(words)
        for words in (
            "(1) no NVIDIA driver",
            '(2) TensorRT is not installed: pip install "dwpose-infer[trt]"',
            "(3) neither cuda-python nor pycuda is installed: the same command brings cuda-python",
            "--backend ort",
        )
    ]
    assert places == sorted(places)
    assert caught.value.exit_code == 3


def test_only_packages_are_missing(nothing):
    with pytest.raises(MissingDependencyError, match=r"\(1\) TensorRT is not installed") as caught:
        gpu.check_tensorrt(TENSORRT)
    assert "NVIDIA driver" not in str(caught.value)
    assert caught.value.exit_code == 3


def test_only_the_binding_is_missing(nothing, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorrt", fake_cuda.make_module("tensorrt"))
    (problem,) = gpu.tensorrt_problems(TENSORRT)
    assert 'pip install "dwpose-infer[trt]" brings cuda-python' in problem


@pytest.mark.parametrize(
    ("driver", "problem"),
    [
        (Driver((13, 0), (), "CUDA_ERROR_SYSTEM_DRIVER_MISMATCH"), "SYSTEM_DRIVER_MISMATCH"),
        (Driver((13, 0), ()), "CUDA_VISIBLE_DEVICES"),
    ],
)
def test_drivers_that_are_of_no_use(nothing, monkeypatch, driver, problem):
    with_driver(monkeypatch, driver)
    assert problem in gpu.tensorrt_problems(TENSORRT)[0]
    with pytest.raises(BackendUnavailableError, match="Without an NVIDIA GPU"):
        gpu.check_tensorrt(TENSORRT)


def test_nothing_is_missing(monkeypatch):
    fake_cuda.install(monkeypatch)
    monkeypatch.setitem(sys.modules, "tensorrt", fake_cuda.make_module("tensorrt"))
    gpu.check_tensorrt(TENSORRT)


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("NVRM version: NVIDIA UNIX x86_64 Kernel Module  580.65.06  Sun Jul 27\n", "580.65.06"),
        ("NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  570.12  Release\n", "570.12"),
        ("nothing of the kind\n", None),
    ],
)
def test_version_of_the_driver_from_the_kernel(monkeypatch, tmp_path, text, version):
    path = tmp_path / "version"
    path.write_text(text)
    monkeypatch.setattr(gpu, "PROC_VERSION", path)
    assert gpu.driver_version() == version


def test_version_of_the_driver_from_nvidia_smi(monkeypatch, tmp_path):
    program = tmp_path / "nvidia-smi"
    monkeypatch.setattr(gpu, "PROC_VERSION", tmp_path / "missing")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert gpu.driver_version() is None
    program.write_text("#!/bin/sh\necho 550.54.15\n")
    program.chmod(0o755)
    assert gpu.driver_version() == "550.54.15"
    program.write_text("#!/bin/sh\necho 'Failed to initialize NVML' >&2\nexit 9\n")
    assert gpu.driver_version() is None


def test_nvidia_smi_that_hangs_does_not_hold_up_the_report(monkeypatch, tmp_path):
    def hang(command, *, timeout, **options):
        raise subprocess.TimeoutExpired(command, timeout)

    program = tmp_path / "nvidia-smi"
    program.touch(mode=0o755)
    monkeypatch.setattr(gpu, "PROC_VERSION", tmp_path / "missing")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(subprocess, "run", hang)
    assert gpu.driver_version() is None


def test_toolkit(monkeypatch, tmp_path):
    monkeypatch.setenv("CUDA_PATH", str(tmp_path))
    (tmp_path / "version.json").write_text('{"cuda": {"version": "12.8.1"}}')
    assert gpu.gpu_versions()["CUDA"].endswith(f"toolkit 12.8.1 in {tmp_path}")
    (tmp_path / "version.json").write_text("[]")
    assert gpu.gpu_versions()["CUDA"].endswith(f"toolkit of unknown version in {tmp_path}")


@pytest.mark.slow
def test_report_of_a_machine_with_everything(monkeypatch):
    fake_cuda.install(monkeypatch)
    monkeypatch.setitem(sys.modules, "tensorrt", make_tensorrt(FakeMachine()))
    monkeypatch.setitem(sys.modules, "tensorrt_rtx", None)
    monkeypatch.setattr(backend, "check_tensorrt", lambda _product: None)
    monkeypatch.setattr(gpu, "driver_version", lambda: "580.65.06")
    found = report.inspect_environment()
    status = {each.name: each for each in found.backends}["--backend trt --device cuda"]
    assert status.usable
    assert "TensorRT 10.16.1.11 on NVIDIA L4 (cuda:0) through cuda-python" in status.detail
    assert found.versions["NVIDIA driver"] == "580.65.06, for CUDA up to 13.0"
    assert found.versions["GPUs"] == "cuda:0 NVIDIA L4"


@pytest.mark.slow
def test_report_survives_a_library_that_fails_in_any_way(monkeypatch):
    def explode(*arguments):
        raise SystemError("wrong ELF class")

    monkeypatch.setattr(report, "_load_detector", explode)
    found = report.inspect_environment()
    assert [backend.usable for backend in found.backends[:2]] == [False, False]
    assert "unexpected SystemError: wrong ELF class" in found.backends[0].detail
