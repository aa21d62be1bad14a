from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dwpose_infer.backends.batching import check_inputs, run_in_chunks
from dwpose_infer.errors import InvalidArgumentError
from fake_backend import spec

IMAGE = spec("input", None, 3, 8, 6)


@given(st.integers(1, 20), st.one_of(st.none(), st.integers(1, 7)))
def test_every_sample_gets_its_own_answer(batch, graph_batch):
    sizes = []

    def run_once(inputs):
        sizes.append(len(inputs["input"]))
        return {"double": inputs["input"] * 2}

    samples = np.arange(batch * 2, dtype=np.float32).reshape(batch, 2)
    outputs = run_in_chunks(run_once, {"input": samples}, batch=batch, graph_batch=graph_batch)
    np.testing.assert_array_equal(outputs["double"], samples * 2)
    assert set(sizes) == {graph_batch or batch}


def test_inputs_that_fit():
    assert check_inputs({"input": np.zeros((5, 3, 8, 6), np.float32)}, [IMAGE]) == 5


@pytest.mark.parametrize(
    ("inputs", "complaint"),
    [
        ({}, r"inputs are \['input'\]"),
        ({"other": np.zeros((1, 3, 8, 6), np.float32)}, "given were"),
        ({"input": np.zeros((1, 3, 8, 7), np.float32)}, r"takes input float32\[\?, 3, 8, 6\]"),
        ({"input": np.zeros((3, 8, 6), np.float32)}, "the graph takes"),
        ({"input": np.zeros((1, 3, 8, 6), np.float64)}, "float64"),
        ({"input": np.zeros((0, 3, 8, 6), np.float32)}, "batch sizes"),
    ],
)
def test_inputs_that_do_not_fit(inputs, complaint):
    with pytest.raises(InvalidArgumentError, match=complaint):
        check_inputs(inputs, [IMAGE])
