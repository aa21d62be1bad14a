from __future__ import annotations

import hashlib
import json
import sys

import pytest

pytest.importorskip("filelock")

import filelock

import fake_cuda
from dwpose_infer._version import __version__
from dwpose_infer.backends.tensorrt.engine_record import (
    EngineIdentity,
    EngineRecord,
    read_record,
    record_path,
    write_record,
)
from dwpose_infer.cli.models import main
from dwpose_infer.errors import ModelFormatError, OutputError
from dwpose_infer.export.engine_cache import engine_path
from dwpose_infer.export.engine_folder import clean_engines, list_engines
from dwpose_infer.zoo.places import engines_folder
from fake_tensorrt import install_tensorrt

HERE = {
    "source_sha256": "5" * 64,
    "precision": "fp16",
    "opt_batch": 1,
    "max_batch": 16,
    "tensorrt_version": "10.16.1.11",
    "gpu_name": "NVIDIA L4",
    "compute_capability": "8.9",
    "package_version": __version__,
    "product": "tensorrt",
}


@pytest.fixture
def machine(monkeypatch):
    return install_tensorrt(monkeypatch)


@pytest.fixture
def nothing_installed(monkeypatch):
    """A machine without TensorRT, and without a package that speaks to CUDA."""
    fake_cuda.install(monkeypatch, binding=None)
    monkeypatch.setitem(sys.modules, "tensorrt", None)


def put(content=b"engine", built_at="2026-01-01T00:00:00+00:00", name="dwpose-l", **differences):
    """Puts an engine into the cache as if it had been built."""
    identity = EngineIdentity(**{**HERE, **differences})
    path = engine_path(identity)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    write_record(
        path,
        EngineRecord(
            identity=identity,
            name=name,
            engine_sha256=hashlib.sha256(content).hexdigest(),
            size_bytes=len(content),
            workspace_mib=None,
            built_at=built_at,
            build_s=61.5,
            metadata={"dwpose_infer.name": name},
            parity={"violations": []},
        ),
    )
    return path


def put_all():
    """One engine of every state a machine with TensorRT can have; name -> file."""
    paths = {
        "usable": put(),
        "other version": put(tensorrt_version="10.15.0.1"),
        "other GPU": put(gpu_name="NVIDIA A10", compute_capability="8.6"),
        "other capability": put(compute_capability="9.0"),
        "other package": put(package_version="0.0.1"),
        "damaged": put(max_batch=2),
        "no record": put(max_batch=3),
    }
    paths["damaged"].write_bytes(b"engin_")
    record_path(paths["no record"]).unlink()
    return paths


def test_no_folder_no_engines(machine):
    assert list_engines() == []
    assert clean_engines(stale_only=False) == []
    assert not engines_folder().exists()


def test_states(machine):
    paths = put_all()
    states = {engine.path: (engine.state, engine.reason) for engine in list_engines()}
    assert states == {
        paths["usable"]: ("usable", ""),
        paths["other version"]: ("stale", "TensorRT 10.16.1.11 is installed"),
        paths["other GPU"]: ("stale", "no such GPU is here"),
        paths["other capability"]: ("stale", "no such GPU is here"),
        paths["other package"]: ("stale", "built by dwpose-infer 0.0.1"),
        paths["damaged"]: (
            "damaged",
            "its file is damaged: the SHA-256 is not the recorded one",
        ),
        paths["no record"]: ("damaged", "it has no record"),
    }


def test_every_gpu_of_the_machine_counts(monkeypatch):
    install_tensorrt(monkeypatch)
    gpus = (fake_cuda.FakeGpu("NVIDIA A10", (8, 6)), fake_cuda.FakeGpu("NVIDIA L4", (8, 9)))
    fake_cuda.install(monkeypatch, gpus=gpus)
    put()
    put(gpu_name="NVIDIA A10", compute_capability="8.6")
    assert [engine.state for engine in list_engines()] == ["usable", "usable"]


def test_without_tensorrt_nothing_is_called_stale_for_its_version(nothing_installed):
    put()
    put(tensorrt_version="9.9")
    put(package_version="0.0.1")
    states = sorted((engine.state, engine.reason) for engine in list_engines())
    unknown = ("unknown", "TensorRT is not usable here")
    assert states == [("stale", "built by dwpose-infer 0.0.1"), unknown, unknown]
    assert len(clean_engines(stale_only=True)) == 1
    assert len(list_engines()) == 2


