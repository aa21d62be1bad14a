"""How every command ends: errors in one line, and the exit status that says what happened."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable

from ..errors import DwposeError

INTERRUPTED = 130
"""Exit status after Ctrl-C: 128 and the number of SIGINT, as shells count."""

READER_GONE = 1


def exit_status(
    work: Callable[[], int], *, program: str, interrupted: str = "interrupted", place: str = ""
) -> int:
    """Does the work of a command.

    Args:
        work: Returns the exit status if all goes well.
        program: Name of the command, which lines on standard error begin with.
        interrupted: What to say after Ctrl-C.
        place: Put before the text of an error, such as which process it is of.

    Returns:
        That of `work`; that of the error (see `errors`), which is printed; 130 after Ctrl-C; 1
        where the reader of standard output has gone, as `head` goes, which needs no message.
    """
    try:
        status = work()
        sys.stdout.flush()
        return status
    except DwposeError as error:
        print(f"{program}: {place}error: {error}", file=sys.stderr)
        return error.exit_code
    except BrokenPipeError:
        _drop_output()
        return READER_GONE
    except KeyboardInterrupt:
        print(f"{program}: {interrupted}", file=sys.stderr)
        return INTERRUPTED


def _drop_output() -> None:
    """Lets what is still buffered go nowhere, or Python would complain when it ends."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, sys.stdout.fileno())
    finally:
        os.close(nowhere)
