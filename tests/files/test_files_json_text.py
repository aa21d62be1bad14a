import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dwpose_infer.errors import FormatError, InvalidArgumentError
from dwpose_infer.files import json_text


@settings(deadline=None)
@given(st.lists(st.floats(width=32, allow_infinity=False)))
def test_decimals_round_back_to_the_same_float32(values):
    array = np.array(values, np.float32)
    decimals = json_text.shortest_decimals(array)
    np.testing.assert_array_equal(decimals.astype(np.float32), array)
    np.testing.assert_array_equal(np.signbit(decimals), np.signbit(array))


def test_decimals_are_short():
    assert json_text.shortest_decimals(np.array([412.3, 0.1], np.float32)).tolist() == [412.3, 0.1]


def test_nulls_stand_for_nan():
    array = np.array([[1.5, np.nan]], np.float32)
    assert json_text.with_nulls(array) == [[1.5, None]]


def test_decimals_are_those_of_numpy():
    """NumPy prints the shortest decimals of each float32, and takes twenty times as long."""
    generator = np.random.default_rng(0)
    numbers = (
        generator.integers(0, 2**32, 20_000, dtype=np.uint32).view(np.float32),
        generator.uniform(0, 2000, 20_000).astype(np.float32),
        (10.0 ** generator.uniform(-9, 9, 20_000)).astype(np.float32),
        np.array([0, -0.0, 1e-45, 3.4e38, 2**24 + 2, -(2**24)], np.float32),
    )
    for array in numbers:
        finite = array[np.isfinite(array)]
        expected = [float(str(number)) for number in finite]
        assert json_text.shortest_decimals(finite).tolist() == expected
    assert json_text.shortest_decimals(np.zeros((0, 3), np.float32)).shape == (0, 3)


def test_dump_is_strict():
    assert json_text.dump({"a": "\u00e4"}) == '{"a":"\u00e4"}\n'.encode()
    assert json_text.dump(["\udcff"]) == b'["\\udcff"]\n'  # of a name that is no valid UTF-8
    for document in ([float("inf")], {"a": float("nan")}, [np.array([np.inf], np.float32)]):
        with pytest.raises(InvalidArgumentError, match="infinite"):
            json_text.dump(document)


def test_dump_writes_arrays_as_lists():
    array = np.array([[412.3, np.nan], [1e-5, 3]], np.float32)
    expected = json_text.with_nulls(array)
    assert json_text.parse(json_text.dump({"a": array}), "a.json") == {"a": expected}
    odd = {"a": array[:, ::-1], "b": "\udcff"}  # neither C order nor valid text
    turned = [row[::-1] for row in expected]
    assert json_text.parse(json_text.dump(odd), "a.json") == {"a": turned, "b": "\udcff"}


@pytest.mark.parametrize("data", [b"", b"{", b"\xff\xfe\x00", b"[" * 100_000, b"1" + b"0" * 10_000])
def test_parse_reports_bad_text(data):
    with pytest.raises(FormatError, match=r"a\.json: not a JSON file"):
        json_text.parse(data, "a.json")


def test_parse_takes_a_byte_order_mark():
    assert json_text.parse(b"\xef\xbb\xbf[1]", "a.json") == [1]


def test_numbers():
    array = json_text.numbers([[1, 2.5], [None, -3]], "a.json", "values")
    np.testing.assert_array_equal(array, [[1, 2.5], [np.nan, -3]])


@pytest.mark.parametrize(
    "value", [3, "3", ["3"], [True], {}, [{}], [[1], [1, 2]], [[1], 2], [10**400, 1]]
)
def test_numbers_refuses_what_is_no_list_of_numbers(value):
    with pytest.raises(FormatError, match=r"a\.json: values is not a list of numbers"):
        json_text.numbers(value, "a.json", "values")


@pytest.mark.parametrize("text", ["1e39", "-1e308", "Infinity", "1e999"])
def test_numbers_refuses_what_float32_cannot_hold(text):
    with pytest.raises(FormatError, match="beyond the range of float32"):
        json_text.numbers(json.loads(f"[1, {text}]"), "a.json", "values")


@pytest.mark.parametrize("version", [None, 0, "1", True, 1.0])
def test_odd_versions(version):
    with pytest.raises(FormatError, match="expected a whole number"):
        json_text.require_version(version, 1, "a.json")


def test_newer_version():
    with pytest.raises(FormatError, match="written by a newer release; this one reads up to 1"):
        json_text.require_version(2, 1, "a.json")
