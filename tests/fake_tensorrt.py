"""A fake `tensorrt` module: both halves together, for machines without NVIDIA's libraries."""

from __future__ import annotations

import _thread
import sys
import threading
from collections.abc import Callable
from importlib.machinery import ModuleSpec

import fake_cuda
from dwpose_infer.export.to_tensorrt import BuildProgress
from fake_tensorrt_builder import FakeMachine, builder_names
from fake_tensorrt_recording import RecordedModule
from fake_tensorrt_runtime import runtime_names

PATIENCE_S = 60


def make_tensorrt(machine: FakeMachine) -> RecordedModule:
    """The module as it is on a machine."""
    module = RecordedModule("tensorrt", __doc__)
    module.__dict__.update(builder_names(machine) | runtime_names(machine))
    module.__dict__["__version__"] = machine.version
    module.__spec__ = ModuleSpec("tensorrt", None)
    return module


def install_tensorrt(monkeypatch, machine: FakeMachine | None = None) -> FakeMachine:
    """Makes this process one of a machine with TensorRT, CUDA and one GPU, for one test."""
    machine = machine or FakeMachine()
    gpu = fake_cuda.FakeGpu(machine.gpu_name, machine.compute_capability)
    fake_cuda.install(monkeypatch, gpus=(gpu,))
    monkeypatch.setitem(sys.modules, "tensorrt", make_tensorrt(machine))
    monkeypatch.setitem(sys.modules, "tensorrt_rtx", None)
    return machine


def press_ctrl_c(monkeypatch, machine: FakeMachine) -> Callable[[], int]:
    """Presses Ctrl-C once, in the first step of the next build, and waits until it is heard.

    Returns:
        Tells how many steps were begun since.
    """
    heard = threading.Event()
    cancel = BuildProgress.cancel
    steps = []

    def note(progress):
        cancel(progress)
        heard.set()

    def step():
        if heard.is_set():
            return
        steps.append(1)
        _thread.interrupt_main()
        assert heard.wait(PATIENCE_S)

    monkeypatch.setattr(BuildProgress, "cancel", note)
    machine.on_step = step
    return lambda: len(steps)
