"""The command `dwpose-models`: what it prints, and with which status it ends."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dwpose_infer import zoo
from dwpose_infer._version import __version__
from dwpose_infer.cli import models as cli_models
from dwpose_infer.errors import DownloadError
from dwpose_infer.zoo import manifest, store

CONTENT = b"\x08 not really a network"
UNPUBLISHED = "dwpose-t"  # neither size nor hash are published: any content will do


@pytest.fixture(autouse=True)
def folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("DWPOSE_HOME", str(tmp_path))
    monkeypatch.delenv("DWPOSE_OFFLINE", raising=False)
    monkeypatch.setattr(
        manifest, "package_file", lambda *parts: tmp_path.joinpath("package", *parts)
    )
    return tmp_path / "models"


@pytest.fixture(scope="module", autouse=True)
def _manifest_is_read() -> None:
    zoo.list_models()


@pytest.fixture(autouse=True)
def downloads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the files downloaded; "yolox-m" cannot be had."""
    asked: list[str] = []

    def fake(source, destination, *, progress=False):
        assert not progress  # standard error is no terminal here
        asked.append(destination.name)
        if destination.stem == "yolox-m":
            raise DownloadError("could not download yolox-m.onnx (no connection)")
        destination.parent.mkdir(parents=True, exist_ok=True)
        destination.write_bytes(CONTENT.ljust(source.size_bytes or len(CONTENT), b"\0"))

    monkeypatch.setattr(store, "download", fake)
    return asked


