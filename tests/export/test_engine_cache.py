from __future__ import annotations

import json
import logging
import subprocess
import sys
import textwrap
from dataclasses import replace

import pytest

pytest.importorskip("onnxruntime")
pytest.importorskip("onnx")
pytest.importorskip("filelock")

import numpy as np

import fake_cuda
from dwpose_infer import zoo
from dwpose_infer.backends import load_backend
from dwpose_infer.backends.device import Device
from dwpose_infer.backends.tensorrt.backend import TensorRtBackend
from dwpose_infer.backends.tensorrt.engine_record import (
    EngineOptions,
    read_record,
    record_path,
    write_record,
)
from dwpose_infer.errors import (
    BackendUnavailableError,
    EngineBuildError,
    InferenceError,
    MissingDependencyError,
    ModelFormatError,
    OutputError,
    ParityError,
)
from dwpose_infer.export import engine_cache, engine_exporter
from dwpose_infer.export.engine_cache import engine_path, find_problem, identity_here, open_engine
from dwpose_infer.export.engine_source import load_engine_source
from dwpose_infer.export.exporter import gate_samples
from dwpose_infer.zoo.places import engines_folder
from fake_tensorrt import install_tensorrt, press_ctrl_c
from fake_tensorrt_builder import FakeMachine, doubled_keypoints, unpack_plan

CUDA = Device("cuda")
OPTIONS = EngineOptions(max_batch=4)


@pytest.fixture
def machine(monkeypatch):
    return install_tensorrt(monkeypatch)


@pytest.fixture(scope="module")
def graphs():
    """What was read and converted so far: the same for every test."""
    return {}


@pytest.fixture(autouse=True)
def quick_gate(graphs, monkeypatch):
    def load(source, options, *, download_bar=False, progress=None):
        key = (source, options.precision)
        if key not in graphs:
            graphs[key] = load_engine_source(
                source, options, download_bar=download_bar, progress=progress
            )
        return graphs[key]

    def one_sample(source, options):
        return gate_samples(source, options)[-1:]

    monkeypatch.setattr(engine_exporter, "load_engine_source", load)
    monkeypatch.setattr(engine_exporter, "gate_samples", one_sample)


@pytest.fixture(scope="module")
def model():
    return zoo.resolve_model("yolox-nano-person-bundled")


def load(path):
    return TensorRtBackend(path, device=CUDA)


def open_here(model, options=OPTIONS, **arguments):
    """Opens the model's engine, and closes it again."""
    with open_engine(model, device=CUDA, load=load, options=options, **arguments) as backend:
        return backend


def the_engine(model, options=OPTIONS):
    return engine_path(identity_here(model, CUDA, options))


def warnings(caplog):
    return [record.message for record in caplog.records if record.levelno >= logging.WARNING]


@pytest.mark.slow
def test_built_once_then_found(machine, model, capsys, caplog):
    open_here(model)
    said = capsys.readouterr().err
    assert f"the TensorRT engine of {model.name} is built once" in said
    assert "takes minutes" in said
    open_here(model)
    assert len(machine.builds) == 1
    assert capsys.readouterr().err == ""
    assert warnings(caplog) == []
    path = the_engine(model)
    assert path.parent == engines_folder()
    assert find_problem(path) is None
    assert fake_cuda.installed_driver().is_clean()


@pytest.mark.slow
def test_without_progress_one_line_in_the_log(machine, model, capsys, caplog):
    open_here(model, show_progress=False)
    assert capsys.readouterr() == ("", "")
    (line,) = warnings(caplog)
    assert f"the TensorRT engine of {model.name} is built once" in line


def test_what_is_found_needs_neither_builder_nor_exporter(machine, model, monkeypatch):
    open_here(model)
    monkeypatch.setitem(sys.modules, "dwpose_infer.export.engine_exporter", None)
    open_here(model)
    the_engine(model).unlink()
    with pytest.raises(MissingDependencyError, match=r"dwpose-infer\[trt\]"):
        open_here(model)


