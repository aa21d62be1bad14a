"""The processes that `launch` starts: torch's launcher, and under it those that train.

python -m dwpose_infer.models.training.distill.launched launcher TORCHRUN_ARGUMENTS
python -m dwpose_infer.models.training.distill.launched worker SETTINGS FOLDER DEVICE REPORT
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from ....errors import DwposeError
from ....files.document import write_document
from ..loop.run_options import RunOptions
from ..run_command import say
from ..settings.choosing import read_settings
from ..trainer import train


def main(argv: Sequence[str]) -> int:
    """Does what one of the processes does; the arguments are those above.

    Returns:
        Exit status.
    """
    role, *rest = argv
    return _launch(rest) if role == "launcher" else _work(*rest)


def _launch(arguments: list[str]) -> int:
    """Runs torchrun, without the tracebacks it shows when it is stopped or a process fails."""
    from torch.distributed.elastic.multiprocessing.api import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.run import main as torchrun

    try:
        torchrun(arguments)
    except SignalException as stopped:
        return 128 + int(stopped.sigval)
    except ChildFailedError as failed:
        _, first = failed.get_first_failure()
        return first.exitcode if first.exitcode > 0 else 1  # below 0: killed by a signal
    return 0


def _work(settings: str, folder: str, device: str, report: str) -> int:
    first = os.environ.get("RANK", "0") == "0"
    try:
        options = RunOptions(device=device, resume=True, say=say)
        summary = train(read_settings(Path(settings)), Path(folder), options)
        if first:
            write_document(Path(report), summary)
    except DwposeError as error:
        say(f"process {os.environ.get('RANK', '0')}: error: {error}")
        return error.exit_code
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
