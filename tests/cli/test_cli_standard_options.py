"""What every console script has: its version and a completion for shells."""

from __future__ import annotations

import importlib
import shutil
import subprocess
import sys
from configparser import ConfigParser
from pathlib import Path

import pytest

from dwpose_infer import __version__
from dwpose_infer.cli import standard_options

ROOT = Path(__file__).resolve().parents[2]


def scripts():
    """Console script -> the module with its `main`, as installed."""
    config = ConfigParser()
    config.read(ROOT / "setup.cfg")
    lines = config["options.entry_points"]["console_scripts"].strip().splitlines()
    pairs = (line.split(" = ") for line in lines)
    return {name: target.removesuffix(":main") for name, target in pairs}


def printed(script, *arguments, capsys):
    main = importlib.import_module(scripts()[script]).main
    with pytest.raises(SystemExit) as ended:
        main(list(arguments))
    out, err = capsys.readouterr()
    return ended.value.code, out, err


def test_the_package_runs_as_a_module():
    command = [sys.executable, "-m", "dwpose_infer", "--version"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == f"dwpose-infer {__version__}\n"


@pytest.mark.parametrize("script", scripts())
def test_every_command_says_its_version(script, capsys):
    assert printed(script, "--version", capsys=capsys) == (0, f"dwpose-infer {__version__}\n", "")


@pytest.mark.parametrize("shell", standard_options.SHELLS)
@pytest.mark.parametrize("script", scripts())
def test_every_command_has_a_completion(script, shell, capsys):
    pytest.importorskip("shtab")
    status, text, error = printed(script, f"--print-completion={shell}", capsys=capsys)
    assert (status, error) == (0, "")
    assert script in text
    assert "print-completion" in text


COMPLETIONS = [
    ("dwpose-infer", ["--smo"], {"--smooth"}),
    ("dwpose-infer", ["--backend", "open"], {"openvino"}),
    ("dwpose-infer", ["--annotations", "lab"], {"labels.json"}),
    ("dwpose-infer", ["pho"], {"photo.jpg"}),
    ("dwpose-models", ["dow"], {"download"}),
    ("dwpose-models", ["list", "--ki"], {"--kind"}),
    ("dwpose-export", ["--precision", "fp16"], {"fp16", "fp16-stored"}),
    ("dwpose-eval", ["--annotations", "lab"], {"labels.json"}),
    ("dwpose-train", ["tran"], {"transfer"}),
    ("dwpose-bench", ["pipeline", "--pers"], {"--persons"}),
]


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
@pytest.mark.parametrize(("script", "typed", "expected"), COMPLETIONS, ids=str)
def test_what_bash_offers(script, typed, expected, tmp_path, capsys):
    pytest.importorskip("shtab")
    _, text, _ = printed(script, "--print-completion", "bash", capsys=capsys)
    (tmp_path / "completion.bash").write_text(text)
    for name in ("photo.jpg", "labels.json"):
        (tmp_path / name).touch()
    words = " ".join([script, *typed])
    lines = [
        ". ./completion.bash",
        f"COMP_WORDS=({words}); COMP_CWORD={len(typed)}",
        f"_shtab_{script.replace('-', '_')} {script} {typed[-1]}",
        'printf "%s\\n" "${COMPREPLY[@]}"',
    ]
    done = subprocess.run(
        ["bash", "--norc", "-c", "\n".join(lines)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert set(done.stdout.split()) == expected


def test_without_shtab_the_command_says_what_to_install(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "shtab", None)
    status, out, error = printed("dwpose-infer", "--print-completion", "bash", capsys=capsys)
    assert (status, out) == (3, "")
    assert error == (
        "dwpose-infer: error: shell completion needs the package shtab: pip install shtab\n"
    )


def test_a_shell_that_is_not_known(capsys):
    status, _, error = printed("dwpose-infer", "--print-completion", "cmd", capsys=capsys)
    assert status == 2
    assert "choose from" in error
