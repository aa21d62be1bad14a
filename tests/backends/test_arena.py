from __future__ import annotations

import subprocess
import sys

import pytest

from dwpose_infer import zoo
from dwpose_infer.backends.onnxruntime import SMALL_CALLS, CallSizes


def given_back(sizes):
    """Index of every call that gives memory back."""
    calls = CallSizes()
    return [index for index, size in enumerate(sizes) if calls.should_give_back(size)]


def test_equal_calls_and_growing_ones_give_nothing_back():
    assert given_back([100] * 50) == []
    assert given_back([51, 100] * 50) == []
    assert given_back(range(1, 50)) == []


def test_small_calls_in_a_row_give_it_back_once():
    assert given_back([100] + [10] * 50) == [SMALL_CALLS]
    # 10 is the largest from there on
    assert given_back([100] + [10] * 20 + [5] * 20) == [SMALL_CALLS, 20 + SMALL_CALLS]


def test_large_calls_in_between_keep_it():
    assert given_back(([100] + [10] * (SMALL_CALLS - 1)) * 9) == []


CODE = """
import sys
import numpy as np, psutil
from pathlib import Path
from dwpose_infer.backends import load_backend

backend = load_backend("ort", Path(sys.argv[1]), threads=1)
(spec,) = backend.inputs

def after(persons, calls):
    for _ in range(calls):
        backend.run({spec.name: np.zeros((persons, *spec.shape[1:]), spec.dtype)})
    return psutil.Process().memory_info().rss / 1e6

print(after(1, 2), after(16, 1), after(1, 8), after(1, 1))
"""


@pytest.mark.slow
def test_memory_of_a_large_batch_is_given_back():
    """16 persons take about 110 MB more than one (ONNX Runtime 1.32 on Linux)."""
    pytest.importorskip("onnxruntime")
    pytest.importorskip("psutil")
    path = zoo.resolve_model("dwpose-t-bundled")
    command = [sys.executable, "-c", CODE, str(path)]
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    before, large, given, later = map(float, printed.split())
    assert large - before > 40
    assert given - before < 0.3 * (large - before)
    assert abs(later - given) < 10
