"""Real Ray: workers on this machine, one that dies, a store as in the cloud, many pictures."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

ray = pytest.importorskip("ray")
pytest.importorskip("ray.data")
psutil = pytest.importorskip("psutil")

from PIL import Image
from pyarrow import parquet

from dwpose_infer import Predictor
from dwpose_infer.batch import Workers, predict_dataset
from dwpose_infer.batch.cli import main
from dwpose_infer.errors import InvalidArgumentError
from dwpose_infer.formats import load

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("default::DeprecationWarning"),  # Ray warns of itself
]


def batch(*options, **environment):
    """The command as a process of its own."""
    command = [sys.executable, "-m", "dwpose_infer.batch.cli", *map(str, options)]
    return subprocess.Popen(
        command, env=os.environ | environment, stderr=subprocess.PIPE, text=True
    )


def finish(process):
    _, said = process.communicate(timeout=300)
    assert "Traceback" not in said
    return process.returncode, said


def rows_in(folder):
    parts = sorted(folder.glob("part-*.parquet"))
    return [row for part in parts for row in parquet.read_table(part).to_pylist()]


def small_pictures(folder, astronaut, count):
    """A person on every tenth, on the others nobody, which takes less time."""
    folder.mkdir()
    Image.open(astronaut).resize((64, 64)).save(folder / "00000.jpg")
    Image.new("RGB", (64, 64), (114, 114, 114)).save(folder / "00001.jpg")
    for number in range(2, count):
        os.link(folder / f"0000{int(number % 10 > 0)}.jpg", folder / f"{number:05}.jpg")
    return folder


def test_two_workers_find_what_a_predictor_finds(tmp_path, photos):
    folder = tmp_path / "photos"
    folder.mkdir()
    for photo in photos:
        shutil.copy(photo, folder)
    (folder / "broken.jpg").write_bytes(b"\xff\xd8\xff no picture")
    options = (folder, "--out", tmp_path / "out", "--part-pictures", 2, "--workers", 2)
    status, said = finish(batch(*options))
    assert (status, "1 could not be read" in said) == (1, True)
    rows = {Path(each["source"]).name: each for each in rows_in(tmp_path / "out")}
    assert list(rows) == sorted(path.name for path in folder.iterdir())
    assert "broken.jpg" in rows["broken.jpg"]["error"]
    found = {
        Path(each.source).name: each
        for part in (tmp_path / "out").glob("part-*")
        for each in load(part)
    }
    with Predictor(threads=1) as predictor:
        for photo in photos:
            expected = predictor(photo)
            np.testing.assert_allclose(found[photo.name].keypoints, expected.keypoints, atol=0.1)
    status, said = finish(batch(*options))
    assert status == 0 and "all of it is there already" in said


def test_a_worker_that_is_killed_costs_nothing(tmp_path, astronaut):
    folder = small_pictures(tmp_path / "photos", astronaut, 600)
    out = tmp_path / "out"
    process = batch(folder, "--out", out, "--part-pictures", 50, "--workers", 2)
    until_s = time.monotonic() + 120
    while not list(out.glob("part-*")):
        assert time.monotonic() < until_s and process.poll() is None
        time.sleep(0.05)
    workers = [
        each
        for each in psutil.Process(process.pid).children(recursive=True)
        if "ShardWorker" in " ".join(each.cmdline())
    ]
    assert len(workers) == 2
    workers[0].kill()
    assert finish(process)[0] == 0
    counts = Counter(each["source"] for each in rows_in(out))
    assert len(counts) == 600 and set(counts.values()) == {1}


def test_what_was_broken_off_goes_on(tmp_path, astronaut):
    folder = small_pictures(tmp_path / "photos", astronaut, 600)
    out = tmp_path / "out"
    options = (folder, "--out", out, "--part-pictures", 50, "--workers", 2)
    process = batch(*options)
    while not list(out.glob("part-*")):
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(2)
    assert finish(process)[0] == 130
    done = {path: path.stat().st_mtime_ns for path in out.glob("part-*")}
    assert 0 < len(done) < 12
    shutil.copy(astronaut, folder / "late.jpg")  # the plan stands
    status, said = finish(batch(*options))
    assert status == 0 and f"{len(done)} of them there already" in said
    assert all(path.stat().st_mtime_ns == when for path, when in done.items())
    counts = Counter(each["source"] for each in rows_in(out))
    assert len(counts) == 600 and set(counts.values()) == {1}
    assert finish(batch(*options))[0] == 0
    status, said = finish(batch(*options, "--max-persons", 1))
    assert status == 2 and "max_persons was None, is 1" in said


def test_a_store_as_in_the_cloud(tmp_path, astronaut, monkeypatch):
    pytest.importorskip("boto3")
    server = pytest.importorskip("moto.server").ThreadedMotoServer(
        ip_address="127.0.0.1", port=0, verbose=False
    )
    import boto3

    server.start()
    try:
        host, port = server.get_host_and_port()
        settings = {
            "AWS_ENDPOINT_URL": f"http://{host}:{port}",
            "AWS_ACCESS_KEY_ID": "key",
            "AWS_SECRET_ACCESS_KEY": "secret",
            "AWS_DEFAULT_REGION": "us-east-1",
            "NO_PROXY": host,
        }
        for name, value in settings.items():
            monkeypatch.setenv(name, value)
        store = boto3.client("s3")
        store.create_bucket(Bucket="pictures")
        data = astronaut.read_bytes()
        for number in range(20):
            body = data if number != 7 else data[:100]
            store.put_object(Bucket="pictures", Key=f"in/{number:02}.jpg", Body=body)
        arguments = ("s3://pictures/in", "--out", "s3://pictures/out", "--part-pictures", 8)
        status, said = finish(batch(*arguments, "--workers", 2))
        assert status == 1 and "20 pictures; 19 persons" in said
        listed = store.list_objects_v2(Bucket="pictures", Prefix="out/")["Contents"]
        assert len(listed) == 4  # three parts and the plan
        for each in listed:
            store.download_file("pictures", each["Key"], str(tmp_path / Path(each["Key"]).name))
        rows = rows_in(tmp_path)
        assert [each["source"] for each in rows] == [
            f"s3://pictures/in/{number:02}.jpg" for number in range(20)
        ]
        assert [each["source"][-6:] for each in rows if each["error"]] == ["07.jpg"]
        assert finish(batch(*arguments))[0] == 0
    finally:
        server.stop()


def test_thousands_of_small_pictures(tmp_path, astronaut):
    folder = small_pictures(tmp_path / "photos", astronaut, 5000)
    (folder / "00007.jpg").unlink()  # a name of a file that others share
    (folder / "00007.jpg").write_bytes(b"no picture")
    out = tmp_path / "out"
    status, said = finish(batch(folder, "--out", out, "--part-pictures", 400))
    assert status == 1 and "5,000 pictures" in said and "1 could not be read" in said
    assert len(list(out.glob("part-*"))) == 13
    counts = Counter(each["source"] for each in rows_in(out))
    assert len(counts) == 5000 and set(counts.values()) == {1}


@pytest.fixture
def local_ray():
    ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False)
    yield
    ray.shutdown()


def test_any_data_set_of_ray(tmp_path, photos, local_ray):
    data = ray.data.read_binary_files([str(each) for each in photos], include_paths=True)
    rows = predict_dataset(data, workers=Workers(count=1)).take_all()
    assert sorted(each["path"] for each in rows) == [str(each) for each in photos]
    for row in rows:
        assert row["source"] == row["path"] and len(row["persons"]) == 1 and row["error"] is None
    pixels = ray.data.from_numpy(np.full((2, 64, 64, 3), 114, np.uint8)).rename_columns(
        {"data": "image"}
    )
    rows = predict_dataset(pixels, workers=Workers(count=1)).take_all()
    assert [(each["width"], len(each["persons"])) for each in rows] == [(64, 0), (64, 0)]

    data = ray.data.from_items([{"number": 1}])
    with pytest.raises(Exception, match="which column holds the pictures") as caught:
        predict_dataset(data, workers=Workers(count=1)).take_all()
    assert InvalidArgumentError.__name__ in str(caught.value)


@pytest.mark.parametrize(
    ("options", "status", "complaint"),
    [
        (["--workers", "500"], 2, "there are"),
        (["--pose", "missing.onnx"], 4, "missing.onnx"),
        (["--device", "cuda"], 2, "0 GPUs"),
        (["--address", "127.0.0.1:1"], 3, "no Ray at 127.0.0.1:1"),
        (["--prefer", "largest"], 2, "--max-persons"),
    ],
)
def test_what_cannot_be_is_said(options, status, complaint, tmp_path, astronaut, capsys):
    assert main([str(astronaut), "--out", str(tmp_path / "out"), *options]) == status
    assert complaint in capsys.readouterr().err
