"""Every command of the README and docs/ is run as it stands, and the snippets that stand alone."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from configparser import ConfigParser
from pathlib import Path

import cv2
import numpy as np
import pytest

from dwpose_infer.media import VideoWriter

ROOT = Path(__file__).resolve().parent.parent
PAGES = {
    path.relative_to(ROOT): path.read_text(encoding="utf-8")
    for path in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
}
README = PAGES[Path("README.md")]
PYTHON_SNIPPETS = [
    snippet
    for page in (README, PAGES[Path("docs/tracking.md")])
    for snippet in re.findall(r"```python\n(.*?)```", page, re.DOTALL)
]
BLOCKS = [
    [re.split(r"\s#\s", line)[0].strip() for line in block.splitlines() if line.strip()]
    for page in PAGES.values()
    for block in re.findall(r"```bash\n(.*?)```", page, re.DOTALL)
]
OWN_COMMANDS = [
    own for block in BLOCKS if (own := [line for line in block if line.startswith("dwpose-")])
]
NEEDS_GPU = re.compile(r"--device cuda|--backend trt|--to engine")
NEEDS_DOWNLOAD = re.compile(r"dwpose-l|--det yolox-l|models download")


def write_clip(path, astronaut):
    """A portrait that moves to the right: 320x240, a second of 12 frames."""
    portrait = cv2.resize(cv2.imread(str(astronaut)), (232, 232), interpolation=cv2.INTER_AREA)
    with VideoWriter(path, frame_rate=12) as writer:
        for index in range(12):
            image_bgr = np.full((240, 320, 3), 114, np.uint8)
            image_bgr[4:236, 4 * index + 10 : 4 * index + 242] = portrait
            writer.write(image_bgr)


@pytest.fixture
def user_folder(tmp_path, astronaut, monkeypatch):
    """What a reader would have: photo.jpg, a folder photos/ and a video, clip.mp4."""
    (tmp_path / "photos/holiday").mkdir(parents=True)
    for name in ("photo.jpg", "photos/a.jpg", "photos/holiday/b.jpg"):
        shutil.copy(astronaut, tmp_path / name)
    write_clip(tmp_path / "clip.mp4", astronaut)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("snippet", PYTHON_SNIPPETS, ids=range(len(PYTHON_SNIPPETS)))
def test_python_snippets_run(snippet, user_folder):
    if "models.checkpoints" in snippet:
        pytest.importorskip("torch")
    exec(compile(snippet, "README.md", "exec"), {})


def expected_status(command: str) -> int:
    """Tests run without network and GPU; what needs them must say so by its exit status."""
    if NEEDS_DOWNLOAD.search(command):
        return 4
    return 3 if NEEDS_GPU.search(command) else 0


@pytest.mark.parametrize("commands", OWN_COMMANDS, ids=lambda block: block[0])
def test_commands_run_one_after_the_other(commands, user_folder):
    for command in commands:
        program, *arguments = shlex.split(command)
        command_line = [Path(sys.executable).with_name(program), *arguments]
        done = subprocess.run(command_line, capture_output=True, text=True, check=False)
        assert done.returncode == expected_status(command), (command, done.stderr)
        assert "Traceback" not in done.stderr


def test_the_first_command_writes_what_is_said(user_folder):
    assert ["dwpose-infer photo.jpg"] in OWN_COMMANDS
    subprocess.run([Path(sys.executable).with_name("dwpose-infer"), "photo.jpg"], check=True)
    for name in ("dwpose-out/photo.json", "dwpose-out/photo_overlay.jpg"):
        assert name in README
        assert (user_folder / name).is_file()


def test_other_commands_are_known():
    """`make` is run by the continuous integration, pip's extras must exist, modules must run."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    setup = ConfigParser()
    setup.read(ROOT / "setup.cfg", encoding="utf-8")
    for command in (line for block in BLOCKS for line in block):
        program, *arguments = shlex.split(command)
        if program == "make":
            assert re.search(rf"^{arguments[0]}:", makefile, re.MULTILINE)
        elif program == "pip":
            for extra in re.findall(r"dwpose-infer\[(\w+)\]", command):
                assert setup.has_option("options.extras_require", extra)
        elif program == "python":
            subprocess.run([sys.executable, *arguments, "--help"], check=True, capture_output=True)
        else:
            assert program.startswith("dwpose-")


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", PAGES[page]):
        if not target.startswith("http"):
            assert (ROOT / page.parent / target).exists(), target


def test_openpose_indices_in_the_table():
    from dwpose_infer.openpose_layout import OPENPOSE_18_FROM_COCO, OPENPOSE_25_FROM_COCO

    rows = re.findall(r"^\| [^|]+ \| ([\d, -]+) \| body ([\d, ]+)\b", README, re.MULTILINE)
    pairs = {
        int(coco): int(openpose)
        for here, there in rows
        if "-" not in here
        for coco, openpose in zip(here.split(","), there.split(","), strict=True)
    }
    expected = {coco: i for i, coco in enumerate(OPENPOSE_18_FROM_COCO) if coco is not None}
    assert pairs == expected
    lower = "12, 9, 13, 10, 14, 11"
    assert lower in README
    assert [OPENPOSE_25_FROM_COCO[int(i)] for i in lower.split(",")] == [11, 12, 13, 14, 15, 16]
