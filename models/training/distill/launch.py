"""A training run in several processes of this machine, started by torch's own launcher."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Final

from ....errors import (
    BackendUnavailableError,
    DwposeError,
    InvalidArgumentError,
    ModelError,
    TrainingError,
)
from ....files.atomic import write_bytes
from ..loop.interruption import GracefulStop
from ..loop.run_options import TrainingSummary, read_summary
from ..settings.choosing import settings_json
from ..settings.pose import Settings

MODULE = f"{__package__}.launched"

_ERRORS: Final[dict[int, type[DwposeError]]] = {
    error.exit_code: error for error in (InvalidArgumentError, BackendUnavailableError, ModelError)
}
"""Exit status of a process -> error that ends this one with the same."""

_POLL_S = 0.2
_GRACE_S = 45.0  # torchrun gives its processes 30 s, and kills them then


def train_in_processes(
    settings: Settings, folder: Path, *, processes: int, device: str
) -> TrainingSummary:
    """Carries out a run, or the rest of it, in several processes.

    They are started by torchrun, in a session of their own, so that a Ctrl-C reaches each of them
    once: SIGINT and SIGTERM are handed on, and the run ends with a checkpoint.

    Args:
        settings: What is learnt.
        folder: Folder of the run; a run in it goes on.
        processes: Their number; on GPUs each takes its own.
        device: "cpu" or "cuda".

    Returns:
        How the run ended.

    Raises:
        DwposeError: They ended without a result; their messages stand above. Its class is that of
            their exit status, `TrainingError` for 1 and all that are unknown.
        OutputError: A file cannot be written.
    """
    if ":" in device:
        raise InvalidArgumentError(
            f"device {device!r} is one GPU, but there are {processes} processes; 'cuda' gives each "
            "its own"
        )
    with tempfile.TemporaryDirectory(prefix="dwpose-train-") as temporary, GracefulStop() as stop:
        given, ended = Path(temporary) / "settings.json", Path(temporary) / "ended.json"
        write_bytes(given, settings_json(settings).encode())
        command = [sys.executable, "-m", MODULE, "launcher", "--standalone"]
        command += ["--nproc-per-node", str(processes), "-m", MODULE, "worker"]
        command += [str(given), str(folder), device, str(ended)]
        status = _wait(command, stop)
        if ended.exists():
            summary = read_summary(ended)
            return replace(summary, stopped_by=stop.signal_name or summary.stopped_by)
    raise _ERRORS.get(status, TrainingError)(
        f"the {processes} training processes ended with status {status}; what they said stands "
        "above"
    )


def _wait(command: list[str], stop: GracefulStop) -> int:
    """Runs a command to its end, handing a signal on once."""
    environment = {"OMP_NUM_THREADS": "1", **os.environ}  # as torchrun, without its warning
    process = subprocess.Popen(command, start_new_session=True, env=environment)
    handed_on = False
    try:
        while process.poll() is None:
            if stop and not handed_on:
                handed_on = True
                process.terminate()
            time.sleep(_POLL_S)
    finally:
        if process.poll() is None:  # a second signal; torchrun ends what it started by itself
            process.terminate()
            _end(process)
    return process.returncode


def _end(process: subprocess.Popen[bytes]) -> None:
    try:
        process.wait(_GRACE_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
