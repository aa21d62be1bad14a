#!/usr/bin/env bash
# OpenVINO 2026.4.1, CPU plugin, on a processor with bf16 arithmetic.
#
# ONEDNN_MAX_CPU_ISA=AVX2 is oneDNN's way to run on a new processor as on an older one, and OpenVINO's
# kernels heed it. One would think that OpenVINO then also chooses a precision which those kernels
# have. But it still takes the processor for one with bf16, and chooses bf16 by itself: a model of one
# convolution, compiled with default settings, fails. INFERENCE_PRECISION_HINT=f32 has to be given.
#
# Seen on a virtual machine with 2 cores of AMD EPYC (Zen 4): "BF16" is among the
# OPTIMIZATION_CAPABILITIES with and without the variable; with it the convolution cannot be compiled
# by default, and can in f32.
#
# Fails when the default compiles with the variable set, or does not without. Needs avx512_bf16 or
# amx_bf16.
set -euo pipefail
grep -qE 'avx512_bf16|amx_bf16' /proc/cpuinfo || { echo "cannot be seen here: no bf16 in this processor"; exit 2; }
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check openvino==2026.4.1 numpy==2.4.6

cat > compile.py <<'PY'
import sys
import numpy as np, openvino
from openvino import opset13

images = opset13.parameter([1, 16, 32, 32], np.float32)
kernels = opset13.constant(np.ones((16, 16, 3, 3), np.float32))
convolution = opset13.convolution(images, kernels, [1, 1], [1, 1], [1, 1], [1, 1])
core = openvino.Core()
print("says it has", core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"))
settings = {} if sys.argv[1] == "default" else {"INFERENCE_PRECISION_HINT": sys.argv[1]}
try:
    compiled = core.compile_model(openvino.Model([convolution], [images]), "CPU", settings)
except RuntimeError:
    print(sys.argv[1], "cannot be compiled")
    sys.exit(3)
print(sys.argv[1], "is compiled in", compiled.get_property("INFERENCE_PRECISION_HINT"))
PY

unset ONEDNN_MAX_CPU_ISA DNNL_MAX_CPU_ISA
echo "without the variable:"
venv/bin/python compile.py default
export ONEDNN_MAX_CPU_ISA=AVX2
echo "with ONEDNN_MAX_CPU_ISA=AVX2:"
venv/bin/python compile.py f32
status=0
venv/bin/python compile.py default || status=$?
[ "$status" = 3 ] || { echo "it compiles by default: this has changed"; exit 1; }
