from __future__ import annotations

import sys

import numpy as np
import pytest

pytest.importorskip("onnxruntime")
pytest.importorskip("onnx")
pytest.importorskip("filelock")

from fake_tensorrt_rtx import install_rtx

import fake_cuda
from dwpose_infer import Predictor, zoo
from dwpose_infer.backends import load_backend
from dwpose_infer.backends.device import Device
from dwpose_infer.backends.tensorrt.backend import TensorRtBackend
from dwpose_infer.backends.tensorrt.engine_record import EngineOptions, record_path
from dwpose_infer.backends.tensorrt.products import (
    TENSORRT,
    TENSORRT_RTX,
    capability_for,
    choose_product,
    runs_on,
)
from dwpose_infer.backends.tensorrt.rtx import kernels_path
from dwpose_infer.errors import (
    BackendUnavailableError,
    InvalidArgumentError,
    MissingDependencyError,
    ModelFormatError,
)
from dwpose_infer.export.engine_cache import open_engine
from dwpose_infer.export.engine_exporter import export_engine
from dwpose_infer.export.engine_folder import clean_engines, list_engines
from dwpose_infer.zoo.places import engines_folder
from fake_cuda import FakeGpu
from fake_tensorrt import make_tensorrt
from fake_tensorrt_builder import FakeMachine, unpack_plan

DETECTOR = "yolox-nano-person-bundled"
CUDA = Device("cuda")
ADA, AMPERE = FakeGpu("NVIDIA GeForce RTX 4090", (8, 9)), FakeGpu("NVIDIA GeForce RTX 3060", (8, 6))
TURING, HOPPER = FakeGpu("NVIDIA GeForce RTX 2060", (7, 5)), FakeGpu("NVIDIA H200", (9, 0))
OPTIONS = EngineOptions(precision="fp32", max_batch=4)


def load(path):
    return TensorRtBackend(path, device=CUDA)


def open_here():
    model = zoo.resolve_model(DETECTOR)
    return open_engine(model, device=CUDA, load=load, options=OPTIONS, show_progress=False)


def engines():
    return sorted(path.name for path in engines_folder().glob("*.engine"))


@pytest.mark.parametrize(
    ("installed", "wanted", "chosen"),
    [
        ((), None, "tensorrt"),
        (("tensorrt_rtx",), None, "tensorrt-rtx"),
        (("tensorrt", "tensorrt_rtx"), None, "tensorrt"),
        (("tensorrt", "tensorrt_rtx"), "tensorrt-rtx", "tensorrt-rtx"),
        (("tensorrt",), "tensorrt-rtx", "tensorrt-rtx"),
    ],
)
def test_what_is_installed_decides_and_the_provider_before_it(
    monkeypatch, installed, wanted, chosen
):
    for module in ("tensorrt", "tensorrt_rtx"):
        present = fake_cuda.make_module(module) if module in installed else None
        monkeypatch.setitem(sys.modules, module, present)
    assert choose_product(wanted).key == chosen


@pytest.mark.parametrize(
    ("capability", "built_for"),
    [
        ((7, 0), None),
        ((7, 5), "7.5"),
        ((8, 0), "8.0+"),
        ((8, 7), None),
        ((8, 9), "8.0+"),
        ((9, 0), None),
        ((10, 0), None),
        ((12, 0), "8.0+"),
        ((12, 1), "8.0+"),
    ],
)
def test_gpus_that_are_served(capability, built_for):
    """As the errors of 1.7.1.116 list them: 8.0 8.6 8.9 12.0 12.1 >12.0; 7.5 where asked for."""
    assert capability_for(capability) == built_for


def test_what_an_engine_runs_on():
    assert runs_on(("8.0+",), (12, 0))
    assert not runs_on(("8.0+",), (7, 5))
    assert not runs_on(("8.0+",), (9, 0))
    assert runs_on(("7.5", "8.6"), (8, 6))
    assert not runs_on(("7.5", "8.6"), (8, 9))


@pytest.mark.slow
def test_an_engine_gives_what_onnx_runtime_gives(monkeypatch, rng):
    install_rtx(monkeypatch, gpu=ADA)
    images = rng.integers(0, 256, (6, 416, 416, 3), np.uint8)
    with load_backend("ort", zoo.resolve_model(DETECTOR)) as backend:
        expected = backend.run({"images": images})
    with open_here() as backend:
        assert backend.description.startswith("TensorRT for RTX 1.7.1.116, fp32, batches up to 4")
        found = backend.run({"images": images})  # more than one call of the engine takes
    np.testing.assert_allclose(found["scores"], expected["scores"], atol=1e-5)
    assert fake_cuda.installed_driver().is_clean()


@pytest.mark.slow
def test_one_engine_serves_all_generations_but_turing(monkeypatch):
    for gpu, count in ((ADA, 1), (AMPERE, 1), (TURING, 2)):
        machine = install_rtx(monkeypatch, gpu=gpu)
        open_here().close()
        assert len(engines()) == count
    assert machine.builds  # Turing's own
    records = [engine.record.identity for engine in list_engines()]
    assert {record.compute_capability for record in records} == {"8.0+", "7.5"}
    assert {record.gpu_name for record in records} == {"any GPU"}
    assert {engine.state for engine in list_engines()} == {"usable", "stale"}