def put(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(CONTENT)
    return path


def rows(text: str) -> dict[str, list[str]]:
    table, _, _ = text.partition("\n\n")
    return {line.split()[0]: line.split() for line in table.splitlines()}


def test_list_shows_each_model_with_size_accuracy_and_place(folder, tmp_path, capsys):
    put(folder / f"{UNPUBLISHED}.onnx")
    put(tmp_path / "package" / "weights" / "dwpose-t-bundled.onnx")
    assert cli_models.main(["list"]) == 0
    table = rows(capsys.readouterr().out)
    assert table["name"] == ["name", "kind", "input", "MB", "licence", "AP", "hash", "where"]
    assert len(table) == 1 + len(zoo.list_models())
    large = ["pose", "384x288", "134.4", "Apache-2.0", "66.5", "known", "-"]
    assert table["dwpose-l-384"][1:] == large
    unpublished = ["pose", "256x192", "0.0", "Apache-2.0", "48.5", "unknown", "cached"]
    assert table[UNPUBLISHED][1:] == unpublished
    assert table["dwpose-t-bundled"][-1] == "bundled"
    assert table["yolox-nano-person-bundled"][-1] == "-"


def test_list_of_one_kind_with_descriptions(capsys):
    assert cli_models.main(["list", "--kind", "detector", "--describe"]) == 0
    output = capsys.readouterr().out
    assert "dwpose" not in output.replace("dwpose-models", "")
    assert zoo.get_spec("yolox-s-humanart").description in output


def test_list_as_json(folder, capsys):
    path = put(folder / f"{UNPUBLISHED}.onnx")
    assert cli_models.main(["list", "--kind", "pose", "--json"]) == 0
    entries = {entry["name"]: entry for entry in json.loads(capsys.readouterr().out)}
    assert set(entries) == {spec.name for spec in zoo.list_models("pose")}
    cached = entries[UNPUBLISHED]
    assert (cached["where"], cached["path"]) == ("cached", str(path))
    assert cached["size_bytes"] == len(CONTENT)
    absent = entries["dwpose-l-384"]
    assert (absent["where"], absent["path"], absent["input_hw"]) == ("-", None, [384, 288])
    assert absent["accuracy"]["source"].startswith("https://")


def test_download_prints_paths_and_fetches_only_what_is_missing(folder, downloads, capsys):
    assert cli_models.main(["download", "dwpose-t", "dwpose-l"]) == 0
    paths = [str(folder / "dwpose-t.onnx"), str(folder / "dwpose-l.onnx")]
    assert capsys.readouterr().out.splitlines() == paths
    assert cli_models.main(["download", "dwpose-t"]) == 0
    assert downloads == ["dwpose-t.onnx", "dwpose-l.onnx"]
    assert cli_models.main(["download", "--force", "dwpose-t"]) == 0
    assert downloads[2:] == ["dwpose-t.onnx"]


def test_download_all_goes_on_after_a_failure(monkeypatch, downloads, capsys):
    chosen = {name: zoo.get_spec(name) for name in ("yolox-m", "yolox-l-humanart", "dwpose-t")}
    monkeypatch.setattr(manifest, "read_manifest", lambda: chosen)
    assert cli_models.main(["download", "--all", "--kind", "detector"]) == 4
    assert downloads == ["yolox-m.onnx", "yolox-l-humanart.onnx"]
    output = capsys.readouterr()
    assert output.out.count("\n") == 1 and "yolox-l-humanart.onnx" in output.out
    assert output.err == ("dwpose-models: error: could not download yolox-m.onnx (no connection)\n")


@pytest.mark.parametrize(
    "arguments",
    [["download"], ["download", "dwpose-t", "--all"], ["download", "dwpose-t", "--kind", "pose"]],
)
def test_contradictory_arguments_are_wrong_usage(arguments, downloads, capsys):
    assert cli_models.main(arguments) == 2
    assert capsys.readouterr().err.startswith("dwpose-models: error: ")
    assert downloads == []


@pytest.mark.parametrize("arguments", [[], ["unknown"], ["path"], ["list", "--kind", "face"]])
def test_arguments_that_cannot_be_parsed_are_wrong_usage(arguments, capsys):
    with pytest.raises(SystemExit) as caught:
        cli_models.main(arguments)
    assert caught.value.code == 2
    assert "error:" in capsys.readouterr().err


def test_path_downloads_unless_told_not_to(folder, downloads, capsys):
    assert cli_models.main(["path", "dwpose-t", "--offline"]) == 4
    error = capsys.readouterr().err
    assert error.startswith("dwpose-models: error: dwpose-t is not in the cache")
    assert error.count("\n") == 1
    assert downloads == []
    assert cli_models.main(["path", "dwpose-t"]) == 0
    assert cli_models.main(["path", "dwpose-t", "--offline"]) == 0
    assert capsys.readouterr().out == f"{folder / 'dwpose-t.onnx'}\n" * 2
    assert downloads == ["dwpose-t.onnx"]


def test_path_obeys_the_environment(monkeypatch, downloads):
    monkeypatch.setenv("DWPOSE_OFFLINE", "1")
    assert cli_models.main(["path", "dwpose-t"]) == 4
    assert downloads == []


def test_path_verify_replaces_a_damaged_file(folder, downloads, capsys):
    spec = zoo.get_spec("yolox-nano")
    damaged = put(folder / "yolox-nano.onnx")
    damaged.write_bytes(CONTENT.ljust(spec.size_bytes, b"?"))
    assert cli_models.main(["path", "yolox-nano"]) == 0
    assert downloads == []
    assert cli_models.main(["path", "yolox-nano", "--verify", "--offline"]) == 4
    assert "is damaged" in capsys.readouterr().err
    assert cli_models.main(["path", "yolox-nano", "--verify"]) == 0
    assert downloads == ["yolox-nano.onnx"]


def test_an_unknown_model_has_its_own_status(capsys):
    assert cli_models.main(["path", "dwpose-tiny"]) == 4
    assert "nearest: dwpose-t" in capsys.readouterr().err


def test_an_interruption_has_the_usual_status(monkeypatch, capsys):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(store, "download", interrupt)
    assert cli_models.main(["download", "dwpose-t"]) == 130
    assert capsys.readouterr().err.count("\n") == 1


def test_an_error_of_the_system_is_one_line_too(monkeypatch, capsys):
    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied", "/somewhere")

    monkeypatch.setattr(store, "download", refuse)
    assert cli_models.main(["path", "dwpose-t"]) == 1
    assert capsys.readouterr().err.startswith("dwpose-models: error: [Errno 13]")


def test_version_and_help(capsys):
    for argument, words in (("--version", __version__), ("--help", "DWPOSE_OFFLINE")):
        with pytest.raises(SystemExit) as caught:
            cli_models.main([argument])
        assert caught.value.code == 0
        assert words in capsys.readouterr().out
