from __future__ import annotations

import io
import os
import pickle
import zipfile
from collections import Counter, OrderedDict, deque
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from dwpose_infer.errors import ModelFormatError, ModelNotFoundError
from dwpose_infer.models import restricted_pickle
from dwpose_infer.models.restricted_pickle import InertObject
from dwpose_infer.models.torch_archive import TorchArchive

both_formats = pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])


class Evil:
    """Makes a folder when it is unpickled."""

    def __init__(self, folder):
        self.folder = str(folder)

    def __reduce__(self):
        return os.mkdir, (self.folder,)


def save(tree, path, zipped=True):
    torch.save(tree, path, _use_new_zipfile_serialization=zipped)
    return path


def read_all(path):
    with TorchArchive(path) as archive:
        return {name: archive.read(tensor) for name, tensor in archive.tree.items()}


@both_formats
def test_tensors_come_back_as_they_were(tmp_path, zipped):
    base = torch.arange(24, dtype=torch.float32).reshape(4, 6)
    tensors = {
        "plain": base,
        "transposed": base.T,
        "slice": base[1:3, 2:5],
        "channels_last": torch.randn(2, 3, 4, 5).to(memory_format=torch.channels_last),
        "number": torch.tensor(7),
        "none": torch.empty(0, 3),
        "half": torch.randn(5).half(),
        "bfloat16": torch.randn(5).bfloat16(),
        "double": torch.randn(5).double(),
        "flags": torch.tensor([True, False]),
        "bytes": torch.arange(5, dtype=torch.uint8),
        "parameter": torch.nn.Parameter(torch.randn(3)),
    }
    back = read_all(save(OrderedDict(tensors), tmp_path / "a.pth", zipped))
    assert list(back) == list(tensors)
    for name, tensor in tensors.items():
        assert back[name].dtype == tensor.dtype
        assert torch.equal(back[name], tensor.detach())
        assert back[name].is_contiguous()


def test_kernels_kept_in_channels_last_order_get_ordinary_strides(tmp_path):
    kernel = torch.randn(8, 4, 1, 1).to(memory_format=torch.channels_last)
    assert kernel.stride() == (4, 1, 4, 4)
    assert read_all(save({"k": kernel}, tmp_path / "a.pth"))["k"].stride() == (4, 1, 1, 1)


@both_formats
def test_foreign_code_does_not_run(tmp_path, zipped):
    pickle.loads(pickle.dumps(Evil(tmp_path / "control")))
    assert (tmp_path / "control").is_dir()  # so the attack works where nothing stops it

    tree = {"w": torch.ones(2), "meta": [Evil(tmp_path / "harm"), np.float64(1), np.zeros(3)]}
    path = save(tree, tmp_path / "a.pth", zipped)
    with TorchArchive(path) as archive:
        assert torch.equal(archive.read(archive.tree["w"]), torch.ones(2))
        assert all(isinstance(item, InertObject) for item in archive.tree["meta"])
    assert not (tmp_path / "harm").exists()


@both_formats
def test_objects_with_state_items_and_elements_become_inert(tmp_path, zipped):
    tree = [
        Path("somewhere"),
        Counter("aab"),
        deque([1, 2]),
        np.random.default_rng(0),
        torch.nn.Linear(2, 2),
        torch.Size([1, 2]),
    ]
    with TorchArchive(save(tree, tmp_path / "a.pth", zipped)) as archive:
        assert {type(item) for item in archive.tree} == {InertObject}


def write_zip(path, data_pkl, **members):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a/data.pkl", data_pkl)
        for name, content in members.items():
            archive.writestr(f"a/data/{name}", content)
    return path


def test_a_pickle_cannot_change_the_functions_it_is_lent(tmp_path):
    # GLOBAL, state {"_function": 1} and BUILD; protocol 2's STOP at the end
    attack = b"\x80\x02c_codecs\nencode\n}X\x09\x00\x00\x00_functionK\x01sb."
    write_zip(tmp_path / "a.pth", attack)
    with TorchArchive(tmp_path / "a.pth"):
        pass
    encode = restricted_pickle.KNOWN_NAMES["_codecs", "encode"]
    assert encode("é", "latin1") == b"\xe9"


