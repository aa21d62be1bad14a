from __future__ import annotations

from pathlib import Path

import pytest

from dwpose_infer.cli.inputs import find_pictures
from dwpose_infer.errors import InputError, InvalidArgumentError


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


def test_a_name_with_brackets_is_a_file_if_it_exists(tree):
    (tree / "x[1].jpg").touch()
    assert stems(["x[1].jpg"]) == ["x[1]"]


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


@pytest.mark.parametrize("inputs", [["a.jpg", "deep/a.jpg"], ["a.jpg", "A.png"]])
def test_two_results_of_one_name_are_refused(tree, inputs):
    (tree / "A.png").touch()
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
