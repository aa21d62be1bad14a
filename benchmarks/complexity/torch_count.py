"""What a torch network computes for one crop, counted by fvcore and by torch itself."""

from __future__ import annotations

import warnings
from typing import Any

from ...errors import needs_extra
from ..random_networks import import_torch


def parameter_count(module: Any) -> int:
    """Returns the number of learnt numbers; running statistics are none."""
    return sum(int(parameter.numel()) for parameter in module.parameters())


def count_with_fvcore(module: Any, input_hw: tuple[int, int]) -> dict[str, int]:
    """Returns multiply-accumulates of one crop by operator, as fvcore counts them.

    It counts convolutions, Linears, matrix products, batch normalisation and adaptive pooling,
    and calls the sum flops; the published table was made with the same rules.

    Raises:
        MissingDependencyError: fvcore is not installed.
    """
    torch = import_torch()
    with warnings.catch_warnings(), torch.no_grad():
        # fvcore traces with torch.jit, which is deprecated, and even importing it does.
        warnings.simplefilter("ignore", DeprecationWarning)
        with needs_extra("the count of fvcore needs fvcore", "bench"):
            from fvcore.nn import FlopCountAnalysis
        analysis = FlopCountAnalysis(module, torch.zeros(1, 3, *input_hw))
        analysis.unsupported_ops_warnings(False).uncalled_modules_warnings(False)
        analysis.tracer_warnings("none")
        return {name: int(count) for name, count in analysis.by_operator().items()}


def count_products(module: Any, input_hw: tuple[int, int]) -> int:
    """Returns multiply-accumulates of one crop in convolutions, Linears and matrix products.

    Counted by torch's own counter, which gives two operations for each.
    """
    torch = import_torch()
    from torch.utils.flop_counter import FlopCounterMode

    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        module(torch.zeros(1, 3, *input_hw))
    return int(counter.get_total_flops()) // 2
