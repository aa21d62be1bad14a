"""Parquet with one row a picture; the table with one row a person is in `test_format_table`."""

from dataclasses import replace

import pytest
from format_samples import assert_same, full, ramp

pytest.importorskip("pyarrow")
from pyarrow import parquet

from dwpose_infer.errors import FormatError
from dwpose_infer.formats import load, table
from dwpose_infer.formats import parquet as parquet_format
from dwpose_infer.layouts import WHOLEBODY_133
from dwpose_infer.results import PoseResult


def test_one_row_a_picture(tmp_path):
    nobody = PoseResult.empty(image_size=(64, 48), source="empty.jpg")
    unread = PoseResult.empty(source="broken.jpg")
    noted = replace(full(2), notes=("first of 2 pages used",))
    rows = parquet_format.picture_rows(
        [noted, nobody, unread, ramp(1)], [None, None, "broken.jpg is no picture", None]
    )
    assert tuple(rows.column_names) == parquet_format.PICTURE_COLUMNS
    table_columns = set(table.columns_of(WHOLEBODY_133)) - {
        "picture",
        *parquet_format.PICTURE_COLUMNS,
    }
    assert {each.name for each in rows.schema.field("persons").type.value_type} == table_columns
    assert rows["error"].to_pylist() == [None, None, "broken.jpg is no picture", None]
    assert [None if each is None else len(each) for each in rows["persons"].to_pylist()] == [
        *(2, 0, None, 1)
    ]
    parquet.write_table(rows, tmp_path / "part.parquet")
    read = load(tmp_path / "part.parquet")
    assert [each.source for each in read] == [noted.source, "empty.jpg", None]
    assert read[1].image_size == (64, 48) and len(read[1]) == 0
    assert read[0].notes == noted.notes
    for found, saved in zip(read[::2], (noted, ramp(1)), strict=True):
        assert_same(found, saved)


def test_damaged_rows_of_pictures(tmp_path):
    rows = parquet_format.picture_rows([full(1)], [None])
    for damaged, complaint in (
        (rows.drop_columns("width"), "it lacks width"),
        (
            rows.set_column(4, "persons", [[[{"nose_x": 1.0}]]]),
            "persons: not a table of poses: it lacks the columns person, id",
        ),
        (rows.set_column(0, "schema_version", [[99]]), "99"),
    ):
        parquet.write_table(damaged, tmp_path / "part.parquet")
        with pytest.raises(FormatError, match=complaint):
            load(tmp_path / "part.parquet")
