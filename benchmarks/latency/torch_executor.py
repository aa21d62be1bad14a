"""PyTorch beside the other runtimes: eager, as a CUDA graph, compiled; on the CPU or on a GPU."""

from __future__ import annotations

import copy
from contextlib import ExitStack
from typing import Any, Literal

import numpy as np

from ...backends.base import TensorSpec
from ...backends.device import Device
from ...errors import BackendUnavailableError, InvalidArgumentError
from .executors import Executor, random_sample
from .networks import Network

Mode = Literal["eager", "graph", "compiled"]

WARM_UP_BEFORE_CAPTURE = 3
"""Runs before a graph is captured, as PyTorch's notes on CUDA graphs ask for some."""


class TorchExecutor(Executor):
    """A network as PyTorch runs it, in the published form: normalised pictures in, SimCC out.

    On a GPU it is told what makes it fastest and keeps to what is asked: cuDNN's algorithms are
    searched, half precision has the channels last, and float32 is not rounded to TF32.
    """

    def __init__(
        self,
        network: Network,
        *,
        mode: Mode,
        device: Device,
        half: bool = False,
        threads: int,
        batch: int = 1,
    ) -> None:
        """Puts the network and noise on the device.

        Args:
            network: One whose module is known.
            mode: How it is run; "graph" on a GPU only.
            device: Where.
            half: Compute in half precision, on a GPU; a CPU takes float32.
            threads: CPU threads of one operator.
            batch: Crops in one call.

        Raises:
            MissingDependencyError: torch is not installed.
            BackendUnavailableError: It has no CUDA or cannot compile here.
            InvalidArgumentError: The network is an ONNX file, or a graph is wanted on a CPU.
        """
        from ..random_networks import import_torch

        torch = import_torch()
        if network.module is None:
            raise InvalidArgumentError(
                f"{network.name} is an ONNX file, which torch does not run; its backends measure "
                "--random-weights"
            )
        on_gpu = device.kind == "cuda"
        if mode == "graph" and not on_gpu:
            raise InvalidArgumentError("CUDA graphs are for GPUs: --device cuda")
        if on_gpu:
            _require_gpu(torch, device)
        self._torch, self._place = torch, str(device) if on_gpu else "cpu"
        self._on_close = ExitStack()
        self._set_up(threads, on_gpu=on_gpu)
        half = half and on_gpu
        height, width = network.input_hw
        self.input = TensorSpec("input", np.dtype(np.float32), (batch, 3, height, width))
        self.description = (
            f"PyTorch {torch.__version__} on {'CPU' if not on_gpu else device}, "
            f"{'fp16, channels last' if half else 'fp32'}"
        )
        # A copy: on a GPU in half precision it is another one, and modes and batches share it.
        self._module: Any = copy.deepcopy(network.module) if on_gpu else network.module
        self._sample = torch.from_numpy(random_sample(self.input, batch))
        if on_gpu:
            kind = {"dtype": torch.float16} if half else {}
            last = {"memory_format": torch.channels_last} if half else {}
            self._module = self._module.to(self._place, **kind, **last)
            self._sample = self._sample.to(self._place, **kind, **last)
        try:
            self._prepare(mode)
        except BaseException:
            self.close()
            raise

    def _set_up(self, threads: int, *, on_gpu: bool) -> None:
        """Sets what is the process's own, until this is closed."""
        torch = self._torch
        self._on_close.callback(torch.set_num_threads, torch.get_num_threads())
        torch.set_num_threads(threads)
        if on_gpu:
            cudnn = torch.backends.cudnn
            for name, value in (("benchmark", True), ("allow_tf32", False)):
                self._on_close.callback(setattr, cudnn, name, getattr(cudnn, name))
                setattr(cudnn, name, value)

    def _prepare(self, mode: Mode) -> None:
        self._call: Any = self._run
        if mode == "compiled":
            # torch compiles a class eight times at most and runs it as it is from then on, with no
            # more than a warning; networks and batches of a table are more.
            self._on_close.callback(self._torch.compiler.reset)
            self._module = self._torch.compile(self._module, dynamic=False)
            self.description += ", compiled"
            self._compile_now()
        elif mode == "graph":
            self.description += ", CUDA graph"
            self._call = self._capture()

    def _run(self) -> Any:
        with self._torch.inference_mode():
            return self._module(self._sample)

    def _capture(self) -> Any:
        """Captures a run as PyTorch's notes on CUDA graphs have it, and returns its replay."""
        cuda = self._torch.cuda
        with cuda.device(self._place):
            side = cuda.Stream()
            side.wait_stream(cuda.current_stream())
            with cuda.stream(side):
                for _ in range(WARM_UP_BEFORE_CAPTURE):
                    self._run()
            cuda.current_stream().wait_stream(side)
            graph = cuda.CUDAGraph()
            with cuda.graph(graph):
                self._output = self._run()  # where every replay writes
        return graph.replay

    def _compile_now(self) -> None:
        try:
            self.execute()
        except Exception as error:  # torch's compiler raises errors of many kinds
            reason = str(error).strip().splitlines()
            raise BackendUnavailableError(
                f"torch.compile does not work here ({reason[0] if reason else error!r}); it needs "
                "a C++ compiler, such as g++. Remedy: install one, or leave out torch-compiled"
            ) from error

    def execute(self) -> None:
        """Runs the network, and waits for the GPU where it runs on one."""
        self._call()
        if self._place != "cpu":
            self._torch.cuda.synchronize(self._place)

    def close(self) -> None:
        """Frees the network and gives torch the settings it had before."""
        self._module = self._call = self._output = None
        self._on_close.close()


def _require_gpu(torch: Any, device: Device) -> None:
    if not torch.cuda.is_available():
        raise BackendUnavailableError(
            f"PyTorch {torch.__version__} has no CUDA here. Remedy: install one for the driver's "
            "CUDA (https://pytorch.org/get-started/locally), or leave out the backends of torch"
        )
    count = torch.cuda.device_count()
    if device.index >= count:
        raise BackendUnavailableError(f"there is no GPU {device} for PyTorch, which sees {count}")
