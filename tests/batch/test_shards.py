"""The work on a part, without Ray and with networks that answer at once."""

from __future__ import annotations

import io
import tarfile

import numpy as np
import pytest

pa = pytest.importorskip("pyarrow")
pytest.importorskip("fsspec")

from PIL import Image
from pyarrow import parquet

from dwpose_infer.batch import reading
from dwpose_infer.batch import shard as shards
from dwpose_infer.batch.plan import make_plan, open_plan
from dwpose_infer.batch.shard import ShardWork, predict_each
from dwpose_infer.batch.sources import find_sources
from dwpose_infer.errors import InferenceError, InputError
from dwpose_infer.formats import load
from dwpose_infer.images import read_image
from dwpose_infer.picture_url import DEFAULT_ACCESS, UrlAccess
from dwpose_infer.results import PoseResult


class Networks:
    """In the place of a `Predictor`: a person for each picture, none on a black one."""

    def __init__(self, fails_at=(), urls=DEFAULT_ACCESS):
        self.fails_at, self.urls = fails_at, urls

    def __call__(self, source, *, whole_image=False, on_error="raise"):
        if on_error == "raise":
            return self.find(read_image(source))
        return self.each(source)

    def each(self, sources):
        for source in sources:
            try:
                yield self.find(read_image(source))
            except InputError as error:
                yield error

    def find(self, image_bgr):
        height, width = image_bgr.shape[:2]
        if width in self.fails_at:
            raise InferenceError("out of memory")
        persons = int(image_bgr.any())
        return PoseResult(
            keypoints=np.full((persons, 133, 2), width, np.float32),
            scores=np.ones((persons, 133), np.float32),
            boxes_xyxy=np.zeros((persons, 4), np.float32),
            image_size=(width, height),
        )


def picture(width, value=255):
    file = io.BytesIO()
    Image.new("RGB", (width, 8), (value,) * 3).save(file, "PNG")
    return file.getvalue()


@pytest.fixture
def work(tmp_path):
    """Makes the work on what lies in a folder, all of it one part."""

    def make(*entries, column=None):
        out = str(tmp_path / "out")
        (tmp_path / "out").mkdir()
        rows = find_sources([str(each) for each in entries], column=column, out=out)
        return ShardWork(plan=make_plan(rows, out, settings={}, shard_pictures=1000), column=column)

    return make


def do(work, networks=None, shard=0):
    return work.do(shard, networks or Networks(), open_plan(work.plan.out))


def rows_of(work, shard=0):
    return parquet.read_table(work.plan.part(shard)).to_pylist()


def test_every_picture_has_a_row(tmp_path, work):
    photos = tmp_path / "photos"
    photos.mkdir()
    for name, data in (("a", picture(9)), ("b", b"no picture"), ("c", picture(11, 0))):
        (photos / f"{name}.png").write_bytes(data)
    (photos / "gone.png").symlink_to(photos / "nowhere.png")
    todo = work(photos)
    (photos / "c.png").rename(photos / "late.png")
    (photos / "c.png").write_bytes(picture(11, 0))
    done = do(todo)
    assert (done.pictures, done.persons, done.empty, done.failure) == (4, 1, 1, None)
    assert done.unread == 2
    rows = {each["source"].rsplit("/", 1)[1]: each for each in rows_of(todo)}
    assert list(rows) == ["a.png", "b.png", "c.png", "gone.png"]
    assert [len(each["persons"] or ()) for each in rows.values()] == [1, 0, 0, 0]
    assert rows["c.png"]["persons"] == [] and rows["c.png"]["error"] is None
    assert rows["b.png"]["persons"] is None and f"{photos}/b.png" in rows["b.png"]["error"]
    assert "no such file" in rows["gone.png"]["error"]
    assert [each.image_size for each in load(todo.plan.part(0))] == [(9, 8), (11, 8)]


