#!/usr/bin/env bash
# ONNX Runtime 1.32.0, CPUExecutionProvider, default session options.
#
# One would think that a session costs nothing between its calls. But after a call its worker
# threads go on waiting busily, so that where two sessions take turns (a detector, then a pose
# network), the threads of the one that has just finished take cores from the one that works.
# The session option session.force_spinning_stop=1 ends that with each call.
#
# Seen on a virtual machine with 2 cores of AMD EPYC (Zen 4): two networks of convolutions by
# turns took 32.2 ms and 64.1 ms of CPU time for a pair of calls by default, 18.4 ms and 36.5 ms
# with the option (medians of three processes each).
#
# Fails when the default's CPU time is less than 1.2 times that with the option. Needs at least
# two cores, and is a measurement: let nothing else run.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check onnxruntime==1.32.0 onnx==1.22.0 numpy==2.4.6

cat > measure.py <<'PY'
import statistics, subprocess, sys, time
import numpy as np, onnx, onnxruntime
from onnx import TensorProto, helper, numpy_helper

LAYERS, CHANNELS, SIDE, PAIRS = 12, 48, 64, 60

def network(seed):
    rng = np.random.default_rng(seed)
    nodes, weights = [], []
    for layer in range(LAYERS):
        kernel = rng.standard_normal((CHANNELS, CHANNELS, 3, 3)).astype(np.float32) / 20
        weights.append(numpy_helper.from_array(kernel, f"w{layer}"))
        nodes.append(helper.make_node("Conv", [f"x{layer}", f"w{layer}"], [f"c{layer}"], pads=[1] * 4))
        nodes.append(helper.make_node("Relu", [f"c{layer}"], [f"x{layer + 1}"]))
    shape = [1, CHANNELS, SIDE, SIDE]
    ends = [helper.make_tensor_value_info(n, TensorProto.FLOAT, shape) for n in ("x0", f"x{LAYERS}")]
    graph = helper.make_graph(nodes, "convolutions", ends[:1], ends[1:], weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8).SerializeToString()

def alternate(stop):
    sessions = []
    for seed in (1, 2):
        options = onnxruntime.SessionOptions()
        if stop:
            options.add_session_config_entry("session.force_spinning_stop", "1")
        sessions.append(onnxruntime.InferenceSession(network(seed), options, providers=["CPUExecutionProvider"]))
    feed = {"x0": np.ones((1, CHANNELS, SIDE, SIDE), np.float32)}
    wall, cpu = [], []
    for _ in range(PAIRS):
        begun, used = time.perf_counter(), time.process_time()
        for session in sessions:
            session.run(None, feed)
        wall.append(1e3 * (time.perf_counter() - begun))
        cpu.append(1e3 * (time.process_time() - used))
    print(statistics.median(wall[10:]), statistics.median(cpu[10:]))

if len(sys.argv) > 1:
    alternate(sys.argv[1] == "stop")
    raise SystemExit
found = {"default": [], "stop": []}
for _ in range(3):
    for kind, rows in found.items():
        said = subprocess.run([sys.executable, __file__, kind], capture_output=True, text=True, check=True)
        rows.append([float(word) for word in said.stdout.split()])
wall, cpu = ({kind: statistics.median(row[i] for row in rows) for kind, rows in found.items()} for i in (0, 1))
print("onnxruntime", onnxruntime.__version__)
for kind in found:
    print(f"{kind}: {wall[kind]:.1f} ms, {cpu[kind]:.1f} ms of CPU for a pair of calls")
ratio = cpu["default"] / cpu["stop"]
print(f"CPU time of the default: {ratio:.2f} times that with session.force_spinning_stop=1")
raise SystemExit(ratio < 1.2)
PY
venv/bin/python measure.py
