from __future__ import annotations

import numpy as np
import pytest

from dwpose_infer.errors import InputError
from dwpose_infer.pixel_values import on_white, to_uint8


def values(*numbers, dtype):
    return np.array(numbers, dtype)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        # One value a hair above 1 used to make the picture 0..255, that is black.
        (values(0, 0.5, 1.0000001, dtype=np.float64), [0, 128, 255]),
        (values(-0.05, 0.5, 1.09, dtype=np.float32), [0, 128, 255]),
        (values(-20, 127.6, 275, dtype=np.float32), [0, 128, 255]),
        (values(0, 16, 8, dtype=np.float32), [0, 16, 8]),
        (values(0, 128, 255, dtype=np.int64), [0, 128, 255]),
        (values(0, 128, 255, dtype=np.uint16), [0, 128, 255]),
        (values(0, 512, 1023, dtype=np.uint16), [0, 128, 255]),
        (values(0, 2048, 4095, dtype=np.uint16), [0, 128, 255]),
        (values(0, 8192, 16383, dtype=np.int32), [0, 128, 255]),
        (values(0, 32768, 65535, dtype=np.uint16), [0, 128, 255]),
    ],
)
def test_ranges_are_told_by_the_values(given, expected):
    assert to_uint8(given, name="it")[0].tolist() == expected


@pytest.mark.parametrize(
    ("dtype", "high", "said"),
    [
        (np.uint16, 65535, None),
        (np.uint16, 20000, None),
        (np.uint16, 900, "uint16 values taken to span 0..1023"),
        (np.uint16, 200, "uint16 values taken to span 0..255"),
        (np.int64, 200, None),
        (np.int64, 4000, "int64 values taken to span 0..4095"),
        (np.float32, 1.05, None),
    ],
)
def test_only_what_is_not_certain_is_said(dtype, high, said):
    assert to_uint8(values(0, high, dtype=dtype), name="it")[1] == said


def test_white_may_be_named():
    array = values(0, 0.75, 1.5, dtype=np.float32)
    assert to_uint8(array, name="it", max_value=1.5)[0].tolist() == [0, 128, 255]
    assert to_uint8(values(0, 100, dtype=np.uint8), name="it", max_value=100)[0].tolist() == [
        0,
        255,
    ]
    assert to_uint8(values(0, 300, dtype=np.uint16), name="it", max_value=65535)[0].tolist() == [
        0,
        1,
    ]


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        (values(0, 1.5, dtype=np.float32), "max_value=1 or max_value=255"),
        (values(0, 15.9, dtype=np.float32), "max_value=1 or max_value=255"),
        (values(-0.2, 1, dtype=np.float32), "from -0.2 to 1"),
        (values(-2.1, 2.6, dtype=np.float32), "max_value"),
        (values(0, 300, dtype=np.float32), "not from 0 to 255"),
        (values(-1, 255, dtype=np.int16), "from -1 to 255"),
        (values(0, 70000, dtype=np.int64), "up to 70000"),
        (values(0, np.nan, dtype=np.float16), "not finite"),
    ],
)
def test_what_cannot_be_told_is_refused(given, complaint):
    with pytest.raises(InputError, match=complaint):
        to_uint8(given, name="it")


def test_transparency_on_white_is_rounded_exactly():
    color, alpha = np.meshgrid(np.arange(256), np.arange(256))
    pixels = np.stack([color, color, color, alpha], axis=-1).astype(np.uint8)
    exact = np.floor((color * alpha + 255 * (255 - alpha)) / 255 + 0.5)
    mixed, notes = on_white(pixels)
    np.testing.assert_array_equal(mixed[..., 0], exact)
    assert notes == ("transparent parts shown white",)


def test_alpha_that_says_nothing():
    pixels = np.full((4, 4, 4), 7, np.uint8)
    pixels[..., 3] = 0
    mixed, notes = on_white(pixels)
    assert (mixed == 7).all()
    assert notes == ("alpha passed over: it is 0 everywhere",)
    pixels[..., 3] = 255
    assert on_white(pixels)[1] == ()
