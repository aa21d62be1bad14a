"""Every name, method, number of arguments and enum member that the package uses of TensorRT is
compared with the vendor's own Python modules, of versions 10 and 11, and of TensorRT for RTX.

The modules of TensorRT are small and load with any libraries of the right names; those are made
here, empty. TensorRT for RTX is taken where it is installed.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import zipfile
from dataclasses import asdict, replace
from pathlib import Path

import pytest

pytest.importorskip("onnxruntime")
pytest.importorskip("onnx")

from fake_tensorrt_rtx import RTX_ONLY, install_rtx
from tensorrt_introspection import find_fault

import dwpose_infer
import dwpose_infer.export
import fake_cuda
import fake_tensorrt_runtime
from dwpose_infer.backends.device import Device
from dwpose_infer.backends.tensorrt.backend import TensorRtBackend
from dwpose_infer.backends.tensorrt.engine_record import EngineOptions
from dwpose_infer.errors import DwposeError, EngineBuildError, ModelFormatError
from dwpose_infer.export.engine_exporter import export_engine
from dwpose_infer.export.to_tensorrt import build_engine
from fake_tensorrt import install_tensorrt
from fake_tensorrt_recording import USES
from tensorrt_syntax import ANY, uses_in, uses_module

TESTS = Path(__file__).resolve().parent.parent

VERSIONS = {
    "tensorrt-cu12-bindings": "10.16.1.11",
    "tensorrt-cu13-bindings": "11.4.0.106",
}

# What the modules import from the libraries, as `nm -D --undefined-only` tells.
ENTRY_POINTS = (
    *("createInferBuilder_INTERNAL", "createInferRefitter_INTERNAL"),
    *("createInferRuntime_INTERNAL", "createNvOnnxParserRefitter_INTERNAL"),
    *("createNvOnnxParser_INTERNAL", "getBuilderPluginRegistry", "getNvOnnxParserVersion"),
    *("getPluginRegistry", "initLibNvInferPlugins"),
)

LIBRARIES = ("nvinfer", "nvinfer_plugin", "nvonnxparser")


def run(*command, **options):
    return subprocess.run(
        command, check=False, capture_output=True, text=True, timeout=120, **options
    )


def download_wheel(name: str, version: str, folder: Path) -> Path:
    """The wheel from the registry, or from an earlier run."""
    pattern = f"{name.replace('-', '_')}-{version}-*.whl"
    if not list(folder.glob(pattern)):
        download = ("download", "--quiet", "--no-deps", "--only-binary", ":all:")
        patience = ("--retries", "0", "--timeout", "20", "--disable-pip-version-check")
        try:
            done = run(
                *(sys.executable, "-m", "pip", *download, *patience),
                *("--dest", str(folder), f"{name}=={version}"),
            )
        except subprocess.TimeoutExpired:
            pytest.skip(f"{name} {version} cannot be had: the registry does not answer")
        if done.returncode:
            pytest.skip(f"{name} {version} cannot be had: {done.stderr.strip()[-300:]}")
    return next(folder.glob(pattern))


def make_libraries(folder: Path, major: str) -> None:
    """Libraries of the right names in which nothing happens."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        pytest.skip("there is no C compiler")
    source = folder / "entry_points.c"
    source.write_text("".join(f"void *{name}(void) {{ return 0; }}\n" for name in ENTRY_POINTS))
    for library in LIBRARIES:
        name = f"lib{library}.so.{major}"
        built = run(
            *(compiler, "-shared", "-fPIC", f"-Wl,-soname,{name}"),
            *("-o", str(folder / name), str(source)),
        )
        assert built.returncode == 0, built.stderr


@pytest.fixture(scope="module", params=VERSIONS)
def bindings(request, tmp_path_factory):
    """(folder with the vendor's module, its version)."""
    if not sys.platform.startswith("linux"):
        pytest.skip("the libraries are made as Linux has them")
    name, version = request.param, VERSIONS[request.param]
    folder = tmp_path_factory.mktemp(name)
    cache = getattr(request.config, "cache", None)  # pytest can be told to have none
    wheels = folder / "wheels" if cache is None else cache.mkdir("tensorrt-bindings")
    wheel = download_wheel(name, version, wheels)
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    make_libraries(folder / "tensorrt_bindings", version.split(".")[0])
    return folder, version


def use_everything(tmp_path: Path) -> None:
    """Goes through building and running on the fake, and through what can go wrong."""
    monkeypatch = pytest.MonkeyPatch()
    try:
        machine = install_tensorrt(monkeypatch)
        engine = EngineOptions(max_batch=2, workspace_mib=64)
        for name in ("dwpose-t-bundled", "yolox-nano-person-bundled"):
            export_engine(name, tmp_path / "x.engine", engine)
        with TensorRtBackend(tmp_path / "x.engine", device=Device("cuda")) as backend:
            backend.warmup()
            fake_cuda.installed_driver().execution_error = "it is broken"
            with pytest.raises(DwposeError):
                backend.warmup()
        with monkeypatch.context() as patched:
            host = fake_tensorrt_runtime.TensorLocation["HOST"]
            patched.setattr(
                fake_tensorrt_runtime.ICudaEngine, "get_tensor_location", lambda *_: host
            )
            with pytest.raises(ModelFormatError):
                TensorRtBackend(tmp_path / "x.engine", device=Device("cuda"))
        (tmp_path / "bad.engine").write_bytes(b"bad")
        with pytest.raises(ModelFormatError):
            TensorRtBackend(tmp_path / "bad.engine", device=Device("cuda"))
        machine.build_error = "it is broken"
        with pytest.raises(EngineBuildError):
            export_engine("yolox-nano-person-bundled", tmp_path / "y.engine")
        with pytest.raises(ModelFormatError):
            build_engine(b"bad", engine, device=Device("cuda"), label="bad", show_bar=False)
        install_rtx(monkeypatch, gpu=fake_cuda.FakeGpu())
        capabilities = replace(engine, capabilities=("7.5", "8.9"))
        export_engine("yolox-nano-person-bundled", tmp_path / "rtx.engine", capabilities)
        with TensorRtBackend(tmp_path / "rtx.engine", device=Device("cuda")) as backend:
            backend.warmup()
        with TensorRtBackend(tmp_path / "rtx.engine", device=Device("cuda")) as backend:
            backend.warmup()
    finally:
        monkeypatch.undo()


