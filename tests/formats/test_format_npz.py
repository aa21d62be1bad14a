import io

import numpy as np
import pytest
from format_samples import alike_results, assert_same, full, ramp
from hypothesis import given, settings
from hypothesis import strategies as st

from dwpose_infer.errors import FormatError
from dwpose_infer.formats import npz
from dwpose_infer.poses import stack


@settings(max_examples=50, deadline=None)
@given(alike_results(max_size=3), st.booleans())
def test_nothing_is_lost(results, compress):
    read = npz.decode(npz.encode(stack(results), compress=compress), origin="a.npz")
    assert len(read) == len(results)
    for actual, expected in zip(read, results, strict=True):
        assert_same(actual, expected)


def test_arrays_are_plain_numpy():
    with np.load(io.BytesIO(npz.encode(stack([full(2)]))), allow_pickle=False) as archive:
        assert archive["schema_version"] == 1
        assert archive["keypoint_order"] == "coco-wholebody-133"
        assert archive["keypoints"].shape == (2, 133, 2)
        assert archive["boxes_xyxy"].tolist() == full(2).boxes_xyxy.tolist()
        assert archive["sources"].tolist() == ["folder/000000000785.jpg"]
        assert archive["image_sizes"].tolist() == [[640, 480]]


def test_same_result_same_bytes():
    assert npz.encode(stack([full()])) == npz.encode(stack([full()]))


def changed(**arrays):
    with np.load(io.BytesIO(npz.encode(stack([full(2), ramp(1)])))) as archive:
        content = {**archive, **arrays}
    file = io.BytesIO()
    np.savez(file, **{name: array for name, array in content.items() if array is not None})
    return file.getvalue()


def saved(array):
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "not a NumPy archive"),
        (b"PK\x03\x04 and no more", "not a NumPy archive"),
        (npz.encode(stack([full()]))[:-100], "not a NumPy archive"),
        (saved(np.zeros(3)), "a single NumPy array"),
        (changed(schema_version=None), "it has no schema_version"),
        (changed(schema_version=np.array([1])), "schema_version is not one number"),
        (changed(schema_version=np.int64(2)), "newer release"),
        (changed(scores=None), "it has no array scores"),
        (changed(person_counts=np.array([1.0])), "person_counts is not a list of numbers"),
        (changed(person_counts=np.array([4, -1])), "person_counts holds a negative number"),
        (changed(person_counts=np.array([2, 2])), "keypoints is float32"),
        (changed(scores=np.zeros((3, 133))), r"scores is float64 \(3, 133\), expected float32"),
        (changed(sources=np.array([1, 2])), "sources is int64"),
        (changed(has_ids=np.array([True])), "has_ids is bool"),
        (changed(scores=np.array([object()])), "not a NumPy archive"),
    ],
)
def test_malformed(data, message):
    with pytest.raises(FormatError, match=r"a\.npz: .*" + message):
        npz.decode(data, origin="a.npz")
