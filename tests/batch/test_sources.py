"""What is found on the command line of dwpose-batch, and how it is cut into parts."""

from __future__ import annotations

import pytest

pa = pytest.importorskip("pyarrow")
fsspec = pytest.importorskip("fsspec")

from pyarrow import parquet

from dwpose_infer.batch.plan import PLAN_NAME, make_plan, read_plan
from dwpose_infer.batch.sources import find_sources
from dwpose_infer.batch.store import absolute, names_in, open_store, read_file, write_file
from dwpose_infer.errors import FormatError, InputError, InvalidArgumentError


def found(*entries, column=None, out="/nowhere"):
    rows = find_sources([str(each) for each in entries], column=column, out=str(out)).to_pylist()
    return [(each["source"].rsplit("/", 1)[1], each["kind"], each["pictures"]) for each in rows]


@pytest.fixture
def photos(tmp_path):
    folder = tmp_path / "photos"
    for name in (
        "b.jpg",
        "a.PNG",
        "deep/c.webp",
        ".hidden/d.jpg",
        "notes.md",
        "x.parquet",
        "s.tar",
    ):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"")
    return folder


def test_a_folder_gives_its_pictures_and_tar_files(photos):
    assert found(photos) == [
        ("a.PNG", "picture", 1),
        ("b.jpg", "picture", 1),
        ("c.webp", "picture", 1),
        ("s.tar", "tar", -1),
    ]


def test_results_within_a_folder_are_no_sources(photos):
    assert ("c.webp", "picture", 1) not in found(photos, out=photos / "deep")


def test_what_is_named_twice_counts_once(photos):
    assert found(photos / "b.jpg", photos / "*.jpg", photos / "b.jpg") == [("b.jpg", "picture", 1)]


def test_names_in_a_list_file_go_by_its_folder(photos):
    lines = f"\ufeffb.jpg\n\n# no picture\n{photos}/deep/c.webp\nhttp://127.0.0.1/e.jpg\n"
    (photos / "list.txt").write_text(lines, encoding="utf-8")
    names = find_sources([str(photos / "list.txt")], column=None, out="/nowhere")["source"]
    assert names.to_pylist() == [
        f"{photos}/b.jpg",
        f"{photos}/deep/c.webp",
        "http://127.0.0.1/e.jpg",
    ]


def test_parquet_of_paths_and_of_bytes(tmp_path):
    parquet.write_table(pa.table({"path": ["a.jpg", "b.jpg"], "n": [1, 2]}), tmp_path / "p.parquet")
    assert found(tmp_path / "p.parquet") == [("a.jpg", "picture", 1), ("b.jpg", "picture", 1)]
    cells = pa.table({"image": [b"1", b"2", b"3"], "path": ["a", "b", "c"]})
    parquet.write_table(cells, tmp_path / "b.parquet", row_group_size=2)
    rows = find_sources([str(tmp_path / "b.parquet")], column=None, out="/nowhere").to_pylist()
    assert [(each["group"], each["first"], each["pictures"]) for each in rows] == [
        (0, 0, 2),
        (1, 2, 1),
    ]
    assert found(tmp_path / "b.parquet", column="path") == [
        ("a", "picture", 1),
        ("b", "picture", 1),
        ("c", "picture", 1),
    ]


@pytest.mark.parametrize(
    ("name", "table", "complaint"),
    [
        ("two.parquet", {"a": [b"1"], "b": [b"2"]}, "--column"),
        ("none.parquet", {"n": [1]}, "--column"),
        ("hole.parquet", {"path": ["a.jpg", None]}, "empty cell"),
        ("nested.parquet", {"path": ["list.txt"]}, "pictures and tar files alone"),
    ],
)
def test_tables_that_cannot_be_used(name, table, complaint, tmp_path):
    parquet.write_table(pa.table(table), tmp_path / name)
    with pytest.raises((InvalidArgumentError, FormatError), match=complaint):
        found(tmp_path / name)


