"""Damaged files of every kind end in an error of the package, soon and in little memory.

DWPOSE_FUZZ is the number of inputs of all readers together; what lies beyond the usual number
begins where that ends, so that a long run covers a short one.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from dwpose_infer.errors import DwposeError
from fuzz import run_reader
from fuzz_readers import READERS

INPUTS = int(os.environ.get("DWPOSE_FUZZ", "2000"))

NEEDED = {
    "pose files": ["pyarrow"],
    "checkpoints": ["torch", "safetensors"],
    "settings": ["torch"],
    "networks": ["onnx"],
    "videos": ["av"],
}
"""Reader -> packages without which there is nothing to test."""


@pytest.mark.slow
@pytest.mark.parametrize("name", READERS)
def test_damaged_files(name: str):
    for package in NEEDED.get(name, []):
        pytest.importorskip(package)
    inputs = max(1, round(INPUTS * READERS[name].share / 100))
    found = run_reader(name, first_seed=0, inputs=inputs, timeout_s=120 + 2.0 * inputs)
    assert not found, "\n".join(found)


@pytest.mark.slow
@pytest.mark.parametrize("name", READERS)
def test_the_files_are_sound_before_the_damage(name: str, tmp_path: Path):
    """Or the reader would stop at the first byte, whatever is done to the others."""
    for package in NEEDED.get(name, []):
        pytest.importorskip(package)
    samples = list(READERS[name].samples(tmp_path))
    assert len({sample.name for sample in samples}) == len(samples)
    for sample in samples:
        path = tmp_path / sample.name
        path.write_bytes(sample.data)
        READERS[name].read(path)
        damaged = sample.damage(sample.data, np.random.default_rng(7))
        assert damaged == sample.damage(sample.data, np.random.default_rng(7))


def test_what_is_no_error_of_the_package_is_found(tmp_path: Path, monkeypatch):
    from fuzz import fuzz_reader
    from fuzz_readers import Reader, Sample

    def read(path: Path) -> None:
        first = path.read_bytes()[:1]
        if first == b"a":
            raise DwposeError("the right one")
        raise KeyError("the wrong one")

    reader = Reader(lambda folder: iter([Sample("one.txt", b"abcdefgh")]), read, 1)
    monkeypatch.setitem(READERS, "made up", reader)
    found = fuzz_reader("made up", first_seed=0, inputs=50, progress=None)
    assert len(found) == 1
    assert found[0].startswith("made up, seed ")
    assert "KeyError at test_fuzz.py" in found[0]
