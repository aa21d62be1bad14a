#!/usr/bin/env bash
# ONNX Runtime 1.32.0, CPUExecutionProvider, default session options, on Linux.
#
# One would think that a process which is bound to some cores (taskset, sched_setaffinity, a
# cluster's scheduler) keeps its threads there, as threads inherit the mask. ONNX Runtime takes the
# number of physical cores of the machine instead, makes a thread for each, and pins these one by
# one: to cores that the process was not given. The option intra_op_num_threads, given by hand,
# leaves the mask alone.
#
# Seen with a mask of CPU 0 alone on 2 cores of AMD EPYC: a worker thread with the mask {1} by
# default, none outside the mask with intra_op_num_threads=2.
#
# Fails when no thread leaves the mask by default, or one does with the option. Needs two cores.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check onnxruntime==1.32.0 onnx==1.22.0 numpy==2.4.6

cat > masks.py <<'PY'
import os, pathlib, subprocess, sys
import numpy as np, onnx, onnxruntime
from onnx import TensorProto, helper

def session(threads):
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [64, 64]) for name in "xy"]
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "relu", ends[:1], ends[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    options = onnxruntime.SessionOptions()
    if threads:
        options.intra_op_num_threads = threads
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])

if len(sys.argv) > 1:
    given = {min(os.sched_getaffinity(0))}
    os.sched_setaffinity(0, given)
    before = set(os.listdir("/proc/self/task"))
    kept = session(int(sys.argv[1]))
    kept.run(None, {"x": np.ones((64, 64), np.float32)})
    made = [int(task) for task in os.listdir("/proc/self/task") if task not in before]
    outside = [sorted(os.sched_getaffinity(task)) for task in made if not os.sched_getaffinity(task) <= given]
    print(len(made), "threads made,", len(outside), "outside the mask", sorted(given), *outside)
    raise SystemExit(len(outside))
print("onnxruntime", onnxruntime.__version__)
outside = {}
for kind, threads in (("default", 0), ("intra_op_num_threads=2", 2)):
    run = subprocess.run([sys.executable, __file__, str(threads)], capture_output=True, text=True)
    print(f"{kind}: {run.stdout.strip()}")
    outside[kind] = run.returncode
raise SystemExit(not (outside["default"] > 0 and outside["intra_op_num_threads=2"] == 0))
PY
venv/bin/python masks.py
