"""Names, paths and places of models; no test here touches a network."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from dwpose_infer import zoo
from dwpose_infer.errors import (
    DownloadError,
    HashMismatchError,
    InvalidArgumentError,
    ModelNotFoundError,
)
from dwpose_infer.zoo import manifest, store
from dwpose_infer.zoo.lock import FileRecord, lock_path

CONTENT = b"\x08 not really a network"


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_, **__):
        raise AssertionError("a test of the zoo opened a socket")

    monkeypatch.setattr(socket.socket, "connect", refuse)


@pytest.fixture(autouse=True)
def home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("DWPOSE_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def downloads(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Downloads that were asked for; each writes a file of the size the manifest gives."""
    asked: list[Path] = []

    def fake(source, destination, *, progress=False):
        asked.append(destination)
        destination.parent.mkdir(parents=True, exist_ok=True)
        destination.write_bytes(CONTENT.ljust(source.size_bytes or len(CONTENT), b"\0"))

    monkeypatch.setattr(store, "download", fake)
    return asked


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> zoo.ModelSpec:
    """A pose model of known size and hash, beside the real ones."""
    spec = dataclasses.replace(
        zoo.get_spec("dwpose-m"),
        name="small",
        size_bytes=len(CONTENT),
        sha256=hashlib.sha256(CONTENT).hexdigest(),
    )
    models = {**{other.name: other for other in zoo.list_models()}, "small": spec}
    monkeypatch.setattr(manifest, "read_manifest", lambda: models)
    return spec


