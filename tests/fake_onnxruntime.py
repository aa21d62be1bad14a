"""ONNX Runtime with GPU providers: a fake of what the GPU wheel adds to the real one.

It behaves as ONNX Runtime 1.31.1 was seen to behave on an H200.
"""

from __future__ import annotations

import sys
import threading

import numpy as np
import onnxruntime

from dwpose_infer.backends import onnxruntime as ort_backend
from dwpose_infer.backends.onnxruntime_options import PROVIDER_NAMES
from dwpose_infer.export import serving_device


class FakeValue:
    """An `OrtValue`: an array on a device, at an address of its own."""

    def __init__(self, array, device, index):
        self.array, self.place = array.copy(), (device, index)

    @staticmethod
    def ortvalue_from_numpy(array, device_type="cpu", device_id=0):
        assert array.flags.c_contiguous
        return FakeValue(array, device_type, device_id)

    @staticmethod
    def ortvalue_from_shape_and_type(shape, element_type, device_type="cpu", device_id=0):
        return FakeValue(np.full(shape, 99, element_type), device_type, device_id)

    def update_inplace(self, array):
        assert array.flags.c_contiguous
        assert (array.shape, array.dtype) == (self.array.shape, self.array.dtype)
        self.array[...] = array


class FakeBinding:
    """An `IOBinding`; outputs come back in the order in which they were bound."""

    def __init__(self):
        self.inputs, self.outputs, self.results, self.steps = {}, {}, None, []

    def bind_ortvalue_input(self, name, value):
        self.inputs[name] = value

    def bind_ortvalue_output(self, name, value):
        self.outputs[name] = value

    def bind_output(self, name, device_type="cpu", device_id=0):
        self.outputs[name] = (device_type, device_id)

    def synchronize_inputs(self):
        self.steps.append("inputs are there")

    def synchronize_outputs(self):
        self.steps.append("outputs are there")

    def copy_outputs_to_cpu(self):
        return [self.results[name].copy() for name in self.outputs]

    @property
    def fixed(self):
        return all(isinstance(output, FakeValue) for output in self.outputs.values())


class FakeSession:
    """A session that claims other providers than the CPU's, and computes on the CPU.

    With graphs on it does as ONNX Runtime does: the first run runs, the second captures, and
    later ones replay what was captured, whatever is bound.
    """

    def __init__(self, fake, path, settings, providers):
        names = [name if isinstance(name, str) else name[0] for name in providers]
        options = {} if isinstance(providers[0], str) else providers[0][1]
        self.graphs = str(options.get("enable_cuda_graph", 0)) == "1"
        self.search = options.get("cudnn_conv_algo_search")
        if self.graphs and fake.leaves_nodes_to_the_cpu:
            raise RuntimeError("This session cannot use the graph capture feature as requested")
        self.real = onnxruntime.InferenceSession(path, settings, ["CPUExecutionProvider"])
        self.fake, self.providers, self.runs, self.captured = fake, names, 0, None
        self.get_inputs, self.get_outputs = self.real.get_inputs, self.real.get_outputs
        self.get_modelmeta = self.real.get_modelmeta
        self.shapes, self.threads = set(), set()

    def get_providers(self):
        return self.fake.used or self.providers

    def disable_fallback(self):
        pass

    def run(self, names, inputs):
        raise AssertionError("on a GPU, inputs and outputs are to be bound")

    def io_binding(self):
        self.fake.bindings.append(FakeBinding())
        return self.fake.bindings[-1]

    def run_with_iobinding(self, binding):
        if self.fake.failure is not None:
            raise self.fake.failure
        self.runs += 1
        self.threads.add(threading.get_ident())
        assert len(self.threads) == 1, "graphs belong to the thread that captured them"
        if self.graphs:
            assert binding.fixed, "a graph writes where it wrote when it was captured"
            if self.runs == 2:
                self.captured = binding
            binding = self.captured or binding
        self.shapes.add(tuple(value.array.shape for value in binding.inputs.values()))
        assert len(self.shapes) == 1, "cuDNN's algorithms are searched anew at every change"
        binding.steps.append("run")
        if self.fake.refused_search == self.search:
            raise RuntimeError("Failed to initialize CUDNN Frontend")
        names = [node.name for node in self.get_outputs()]
        inputs = {name: value.array for name, value in binding.inputs.items()}
        results = self.real.run(names, inputs)
        if self.captured is not None:
            results = [result + self.fake.replay_error for result in results]
        results = dict(zip(names, results, strict=True))
        binding.results = self.fake.distort(results) if self.fake.distort else results


class FakeOrt:
    """Stands for the GPU wheel; `used` are the providers it takes in the end.

    `distort` makes of the outputs, by name, what the GPU is to give in their place.
    """

    __version__ = "9.9"
    OrtValue = FakeValue

    def __init__(self, used=None):
        self.preloaded, self.used, self.failure = 0, used, None
        self.bindings, self.requested, self.sessions, self.refusal = [], [], [], None
        self.leaves_nodes_to_the_cpu, self.replay_error, self.refused_search = False, 0, ""
        self.distort = None

    def __getattr__(self, name):
        return getattr(onnxruntime, name)

    def preload_dlls(self):
        self.preloaded += 1
        sys.stdout.write("Failed to load libcublasLt.so.13: cannot open shared object file")

    def get_available_providers(self):
        return list(PROVIDER_NAMES.values())

    def InferenceSession(self, path, sess_options, providers, enable_fallback=1):
        if providers[0] in ("CPUExecutionProvider", ("CPUExecutionProvider", {})):
            return onnxruntime.InferenceSession(path, sess_options, providers)
        assert not enable_fallback
        if self.refusal is not None:
            raise RuntimeError(self.refusal)
        self.requested.append(providers)
        self.sessions.append(FakeSession(self, path, sess_options, providers))
        return self.sessions[-1]


def install_onnxruntime(monkeypatch):
    """Puts a fake of the GPU wheel in the place of ONNX Runtime and returns it."""
    fake = FakeOrt()
    for module in (ort_backend, serving_device):
        monkeypatch.setattr(module, "import_onnxruntime", lambda: fake)
    return fake
