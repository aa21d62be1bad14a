"""The command `dwpose-bench complexity`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..benchmark import Benchmark, Work
from .settings import ComplexitySettings

if TYPE_CHECKING:
    from .result import ComplexityDocument

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


def _load() -> Work[ComplexitySettings, ComplexityDocument]:
    from .counting import count
    from .result import ComplexityDocument, full_table

    return Work(document=ComplexityDocument, measure=count, report=full_table, table="complexity")


COMPLEXITY = Benchmark(
    description=_DESCRIPTION,
    epilog=_EPILOG,
    settings=ComplexitySettings,
    load=_load,
)
