import csv
import io
import sys
from dataclasses import replace

import numpy as np
import pytest
from format_samples import alike_results, assert_same, full, ramp
from hypothesis import given, settings

from dwpose_infer.errors import FormatError, MissingDependencyError
from dwpose_infer.formats import FORMATS, codecs, load, save, table
from dwpose_infer.formats import parquet as parquet_format
from dwpose_infer.layouts import WHOLEBODY_133
from dwpose_infer.poses import stack
from dwpose_infer.results import PoseResult

pyarrow = pytest.importorskip("pyarrow")
parquet = pytest.importorskip("pyarrow.parquet")

CODECS = {
    "csv": (lambda results: table.encode_csv(stack(results)), table.decode_csv),
    "parquet": (
        lambda results: parquet_format.encode_parquet(stack(results)),
        parquet_format.decode_parquet,
    ),
}


def lines(data: bytes) -> list[list[str]]:
    return list(csv.reader(io.StringIO(data.decode())))


def test_columns():
    columns = table.columns_of(WHOLEBODY_133)
    assert tuple(columns[:16]) == (
        "schema_version", "picture", "source", "width", "height", "person", "id",
        "box_x1", "box_y1", "box_x2", "box_y2", "box_score",
        "nose_x", "nose_y", "nose_score", "left_eye_x",
    )  # fmt: skip
    assert columns[-1] == "right_pinky_finger4_score"
    assert len(columns) == len(set(columns)) == 12 + 3 * 133


def test_csv_cells():
    absent = full(2)
    absent.keypoints[1, 0] = np.nan
    header, nobody, *rows = lines(table.encode_csv(stack([ramp(0), absent, ramp(1)])))
    assert header == table.columns_of(WHOLEBODY_133)
    assert nobody == ["1", "0", *[""] * (len(header) - 2)]
    assert rows[0][:15] == [
        "1", "1", "folder/000000000785.jpg", "640", "480", "0", "7",
        "0.1", "0.2", "50.3", "80.4", "0.9", "0.5", "0.25", "0.005",
    ]  # fmt: skip
    assert rows[1][5:7] == ["1", "8"]
    assert rows[1][12:16] == ["", "", "0.005", "101.5"]
    assert rows[2][:13] == ["1", "2", "", "", "", "0", "", "", "", "", "", "", "0.5"]
    assert len(rows) == 3


def in_unicode(source):
    return (source or "").encode("utf-8", "replace").decode() or None


@pytest.mark.slow
@pytest.mark.parametrize("kind", CODECS)
@settings(max_examples=15, deadline=None)
@given(alike_results(max_size=3, nan_boxes=False, min_persons=1))
def test_nothing_of_a_person_is_lost(kind, results):
    encode, decode = CODECS[kind]
    results = [replace(result, source=in_unicode(result.source)) for result in results]
    read = decode(encode(results), origin="a")
    assert len(read) == len(results)
    for actual, expected in zip(read, results, strict=True):
        assert_same(actual, expected)


@pytest.mark.parametrize("kind", CODECS)
def test_a_picture_with_nobody_has_a_row(kind):
    encode, decode = CODECS[kind]
    assert decode(encode([]), origin="a") == []
    nobody = PoseResult.empty(image_size=(64, 48), source="n.jpg")
    results = [nobody, full(2), nobody, PoseResult.empty()]
    for found, saved in zip(decode(encode(results), origin="a"), results, strict=True):
        assert_same(found, saved)


@pytest.mark.parametrize("name", ["csv", "parquet", "coco", "coco-dataset"])
def test_written_part_by_part_it_is_the_same_file(name, monkeypatch):
    monkeypatch.setattr(table, "PICTURES_TOGETHER", 2)
    results = [full(2, f"{index}.jpg") for index in range(3)]
    results.insert(1, PoseResult.empty(image_size=(64, 48), source="n.jpg"))
    for pictures in (results, results[1:2], []):
        file = io.BytesIO()
        FORMATS[name].write_pictures(file, pictures)
        if name != "parquet":  # which has its parts in groups of rows
            assert file.getvalue() == codecs.encode(pictures, FORMATS[name])
            continue
        read = parquet_format.decode_parquet(file.getvalue(), origin="a")
        for found, saved in zip(read, pictures, strict=True):
            assert_same(found, saved)


def test_names_that_are_no_unicode():
    result = full(1, source="a\udcff.jpg")
    for encode, decode in CODECS.values():
        assert decode(encode([result]), origin="a")[0].source == "a\\udcff.jpg"


def test_csv_sorted_anew_with_columns_added():
    header, *rows = lines(table.encode_csv(stack([full(2), full(1, source='b, "c"\n.jpg')])))
    order = np.random.default_rng(0).permutation(len(header)).tolist()
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(["note", *(header[index] for index in order)])
    for row in reversed(rows):
        writer.writerow(["x", *(row[index] for index in order)])
    read = table.decode_csv(b"\xef\xbb\xbf" + text.getvalue().encode(), origin="a.csv")
    assert_same(read[0], full(2))
    assert_same(read[1], full(1, source='b, "c"\n.jpg'))


