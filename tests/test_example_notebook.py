"""The example notebook is run as it stands, by a kernel, as a reader's would be."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from base64 import b64decode
from pathlib import Path

import cv2
import numpy as np
import pytest

NOTEBOOK = Path(__file__).resolve().parent.parent / "docs" / "example.ipynb"


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """The folder it ran in, and its cells of code, with their outputs."""
    for needed in ("nbclient", "ipykernel", "av", "matplotlib", "pandas"):
        pytest.importorskip(needed)
    tree = tmp_path_factory.mktemp("tree")
    for name in ("docs/example.ipynb", "tests/photos/astronaut.jpg"):
        (tree / name).parent.mkdir(parents=True)
        shutil.copy(NOTEBOOK.parents[1] / name, tree / name)
    # Nothing of what the user has set up for Jupyter and IPython.
    own = {name: str(tree) for name in ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "IPYTHONDIR")}
    done = subprocess.run(
        [Path(sys.executable).with_name("jupyter-execute"), "--inplace", "docs/example.ipynb"],
        cwd=tree,
        env=os.environ | own | {"DWPOSE_OFFLINE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return tree / "docs", code_cells(tree / "docs" / "example.ipynb")


def code_cells(path):
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return [cell for cell in cells if cell["cell_type"] == "code"]


def shown(cells, kind):
    """What the cells gave of a kind, such as text/plain, by the last line of the cell."""
    return {
        cell["source"][-1]: "".join(output["data"][kind])
        for cell in cells
        for output in cell["outputs"]
        if kind in output.get("data", {})
    }


def test_it_is_committed_without_outputs():
    """They would grow old, and nobody would see it."""
    notebook = json.loads(NOTEBOOK.read_text(encoding="utf-8"))
    for cell in code_cells(NOTEBOOK):
        assert cell["outputs"] == []
        assert cell["execution_count"] is None
    assert set(notebook["metadata"]) == {"kernelspec", "language_info"}  # no editor's own


@pytest.mark.slow
def test_what_it_shows(ran):
    _, cells = ran
    texts, pictures = shown(cells, "text/plain"), shown(cells, "image/png")
    assert texts["result"].startswith("PoseResult(1 person, 512x512 pixels")
    picture = cv2.imdecode(np.frombuffer(b64decode(pictures["result"]), np.uint8), 1)
    assert picture.shape == (512, 512, 3)
    assert "ids 1" in texts["frame.result"]
    assert texts["points.shape"] == "(24, 1, 133, 3)"
    assert {"figure.tight_layout()", "frame.result"} < pictures.keys()
    (table,) = [page for line, page in shown(cells, "text/html").items() if "0.3" in line]
    # Of the body's 17 points the head's five, shoulders, right elbow and hip, by the bundled
    # network: the portrait ends at the hips, and of the left elbow it is less sure (0.27).
    assert table.count("<tr") - 1 == 9
    streams = [output.get("name") for cell in cells for output in cell["outputs"]]
    assert "stderr" not in streams


@pytest.mark.slow
def test_what_it_writes(ran):
    folder, _ = ran
    written = folder / "dwpose-out"
    pose = json.loads((written / "astronaut_openpose.json").read_text(encoding="utf-8"))
    (person,) = pose["people"]
    assert person["pose_keypoints_2d"][0] == pytest.approx(
        223, abs=4
    )  # the nose, read off the photo
    canvas = cv2.imread(str(written / "astronaut_openpose.png"))
    assert canvas.shape == (768, 768, 3)
    assert len((written / "clip.jsonl").read_text(encoding="utf-8").splitlines()) == 24
