"""How commands end, whichever it is."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time

import pytest

from dwpose_infer.cli.exit_status import exit_status
from dwpose_infer.errors import BackendUnavailableError, InvalidArgumentError, ModelNotFoundError
from dwpose_infer.formats import load


def raising(error):
    def work():
        raise error

    return work


def test_the_status_of_the_work_is_handed_on(capsys):
    assert exit_status(lambda: 7, program="it") == 7
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (InvalidArgumentError("no such size"), 2),
        (BackendUnavailableError("no GPU"), 3),
        (ModelNotFoundError("no file"), 4),
    ],
)
def test_an_error_is_one_line_and_has_its_status(error, status, capsys):
    assert exit_status(raising(error), program="it", place="process 1: ") == status
    assert capsys.readouterr() == ("", f"it: process 1: error: {error}\n")


def test_ctrl_c_says_how_to_go_on(capsys):
    status = exit_status(raising(KeyboardInterrupt()), program="it", interrupted="call again")
    assert status == 130
    assert capsys.readouterr().err == "it: call again\n"


def test_errors_of_the_program_itself_are_not_hidden():
    with pytest.raises(ZeroDivisionError):
        exit_status(raising(ZeroDivisionError()), program="it")


@pytest.mark.parametrize("lines", [1, 100_000])
def test_a_reader_that_goes_is_no_error(lines):
    """As with `| head -1`: neither in the middle of the output nor when it is flushed at last."""
    code = (
        "import sys, time\n"
        "from dwpose_infer.cli.exit_status import exit_status\n"
        "def work():\n"
        "    time.sleep(0.5)\n"
        f"    print('line\\n' * {lines})\n"
        "    return 0\n"
        "sys.exit(exit_status(work, program='it'))\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    process.stdout.close()
    assert process.stderr.read() == b""
    process.stderr.close()
    assert process.wait(timeout=60) == 1


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="there are no such signals")
def test_sigterm_ends_a_run_as_ctrl_c_does(tmp_path, astronaut):
    (tmp_path / "in").mkdir()
    for index in range(200):
        shutil.copy(astronaut, tmp_path / "in" / f"{index}.jpg")
    command = [sys.executable, "-m", "dwpose_infer", "in", "--draw", "none", "--threads", "1"]
    run = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    out = tmp_path / "dwpose-out"
    while run.poll() is None and len(list(out.glob("*.json"))) < 3:
        time.sleep(0.02)
    run.terminate()
    _, error = run.communicate(timeout=60)
    assert run.returncode == 130
    assert "interrupted;" in error
    assert "run it again with --skip-existing to go on" in error
    done = list(out.glob("*.json"))
    assert 3 <= len(done) < 200
    assert all(len(load(path)) == 1 for path in done)
    assert not list(out.glob(".*"))