def test_bytes_of_a_table(tmp_path, work):
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    cells = [{"bytes": picture(9), "path": "x"}, {"bytes": None, "path": "y"}, None]
    parquet.write_table(pa.table({"image": pa.array(cells, kind)}), tmp_path / "t.parquet")
    todo = work(tmp_path / "t.parquet")
    assert do(todo).unread == 2
    rows = rows_of(todo)
    assert [each["source"][-11:] for each in rows] == ["t.parquet#0", "t.parquet#1", "t.parquet#2"]
    assert rows[0]["width"] == 9 and "the cell is empty" in rows[1]["error"]


def tar_of(path, members, cut=None):
    with tarfile.open(path, "w") as archive:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    path.write_bytes(path.read_bytes()[:cut])


def test_pictures_of_a_web_dataset(tmp_path, work):
    members = [("1.png", picture(9)), ("1.json", b"{}"), ("deep/2.PNG", picture(10))]
    tar_of(tmp_path / "s.tar", members)
    todo = work(tmp_path / "s.tar")
    assert do(todo).pictures == 2
    assert [(each["source"], each["width"]) for each in rows_of(todo)] == [
        (f"{tmp_path}/s.tar/1.png", 9),
        (f"{tmp_path}/s.tar/deep/2.PNG", 10),
    ]


def test_a_tar_file_that_is_cut_off_says_so_in_a_row(tmp_path, work):
    tar_of(tmp_path / "s.tar", [("1.png", picture(9)), ("2.png", bytes(4000))], cut=2000)
    todo = work(tmp_path / "s.tar")
    assert (do(todo).pictures, do(todo).unread) == (2, 1)
    assert "damaged after 1 pictures" in rows_of(todo)[1]["error"]


def test_a_tar_file_without_pictures_is_done(tmp_path, work):
    tar_of(tmp_path / "s.tar", [("1.json", b"{}")])
    todo = work(tmp_path / "s.tar")
    assert do(todo).pictures == 0 and todo.plan.left() == []


def test_networks_that_fail_on_one_picture_cost_the_others_nothing():
    pictures = [(str(each), picture(each)) for each in range(8, 14)]
    found = dict(predict_each(Networks(fails_at=[10]), iter(pictures)))
    assert list(found) == ["8", "9", "10", "11", "12", "13"]
    assert isinstance(found.pop("10"), InferenceError)
    assert [each.image_size[0] for each in found.values()] == [8, 9, 11, 12, 13]


def test_where_nothing_works_the_part_is_left_for_another_time(tmp_path, work):
    (tmp_path / "photos").mkdir()
    for number in range(3):
        (tmp_path / f"photos/{number}.png").write_bytes(picture(9))
    todo = work(tmp_path / "photos")
    done = do(todo, Networks(fails_at=[9]))
    assert done.failure == "InferenceError: out of memory" and todo.plan.left() == [0]
    assert do(todo).failure is None and todo.plan.left() == []


def test_a_part_that_cannot_be_written_is_not_there(tmp_path, work, monkeypatch):
    (tmp_path / "a.png").write_bytes(picture(9))
    todo = work(tmp_path / "a.png")

    def full(name, data):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(shards, "write_file", full)
    assert "No space left" in do(todo).failure
    assert todo.plan.left() == [0]


def test_urls_of_a_list_lead_where_they_may_only(tmp_path, work, monkeypatch):
    asked = []

    def fetch(url, *, urls):
        urls.check_host(url, url)
        asked.append(url)
        return picture(9)

    monkeypatch.setattr(reading, "fetch_picture", fetch)
    (tmp_path / "l.txt").write_text("https://a.example.org/1.png\nhttps://other.example/2.png\n")
    todo = work(tmp_path / "l.txt")
    done = do(todo, Networks(urls=UrlAccess((".example.org",))))
    assert (done.pictures, done.unread) == (2, 1)
    assert asked == ["https://a.example.org/1.png"]
    assert "other.example, which is not among the hosts" in rows_of(todo)[1]["error"]
