"""`dwpose-infer --backend trt` from the first use on, on a fake driver and a fake TensorRT."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

import fake_cuda
from dwpose_infer.cli.infer import main
from dwpose_infer.zoo.places import engines_folder
from fake_tensorrt import make_tensorrt
from fake_tensorrt_builder import FakeMachine
from tolerances import KEYPOINT_PX


@pytest.fixture
def machine(monkeypatch, tmp_path, astronaut):
    machine = FakeMachine()
    machine.driver = fake_cuda.install(monkeypatch)
    monkeypatch.setitem(sys.modules, "tensorrt", make_tensorrt(machine))
    monkeypatch.chdir(tmp_path)
    shutil.copy(astronaut, "photo.jpg")
    return machine


def persons(capsys) -> list:
    return json.loads(capsys.readouterr().out)["persons"]


def keypoints(persons) -> np.ndarray:
    return np.array([person["keypoints"] for person in persons], float)


@pytest.mark.slow
def test_from_the_first_use_on(machine, capsys):
    assert main(["photo.jpg", "--json", "--quiet"]) == 0
    expected = keypoints(persons(capsys))
    trt = ["photo.jpg", "--json", "--backend", "trt", "--precision", "fp32", "--max-batch", "2"]

    assert main(trt) == 0
    first = capsys.readouterr()
    assert "is built once for this GPU" in first.err
    np.testing.assert_allclose(
        keypoints(json.loads(first.out)["persons"]), expected, atol=KEYPOINT_PX
    )
    assert len(machine.builds) == 2
    assert machine.driver.is_clean()

    assert main(trt) == 0
    second = capsys.readouterr()
    assert "TensorRT" not in second.err
    assert json.loads(second.out) == json.loads(first.out)
    assert len(machine.builds) == 2

    check_engine_files(machine, capsys, json.loads(first.out))


def check_engine_files(machine, capsys, expected):
    """The engines that were built can be given as models themselves."""
    by_kind = {}
    for path in engines_folder().glob("*.engine"):
        record = json.loads(Path(f"{path}.json").read_text())
        by_kind[record["metadata"]["dwpose_infer.kind"]] = str(path)
    # A file has no threshold of its own, as the bundled detector has: the best person is the same.
    files = ["photo.jpg", "--json", "--quiet", "--backend", "trt", "--max-persons", "1"]
    files += ["--pose", by_kind["pose"], "--det", by_kind["detector"]]
    assert main(files) == 0
    assert json.loads(capsys.readouterr().out) == expected
    assert main([*files, "--precision", "fp16"]) == 2
    assert "was built for precision 'fp32'" in capsys.readouterr().err
    assert main([*files, "--device", "cuda:3"]) == 3
    assert "there is no GPU 3: only 'cuda:0' is here" in capsys.readouterr().err
    machine.version = "11.4.0.106"
    assert main(files) == 4
    assert "dwpose-export --to engine" in capsys.readouterr().err
    assert machine.driver.is_clean()
