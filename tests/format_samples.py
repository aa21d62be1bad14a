"""Results to save and read back, made up or drawn by hypothesis."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
from hypothesis import strategies as st

from dwpose_infer.results import PoseResult


def ramp(persons: int = 1, **known) -> PoseResult:
    """Point i of person p lies at (100 p + i + 0.5, 1000 p + 2 i + 0.25), score (i + 1) / 200."""
    person, point = np.meshgrid(np.arange(persons), np.arange(133), indexing="ij")
    keypoints = np.stack([100 * person + point + 0.5, 1000 * person + 2 * point + 0.25], axis=-1)
    return PoseResult(
        keypoints=keypoints.astype(np.float32),
        scores=((point + 1) / 200).astype(np.float32),
        **known,
    )


def full(persons: int = 2, source: str = "folder/000000000785.jpg") -> PoseResult:
    """A ramp of which everything is known."""
    order = np.arange(persons)
    return ramp(
        persons,
        boxes_xyxy=np.stack([order + 0.1, order + 0.2, order + 50.3, order + 80.4], axis=1).astype(
            np.float32
        ),
        box_scores=(0.9 - order / 10).astype(np.float32),
        ids=np.arange(7, 7 + persons, dtype=np.int64),
        image_size=(640, 480),
        source=source,
    )


def assert_same(actual: PoseResult, expected: PoseResult) -> None:
    """Every field equal: same None, same dtype, same shape, same numbers, NaN where NaN."""
    for field in fields(PoseResult):
        first, second = getattr(actual, field.name), getattr(expected, field.name)
        if isinstance(second, np.ndarray):
            assert first is not None, field.name
            assert first.dtype == second.dtype, field.name
            np.testing.assert_array_equal(first, second, err_msg=field.name, strict=True)
        else:
            assert first == second, field.name
            assert type(first) is type(second), field.name


FLOATS = st.floats(width=32, allow_nan=True, allow_infinity=False)
FINITE = st.floats(width=32, allow_nan=False, allow_infinity=False)
SOURCES = st.none() | st.text(
    st.characters(exclude_categories=["Cc"], max_codepoint=0x2FFFF, exclude_characters="\0")
)


@st.composite
def pose_results(
    draw, *, nan_boxes: bool = True, min_persons: int = 0, points_of: tuple[int, ...] = (133,)
) -> PoseResult:
    """Results of up to 3 persons in which any optional field may be unknown.

    `points_of` are the numbers of points that they may have.
    """
    persons = draw(st.integers(min_persons, 3))
    points = draw(st.sampled_from(points_of))
    generator = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    keypoints = (generator.normal(size=(persons, points, 2)) * 1000).astype(np.float32)
    scores = generator.uniform(-0.1, 1.2, size=(persons, points)).astype(np.float32)
    if persons:
        for value in draw(st.lists(FLOATS, max_size=6)):
            keypoints[generator.integers(persons), generator.integers(points)] = value, 1.5
            keypoints[generator.integers(persons), generator.integers(points)] = value, value
        for value in draw(st.lists(FINITE, max_size=3)):
            scores[generator.integers(persons), generator.integers(points)] = value
    size = st.tuples(st.integers(1, 10**5), st.integers(1, 10**5))
    number = FLOATS if nan_boxes else FINITE
    boxes = draw(st.none() | st.lists(number, min_size=4 * persons, max_size=4 * persons))
    box_scores = draw(st.none() | st.lists(number, min_size=persons, max_size=persons))
    integers = st.integers(-(2**62), 2**62)
    ids = draw(st.none() | st.lists(integers, min_size=persons, max_size=persons))
    return PoseResult(
        keypoints=keypoints,
        scores=scores,
        boxes_xyxy=None if boxes is None else np.array(boxes, np.float32).reshape(persons, 4),
        box_scores=None if box_scores is None else np.array(box_scores, np.float32),
        ids=None if ids is None else np.array(ids, np.int64),
        image_size=draw(st.none() | size),
        source=draw(SOURCES),
    )


def alike_results(*, max_size: int, **options):
    """Lists of results that all have the points of one layout."""
    return st.sampled_from((133, 17, 23, 26)).flatmap(
        lambda points: st.lists(pose_results(points_of=(points,), **options), max_size=max_size)
    )
