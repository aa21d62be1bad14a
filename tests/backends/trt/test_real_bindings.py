"""A CUDA driver of paper, compiled here: what this package asks a driver, in C's own terms.

Where cuda-python or pycuda is installed, the real package stands between.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from dwpose_infer.backends.tensorrt.cuda_bindings import installed_binding

HERE = Path(__file__).parent
COMPILER = shutil.which("gcc") or shutil.which("cc")

pytestmark = pytest.mark.skipif(
    COMPILER is None or not sys.platform.startswith("linux"), reason="no C compiler on Linux"
)


@pytest.fixture(scope="module")
def paper_driver(tmp_path_factory) -> dict[str, str]:
    """Environment variables that put the driver of paper into a new process."""
    folder = tmp_path_factory.mktemp("driver")
    library = folder / "libcuda.so.1"
    others = folder / "others.c"
    others.write_text(
        "".join(f"int {name}(void) {{ return 801; }}\n" for name in wanted_by_pycuda())
    )
    options = ["-shared", "-fPIC", "-Wl,-soname,libcuda.so.1", "-o", library]
    subprocess.run([COMPILER, *options, HERE / "fake_libcuda.c", others], check=True)
    return os.environ | {"LD_PRELOAD": str(library)}


def wanted_by_pycuda() -> list[str]:
    """Functions of the driver that pycuda is linked to and the driver of paper has not."""
    spec = find_spec("pycuda")
    if spec is None or not spec.submodule_search_locations:
        return []
    (binary,) = Path(spec.submodule_search_locations[0]).glob("_driver*.so")
    listed = subprocess.run(
        ["nm", "-D", "--undefined-only", binary], capture_output=True, text=True, check=True
    ).stdout
    known = set(re.findall(r"^CUresult (cu\w+)\(", (HERE / "fake_libcuda.c").read_text(), re.M))
    return sorted(set(re.findall(r"\bcu[A-Z]\w+", listed)) - known)


def run(environment, *arguments) -> str:
    return subprocess.run(
        [sys.executable, *arguments], env=environment, capture_output=True, text=True, check=True
    ).stdout


def test_driver_is_asked_for_its_gpus(paper_driver):
    script = "from dwpose_infer.backends.tensorrt.system import find_driver; print(find_driver())"
    assert run(paper_driver, "-c", script).strip() == (
        "Driver(cuda_version=(12, 6), gpus=('cuda:0 Paper GPU, 2 GiB, compute capability 8.6', "
        "'cuda:1 Paper GPU Ti, 4 GiB, compute capability 9.6'), problem=None)"
    )


@pytest.mark.skipif(find_spec("tensorrt") is not None, reason="TensorRT is installed")
def test_a_driver_of_cuda_12_gets_the_wheels_for_it(paper_driver):
    script = (
        "from dwpose_infer.backends.tensorrt.products import TENSORRT; "
        "from dwpose_infer.backends.tensorrt.system import tensorrt_problems; "
        "print(tensorrt_problems(TENSORRT))"
    )
    problems = run(paper_driver, "-c", script)
    assert '"tensorrt-cu12>=10" "cuda-python>=12.6,<13"' in problems
    assert "driver" not in problems


@pytest.mark.skipif(installed_binding() is None, reason="neither cuda-python nor pycuda is here")
def test_the_installed_package_speaks_to_the_driver_as_expected(paper_driver):
    facts = json.loads(run(paper_driver, HERE / "real_binding_script.py"))
    assert facts["name"] == "Paper GPU Ti"
    assert facts["capability"] == [9, 6]
    assert facts["free_total"] == [1 << 23, 1 << 24]
    assert facts["same"] is True
    assert facts["numbers"] == ["int", "int"]
    assert facts["no_memory"][0] == "DeviceMemoryError"
    assert "CUDA_ERROR_OUT_OF_MEMORY" in facts["no_memory"][1]
    assert facts["outside"][0] == "InferenceError"
    assert "there is no GPU 2" in facts["no_such"][1]
    assert facts["depth"] == 0
    # pycuda keeps the context, and only that, until the process ends.
    assert facts["live"] == (1 if facts["binding"].startswith("pycuda") else 0)