def test_pandas_reads_and_writes_both():
    pandas = pytest.importorskip("pandas")
    results = [full(2), ramp(1)]
    frame = pandas.read_csv(io.BytesIO(table.encode_csv(stack(results))))
    assert frame["nose_x"].tolist() == [0.5, 100.5, 0.5]
    assert frame["id"].tolist()[:2] == [7.0, 8.0]  # an empty cell makes the column floats
    again = table.decode_csv(frame.to_csv(index=False).encode(), origin="a.csv")
    frame = pandas.read_parquet(io.BytesIO(parquet_format.encode_parquet(stack(results))))
    assert frame["nose_score"].dtype == np.float32
    assert frame["source"].tolist()[:2] == ["folder/000000000785.jpg"] * 2
    stream = io.BytesIO()
    frame.to_parquet(stream)
    for read in (again, parquet_format.decode_parquet(stream.getvalue(), origin="a.parquet")):
        for actual, expected in zip(read, results, strict=True):
            assert_same(actual, expected)


def test_parquet_metadata_and_types():
    read = parquet.read_table(
        pyarrow.BufferReader(parquet_format.encode_parquet(stack([full(2), ramp(1)])))
    )
    assert read.schema.metadata[b"dwpose_infer.schema_version"] == b"1"
    assert read.column_names == table.columns_of(WHOLEBODY_133)
    assert read.schema.field("nose_x").type == pyarrow.float32()
    assert read.schema.field("id").type == pyarrow.int64()
    assert read["id"].to_pylist() == [7, 8, None]
    assert read["box_x1"].null_count == 1


def csv_with(column: str, cell: str) -> bytes:
    header, row = lines(table.encode_csv(stack([full(1)])))
    row[header.index(column)] = cell
    return "\n".join([",".join(header), ",".join(row)]).encode()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "lacks the columns schema_version, picture, source, ..."),
        (b"\x00\xff", "a.csv: not a table in UTF-8"),
        (b"\x00\x00", "a.csv"),
        (b"a,b\n1,2\n", "lacks the columns"),
        (csv_with("nose_x", "far"), "a.csv, line 2: could not convert string to float: 'far'"),
        (csv_with("id", "1.5"), "'1.5' is not a whole number"),
        (csv_with("id", "nobody"), "line 2: could not convert"),
        (csv_with("schema_version", "2"), "newer release"),
        (csv_with("schema_version", ""), "expected a whole number"),
        (csv_with("picture", ""), "the column picture has an empty cell"),
        (csv_with("person", ""), "the column person has an empty cell in a row with points"),
        (csv_with("nose_x", "1,2"), "line 2: 412 cells, expected 411"),
        (csv_with("source", '"a'), "line 2: unexpected end of data"),
    ],
)
def test_malformed_csv(data, message):
    with pytest.raises(FormatError, match=message):
        table.decode_csv(data, origin="a.csv")


def parquet_without(column: str) -> bytes:
    read = parquet.read_table(pyarrow.BufferReader(parquet_format.encode_parquet(stack([full(1)]))))
    sink = pyarrow.BufferOutputStream()
    parquet.write_table(read.drop_columns([column]), sink)
    return sink.getvalue().to_pybytes()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "a.parquet: not a Parquet table of poses"),
        (b"PAR1 and no more", "a.parquet: not a Parquet table of poses"),
        (parquet_without("nose_y"), "lacks the columns nose_y"),
    ],
)
def test_malformed_parquet(data, message):
    with pytest.raises(FormatError, match=message):
        parquet_format.decode_parquet(data, origin="a.parquet")


def test_without_pyarrow(monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    for call in (
        lambda: parquet_format.encode_parquet(stack([full(1)])),
        lambda: parquet_format.decode_parquet(b"", origin="a"),
    ):
        with pytest.raises(MissingDependencyError, match=r'pip install "dwpose-infer\[table\]"'):
            call()


@pytest.mark.parametrize(
    ("source", "cell"),
    [
        ("=1+1.jpg", "'=1+1.jpg"),
        ("+a.jpg", "'+a.jpg"),
        ("-a.jpg", "'-a.jpg"),
        ("@a.jpg", "'@a.jpg"),
        ("'=a.jpg", "''=a.jpg"),
        ("''=a.jpg", "'''=a.jpg"),
        ("'a.jpg", "'a.jpg"),
        ("a=b.jpg", "a=b.jpg"),
    ],
)
def test_no_source_is_a_formula_to_a_spreadsheet(tmp_path, source, cell):
    path = save(full(source=source), tmp_path / "a.csv")
    row = next(csv.DictReader(io.StringIO(path.read_text())))
    assert row["source"] == cell
    assert load(path)[0].source == source
