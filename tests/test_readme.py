"""Every command and every snippet of the README and docs/ is run as it stands."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import sys
from configparser import ConfigParser
from importlib.util import find_spec
from pathlib import Path

import cv2
import numpy as np
import pytest

from dwpose_infer import Predictor
from dwpose_infer.benchmarks.cli import build_parser
from dwpose_infer.formats import FORMATS
from dwpose_infer.media import VideoWriter

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOK = ROOT / "docs" / "example.ipynb"


def prose(path):
    """A page's text; of a notebook what stands between its cells of code."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".md":
        return text
    cells = json.loads(text)["cells"]
    return "\n\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")


PAGES = {
    path.relative_to(ROOT): prose(path)
    for path in (
        *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "benchmarks/README.md")),
        *sorted((ROOT / "docs").glob("*.md")),
        NOTEBOOK,
    )
    if path.is_file()
}
README = PAGES[Path("README.md")]
NOT_RUN_HERE = ("benchmarks/README.md", "docs/training.md")
"""Measurements of hours, whose options are checked; and what tests of the training run."""
RUN_PAGES = {page: text for page, text in PAGES.items() if page.as_posix() not in NOT_RUN_HERE}
PYTHON_SNIPPETS = [
    pytest.param(snippet, page.as_posix(), id=f"{page}-{number}")
    for page, text in RUN_PAGES.items()
    for number, snippet in enumerate(re.findall(r"```python\n(.*?)```", text, re.DOTALL))
    if "runs/everyday-s-1" not in snippet  # tests/models/test_start_weights.py has such runs
]
BLOCKS = [
    [re.split(r"\s#\s", line)[0].strip() for line in block.splitlines() if line.strip()]
    for page in RUN_PAGES.values()
    for block in re.findall(r"```bash\n(.*?)```", page, re.DOTALL)
]
OWN_COMMANDS = [
    own for block in BLOCKS if (own := [line for line in block if line.startswith("dwpose-")])
]
NEEDS_GPU = re.compile(r"--device cuda|--backend trt")
BUILDS_ENGINES = find_spec("tensorrt_rtx") is not None
"""TensorRT for RTX needs no GPU to build."""
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


@pytest.fixture
def labelled_photo(user_folder):
    """gt.json and results.json: what is found in photo.jpg, as labels and as results."""
    with Predictor() as predictor:
        result = predictor("photo.jpg")
    labels = [
        {
            "id": number,
            "image_id": 1,
            "category_id": 1,
            "iscrowd": 0,
            "bbox": person.box_xyxy.tolist(),
            "area": 1e5,
            "keypoints": np.column_stack([person.keypoints, np.full(133, 2)]).ravel().tolist(),
        }
        for number, person in enumerate(result, start=1)
    ]
    width, height = result.image_size
    image = {"id": 1, "file_name": "photo.jpg", "width": width, "height": height}
    Path("gt.json").write_text(json.dumps({"images": [image], "annotations": labels}))
    result.save("results.json", format="coco", annotations="gt.json")


@pytest.mark.slow
@pytest.mark.parametrize(("snippet", "page"), PYTHON_SNIPPETS)
def test_python_snippets_run(snippet, page, user_folder, request):
    if "models.checkpoints" in snippet:
        pytest.importorskip("torch")
    if "to_dataframe" in snippet:
        pytest.importorskip("pandas")
    if "gt.json" in snippet:
        request.getfixturevalue("labelled_photo")
    exec(compile(snippet, page, "exec"), {})


def expected_status(command: str) -> int:
    """Tests run without network and GPU; what needs them must say so by its exit status."""
    if NEEDS_DOWNLOAD.search(command):
        return 4
    if "--to engine" in command:
        return 0 if BUILDS_ENGINES else 3
    return 3 if NEEDS_GPU.search(command) else 0


