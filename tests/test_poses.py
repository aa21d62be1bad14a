import numpy as np
from format_samples import alike_results, assert_same, full, ramp
from hypothesis import given, settings

from dwpose_infer.poses import stack, unstack


@settings(max_examples=50, deadline=None)
@given(alike_results(max_size=4))
def test_unstack_undoes_stack(results):
    read = unstack(stack(results))
    assert len(read) == len(results)
    for actual, expected in zip(read, results, strict=True):
        assert_same(actual, expected)


def test_arrays():
    stacked = stack([full(2), ramp(0), ramp(1)])
    assert stacked.person_counts.tolist() == [2, 0, 1]
    assert stacked.keypoints.shape == (3, 133, 2)
    assert stacked.ids.tolist() == [7, 8, -1]
    assert stacked.has_ids.tolist() == [True, False, False]
    assert np.isnan(stacked.boxes_xyxy[2]).all()
    assert stacked.image_sizes.tolist() == [[640, 480], [-1, -1], [-1, -1]]
    assert stacked.sources == ("folder/000000000785.jpg", None, None)
