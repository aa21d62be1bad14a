"""Methods in processes of their own: nothing of the others runs beside what is timed.

The parent writes a task as one line of JSON and reads one line that says what was prepared; then
every number it writes is answered with what so many calls gave.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Generic, TypeVar

import msgspec

from ...errors import DwposeError, InferenceError, InvalidArgumentError
from .clock import Clock

BLOCKS = 5
"""Every method works in so many blocks, which take turns with those of the others."""

REST_S = 0.2
"""Before a block nothing is done for so long: threads of the last one have stopped by then."""


class Sample(msgspec.Struct, frozen=True):
    """What one call took.

    Attributes:
        outside_ms: Milliseconds outside the networks.
        networks_ms: Milliseconds inside them.
        cpu_ms: CPU time of all threads of the process, in milliseconds.
    """

    outside_ms: float
    networks_ms: float
    cpu_ms: float


Ready = TypeVar("Ready")
Answer = TypeVar("Answer")
Task = TypeVar("Task")


class Worker(Generic[Ready, Answer]):
    """A process that works on a task.

    Attributes:
        ready: What it has prepared.
    """

    def __init__(
        self, process: subprocess.Popen[bytes], errors: Any, name: str, answer: type[Answer]
    ) -> None:
        self._process, self._errors, self._name, self._answer = process, errors, name, answer
        self.ready: Ready

    def work(self, calls: int) -> Answer:
        """Rests, then has so many calls made and returns what they gave."""
        time.sleep(REST_S)
        return self.ask(calls)

    def ask(self, number: int) -> Answer:
        """Returns the answer to a number, at once."""
        answer: Answer = self._ask(b"%d" % number, self._answer)
        return answer

    def _ask(self, line: bytes, kind: type[Any]) -> Any:
        if self._process.stdin is None or self._process.stdout is None:
            raise TypeError("a worker has pipes")
        try:
            self._process.stdin.write(line + b"\n")
            self._process.stdin.flush()
            return msgspec.json.decode(self._process.stdout.readline(), type=kind)
        except (BrokenPipeError, msgspec.DecodeError) as error:
            self._process.wait()
            self._errors.seek(0)
            last = self._errors.read().decode(errors="replace").strip().splitlines()[-1:]
            raise InferenceError(f"measuring {self._name} failed: {' '.join(last)}") from error


@contextmanager
def start_worker(
    program: str | Path,
    task: object,
    *,
    name: str,
    ready: type[Ready],
    answer: type[Answer],
    python: str | Path = sys.executable,
) -> Iterator[Worker[Ready, Answer]]:
    """Starts a process and waits until it is ready; it ends with the context.

    Args:
        program: Module that calls `serve` when it is run, or a file that does as `serve`.
        task: What it is to do, a struct of msgspec; paths become strings.
        name: What messages call it.
        ready: Class of what it prepares.
        answer: Class of its answers.
        python: The interpreter, where that is another one.

    Raises:
        InferenceError: The process failed; the message has its last line.
        InvalidArgumentError: The interpreter cannot be started.
    """
    with tempfile.TemporaryFile() as errors, _start(python, program, errors) as process:
        worker: Worker[Ready, Answer] = Worker(process, errors, name, answer)
        try:
            worker.ready = worker._ask(msgspec.json.encode(task, enc_hook=str), ready)
            yield worker
        except BaseException:
            process.kill()
            raise


def _start(python: str | Path, program: str | Path, errors: Any) -> subprocess.Popen[bytes]:
    command = [str(python), *(["-m"] if isinstance(program, str) else []), str(program)]
    pipe = subprocess.PIPE
    try:
        return subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=errors)
    except OSError as error:
        raise InvalidArgumentError(
            f"{python} cannot be started as a Python interpreter: {error.strerror}"
        ) from error


def serve(
    task: type[Task], prepare: Callable[[Task], tuple[object, Callable[[int], object]]]
) -> None:
    """Is the process: reads the task, prepares it and answers until nothing more is asked.

    Args:
        task: Class of the task.
        prepare: Returns what was prepared, and what makes so many calls and says what they gave.
    """
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb", buffering=0)
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what a library prints is no answer
    lines = iter(sys.stdin.buffer.readline, b"")
    try:
        given = msgspec.json.decode(next(lines), type=task, dec_hook=_to_path)
        ready, work = prepare(given)
        answers.write(msgspec.json.encode(ready) + b"\n")
        for line in lines:
            answers.write(msgspec.json.encode(work(int(line))) + b"\n")
    except DwposeError as error:
        raise SystemExit(str(error)) from error


def _to_path(kind: type, value: Any) -> Any:
    return Path(value) if kind is Path else value


def sample(clock: Clock, call: Callable[[], object]) -> Sample:
    """Returns what a call takes; the clock has to watch the networks."""
    began_s = time.process_time()
    outside_ms, networks_ms = clock.call(call)
    return Sample(outside_ms, networks_ms, 1e3 * (time.process_time() - began_s))


def block_sizes(calls: int) -> list[int]:
    """Returns how many calls each block has, all together `calls`."""
    blocks = min(BLOCKS, calls)
    return [calls // blocks + (index < calls % blocks) for index in range(blocks)]
