"""How every command ends: errors in one line, and the exit status that says what happened."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import unicodedata
from collections.abc import Callable, Iterator

from ..errors import DwposeError, OutputError
from ..files.atomic import reason_of

INTERRUPTED = 130
"""Exit status after Ctrl-C: 128 and the number of SIGINT, as shells count."""

READER_GONE = 1

_TURNING = frozenset("\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""What changes the direction of writing (Unicode Standard Annex 9, section 2)."""


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
        That of `work`; that of the error (see `errors`), which is printed; 130 after Ctrl-C or
        SIGTERM; 1 where the reader of standard output has gone, as `head` goes, which needs no
        message.
    """
    try:
        with _terminated_like_interrupted():
            status = work()
        sys.stdout.flush()
        return status
    except DwposeError as error:
        print(printable(f"{program}: {place}error: {error}"), file=sys.stderr)
        return error.exit_code
    except BrokenPipeError:
        _drop_output()
        return READER_GONE
    except OSError as error:
        if error.filename is not None:  # no file that was written to: those raise OutputError
            raise
        print(f"{program}: error: cannot write the output: {reason_of(error)}", file=sys.stderr)
        _drop_output()
        return OutputError.exit_code
    except KeyboardInterrupt:
        print(f"{program}: {interrupted}", file=sys.stderr)
        return INTERRUPTED


@contextlib.contextmanager
def _terminated_like_interrupted() -> Iterator[None]:
    """Lets SIGTERM, which schedulers and containers send, end the work as Ctrl-C does."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def printable(text: str) -> str:
    """Returns text that may go to a terminal: without the control characters of file names.

    A name may hold sequences that clear the screen, or turn the writing around; they are written
    as in Python's text.
    """
    return "".join(ascii(letter)[1:-1] if _is_control(letter) else letter for letter in text)


def _is_control(letter: str) -> bool:
    if letter in "\n\t":
        return False
    return letter in _TURNING or unicodedata.category(letter) in ("Cc", "Cs")


def _drop_output() -> None:
    """Lets what is still buffered go nowhere, or Python would complain when it ends."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, sys.stdout.fileno())
    finally:
        os.close(nowhere)
