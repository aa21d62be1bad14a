from __future__ import annotations

import os
import subprocess
import sys

import pytest

from dwpose_infer import cores

needs_two = pytest.mark.skipif(len(cores._mask()) < 2, reason="one core alone")


def machine(tmp_path, *, cgroup="", files=(), siblings=()):
    """A folder with the files in which a kernel says all this."""
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/self/cgroup").write_text(cgroup)
    for name, text in files:
        path = tmp_path / "sys/fs/cgroup" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{text}\n")
    for cpu, text in enumerate(siblings):
        path = tmp_path / f"sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list"
        path.parent.mkdir(parents=True)
        path.write_text(f"{text}\n")
    return tmp_path


@pytest.fixture
def eight(monkeypatch):
    """A machine of eight hardware threads, all of them in the mask."""
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    monkeypatch.setattr(cores, "_mask", lambda: set(range(8)))


@pytest.mark.usefixtures("eight")
@pytest.mark.parametrize(
    ("cgroup", "files", "usable", "threads"),
    [
        ("", [], 8, None),
        ("0::/\n", [("cpu.max", "max 100000")], 8, None),
        ("0::/\n", [("cpu.max", "800000 100000")], 8, None),
        ("0::/\n", [("cpu.max", "250000 100000")], 2, 2),
        ("0::/\n", [("cpu.max", "50000 100000")], 1, 1),
        # The group's own limit is wider than that of the one around it.
        (
            "0::/pod/box\n",
            [("pod/box/cpu.max", "600000 100000"), ("pod/cpu.max", "300000 100000")],
            3,
            3,
        ),
        (
            "4:memory:/docker/a\n3:cpu,cpuacct:/docker/a\n",
            [
                ("cpu/docker/a/cpu.cfs_quota_us", "400000"),
                ("cpu/docker/a/cpu.cfs_period_us", "100000"),
                ("cpu/cpu.cfs_quota_us", "-1"),
                ("cpu/cpu.cfs_period_us", "100000"),
            ],
            4,
            4,
        ),
        ("0::/\n", [("cpu.max", "damaged")], 8, None),
        ("no colons\n", [("cpu.max", "100000 0")], 8, None),
    ],
)
def test_quotas_of_containers(tmp_path, cgroup, files, usable, threads):
    root = machine(tmp_path, cgroup=cgroup, files=files)
    assert cores.usable_cores(root=root) == usable
    assert cores.limited_threads(root=root) == threads


def test_a_mask_counts_physical_cores(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    monkeypatch.setattr(cores, "_mask", lambda: {0, 1, 4, 5})
    root = machine(tmp_path, siblings=["0,4", "1,5", "2,6", "3,7", "0,4", "1,5", "2,6", "3,7"])
    assert cores.usable_cores(root=root) == 4
    assert cores.limited_threads(root=root) == 2  # two threads of each of two cores
    assert cores.limited_threads(root=tmp_path / "nothing") == 4


_THREADS = """
import os, pathlib
os.sched_setaffinity(0, {{min(os.sched_getaffinity(0))}})
import numpy as np
from dwpose_infer import Predictor
with Predictor(backend={backend!r}) as predictor:
    predictor(np.zeros((300, 300, 3), np.uint8))
    allowed = os.sched_getaffinity(0)
    for task in pathlib.Path("/proc/self/task").iterdir():
        assert os.sched_getaffinity(int(task.name)) <= allowed, task
print("inside")
"""


@pytest.mark.slow
@needs_two
@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="masks are Linux's")
@pytest.mark.parametrize(("backend", "package"), [("ort", "onnxruntime"), ("openvino", "openvino")])
def test_no_thread_leaves_the_mask(backend, package):
    """ONNX Runtime 1.32 by itself pins a thread to every core of the machine, whatever the mask."""
    pytest.importorskip(package)
    run = subprocess.run(
        [sys.executable, "-c", _THREADS.format(backend=backend)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.stdout == "inside\n", run.stderr
