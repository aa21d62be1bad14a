#!/usr/bin/env bash
# torch 2.13.0, torch.fake_quantize_per_tensor_affine and what torch.onnx.export makes of it.
#
# One would think that a network trained with it computes the same once exported: it becomes a
# QuantizeLinear and a DequantizeLinear with the same scale and zero point. But torch multiplies by
# the reciprocal of the scale, which is no exact number, where ONNX divides by the scale. Values
# (nearly) half way between two integers, as sums and products of rounded values often are, go to
# the other integer. One step off is as much as 8 bits have; later layers carry it on.
#
# Seen with the scale 20 / 255, the zero point 140 and the 400 values (n + 0.5) * scale: 59 differ
# from the same module's export in ONNX Runtime 1.32.0; with the scale 0.0625, whose reciprocal is
# exact, none.
#
# Fails when these change.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check torch==2.13.0 onnx==1.23.2 \
    onnxruntime==1.32.0 numpy==2.4.6

cat > compare.py <<'PY'
import io, warnings
import numpy as np, onnxruntime, torch
warnings.simplefilter("ignore")

class Rounding(torch.nn.Module):
    def __init__(self, scale):
        super().__init__()
        self.scale = scale
    def forward(self, x):
        return torch.fake_quantize_per_tensor_affine(x, self.scale, 140, 0, 255)

seen = []
for scale in (float(np.float32(20 / 255)), 0.0625):
    values = (torch.arange(-200, 200) + 0.5) * scale
    model, file = Rounding(scale), io.BytesIO()
    torch.onnx.export(model, (values,), file, dynamo=False, opset_version=17)
    session = onnxruntime.InferenceSession(file.getvalue())
    exported = session.run(None, {session.get_inputs()[0].name: values.numpy()})[0]
    steps = np.abs(model(values).numpy() - exported) / scale
    seen.append(int((steps > 0.5).sum()))
    print(f"scale {scale:.6f}: {seen[-1]} of {len(values)} differ, by {steps.max():.2f} steps at most")
print("torch", torch.__version__, "onnxruntime", onnxruntime.__version__)
raise SystemExit(seen != [59, 0])
PY
venv/bin/python compare.py
