"""Memory stays flat, however many persons and pictures there are: peaks of a process of its own."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("resource")

BEGINNING = """
import resource, sys
from pathlib import Path

def peak_mib():
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)
"""

MANY_PERSONS = """
import numpy as np
from dwpose_infer import Predictor

image_bgr = np.random.default_rng(1).integers(0, 255, (800, 1600, 3), np.uint8)
corners = np.array([(x, y) for y in range(0, 800, 80) for x in range(0, 1600, 80)])
boxes = np.hstack([corners, corners + (60, 80)]).astype(np.float32)
with Predictor(detector=None, threads=2) as predictor:
    assert len(predictor(image_bgr, boxes=boxes[:100])) == 100
    before = peak_mib()
    assert len(predictor(image_bgr, boxes=boxes)) == 200
print(before, peak_mib())
"""

MANY_PICTURES = """
from dwpose_infer.cli.infer import main

few, many, out = sys.argv[1:]
options = ["--out", out, "--draw", "none", "--format", "json,csv", "--threads", "2", "--quiet"]
for _ in range(2):  # each opens the networks anew, which the allocators keep room for
    assert main([few, *options]) == 0
before = peak_mib()
assert main([many, *options]) == 0
assert len(list(Path(out).glob("many*.json"))) == 400
print(before, peak_mib())
"""


def peaks_mib(code, *arguments):
    command = [sys.executable, "-c", BEGINNING + code, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    return tuple(float(value) for value in done.stdout.split())


@pytest.mark.slow
def test_200_persons_on_one_picture_take_no_more_than_100():
    before, after = peaks_mib(MANY_PERSONS)
    assert after - before < 40  # the inputs of 100 persons, 3 x 256 x 192 float32: 56 MiB


@pytest.mark.slow
def test_a_folder_of_400_pictures_takes_no_more_than_one_of_60(tmp_path, rng):
    for name, count in (("few", 60), ("many", 400)):
        folder = tmp_path / name
        folder.mkdir()
        for number in range(count):
            pixels = rng.integers(0, 255, (192, 256, 3), np.uint8)
            Image.fromarray(pixels).save(folder / f"{name}{number}.bmp")
    before, after = peaks_mib(MANY_PICTURES, tmp_path / "few", tmp_path / "many", tmp_path / "out")
    assert after - before < 28  # 400 such pictures, decoded: 56 MiB
