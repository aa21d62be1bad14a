"""What can be said without installing anything; `make consumers` does the rest."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

from dwpose_infer.cli.presets import PRESETS

HERE = Path(__file__).parent
PAGE = (HERE.parents[1] / "docs" / "formats.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def runner():
    sys.path.insert(0, str(HERE))
    try:
        spec = importlib.util.spec_from_file_location("run_consumers", HERE / "run.py")
        module = importlib.util.module_from_spec(spec)
        sys.modules["run_consumers"] = module
        spec.loader.exec_module(module)
        yield module
    finally:
        sys.path.remove(str(HERE))


def test_the_table_has_every_consumer_with_the_version_tried(runner):
    table = PAGE.partition(runner.BEGIN)[2].partition(runner.END)[0]
    assert "failed" not in table
    rows = [line for line in table.splitlines() if line.startswith("| ")]
    assert len(rows) == 1 + len(runner.CONSUMERS)
    for consumer, row in zip(runner.CONSUMERS, rows[1:], strict=True):
        assert row.startswith(f"| {consumer.tried} | {consumer.files} | "), row


def test_every_preset_is_read_with_the_real_package(runner):
    tried = " ".join(consumer.files for consumer in runner.CONSUMERS)
    assert [name for name in PRESETS if f"--for {name}`" not in tried] == []
    assert [name for name in PRESETS if f"`{name}`" not in PAGE] == []


def test_every_script_is_run(runner):
    scripts = {path.name for path in HERE.glob("read_*.py")} | {"draw_controlnet_aux.py"}
    assert {consumer.script for consumer in runner.CONSUMERS} == scripts
    assert all("==" in each for item in runner.CONSUMERS for each in item.packages + item.alone)


def test_pycocotools_reads_our_files_by_name(runner, tmp_path):
    pytest.importorskip("pycocotools")
    runner.write_all(tmp_path)
    command = [sys.executable, HERE / "read_pycocotools.py", tmp_path]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "results: 798 points" in done.stdout
    labels = tmp_path / "dataset_wholebody.json"
    labels.write_text(labels.read_text().replace("104.25", "105.25"))
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "not [104.25" in done.stderr
