from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from configparser import ConfigParser
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """A wheel built from a copy of the tree, with the build tools that are installed."""
    pytest.importorskip("build")
    folder = tmp_path_factory.mktemp("wheel")
    ignore = shutil.ignore_patterns(
        "build", "dist", "node_modules", "*.egg-info", "__pycache__", ".*"
    )
    shutil.copytree(ROOT, folder / "tree", ignore=ignore)
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder]
    subprocess.run([*command, folder / "tree"], check=True, capture_output=True)
    (path,) = folder.glob("*.whl")
    with zipfile.ZipFile(path) as archive:
        yield archive


@pytest.mark.slow
def test_every_path_belongs_to_the_package(wheel):
    assert {name.split("/")[0] for name in wheel.namelist()} == {
        "dwpose_infer",
        next(name.split("/")[0] for name in wheel.namelist() if name.endswith("METADATA")),
    }
    assert all(name.startswith("dwpose_infer") for name in wheel.namelist())


def test_every_module_of_the_mapped_folders_is_in_it(wheel):
    names = set(wheel.namelist())
    for folder, place in (
        ("dwpose_infer", "dwpose_infer"),
        ("models", "dwpose_infer/models"),
        ("benchmarks", "dwpose_infer/benchmarks"),
        ("export", "dwpose_infer/export"),
    ):
        for path in (ROOT / folder).rglob("*.py"):
            assert f"{place}/{path.relative_to(ROOT / folder).as_posix()}" in names


def test_data_and_licences_are_in_it(wheel):
    names = set(wheel.namelist())
    for name in (
        "dwpose_infer/py.typed",
        "dwpose_infer/zoo/manifest.json",
        "dwpose_infer/formats/schemas/coco-dataset.schema.json",
        "dwpose_infer/weights/dwpose-s-bundled.onnx",
        "dwpose_infer/weights/dwpose-t-bundled.onnx",
        "dwpose_infer/weights/yolox-nano-person-bundled.onnx",
        "dwpose_infer/weights/LICENSE-WEIGHTS.md",
        "dwpose_infer/export/crops/astronaut.jpg",
    ):
        assert name in names
    for name in ("LICENSE", "THIRD_PARTY.md"):
        assert any(found.endswith(f"licenses/{name}") for found in names)


def test_the_licence_names_the_terms_of_the_weights(wheel):
    (name,) = [name for name in wheel.namelist() if name.endswith("METADATA")]
    lines = wheel.read(name).decode().splitlines()
    assert "License-Expression: Apache-2.0 AND LicenseRef-dwpose-infer-weights" in lines
    assert "License-File: dwpose_infer/weights/LICENSE-WEIGHTS.md" in lines


def test_the_page_of_an_index_leads_nowhere_wrong(wheel):
    """An index shows the README alone: no picture and no link may need the files beside it."""
    (name,) = [name for name in wheel.namelist() if name.endswith("METADATA")]
    head, _, page = wheel.read(name).decode().partition("\n\n")
    assert "Description-Content-Type: text/markdown" in head
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert re.findall(r"^#+ .*$", page, re.M) == re.findall(r"^#+ .*$", readme, re.M)
    assert "](docs/python.md)" in readme and " docs/python.md" in page  # named, without a link
    assert [to for to in re.findall(r"\]\(([^)]*)\)", page) if not to.startswith("https://")] == []
    assert "![" not in page and "<!--" not in page
    assert "| ours, beside rtmlib |" in page  # tables stay


@pytest.mark.slow
def test_a_source_distribution_has_what_the_tests_need(tmp_path):
    pytest.importorskip("build")
    tracked = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if tracked.returncode != 0:
        pytest.skip("this is no checkout")
    files = [name for name in tracked.stdout.split("\0") if name and (ROOT / name).is_file()]
    for name in files:
        (tmp_path / "tree" / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / "tree" / name)
    command = [sys.executable, "-m", "build", "--sdist", "--no-isolation", "--outdir", tmp_path]
    subprocess.run([*command, tmp_path / "tree"], check=True, capture_output=True)
    (path,) = tmp_path.glob("*.tar.gz")
    with tarfile.open(path) as archive:
        found = {name.partition("/")[2] for name in archive.getnames()}
    assert set(files) - {".ci/run", ".gitignore"} <= found


def test_size(wheel):
    packed = sum(entry.compress_size for entry in wheel.infolist())
    assert packed < 40e6


def test_inference_install_is_light():
    setup = ConfigParser()
    setup.read(ROOT / "setup.cfg", encoding="utf-8")
    required = setup["options"]["install_requires"].lower()
    for heavy in ("torch", "onnxruntime", "mmcv", "mmpose", "scipy", "pandas", "matplotlib"):
        assert heavy not in required


def test_whatever_brings_pyav_brings_one_that_videos_are_read_with():
    setup = ConfigParser()
    setup.read(ROOT / "setup.cfg", encoding="utf-8")
    extras = setup["options.extras_require"]
    wanted = {re.search(r"^av.*$", extras[name], re.M)[0] for name in ("video", "pose-format")}
    assert wanted == {"av>=17,<19"}


def test_versions_of_python_are_those_that_were_run():
    setup = ConfigParser()
    setup.read(ROOT / "setup.cfg", encoding="utf-8")
    named = re.findall(r"Python :: (3\.\d+)", setup["metadata"]["classifiers"])
    assert setup["options"]["python_requires"] == f">={named[0]}"
    page = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    section = page.partition("## Versions of Python")[2].partition("\n## ")[0]
    assert "All tests are run on 3.11." in section
    tried = re.findall(r"(3\.\d+)\.\d+", "".join(re.findall(r"^\| 3.*?\|", section, re.M)))
    assert sorted([*tried, "3.11"]) == sorted(named)


def test_constraints_pin_what_the_tests_run_with():
    from importlib import metadata

    if sys.version_info[:2] != (3, 11):
        pytest.skip("the versions are pinned for Python 3.11")
    pins = dict(
        line.split("==")
        for line in (ROOT / "constraints.txt").read_text().splitlines()
        if line and not line.startswith("#")
    )
    assert pins["torch"] == "2.13.0"
    for name, version in pins.items():
        try:
            installed = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
        assert installed.split("+")[0] == version, name


@pytest.mark.parametrize(("name", "extra"), [("demo", "cpu"), ("test", "dev")])
def test_hashes_of_what_the_two_commands_install(name, extra):
    text = (ROOT / f"requirements-{name}.txt").read_text()
    pins = dict(re.findall(r"^([A-Za-z0-9_.-]+)==([^ ;]+)", text, re.M))
    entries = re.split(r"^(?=[A-Za-z0-9])", text, flags=re.M)[1:]
    assert len(entries) == len(pins)
    assert all(re.search(r"--hash=sha256:[0-9a-f]{64}", entry) for entry in entries)
    pinned = dict(re.findall(r"^([^#=]+)==(.+)$", (ROOT / "constraints.txt").read_text(), re.M))
    pinned = {key.lower().replace("_", "-"): version for key, version in pinned.items()}
    shared = pins.keys() & pinned.keys()
    assert {key: pins[key] for key in shared} == {key: pinned[key] for key in shared}
    settings = ConfigParser()
    settings.read(ROOT / "setup.cfg")
    wanted = settings["options"]["install_requires"] + settings["options.extras_require"]["cpu"]
    needed = {re.match(r"[a-z0-9-]+", line)[0] for line in wanted.split("\n") if line}
    assert needed | {"setuptools"} <= pins.keys()
    assert f"--extra {extra} " in text
