"""Uses a GPU of the fake driver through the real package; run by test_real_bindings."""

from __future__ import annotations

import ctypes
import json
import sys
from contextlib import ExitStack

import numpy as np

from dwpose_infer.backends.tensorrt.cuda import Gpu
from dwpose_infer.backends.tensorrt.system import find_driver
from dwpose_infer.errors import BackendUnavailableError, DeviceMemoryError, InferenceError


def main() -> None:
    library = ctypes.CDLL("libcuda.so.1")
    samples = np.arange(24, dtype=np.float32).reshape(4, 6)
    with Gpu(1) as gpu:
        with gpu.active(), ExitStack() as held:
            free_total = gpu.free_and_total_bytes()
            stream = held.enter_context(gpu.create_stream())
            buffer = held.enter_context(gpu.allocate((8, 6), samples.dtype))
            buffer.host[:4] = samples
            buffer.queue_upload(4, stream)
            stream.synchronize()
            buffer.host[:] = 0
            buffer.queue_download(4, stream)
            stream.synchronize()
            same = bool((buffer.host[:4] == samples).all())
            numbers = [type(buffer.address).__name__, type(stream.handle).__name__]
            no_memory = _message(lambda: gpu.allocate((1 << 24,), samples.dtype))
        outside = _message(gpu.free_and_total_bytes)
    del stream
    found = find_driver()
    facts = {
        "binding": gpu.binding_name,
        "name": gpu.name,
        "capability": gpu.compute_capability,
        "free_total": free_total,
        "same": same,
        "numbers": numbers,
        "no_memory": no_memory,
        "outside": outside,
        "no_such": _message(lambda: Gpu(2)),
        "live": library.fake_live(),
        "depth": library.fake_depth(),
        "driver": [found.cuda_version, found.gpus],
    }
    sys.stdout.write(json.dumps(facts))


def _message(call) -> list[str]:
    try:
        call()
    except (BackendUnavailableError, DeviceMemoryError, InferenceError) as error:
        return [type(error).__name__, str(error)]
    return []


if __name__ == "__main__":
    main()
