"""The browser page: its functions in Node, and the page itself in a real Chromium.

Node runs the tests; what the page saves is compared here with what Python finds and draws.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import cv2
import numpy as np
import pytest
from PIL import Image

import web_golden
from dwpose_infer import Predictor
from dwpose_infer.formats import load
from dwpose_infer.zoo import DEFAULT_DETECTOR, DEFAULT_POSE, find_spec

ROOT = Path(__file__).resolve().parents[2]
WEB = ROOT / "web"
PHOTOS = ("astronaut.jpg", "camera.jpg", "grace_hopper.jpg")
MODELS = ("dwpose-s-bundled", "dwpose-t-bundled")
CHROMIUM = os.environ.get("CHROMIUM") or next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)


@pytest.fixture(scope="module")
def node():
    program = shutil.which("node")
    if program is None:
        pytest.skip("Node.js is not installed")
    version = subprocess.run([program, "--version"], capture_output=True, text=True, check=True)
    if [int(part) for part in version.stdout.strip("v\n").split(".")[:2]] < [20, 11]:
        pytest.skip(f"Node.js {version.stdout.strip()} is older than the 20.11 of web/package.json")
    return program


def run_node(*command: str | Path, **environment: str | Path) -> None:
    variables = os.environ | {name: str(value) for name, value in environment.items()}
    done = subprocess.run(
        command, cwd=WEB, env=variables, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{done.stdout[-8000:]}\n{done.stderr[-2000:]}"


def test_golden_numbers_are_what_python_computes():
    assert json.loads(web_golden.GOLDEN.read_text(encoding="utf-8")) == json.loads(
        web_golden.text()
    ), "python tests/web/web_golden.py writes them anew"


@pytest.mark.slow
def test_functions(node):
    run_node(node, "--test", "--test-reporter=spec")


@pytest.fixture(scope="module")
def page(node):
    """The built page's folder, built anew from what is in the tree."""
    if not (WEB / "node_modules/playwright-core").is_dir():
        pytest.skip("the page's packages are not installed: make web")
    run_node(node, "build.js")
    return WEB / "dist"