def test_the_latest_first(machine):
    old = put(max_batch=1, built_at="2026-01-01T00:00:00+00:00")
    new = put(max_batch=2, built_at="2026-02-01T00:00:00+00:00")
    assert [engine.path for engine in list_engines()] == [new, old]


def test_clean_stale_keeps_what_can_be_used(machine):
    paths = put_all()
    removed = clean_engines(stale_only=True)
    assert set(removed) == set(paths.values()) - {paths["usable"]}
    left = {path.name for path in engines_folder().iterdir() if path.suffix != ".lock"}
    assert left == {paths["usable"].name, record_path(paths["usable"]).name}


def test_clean_all_leaves_nothing(machine):
    paths = put_all()
    killed = engines_folder() / f".{paths['usable'].name}.0123.part"
    killed.write_bytes(b"half an engine")
    engines_folder().joinpath("f" * 32 + ".lock").write_text("")
    alone = engines_folder() / ("e" * 32 + ".engine.json")
    alone.write_text("{}")
    assert set(clean_engines(stale_only=False)) == set(paths.values())
    assert list(engines_folder().iterdir()) == []


def test_what_is_being_built_is_left_alone(machine):
    busy, idle = put(), put(max_batch=2)
    part = engines_folder() / f".{busy.name}.0123.part"
    part.write_bytes(b"half an engine")
    with filelock.FileLock(busy.with_suffix(".lock")):
        assert clean_engines(stale_only=False) == [idle]
    assert busy.exists()
    assert part.exists()


def test_what_cannot_be_deleted_is_told(machine, monkeypatch):
    path = put()

    def refuse(self, missing_ok=False):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(type(path), "unlink", refuse)
    with pytest.raises(OutputError, match=r"cannot delete .*Permission denied"):
        clean_engines(stale_only=False)


def test_records_come_back_as_written(machine):
    path = put()
    record = read_record(path)
    write_record(path, record)
    assert read_record(path) == record
    assert read_record(path.with_name("none.engine")) is None


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "not a JSON file"),
        ("[]", "expected an object"),
        ("{}", "schema_version is None"),
        ('{"schema_version": 2}', "written by a newer release"),
        ('{"schema_version": 1, "identity": {}}', r"missing .* `source_sha256` - at `\$.identity`"),
    ],
)
def test_damaged_records(machine, text, problem):
    path = put()
    record_path(path).write_text(text)
    with pytest.raises(ModelFormatError, match=rf"\.engine\.json: .*{problem}"):
        read_record(path)


def test_the_list_for_people(machine, capsys):
    put_all()
    assert main(["engines", "list"]) == 0
    captured = capsys.readouterr()
    lines = captured.out.splitlines()
    assert lines[0].split() == [
        "name",
        "precision",
        "batch",
        "MB",
        "library",
        "GPU",
        "built",
        "state",
    ]
    assert len(lines) == 8
    (usable,) = (line for line in lines if line.endswith("usable"))
    for word in ("dwpose-l", "fp16", "1-16", "10.16.1.11", "NVIDIA L4 (8.9)", "2026-01-01"):
        assert word in usable
    assert "7 engines" in captured.err
    assert str(engines_folder()) in captured.err


def test_the_list_for_programs(machine, capsys):
    path = put()
    assert main(["engines", "list", "--json"]) == 0
    (entry,) = json.loads(capsys.readouterr().out)
    assert entry["path"] == str(path)
    assert entry["state"] == "usable"
    assert entry["record"]["identity"] == HERE


def test_an_empty_list(nothing_installed, capsys):
    assert main(["engines", "list"]) == 0
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "0 engines" in captured.err


def test_the_command_cleans(machine, capsys):
    paths = put_all()
    assert main(["engines", "clean", "--stale"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 6
    assert main(["engines", "clean", "--all"]) == 0
    assert capsys.readouterr().out == f"{paths['usable']}\n"


@pytest.mark.parametrize("arguments", [[], ["--all", "--stale"]])
def test_clean_wants_to_be_told_what(machine, arguments):
    path = put()
    with pytest.raises(SystemExit, match="2"):
        main(["engines", "clean", *arguments])
    assert path.exists()


def test_clean_needs_its_lock(machine, monkeypatch, capsys):
    put()
    monkeypatch.setitem(sys.modules, "filelock", None)
    assert main(["engines", "clean", "--all"]) == 3
    assert "filelock" in capsys.readouterr().err