def put(path: Path, content: bytes = CONTENT, record: FileRecord | None = None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    if record is not None:
        entry = {"schema_version": 1, **dataclasses.asdict(record)}
        lock_path(path).write_text(json.dumps(entry))
    return path


# --- names and paths ------------------------------------------------------------------------


def test_an_existing_file_is_accepted_instead_of_a_name(tmp_path):
    path = put(tmp_path / "own model.onnx")
    assert zoo.resolve_model(path) == path
    assert zoo.resolve_model(str(path), kind="detector") == path


def test_a_home_sign_in_a_path_is_understood(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    path = put(tmp_path / "own.onnx")
    assert zoo.resolve_model("~/own.onnx") == path


@pytest.mark.parametrize(
    "missing", ["own.onnx", "./dwpose-t", "models/own", "OWN.ENGINE", "C:\\models\\own"]
)
def test_a_path_that_leads_nowhere_is_named(missing):
    with pytest.raises(ModelNotFoundError) as caught:
        zoo.resolve_model(missing)
    assert repr(str(Path(missing))) in str(caught.value)


def test_a_path_object_is_never_a_name():
    with pytest.raises(ModelNotFoundError, match="no model file 'dwpose-t'"):
        zoo.resolve_model(Path("dwpose-t"))


def test_an_unknown_name_is_answered_with_the_nearest_ones():
    with pytest.raises(ModelNotFoundError, match="dwpose-models list") as caught:
        zoo.resolve_model("DWPose-M384")
    assert "dwpose-m" in str(caught.value)
    with pytest.raises(ModelNotFoundError) as caught:
        zoo.get_spec("resnet")
    assert "nearest" not in str(caught.value)
    assert caught.value.exit_code == 4


def test_a_model_of_the_wrong_kind_is_refused(downloads):
    with pytest.raises(InvalidArgumentError, match="'yolox-l' is a detector") as caught:
        zoo.resolve_model("yolox-l", kind="pose")
    assert "dwpose-l-384" in str(caught.value) and "yolox-m" not in str(caught.value)
    assert downloads == []


def test_an_unknown_kind_is_refused():
    with pytest.raises(InvalidArgumentError, match="'face'"):
        zoo.list_models("face")  # type: ignore[arg-type]


def test_find_spec_knows_names_but_not_files(tmp_path):
    assert zoo.find_spec("dwpose-m") is zoo.get_spec("dwpose-m")
    assert zoo.find_spec("unheard-of") is None
    assert zoo.find_spec(put(tmp_path / "own.onnx")) is None
    assert zoo.find_spec(str(tmp_path / "own.onnx")) is None


# --- where files are ------------------------------------------------------------------------


def test_the_cache_folder_can_be_chosen(home, monkeypatch, tmp_path):
    spec = zoo.get_spec("dwpose-m")
    assert spec.file_path() == home / "models" / "dwpose-m.onnx"
    assert spec.file_path(home=tmp_path / "x") == tmp_path / "x" / "models" / "dwpose-m.onnx"
    monkeypatch.setenv("DWPOSE_HOME", "")
    monkeypatch.setattr("platformdirs.user_cache_dir", lambda name, **_: f"/caches/{name}")
    assert spec.file_path() == Path("/caches/dwpose_infer/models/dwpose-m.onnx")


def test_a_model_is_downloaded_only_where_it_is_not_cached(small, downloads, home):
    path = zoo.resolve_model("small")
    assert path == home / "models" / "small.onnx"
    assert downloads == [path]
    assert zoo.resolve_model("small") == zoo.find_model("small") == path
    assert downloads == [path]
    assert zoo.download_model("small") == path
    assert downloads == [path]
    zoo.download_model("small", force=True)
    assert downloads == [path, path]


def test_a_cached_file_of_the_wrong_size_is_not_used(small, downloads):
    path = put(small.file_path(), CONTENT[:-1])
    assert zoo.find_model("small") is None
    zoo.resolve_model("small")
    assert downloads == [path]


def test_an_empty_file_is_never_a_model(downloads):
    put(zoo.get_spec("dwpose-t").file_path(), b"")
    assert zoo.find_model("dwpose-t") is None


def test_using_a_cached_model_does_not_read_it(small, monkeypatch):
    path = put(small.file_path())
    monkeypatch.setattr(store, "sha256_of", lambda _: pytest.fail("hashed at use"))
    assert zoo.resolve_model("small") == path


def test_a_file_from_before_the_manifest_changed_is_not_used(small):
    path = put(small.file_path(), record=FileRecord("https://a", len(CONTENT), "0" * 64))
    assert zoo.find_model("small") is None
    put(path, record=FileRecord("https://a", len(CONTENT), small.sha256))
    assert zoo.find_model("small") == path


def test_without_published_size_the_recorded_one_counts():
    path = zoo.get_spec("dwpose-t").file_path()
    put(path, record=FileRecord("https://a", len(CONTENT), "0" * 64))
    assert zoo.find_model("dwpose-t") == path
    put(path, CONTENT + b"more")
    assert zoo.find_model("dwpose-t") is None


def test_a_file_put_there_by_hand_is_used(downloads, caplog):
    path = put(zoo.get_spec("dwpose-t").file_path())
    assert zoo.resolve_model("dwpose-t", offline=True) == path
    assert zoo.download_model("dwpose-t") == path
    assert "cannot be checked" in caplog.text
    assert downloads == []


def test_a_damaged_file_is_found_by_its_hash(small, downloads, caplog):
    path = put(small.file_path(), CONTENT[:-1] + b"?")
    assert zoo.resolve_model("small") == path  # the size is right, and more is not looked at
    with pytest.raises(HashMismatchError, match="damaged"):
        zoo.download_model("small", offline=True)
    assert zoo.download_model("small") == path
    assert path.read_bytes() == CONTENT
    assert "downloading it again" in caplog.text


def test_bundled_models_come_from_the_package(monkeypatch, tmp_path, downloads):
    monkeypatch.setattr(manifest, "package_file", tmp_path.joinpath)
    for name in ("dwpose-s-bundled", "dwpose-t-bundled", "yolox-nano-person-bundled"):
        assert zoo.find_model(name) is None
        with pytest.raises(ModelNotFoundError, match="install dwpose-infer again"):
            zoo.resolve_model(name)
        path = put(tmp_path / "weights" / f"{name}.onnx")
        assert zoo.resolve_model(name, offline=True) == path
    assert downloads == []


def test_bundled_models_are_those_of_the_manifest(downloads):
    for name in ("dwpose-s-bundled", "dwpose-t-bundled", "yolox-nano-person-bundled"):
        spec = zoo.get_spec(name)
        path = zoo.download_model(name, force=True)  # reads the file and compares its hash
        assert path.stat().st_size == spec.size_bytes
    assert downloads == []


def test_a_bundled_model_that_was_changed_is_noticed(small, monkeypatch, tmp_path):
    path = put(tmp_path / "weights" / "small.onnx")
    bundled = dataclasses.replace(small, bundled_file="small.onnx", urls=())
    monkeypatch.setattr(manifest, "read_manifest", lambda: {"small": bundled})
    monkeypatch.setattr(manifest, "package_file", tmp_path.joinpath)
    assert zoo.download_model("small") == path
    put(path, CONTENT[:-1] + b"?")
    with pytest.raises(HashMismatchError, match="install dwpose-infer again"):
        zoo.download_model("small")


# --- offline --------------------------------------------------------------------------------


@pytest.mark.parametrize("value", ["1", "true", "YES", " on "])
def test_offline_by_environment(value, monkeypatch, downloads, home):
    monkeypatch.setenv("DWPOSE_OFFLINE", value)
    with pytest.raises(DownloadError) as caught:
        zoo.resolve_model("dwpose-t")
    message = str(caught.value)
    assert str(home / "models" / "dwpose-t.onnx") in message
    assert "dwpose-models download dwpose-t" in message
    assert "end2end.onnx out of https://" in message
    assert downloads == []
    zoo.resolve_model("dwpose-t", offline=False)
    assert len(downloads) == 1


@pytest.mark.parametrize("value", ["", "0", "false", "No", "off"])
def test_online_by_environment(value, monkeypatch):
    monkeypatch.setenv("DWPOSE_OFFLINE", value)
    assert not zoo.is_offline()


def test_a_switch_that_is_neither_on_nor_off_is_refused(monkeypatch):
    monkeypatch.setenv("DWPOSE_OFFLINE", "maybe")
    with pytest.raises(InvalidArgumentError, match="maybe"):
        zoo.is_offline()


def test_offline_advice_for_a_file_of_the_wrong_size(small, downloads):
    path = put(small.file_path(), b"cut off")
    with pytest.raises(DownloadError, match="not the expected file") as caught:
        zoo.resolve_model("small", offline=True)
    assert f"delete {lock_path(path)}" in str(caught.value)


def test_importing_the_zoo_loads_no_network_library():
    program = (
        "import sys, dwpose_infer.zoo\n"
        "heavy = {'requests', 'tqdm', 'platformdirs', 'numpy', 'cv2', 'onnxruntime'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    folder = Path(zoo.__file__).parents[2]
    result = subprocess.run(
        [sys.executable, "-c", program], cwd=folder, capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "[]"
