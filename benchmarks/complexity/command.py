"""The command `dwpose-bench complexity`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..benchmark import Benchmark, Settings, option

_DESCRIPTION = """\
Count what the networks hold and compute, beside the published table.

GFLOPs are multiply-accumulates of one crop in 1e9, as this field counts them. Three counts:
  fvcore          its rules: convolutions, Linears, matrix products, batch normalisation and
                  adaptive pooling; the published table was made with the same rules
  products,       convolutions, Linears and matrix products only, by torch's own counter
    torch
  products, ONNX  the same from an ONNX file alone, by shape inference
"""

_EPILOG = """\
examples:
  dwpose-bench complexity                       the five networks; needs torch and fvcore:
                                                pip install "dwpose-infer[bench,export]"
  dwpose-bench complexity dwpose-t-bundled      a model by name, from its ONNX file; no torch
  dwpose-bench complexity mine.onnx --json mine.json
"""


@dataclass(frozen=True, kw_only=True)
class ComplexitySettings(Settings):
    """What is counted."""

    models: Sequence[str] = option(
        "models",
        nargs="*",
        metavar="MODEL",
        help="name of a model or ONNX file (default: the five networks, built with torch)",
    )


BENCHMARK = Benchmark(
    description=_DESCRIPTION,
    epilog=_EPILOG,
    settings=ComplexitySettings,
    module=f"{__package__}.counting",
)