@pytest.mark.parametrize(
    ("entry", "complaint"),
    [
        ("missing", "no such file or folder"),
        ("empty", "no picture and no tar file"),
        ("tables", "1 Parquet files, which are named"),
        ("*.gif", "no picture and no tar file"),
        ("broken.parquet", "no Parquet file"),
    ],
)
def test_entries_that_lead_to_nothing(entry, complaint, tmp_path):
    for folder in ("empty", "tables"):
        (tmp_path / folder).mkdir()
    for name in ("tables/t.parquet", "broken.parquet"):
        (tmp_path / name).write_bytes(b"no table")
    with pytest.raises(InputError, match=complaint):
        found(tmp_path / entry)


def test_stores_of_fsspec(tmp_path):
    write_file("memory://here/photos/a.jpg", b"1")
    assert names_in("memory://here/photos") == ["a.jpg"] and names_in("memory://there") == []
    assert read_file("memory://here/photos/a.jpg") == b"1"
    assert found("memory://here/photos") == [("a.jpg", "picture", 1)]
    with pytest.raises(InputError, match="no such file"):
        read_file("memory://here/b.jpg")
    with pytest.raises(InvalidArgumentError, match="cannot be opened"):
        open_store("nostore://here/a.jpg")
    with pytest.raises(InvalidArgumentError, match="environment variables"):
        open_store("s3://key:secret@bucket/a.jpg")
    assert absolute("file:///a/b.jpg") == "/a/b.jpg"


def table_of(*pictures):
    count = len(pictures)
    columns = {"source": [f"/{each}" for each in range(count)], "kind": ["picture"] * count}
    return pa.table({**columns, "group": [0] * count, "first": [0] * count, "pictures": pictures})


@pytest.mark.parametrize(
    ("pictures", "parts"),
    [
        ([1] * 7, (3, 3, 1)),
        ([2, 2, 2], (2, 2, 2)),  # row groups are not cut, and 4 are too many
        ([5, 1], (5, 1)),
        ([1, -1, -1, 1], (1, -1, -1, 1)),  # nobody knows what is in a tar file
    ],
)
def test_parts_hold_what_is_said_or_one_source(pictures, parts, tmp_path):
    out = str(tmp_path)
    made = make_plan(table_of(*pictures), out, settings={"pose": "a"}, shard_pictures=3)
    assert made.pictures == parts
    again = read_plan(out, settings={"pose": "a"})
    assert (again.out, again.pictures) == (out, parts)
    assert again.left() == list(range(len(parts)))
    write_file(made.part(0), b"done")
    assert again.left() == list(range(1, len(parts)))


@pytest.mark.parametrize(
    ("pictures", "parts"), [(40, (16, 16, 8)), (1280, (20,) * 64), (64_001, (1000,) * 64 + (1,))]
)
def test_few_pictures_make_enough_parts_for_many_workers(pictures, parts, tmp_path):
    made = make_plan(table_of(*[1] * pictures), str(tmp_path), settings={}, shard_pictures=None)
    assert made.pictures == parts


def test_a_run_goes_on_only_with_its_own_settings(tmp_path):
    out = str(tmp_path)
    assert read_plan(out, settings={}) is None
    make_plan(table_of(1), out, settings={"pose": "a"}, shard_pictures=3)
    with pytest.raises(InvalidArgumentError, match="pose was a, is b"):
        read_plan(out, settings={"pose": "b"})
    (tmp_path / PLAN_NAME).write_bytes(b"broken")
    with pytest.raises(FormatError):
        read_plan(out, settings={"pose": "a"})
    (tmp_path / PLAN_NAME).unlink()
    (tmp_path / "part-000000-of-000001.parquet").write_bytes(b"")
    with pytest.raises(InvalidArgumentError, match=f"no {PLAN_NAME}"):
        make_plan(table_of(1), out, settings={}, shard_pictures=3)