def test_every_setting_has_an_engine_of_its_own(machine, model):
    variants = [
        EngineOptions(),
        EngineOptions(precision="fp32"),
        EngineOptions(max_batch=2),
        EngineOptions(opt_batch=2),
    ]
    names = {the_engine(model, options).name for options in variants}
    assert len(names) == 4
    other = zoo.resolve_model("dwpose-t-bundled")
    assert the_engine(other) not in names


@pytest.mark.slow
@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"version": "10.17.0.1"}, "tensorrt version 10.16.1.11 instead of 10.17.0.1"),
        ({"gpu_name": "NVIDIA A10"}, "gpu name NVIDIA L4 instead of NVIDIA A10"),
        ({"compute_capability": (9, 0)}, "compute capability 8.9 instead of 9.0"),
    ],
)
def test_another_version_or_gpu_is_built_for_once(monkeypatch, model, caplog, change, told):
    install_tensorrt(monkeypatch)
    open_here(model)
    before = the_engine(model)
    machine = install_tensorrt(monkeypatch, FakeMachine(**change))
    open_here(model)
    open_here(model)
    assert len(machine.builds) == 1
    (line,) = warnings(caplog)
    assert told in line
    assert before.exists()
    assert the_engine(model) != before


def flip_a_byte(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def cut(path):
    path.write_bytes(path.read_bytes()[:1000])


def forget(path):
    record_path(path).unlink()


def scribble(path):
    record_path(path).write_text("{")


def from_another_time(path):
    document = json.loads(record_path(path).read_text())
    record_path(path).write_text(json.dumps({**document, "schema_version": 99}))


def for_another_gpu(path):
    record = read_record(path)
    write_record(path, replace(record, identity=replace(record.identity, gpu_name="NVIDIA A10")))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (flip_a_byte, "SHA-256 is not the recorded one"),
        (cut, "SHA-256 is not the recorded one"),
        (forget, "it has no record"),
        (scribble, "not a JSON file"),
        (from_another_time, "written by a newer release"),
        (for_another_gpu, "gpu name NVIDIA A10 instead of NVIDIA L4"),
    ],
)
def test_what_cannot_be_believed_is_built_again_once(machine, model, caplog, damage, told):
    open_here(model)
    damage(the_engine(model))
    open_here(model)
    open_here(model)
    assert len(machine.builds) == 2
    (line,) = warnings(caplog)
    assert told in line
    assert find_problem(the_engine(model)) is None


def replace_plan(path, plan):
    """Another file under the same name, with a record that fits."""
    import hashlib

    path.write_bytes(plan)
    record = read_record(path)
    sha256 = hashlib.sha256(plan).hexdigest()
    write_record(path, replace(record, engine_sha256=sha256, size_bytes=len(plan)))


@pytest.mark.slow
def test_what_tensorrt_cannot_load_is_built_again_once(machine, model, caplog):
    open_here(model)
    replace_plan(the_engine(model), b"no plan at all")
    open_here(model)
    assert len(machine.builds) == 2
    (line,) = warnings(caplog)
    assert "TensorRT cannot load it" in line
    assert unpack_plan(the_engine(model).read_bytes()) is not None


def test_what_cannot_be_loaded_even_when_new_is_an_error(machine, model):
    open_here(model)
    attempts = []

    def refuse(path):
        attempts.append(path)
        raise ModelFormatError("not for me")

    with pytest.raises(ModelFormatError, match="not for me"):
        open_engine(model, device=CUDA, load=refuse, options=OPTIONS)
    assert len(machine.builds) == 2
    assert len(attempts) == 2  # the cached one, and the gate on the new one


def test_a_failed_build_leaves_nothing(machine, model):
    machine.build_error = "Error Code 2: OutOfMemory"
    with pytest.raises(EngineBuildError, match="OutOfMemory"):
        open_here(model)
    assert not list(engines_folder().glob("*.engine*"))
    machine.build_error = None
    open_here(model)
    assert len(machine.builds) == 1


@pytest.mark.slow
def test_an_engine_that_fails_the_gate_is_not_cached(machine, capsys):
    model = zoo.resolve_model("dwpose-t-bundled")
    machine.distort = doubled_keypoints
    for attempt in range(2):
        with pytest.raises(ParityError, match="--precision fp32"):
            open_here(model)
        assert len(machine.builds) == attempt + 1
        assert not list(engines_folder().glob("*.engine*"))
        assert not list(engines_folder().glob(".*.part"))