def source_files() -> list[Path]:
    folders = (Path(dwpose_infer.__file__).parent, Path(dwpose_infer.export.__file__).parent)
    return sorted({path for folder in folders for path in folder.rglob("*.py")})


@pytest.fixture(scope="module")
def syntax_uses():
    return {use for path in source_files() if uses_module(path) for use in uses_in(path)}


@pytest.fixture(scope="module")
def recorded_uses(tmp_path_factory):
    use_everything(tmp_path_factory.mktemp("recorded"))
    return set(USES)


@pytest.fixture(scope="module")
def report(bindings, syntax_uses, recorded_uses):
    folder, _ = bindings
    both = sorted(syntax_uses | recorded_uses)
    uses = [asdict(use) for use in both if not {use.owner, use.name} & RTX_ONLY]
    done = run(
        *(sys.executable, str(TESTS / "tensorrt_introspection.py"), str(folder)),
        input=json.dumps(uses),
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.slow
def test_the_lists_are_not_empty(syntax_uses, recorded_uses):
    """Both ways of collecting find what everybody knows is used."""
    names = {use.name for use in recorded_uses}
    assert {"build_serialized_network", "execute_async_v3", "step_complete", "TF32"} <= names
    in_syntax = {use.name for use in syntax_uses}
    assert {"build_serialized_network", "execute_async_v3", "step_complete", "TF32"} <= in_syntax


@pytest.mark.slow
def test_a_run_covers_what_the_source_says(syntax_uses, recorded_uses):
    """The fake knows the class of every method and attribute that the source names."""
    certain = {use for use in syntax_uses if use.owner != ANY and use.name != "__init__"}
    assert certain <= recorded_uses
    of_objects = {use.name for use in syntax_uses if use.owner == ANY}
    assert of_objects <= {use.name for use in recorded_uses}


@pytest.mark.slow
def test_the_vendors_module_has_everything_that_is_used(bindings, report):
    assert report["version"] == bindings[1]
    assert report["faults"] == {}


def test_tensorrt_for_rtx_has_everything_that_is_used(syntax_uses, recorded_uses):
    rtx = pytest.importorskip("tensorrt_rtx")
    assert {"get_engine_validity", "set_compute_capability"} <= {use.name for use in recorded_uses}
    faults = {use: find_fault(rtx, asdict(use)) for use in syntax_uses | recorded_uses}
    assert {use: fault for use, fault in faults.items() if fault is not None} == {}


@pytest.mark.slow
def test_the_comparison_finds_faults(bindings):
    """What is not there, or is there otherwise, is told."""
    wrong = [
        ("", "Bilder", "module", 0, ()),
        ("BuilderFlag", "NO_SUCH_FLAG", "member", 0, ()),
        ("Builder", "create_network", "call", 2, ()),
        ("Builder", "create_network", "call", 0, ("flag",)),
        ("Builder", "build_serialized_network", "call", 1, ()),
        ("IBuilderConfig", "max_workspace_size", "set", 0, ()),
        ("INetworkDefinition", "num_inputs", "set", 0, ()),
        ("INetworkDefinition", "num_inputs", "call", 0, ()),
        ("IProgressMonitor", "step_complete", "override", 3, ()),
        (ANY, "get_binding_shape", "call", 1, ()),
    ]
    keys = ("owner", "name", "kind", "positional", "keywords")
    uses = [dict(zip(keys, use, strict=True)) for use in wrong]
    done = run(
        *(sys.executable, str(TESTS / "tensorrt_introspection.py"), str(bindings[0])),
        input=json.dumps(uses),
    )
    assert done.returncode == 0, done.stderr
    assert len(json.loads(done.stdout)["faults"]) == len(
        {(owner, name, kind) for owner, name, kind, *_ in wrong}
    )


@pytest.mark.slow
def test_own_code_runs_on_the_vendors_module(bindings, report):
    own = report["own_code"]
    assert own["errors"] == ["reason"]
    assert own["is_logger"]
    assert own["is_monitor"]
    assert own["goes_on"] == [True, False]
    assert own["share"] == 1.0
    assert own["dims"] == [3, 256, 192]
    assert own["flag"] == (1 if bindings[1].startswith("10.") else 0)
    # The libraries made here give no builder, as real ones do without a GPU.
    assert f"TensorRT {bindings[1]} does not work here" in own["refused"]
    assert own["buffers"] == [True, False, True]  # bytes, a plain class, a serialised engine