@pytest.mark.slow
def test_compiled_kernels_are_kept_for_each_kind_of_gpu(monkeypatch):
    install_rtx(monkeypatch, gpu=ADA)
    with open_here() as backend:
        backend.warmup()
    (engine,) = (engines_folder() / name for name in engines())
    kept = kernels_path(engine, ADA.name)
    assert kept.name.endswith(".engine.NVIDIA-GeForce-RTX-4090.kernels")
    first = kept.read_bytes()
    with open_here() as backend:
        backend.run({"images": np.zeros((3, 416, 416, 3), np.uint8)})
    assert kept.read_bytes().startswith(first)  # was read, and what is new was added
    assert len(kept.read_bytes()) > len(first)
    install_rtx(monkeypatch, gpu=AMPERE)
    with open_here() as backend:
        backend.warmup()
    assert kernels_path(engine, AMPERE.name).is_file()
    assert len(clean_engines(stale_only=False)) == 1
    assert list(engines_folder().iterdir()) == []


@pytest.mark.slow
def test_kernels_of_another_driver_are_compiled_anew(monkeypatch):
    install_rtx(monkeypatch, gpu=ADA)
    open_here().close()
    (engine,) = (engines_folder() / name for name in engines())
    kept = kernels_path(engine, ADA.name)
    kept.write_bytes(b"of another driver")
    with open_here() as backend:
        backend.warmup()
    assert b"another driver" not in kept.read_bytes()


@pytest.mark.slow
def test_a_foreign_engine_gets_no_files_beside_it(monkeypatch, tmp_path):
    install_rtx(monkeypatch, gpu=ADA)
    export_engine(DETECTOR, tmp_path / "x.engine", OPTIONS)
    record_path(tmp_path / "x.engine").unlink()
    for file in tmp_path.glob("*.kernels"):
        file.unlink()
    with load(tmp_path / "x.engine") as backend:
        backend.warmup()
    assert [path.name for path in tmp_path.iterdir()] == ["x.engine"]


@pytest.mark.parametrize(
    ("gpu", "words"),
    [
        (HOPPER, r"NVIDIA H200, compute capability 9\.0"),
        (FakeGpu("NVIDIA B200", (10, 0)), r"NVIDIA B200, compute capability 10\.0"),
    ],
)
def test_gpus_that_are_not_served_are_told_what_serves_them(monkeypatch, gpu, words):
    install_rtx(monkeypatch, gpu=gpu)
    with pytest.raises(
        BackendUnavailableError,
        match=rf"does not serve {words}: it serves 7\.5, 8\.0.*"
        r"--provider tensorrt\).*--backend ort --device cuda",
    ):
        Predictor(backend="trt")
    assert engines() == []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"tensorrt": "1.6.0"}, "it was built by another version"),
        ({"capabilities": ["SM75"]}, "not built for this GPU's compute capability"),
        ({"product": "tensorrt"}, "the file is damaged, or no engine of TensorRT for RTX"),
    ],
)
def test_engines_are_judged_before_they_are_loaded(monkeypatch, tmp_path, change, message):
    from fake_tensorrt_builder import pack_plan

    install_rtx(monkeypatch, gpu=ADA)
    path = tmp_path / "x.engine"
    export_engine(DETECTOR, path, OPTIONS)
    header, model = unpack_plan(path.read_bytes())
    path.write_bytes(pack_plan(header | change, model))
    with pytest.raises(ModelFormatError, match=rf"capability 8\.9: .*{message}.*Remedy: build it"):
        load(path)
    assert fake_cuda.installed_driver().is_clean()


@pytest.mark.slow
def test_an_engine_runs_with_the_library_that_built_it(monkeypatch, tmp_path):
    install_rtx(monkeypatch, gpu=ADA)
    path = tmp_path / "x.engine"
    export_engine(DETECTOR, path, OPTIONS)
    monkeypatch.setitem(sys.modules, "tensorrt", make_tensorrt(FakeMachine()))
    assert choose_product() is TENSORRT
    with load(path) as backend:
        assert backend.description.startswith("TensorRT for RTX")
    with pytest.raises(InvalidArgumentError, match="built by TensorRT for RTX: leave --provider"):
        load_backend("trt", path, provider="tensorrt")


def test_an_old_version_and_none(monkeypatch):
    install_rtx(monkeypatch, gpu=ADA)
    sys.modules["tensorrt_rtx"].__dict__["__version__"] = "1.3.0.35"
    with pytest.raises(BackendUnavailableError, match=r"RTX 1\.3\.0\.35 is installed.*1\.7"):
        open_here()
    monkeypatch.setitem(sys.modules, "tensorrt_rtx", None)
    with pytest.raises(MissingDependencyError, match=r"RTX is not installed.*\[trt-rtx\]"):
        Predictor(backend="trt", provider=TENSORRT_RTX.key)
