from __future__ import annotations

import importlib.util

import numpy as np
import pytest

from dwpose_infer.benchmarks import contenders as rivals

HAS_RTMLIB = importlib.util.find_spec("rtmlib") is not None


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (np.full((2, 133, 2), 2e-3), "differ by 0.002 px"),
        (np.full((2, 133, 2), np.nan), "differ by nan px"),
        (np.zeros((1, 133, 2)), r"shape \(1, 133, 2\)"),
    ],
)
def test_agreement_check(other, message):
    ours = np.zeros((2, 133, 2), np.float32)
    rivals.check_agreement({rivals.OURS: ours, "close": ours + 5e-4}, persons=2)
    with pytest.raises(rivals.DisagreementError, match=message):
        rivals.check_agreement({rivals.OURS: ours, "other": other}, persons=2)


@pytest.mark.skipif(not HAS_RTMLIB, reason="rtmlib is not installed")
def test_rtmlib_is_silent(capsys):
    with rivals.contenders(1) as loaded:
        assert rivals.RTMLIB in loaded
    assert capsys.readouterr().out == ""
