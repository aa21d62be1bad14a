from __future__ import annotations

from pathlib import Path

import pytest

from dwpose_infer.errors import InputError, InvalidArgumentError
from dwpose_infer.inputs import find_inputs, find_pictures


@pytest.fixture
def tree(tmp_path, monkeypatch):
    """a.jpg, b.PNG, notes.txt, deep/a.jpg, deep/er/c.webp, out/a_overlay.jpg"""
    for name in ("a.jpg", "b.PNG", "notes.txt", "deep/a.jpg", "deep/er/c.webp", "out/a_x.jpg"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def stems(inputs, out_folder=None):
    return [str(each.stem) for each in find_pictures(inputs, out_folder=out_folder)]


def test_folders_keep_their_tree_and_leave_the_results_out(tree):
    assert stems([str(tree)], out_folder=tree / "out") == ["a", "b", "deep/a", "deep/er/c"]
    assert "out/a_x" in stems([str(tree)])


def test_patterns_keep_the_tree_below_their_fixed_part(tree):
    assert stems(["**/*.jpg"], out_folder=Path("out")) == ["a", "deep/a"]
    assert stems([f"{tree}/deep/*.jpg"]) == ["a"]
    assert stems(["deep/**/*.webp"]) == ["er/c"]


def test_files_are_taken_whatever_their_ending(tree):
    assert stems(["notes.txt", "a.jpg"]) == ["notes", "a"]


def test_missing_files_are_left_to_fail_when_they_are_read(tree):
    assert stems(["missing.jpg"]) == ["missing"]


def test_an_empty_input_is_said_to_be_one(tree):
    """As `dwpose-infer "$PHOTO"` has it where PHOTO is not set."""
    for find in (find_pictures, find_inputs):
        with pytest.raises(InputError, match="an input is empty text"):
            find(["a.jpg", ""], out_folder=None)


def test_a_name_with_brackets_is_a_file_if_it_exists(tree):
    (tree / "x[1].jpg").touch()
    assert stems(["x[1].jpg"]) == ["x[1]"]


@pytest.mark.parametrize(
    ("pattern", "stem"),
    [
        ("trips [2024]/*.jpg", "x"),
        ("trips [2024]/**/*.jpg", "x"),
        ("trips [2024]/x[1-3].jpg", "x2"),
        ("*/x.jpg", "trips [2024]/x"),
        ("**/*[2024]/x.jpg", "trips [2024]/x"),
    ],
)
def test_a_pattern_below_a_folder_with_brackets(tree, pattern, stem):
    (tree / "trips [2024]").mkdir()
    (tree / "trips [2024]" / ("x2.jpg" if stem == "x2" else "x.jpg")).touch()
    assert stems([pattern]) == [stem]
    (clip,) = find_inputs([pattern], out_folder=None, sequences=True)[1]
    assert str(clip.stem) == (tree.name if stem.startswith("trips") else "trips _2024_")


def test_the_same_file_twice_is_one_picture(tree):
    assert stems(["a.jpg", str(tree / "a.jpg"), "./a.jpg"]) == ["a"]


@pytest.mark.parametrize(
    ("url", "stem"),
    [
        ("https://example.org/photos/me%20and%20you.jpg?size=3", "me and you"),
        ("http://example.org/", "picture"),
        ("https://example.org/..%2F..%2Fetc%2Fpasswd", "passwd"),
        ("https://example.org/a:b*c.png", "a_b_c"),
    ],
)
def test_urls_give_harmless_names(url, stem):
    assert stems([url]) == [stem]


def test_standard_input():
    assert stems(["-"]) == ["stdin"]


def test_pictures_that_differ_in_their_ending_alone_keep_it(tree):
    for name in ("A.png", "deep/a.png", "b.tar.jpg"):
        (tree / name).touch()
    pictures = find_pictures(["a.jpg", "A.png", "b.tar.jpg"], out_folder=None)
    assert [str(picture.stem) for picture in pictures] == ["a.jpg", "A.png", "b.tar"]
    assert [picture.keeps_ending for picture in pictures] == [True, True, False]
    urls = ["https://a.org/x.jpg?size=1", "https://b.org/x.png"]
    assert stems(urls) == ["x.jpg", "x.png"]


@pytest.mark.parametrize("inputs", [["a.jpg", "deep/a.jpg"], ["A.png", "deep/a.png"]])
def test_two_results_of_one_name_are_refused(tree, inputs):
    for name in ("A.png", "deep/a.png"):
        (tree / name).touch()
    with pytest.raises(InvalidArgumentError, match="would both be written as") as caught:
        find_pictures(inputs, out_folder=None)
    assert caught.value.exit_code == 2
    assert all(name in str(caught.value) for name in inputs)


def test_nothing_found(tree):
    (tree / "empty").mkdir()
    with pytest.raises(InputError, match="no picture in this folder"):
        find_pictures(["empty"], out_folder=None)
    with pytest.raises(InputError, match="no file matches"):
        find_pictures(["*.gif"], out_folder=None)


def test_pictures_and_clips_are_told_apart(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("in/b.jpg", "in/b.mp4", "in/deep/c.MOV", "in/notes.txt", "in/out/b_overlay.mp4"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    inputs = ["in", "in/b.mp4", "https://a.org/x/film.webm?key=1", "https://a.org/p.jpg", "-"]
    pictures, clips = find_inputs(inputs, out_folder=tmp_path / "in/out")
    assert [picture.source for picture in pictures] == ["in/b.jpg", "https://a.org/p.jpg", "-"]
    assert [(clip.source, str(clip.stem)) for clip in clips] == [
        ("in/b.mp4", "b"),
        ("in/deep/c.MOV", "deep/c"),
        ("https://a.org/x/film.webm?key=1", "film"),
    ]
    assert [picture.source for picture in find_pictures(["in"], out_folder=None)] == ["in/b.jpg"]


def test_live_streams_cameras_and_sequences(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "row").mkdir()
    (tmp_path / "row/1.png").touch()
    inputs = ["rtsp://user:key@host:554/live/1", "/dev/video2", "row", "row/*.png"]
    pictures, clips = find_inputs(inputs[:3], out_folder=None, cameras=[0, 1])
    assert [picture.source for picture in pictures] == ["row/1.png"]
    assert [str(clip.stem) for clip in clips] == ["camera0", "camera1", "host_live_1", "dev_video2"]
    assert clips[2].source == inputs[0]
    assert clips[2].name == "rtsp://user:***@host:554/live/1"
    pictures, clips = find_inputs(["row"], out_folder=None, sequences=True)
    assert (pictures, [clip.source for clip in clips]) == ([], ["row"])
    pictures, clips = find_inputs(["row/*.png"], out_folder=None, sequences=True)
    assert [(clip.source, str(clip.stem)) for clip in clips] == [("row/*.png", "row")]
    with pytest.raises(InvalidArgumentError, match="would both be written as row"):
        find_inputs(["row", "row/*.png"], out_folder=None, sequences=True)


def test_a_folder_with_neither(tmp_path):
    with pytest.raises(InputError, match="no picture or video in this folder"):
        find_inputs([str(tmp_path)], out_folder=None)


def test_a_folder_is_searched_for_all_that_can_be_read_and_not_for_hidden_files(tmp_path, caplog):
    wanted = [
        "a.heic",
        "b.JFIF",
        "c.jpe",
        "d.mpo",
        "e.tga",
        "f.ico",
        "g.avifs",
        "h.heif",
        "sub/i.jpg",
    ]
    for name in [*wanted, "._a.jpg", ".ipynb_checkpoints/a.jpg", "bare", "sub/README", "notes.txt"]:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    found = find_pictures([str(tmp_path)], out_folder=None)
    assert [str(Path(each.source).relative_to(tmp_path)) for each in found] == wanted
    (said,) = caplog.messages
    assert said.endswith("2 file(s) without an ending left out; name them one by one to use them")