def test_built_page_names_the_bundled_models(page):
    files = json.loads((page / "files.json").read_text(encoding="utf-8"))
    assert list(files["poses"]) == list(MODELS)
    assert next(iter(files["poses"])) == DEFAULT_POSE
    assert files["detector"]["path"] == f"models/{DEFAULT_DETECTOR}.onnx"
    assert files["detector"]["scoreThreshold"] == find_spec(DEFAULT_DETECTOR).score_threshold
    assert files["poses"][DEFAULT_POSE]["inputSize"] == {"width": 192, "height": 256}
    for model in (files["detector"], *files["poses"].values()):
        assert (page / model["path"]).stat().st_size == model["bytes"]


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Says nothing."""


class _Isolating(_Quiet):
    def end_headers(self) -> None:
        self.send_header("Cross-Origin-Opener-Policy", "same-origin")
        self.send_header("Cross-Origin-Embedder-Policy", "require-corp")
        super().end_headers()


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """The photos, and pictures with something special about them."""
    folder = tmp_path_factory.mktemp("pictures")
    for name in PHOTOS:
        shutil.copy(ROOT / "tests/photos" / name, folder)
    astronaut = Image.open(folder / "astronaut.jpg")
    hopper = Image.open(folder / "grace_hopper.jpg")

    two = Image.new("RGB", (1100, 640), (120, 130, 140))
    two.paste(astronaut, (20, 60))
    two.paste(hopper, (560, 20))
    two.save(folder / "two.jpg", quality=92)

    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by a quarter
    astronaut.transpose(Image.Transpose.ROTATE_90).save(folder / "turned.jpg", exif=exif)

    clear = astronaut.convert("RGBA")
    alpha = np.full((clear.height, clear.width), 255, np.uint8)
    alpha[:, :130] = np.linspace(0, 255, 130, dtype=np.uint8)
    clear.putalpha(Image.fromarray(alpha))
    clear.save(folder / "clear.png")

    large = Image.new("RGB", (9000, 6000), (90, 100, 90))
    turned = astronaut.transpose(Image.Transpose.ROTATE_90)
    large.paste(turned.resize((4096, 4096)), (1200, 900))
    large.save(folder / "large.jpg", exif=exif)

    Image.new("RGB", (640, 480), (90, 100, 90)).save(folder / "blank.png")
    Image.new("RGB", (4, 4)).save(folder / "tiny.png")
    astronaut.save(folder / "whole.png")
    (folder / "cut.png").write_bytes((folder / "whole.png").read_bytes()[:60_000])
    (folder / "notes.jpg").write_text("Not a picture.", encoding="utf-8")
    (folder / "empty.jpg").write_bytes(b"")
    return folder


@pytest.fixture(scope="module")
def saved(node, page, pictures, tmp_path_factory):
    """Folder with everything that the tests in the browser saved."""
    if CHROMIUM is None:
        pytest.skip("no Chromium is installed (apt-get install chromium)")
    out = tmp_path_factory.mktemp("saved")
    servers = [
        ThreadingHTTPServer(("127.0.0.1", 0), partial(handler, directory=str(page)))
        for handler in (_Quiet, _Isolating)
    ]
    threads = [Thread(target=server.serve_forever) for server in servers]
    for thread in threads:
        thread.start()
    plain, isolated = (f"http://localhost:{server.server_port}/" for server in servers)
    try:
        run_node(
            *(node, "--test", "--test-reporter=spec", "tests/in_browser.js"),
            **{"PAGE": plain, "ISOLATED_PAGE": isolated, "PICTURES": pictures, "OUT": out},
            CHROMIUM=CHROMIUM,
        )
    finally:
        for server, thread in zip(servers, threads, strict=True):
            server.shutdown()
            server.server_close()
            thread.join()
    return out


@pytest.fixture(scope="module")
def predictors():
    with Predictor(MODELS[0]) as small, Predictor(MODELS[1]) as tiny:
        yield dict(zip(MODELS, (small, tiny), strict=True))


def agree(path, expected, *, median_px=0.01, box_px=0.01):
    """Compares a result saved by the page with that of Python."""
    (found,) = load(path)
    assert len(found) == len(expected) > 0
    assert found.image_size == expected.image_size
    np.testing.assert_allclose(found.boxes_xyxy, expected.boxes_xyxy, atol=box_px)
    distances = np.linalg.norm(found.keypoints - expected.keypoints, axis=-1)
    # Where two bins score almost alike, the last bit of a sum decides: single points may jump.
    assert np.median(distances) < median_px
    assert np.mean(distances > 100 * median_px) < 0.03
    return found


CASES = [(photo, model) for photo in PHOTOS for model in MODELS] + [
    (name, MODELS[0]) for name in ("two.jpg", "turned.jpg")
]


@pytest.mark.slow
@pytest.mark.parametrize(("name", "model"), CASES)
def test_points_are_those_of_python(saved, pictures, predictors, name, model):
    expected = predictors[model](pictures / name)
    found = agree(saved / f"{name}.{model}.json", expected)
    assert found.source == name


@pytest.mark.slow
@pytest.mark.parametrize(("name", "model"), CASES)
def test_drawings_are_those_of_python(saved, pictures, predictors, name, model):
    result = predictors[model](pictures / name)
    for style, share in (("overlay", 0.003), ("openpose", 0.003)):
        drawn = cv2.imread(str(saved / f"{name}.{model}_{style}.png"))
        expected = result.draw(style=style)
        assert drawn.shape == expected.shape
        differs = np.abs(drawn.astype(int) - expected).max(axis=2) > 40
        assert differs.mean() < share, style


@pytest.mark.slow
def test_transparent_parts_are_white(saved, pictures, predictors):
    # Blending rounds differently: a grey level at most, but of the networks' inputs.
    expected = predictors[MODELS[0]](pictures / "clear.png")
    agree(saved / f"clear.png.{MODELS[0]}.json", expected, median_px=0.2, box_px=1)


@pytest.mark.slow
def test_points_of_a_shrunk_picture_are_in_its_own_pixels(saved, pictures, predictors):
    # 1 pixel of the network's input is 40 of the picture.
    expected = predictors[MODELS[0]](pictures / "large.jpg")
    agree(saved / f"large.jpg.{MODELS[0]}.json", expected, median_px=12, box_px=40)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["webgpu", "threads"])
def test_engines_agree(saved, pictures, predictors, name):
    if name == "webgpu" and not (saved / "webgpu.json").exists():
        pytest.skip("this Chromium has no WebGPU, emulated or real")
    agree(saved / f"{name}.json", predictors[MODELS[0]](pictures / "astronaut.jpg"))
