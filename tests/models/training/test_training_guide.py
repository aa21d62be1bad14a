"""docs/training.md: its quick start is run, its other commands as far as they go without data."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

for package in ("torch", "onnx", "onnxruntime", "pycocotools", "matplotlib"):
    pytest.importorskip(package)

from dwpose_infer.models.training.cli import main
from dwpose_infer.models.training.recipes import (
    FIRST_STAGE_RUNS,
    GPUS,
    INITIAL_URLS,
    TEACHER_URLS,
    UBODY_SCENES,
    recipe,
)

PAGE = Path(__file__).resolve().parents[3] / "docs/training.md"
TEXT = PAGE.read_text(encoding="utf-8")
QUICK_START = "Quick start on your own pictures"
MODULE = "dwpose_infer.models.training.cli"


def sections():
    parts = re.split(r"^## (.*)$", TEXT, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def commands(text):
    blocks = re.findall(r"```sh\n(.*?)```", text, re.DOTALL)
    return [line for block in blocks for line in block.replace("\\\n", " ").splitlines()]


OTHERS = [
    command
    for name, text in sections().items()
    if name != QUICK_START
    for command in commands(text)
]


@pytest.fixture
def user_folder(tmp_path, photos, monkeypatch):
    (tmp_path / "photos/holiday").mkdir(parents=True)
    for source, name in zip(photos, ("photos/a.jpg", "photos/holiday/b.jpg"), strict=False):
        shutil.copy(source, tmp_path / name)
    shutil.copy(photos[0], tmp_path / "photo.jpg")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    return tmp_path


def run(program, arguments):
    command = [Path(sys.executable).with_name(program), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_the_quick_start_works_as_it_stands(user_folder):
    text = sections()[QUICK_START]
    (snippet,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    exec(compile(snippet, PAGE.name, "exec"), {})
    for command in commands(text):
        program, *arguments = shlex.split(command)
        done = run(program, arguments)
        assert done.returncode == 0, (command, done.stderr)
        assert "Traceback" not in done.stderr
    for name in ("runs/mine/best.pth", "mine.onnx", "runs/distilled/check.jpg"):
        assert (user_folder / name).is_file()
    assert (user_folder / "dwpose-out/photo_overlay.jpg").is_file()


def program_and_arguments(command):
    words = shlex.split(command)
    if words[0] == "torchrun":
        assert words[1] == "--nproc-per-node"
        assert words[3:5] == ["-m", MODULE]
        return "dwpose-train", words[5:]
    return words[0], words[1:]


@pytest.mark.parametrize("command", OTHERS)
def test_other_commands_are_understood(command, user_folder, capsys):
    """Their settings are complete and valid; of what they need, the first file is missed."""
    program, arguments = program_and_arguments(command)
    if program == "dwpose-train" and arguments[0].startswith("--"):
        more = [] if "--print" in arguments else ["--print"]
        assert main([*arguments, *more]) == 0
    elif program == "dwpose-train" and arguments[0] == "recipes":
        assert main(arguments) == 0
    elif program == "dwpose-train" and arguments[0] == "labels":
        assert main(arguments) == 1
        assert arguments[arguments.index("--annotations") + 1] in capsys.readouterr().err
    elif program == "dwpose-train":
        assert main(arguments) == 4
        first = arguments[0] in ("transfer", "int8")
        named = arguments[1 if first else arguments.index("--teacher") + 1]
        assert named in capsys.readouterr().err
    else:
        done = run(program, arguments)
        assert done.returncode in (1, 3, 4), done.stderr  # not 2, wrong usage
        assert "error: " in done.stderr
        assert "Traceback" not in done.stderr


def test_there_is_a_command_of_each_kind():
    programs = {program_and_arguments(command)[0] for command in OTHERS}
    assert programs == {"dwpose-train", "dwpose-export", "dwpose-eval", "dwpose-infer"}


def test_the_public_rows_are_the_recipes():
    rows = re.findall(
        r"^\| DWPose-(\w) (\d+)x\d+ \|.*\| `(s1-[\w-]+)`, (\w) \| `(s2-[\w-]+)` "
        r"\| (\d+) \| 8 x (\d+)",
        TEXT,
        re.MULTILINE,
    )
    assert [(row[3], row[0], int(row[1])) for row in rows] == list(FIRST_STAGE_RUNS)
    for size, height, first, teacher, second, batch, per_gpu in rows:
        assert first == f"s1-{teacher}-{size}-{height}"
        assert recipe(second).batch_size == recipe(first).batch_size == int(batch)
        assert int(batch) == GPUS * int(per_gpu)


def test_every_weight_file_is_named():
    named = set(re.findall(r"^\| ([\w.-]+\.pth) \|", TEXT, re.MULTILINE))
    urls = [*INITIAL_URLS.values(), *TEACHER_URLS.values()]
    assert named == {url.rpartition("/")[2] for url in urls}


def test_the_data_layout_is_the_recipes():
    data = recipe("base-t-256").data
    for part in Path(data.train[0].annotations).parts + Path(data.validation_boxes).parts:
        assert part in TEXT
    assert f"for {len(UBODY_SCENES)} scenes" in TEXT


def test_hours_are_what_they_are_said_to_be():
    rows = re.findall(r"^\| (\d+) \| (\d+) h \| (\d+) h \|", TEXT, re.MULTILINE)
    assert len(rows) == 3
    for speed, *hours in rows:
        for epochs, said in zip((270, 60), hours, strict=True):
            assert abs(epochs * 250_000 / float(speed) / 3600 - int(said)) <= 0.5


def test_links_lead_somewhere():
    anchors = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in sections()}
    for target in re.findall(r"\]\(([^)]+)\)", TEXT):
        if target.startswith("#"):
            assert target[1:] in anchors, target
        else:
            assert (PAGE.parent / target.partition("#")[0]).exists(), target
