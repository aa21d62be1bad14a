from __future__ import annotations

import getpass
import platform
import subprocess
from pathlib import Path

import msgspec
import pytest

from dwpose_infer import __version__
from dwpose_infer.benchmarks import machine

INTEL = """\
processor\t: 0
model name\t: Intel(R) Core(TM) i7-11700 @ 2.50GHz
flags\t\t: fpu avx2 fma f16c avx512f avx512_vnni hypervisor

processor\t: 1
model name\t: another
flags\t\t: fpu
"""


def test_this_machine():
    found = machine.capture_environment(threads={"network": 3})
    assert found.dwpose_infer == __version__
    assert found.python == platform.python_version()
    assert found.threads["network"] == 3
    assert found.threads["opencv"] >= 1
    assert found.wheels["numpy"]
    assert found.cpu.logical_cores >= found.cpu.usable_cores >= 1
    assert 1 <= machine.physical_cores() <= machine.usable_cores()
    assert found.memory_gib > 0.1
    assert set(found.cpu.flags) <= set(machine.CPU_FLAGS)


def test_it_does_not_tell_whose_machine_it_is():
    text = msgspec.json.encode(machine.capture_environment()).decode()
    for secret in (platform.node(), getpass.getuser(), str(Path.home())):
        assert f'"{secret}' not in text
    assert "/home" not in text


def test_cpu(monkeypatch, tmp_path):
    (tmp_path / "cpuinfo").write_text(INTEL)
    path = machine.Path
    monkeypatch.setattr(machine, "Path", lambda name: path(tmp_path, path(name).name))
    monkeypatch.setattr(machine, "usable_cores", lambda: 8)
    found = machine.capture_environment()
    assert found.cpu.model == "Intel(R) Core(TM) i7-11700 @ 2.50GHz"
    assert found.cpu.flags == ("avx2", "fma", "f16c", "avx512f", "avx512_vnni")
    assert found.label.startswith("virtual machine, 8 cores of Intel Core i7-11700 @ 2.50GHz")


def test_instruction_sets_kept_from_the_libraries_are_told(monkeypatch):
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "AVX2")
    assert machine.capture_environment().label.endswith(", ONEDNN_MAX_CPU_ISA=AVX2")


def test_systems_without_cpuinfo(monkeypatch, tmp_path):
    monkeypatch.setattr(machine, "Path", lambda _name: tmp_path / "missing")
    found = machine.capture_environment()
    assert found.cpu.flags == ()
    assert found.cpu.model
    assert found.label.startswith(platform.system())


@pytest.mark.parametrize(
    ("printed", "gpus"),
    [
        (
            "NVIDIA H200, 575.57.08, 143771\nNVIDIA L4, 575.57.08, 23034\n",
            [("NVIDIA H200", "575.57.08", 143771), ("NVIDIA L4", "575.57.08", 23034)],
        ),
        ("No devices were found\n", []),
        ("NVIDIA GB10, 580.1, [N/A]\n", []),
        (None, []),
    ],
)
def test_gpus(monkeypatch, printed, gpus):
    def run(command, **_settings):
        if printed is None:
            raise subprocess.CalledProcessError(9, command)
        return subprocess.CompletedProcess(command, 0, stdout=printed)

    monkeypatch.setattr(machine.shutil, "which", lambda _name: "/usr/bin/nvidia-smi")
    monkeypatch.setattr(machine.subprocess, "run", run)
    found = machine.capture_environment()
    assert [(gpu.name, gpu.driver, gpu.memory_mib) for gpu in found.gpus] == gpus
    for name, _, _ in gpus:
        assert name in found.label