@pytest.mark.slow
@pytest.mark.parametrize("commands", OWN_COMMANDS, ids=lambda block: block[0])
def test_commands_run_one_after_the_other(commands, user_folder, request):
    if any("--labels gt.json" in command for command in commands):
        request.getfixturevalue("labelled_photo")
    for command in commands:
        program, *arguments = shlex.split(command)
        command_line = [Path(sys.executable).with_name(program), *arguments]
        done = subprocess.run(command_line, capture_output=True, text=True, check=False)
        assert done.returncode == expected_status(command), (command, done.stderr)
        assert "Traceback" not in done.stderr


def test_commands_of_long_measurements_have_valid_options():
    blocks = re.findall(r"```bash\n(.*?)```", PAGES[Path("benchmarks/README.md")], re.DOTALL)
    lines = [line for block in blocks for line in block.replace("\\\n", " ").splitlines()]
    commands = [shlex.split(line, comments=True) for line in lines if line.startswith("dwpose-b")]
    assert len(commands) > 10
    for _, *arguments in commands:
        if "--help" not in arguments:
            build_parser().parse_args(arguments)


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
            for extras in re.findall(r"dwpose-infer\[([^\]]+)\]", command):
                for extra in extras.split(","):
                    assert setup.has_option("options.extras_require", extra), command
        elif program == "python":
            subprocess.run([sys.executable, *arguments, "--help"], check=True, capture_output=True)
        else:
            assert program.startswith("dwpose-")


def anchors(path):
    """What a link to a part of a page may end with: its headings, as GitHub writes them."""
    text = re.sub(r"```.*?```", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_links_lead_somewhere(page):
    for target, anchor in re.findall(r"\]\(([^)#\s]*)#?([^)]*)\)", PAGES[page]):
        if target.startswith("http"):
            continue
        path = (ROOT / page.parent / target) if target else ROOT / page
        assert path.exists(), target
        if anchor:
            assert anchor in anchors(path), f"{target}#{anchor}"


def test_the_index_names_every_page():
    index = PAGES[Path("docs/README.md")]
    for page in PAGES:
        if page.parent == Path("docs") and page.name != "README.md":
            assert f"({page.name})" in index


@pytest.mark.parametrize("page", ["CONTRIBUTING.md", "docs/architecture.md"])
def test_files_that_are_named_exist(page):
    words = re.findall(r"`([^`\s]+)`", PAGES[Path(page)])
    paths = [each for each in words if re.fullmatch(r"[\w./-]+(/|\.(py|md|json|cfg))", each)]
    paths = [each for each in paths if each != "command.py"]  # of a folder that is to be made
    assert len(paths) > 15
    for path in paths:
        assert (ROOT / path).exists() or (ROOT / "dwpose_infer" / path).exists(), path


def test_the_readme_is_a_door():
    """What is longer belongs to docs/."""
    assert len(README.split()) <= 1400
    assert README.count("<!-- table: ") == 1


def test_every_format_has_a_row():
    page = PAGES[Path("docs/formats.md")]
    for name, item in FORMATS.items():
        row = next(
            line for line in page.splitlines() if line.startswith("|") and f"`{name}`" in line
        )
        assert item.file_name.replace("{stem}", "NAME") in row
        assert item.per != "clip" or item.clip_name.replace("{stem}", "clip") in row


def test_openpose_indices_in_the_table():
    from dwpose_infer.openpose_layout import OPENPOSE_18_FROM_COCO, OPENPOSE_25_FROM_COCO

    page = PAGES[Path("docs/keypoints.md")]
    rows = re.findall(r"^\| [^|]+ \| ([\d, -]+) \| body ([\d, ]+)\b", page, re.MULTILINE)
    pairs = {
        int(coco): int(openpose)
        for here, there in rows
        if "-" not in here
        for coco, openpose in zip(here.split(","), there.split(","), strict=True)
    }
    expected = {coco: i for i, coco in enumerate(OPENPOSE_18_FROM_COCO) if coco is not None}
    assert pairs == expected
    lower = "12, 9, 13, 10, 14, 11"
    assert lower in page
    assert [OPENPOSE_25_FROM_COCO[int(i)] for i in lower.split(",")] == [11, 12, 13, 14, 15, 16]