def test_an_engine_that_fails_while_it_runs_is_not_cached(machine, model):
    fake_cuda.installed_driver().execution_error = "Cask convolution execution"
    with pytest.raises(InferenceError, match="Cask"):
        open_here(model)
    assert not list(engines_folder().glob("*.engine*"))


def test_ctrl_c_leaves_nothing(machine, model, monkeypatch):
    press_ctrl_c(monkeypatch, machine)
    with pytest.raises(KeyboardInterrupt):
        open_here(model)
    assert not list(engines_folder().glob("*.engine*"))
    open_here(model)
    assert len(machine.builds) == 1


HOLDER = """
    import sys, time
    import filelock
    with filelock.FileLock(sys.argv[1]):
        print("held", flush=True)
        sys.stdin.readline()
"""


def test_another_process_is_waited_for_and_its_engine_taken(machine, model, monkeypatch, capsys):
    open_here(model)
    path = the_engine(model)
    kept = {file: file.read_bytes() for file in (path, record_path(path))}
    for file in kept:
        file.unlink()
    command = [sys.executable, "-c", textwrap.dedent(HOLDER), str(path.with_suffix(".lock"))]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout.readline() == "held\n"
        say = engine_cache._say

        def say_and_let_it_finish(visible, line):
            """The other process ends its work as soon as it is waited for."""
            say(visible, line)
            if "another process" in line:
                for file, data in kept.items():
                    file.write_bytes(data)
                other.stdin.write("\n")
                other.stdin.flush()

        monkeypatch.setattr(engine_cache, "_say", say_and_let_it_finish)
        capsys.readouterr()
        open_here(model)
    assert "another process builds this TensorRT engine: waiting" in capsys.readouterr().err
    assert len(machine.builds) == 1


@pytest.mark.slow
def test_threads_build_one_engine(machine, model):
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(lambda _: open_here(model, show_progress=False), range(3)))
    assert len(machine.builds) == 1


def test_a_folder_that_cannot_be_made(machine, model, monkeypatch, tmp_path):
    blocked = tmp_path / "a file"
    blocked.write_text("")
    monkeypatch.setenv("DWPOSE_HOME", str(blocked))
    with pytest.raises(OutputError, match="DWPOSE_HOME"):
        open_here(model)


def test_old_tensorrt_and_none(monkeypatch, model):
    install_tensorrt(monkeypatch, FakeMachine(version="8.6.1"))
    with pytest.raises(BackendUnavailableError, match=r"TensorRT 8\.6\.1 is installed"):
        open_here(model)
    monkeypatch.setitem(sys.modules, "tensorrt", None)
    monkeypatch.setitem(sys.modules, "tensorrt_rtx", None)
    with pytest.raises(MissingDependencyError, match=r"dwpose-infer\[trt\]"):
        open_here(model)


@pytest.mark.slow
def test_the_engine_agrees_with_onnx_runtime(machine, model, photos):
    from dwpose_infer.detector import Detector
    from dwpose_infer.images import read_image

    image_bgr = read_image(photos[0])
    with load_backend("ort", model) as backend:
        (expected,) = Detector(backend)([image_bgr])
    options = EngineOptions(precision="fp32", max_batch=2)
    with open_engine(model, device=CUDA, load=load, options=options) as backend:
        (found,) = Detector(backend)([image_bgr])
    assert len(found) == len(expected) > 0
    np.testing.assert_allclose(found.boxes_xyxy, expected.boxes_xyxy, atol=0.01)


@pytest.mark.slow
def test_a_predictor_builds_when_it_is_made_never_when_it_is_called(machine, astronaut):
    from dwpose_infer import Predictor

    with Predictor(backend="trt", device="cuda", precision="fp32") as predictor:
        assert len(machine.builds) == 2
        result = predictor(astronaut)
        assert len(machine.builds) == 2
    with Predictor() as official:
        expected = official(astronaut)
    assert len(result) == len(expected) > 0
    np.testing.assert_allclose(result.keypoints, expected.keypoints, atol=1e-3)