def pickle_of_a_tensor(count=4, offset=0, shape=(4,), stride=(1,)):
    class Rebuilt:
        def __reduce__(self):
            arguments = (Stored(), offset, shape, stride, False, OrderedDict())
            return torch._utils._rebuild_tensor_v2, arguments

    class Stored:
        pass

    class Pickler(pickle.Pickler):
        def persistent_id(self, item):
            if isinstance(item, Stored):
                return ("storage", torch.FloatStorage, "0", "cpu", count)
            return None

    buffer = io.BytesIO()
    Pickler(buffer, protocol=2).dump({"w": Rebuilt()})
    return buffer.getvalue()


def test_a_tensor_written_by_hand_is_read(tmp_path):
    numbers = np.arange(4, dtype="<f4")
    path = write_zip(tmp_path / "a.pth", pickle_of_a_tensor(), **{"0": numbers.tobytes()})
    assert read_all(path)["w"].tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize(
    "lie",
    [
        {"count": 10**12},
        {"count": -1},
        {"count": 5},
        {"shape": (5,)},
        {"offset": 1},
        {"offset": -1},
        {"stride": (2,)},
        {"stride": (-1,)},
        {"shape": (2, 2)},
        {"shape": (1000, 1000), "stride": (0, 0)},
        {"shape": ("4",)},
        {"shape": 4},
    ],
    ids=str,
)
def test_tensors_that_do_not_fit_their_storage_are_refused(tmp_path, lie):
    path = write_zip(tmp_path / "a.pth", pickle_of_a_tensor(**lie), **{"0": bytes(16)})
    with pytest.raises(ModelFormatError):
        read_all(path)


def test_a_missing_storage_is_refused(tmp_path):
    path = write_zip(tmp_path / "a.pth", pickle_of_a_tensor())
    with pytest.raises(ModelFormatError, match="lacks the data"):
        read_all(path)


@both_formats
@pytest.mark.parametrize("kept", [0, 1, 30, 0.3, 0.6, -1])
def test_cut_files_are_refused(tmp_path, zipped, kept):
    whole = save({"w": torch.randn(100)}, tmp_path / "a.pth", zipped).read_bytes()
    length = int(kept * len(whole)) if isinstance(kept, float) else kept
    (tmp_path / "cut.pth").write_bytes(whole[:length])
    with pytest.raises(ModelFormatError, match=r"cut\.pth"):
        read_all(tmp_path / "cut.pth")


@pytest.mark.parametrize(
    "content",
    [b"", b"\x08\x07ONNX", b"<html>", pickle.dumps({"w": 1}), b"PK\x03\x04 not really"],
)
def test_other_files_are_refused(tmp_path, content):
    (tmp_path / "a.pth").write_bytes(content)
    with pytest.raises(ModelFormatError, match=r"a\.pth"):
        TorchArchive(tmp_path / "a.pth")


def test_compressed_archives_are_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.pth", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a/data.pkl", bytes(10**6))
    with pytest.raises(ModelFormatError, match="compressed"):
        TorchArchive(tmp_path / "a.pth")


def test_missing_files_and_folders(tmp_path):
    with pytest.raises(ModelNotFoundError):
        TorchArchive(tmp_path / "none.pth")
    with pytest.raises(ModelFormatError):
        TorchArchive(tmp_path)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"Nr\xff\xff\xff\x1f.", "skips places in its memo"),  # LONG_BINPUT of 2**29
        (b"Np99999999\n.", "skips places in its memo"),
        (b"\x8e" + (2**40).to_bytes(8, "little") + b"x.", "a text longer than the file"),
        (b"\x95" + (2**40).to_bytes(8, "little") + b"N.", "a frame longer than the file"),
    ],
)
def test_a_small_pickle_takes_little_memory(tmp_path, body, message):
    """Python's own unpickler makes a table of 4 GB for the first of these ten bytes."""
    path = tmp_path / "small.pth"
    path.write_bytes(b"\x80\x04" + body)
    with pytest.raises(ModelFormatError, match=message):
        TorchArchive(path)
