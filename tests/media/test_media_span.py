from __future__ import annotations

import pytest

from dwpose_infer.errors import InvalidArgumentError
from dwpose_infer.media.span import Span, make_span, parse_position


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, (None, None)),
        (12, (12.0, None)),
        (0.5, (0.5, None)),
        ("12.5", (12.5, None)),
        (" 12.5s ", (12.5, None)),
        (".5", (0.5, None)),
        ("1:30", (90.0, None)),
        ("1:02:03.5", (3723.5, None)),
        ("300f", (None, 300)),
        ("0f", (None, 0)),
    ],
)
def test_positions(value, expected):
    assert parse_position(value, "start") == expected


@pytest.mark.parametrize(
    "value", ["", "f", "-3", "-3f", "1.5f", "1:2:3:4", "abc", -1, float("nan"), float("inf"), True]
)
def test_what_is_no_position(value):
    with pytest.raises(InvalidArgumentError, match="end is"):
        parse_position(value, "end")


def test_span_of_frames_and_of_seconds():
    frames = make_span("3f", "6f", 1)
    assert [
        i for i in range(9) if not frames.is_before(i, 0.0) and not frames.is_after(i, 0.0)
    ] == [
        3,
        4,
        5,
    ]
    seconds = make_span(0.1, 0.3, 2)
    assert seconds.is_before(0, 0.0999) and not seconds.is_before(0, 0.1)
    assert seconds.is_after(0, 0.3) and not seconds.is_after(0, 0.2999)
    assert make_span(None, None, 1) == Span()
    assert make_span(0, None, 1).begins_at_zero and make_span("0f", None, 1).begins_at_zero


@pytest.mark.parametrize(
    ("start", "end", "stride", "message"),
    [
        (2, 1, 1, "not after"),
        ("5f", "5f", 1, "not after"),
        (None, None, 0, "stride"),
        (None, None, 1.5, "stride"),
        (None, None, True, "stride"),
    ],
)
def test_bad_spans(start, end, stride, message):
    with pytest.raises(InvalidArgumentError, match=message):
        make_span(start, end, stride)
