"""`precision="auto"` of OpenVINO: fp32, or bf16 where nothing speaks against it.

Three things decide, network by network: whether this CPU has bf16 arithmetic, whether the very file
was evaluated in bf16 and kept its accuracy, and which of the two is faster here. The last is timed
once; what came out is kept in the folder `timings` beside the downloaded models.
"""

from __future__ import annotations

import datetime
import hashlib
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from ..errors import DwposeError
from ..files.atomic import is_file, sha256_of
from ..files.document import read_document, write_document
from ..zoo import ModelSpec, list_models
from ..zoo.places import timings_folder

logger = logging.getLogger(__name__)

Precision = Literal["fp32", "bf16"]

OpenCall = Callable[[Precision, tuple[int, int]], Callable[[], object]]

NEEDED_GAIN = 0.95
"""bf16 must take at most so much of fp32's time: less is within what the clock may err."""

ROUNDS, CALLS = 5, 3
"""Rounds in which the precisions take turns, and calls of each in a round; the shortest counts,
which a busy machine lengthens least."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """What a file takes on this machine, one picture or person a call.

    Attributes:
        machine: CPU, runtime and threads in words.
        model_sha256: SHA-256 of the file.
        fp32_ms: Milliseconds of a call in fp32.
        bf16_ms: The same in bf16.
        date: Day of the measurement, UTC.
    """

    machine: str
    model_sha256: str
    fp32_ms: float
    bf16_ms: float
    date: str
    schema_version: Literal[1] = 1


@dataclass(frozen=True, slots=True)
class Choice:
    """A precision, and why it was chosen."""

    precision: Precision
    reason: str


def choose_precision(
    model_path: Path,
    *,
    has_bf16: bool,
    machine: str,
    open_call: OpenCall,
) -> Choice:
    """Chooses what a file is calculated in.

    Args:
        model_path: ONNX file.
        has_bf16: Whether this CPU has bf16 arithmetic.
        machine: CPU, runtime and threads in words; a timing made with others does not count.
        open_call: Loads the file in a precision and returns what runs it once on an input of that
            height and width; called only where there is no timing yet.
    """
    if not has_bf16:
        return Choice("fp32", "this CPU has no bf16 arithmetic (avx512_bf16 or AMX)")
    spec = _passed_in_bf16(model_path)
    if spec is None:
        return Choice(
            "fp32",
            f"it is not known what bf16 does to the accuracy of {model_path.name}; "
            "precision 'bf16' takes it all the same",
        )
    timing = _timing(spec, machine, open_call)
    share = timing.bf16_ms / timing.fp32_ms
    faster = share <= NEEDED_GAIN
    return Choice(
        "bf16" if faster else "fp32",
        f"bf16 takes {share:.2f} of the time of fp32 here (timed once, {timing.date}), "
        f"{'and keeps' if faster else 'which is no gain; it would keep'} the accuracy of this file",
    )


def _passed_in_bf16(model_path: Path) -> ModelSpec | None:
    """The model whose file this is, if it was evaluated in bf16."""
    size_bytes = model_path.stat().st_size if is_file(model_path) else 0
    known = [
        spec
        for spec in list_models()
        if "bf16" in spec.passed_precisions and spec.size_bytes == size_bytes
    ]
    sha256 = sha256_of(model_path) if known else None
    return next((spec for spec in known if spec.sha256 == sha256), None)


def _timing(spec: ModelSpec, machine: str, open_call: OpenCall) -> Timing:
    """What is known of a file on this machine, or what is found out now."""
    sha256 = str(spec.sha256)
    key = hashlib.sha256(f"{machine}\n{sha256}".encode()).hexdigest()[:16]
    path = timings_folder() / f"openvino-{key}.json"
    if is_file(path):
        try:
            known = read_document(path, Timing)
        except DwposeError as error:
            logger.warning("%s; timing anew", error)
        else:
            if (known.machine, known.model_sha256) == (machine, sha256):
                return known
    best_ms = _best_ms({each: open_call(each, spec.input_hw) for each in get_args(Precision)})
    timing = Timing(
        machine=machine,
        model_sha256=sha256,
        fp32_ms=best_ms["fp32"],
        bf16_ms=best_ms["bf16"],
        date=datetime.datetime.now(datetime.timezone.utc).date().isoformat(),
    )
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_document(path, timing)
    except (OSError, DwposeError) as error:
        logger.warning("the timing cannot be kept, the next start will repeat it: %s", error)
    return timing


def _best_ms(calls: Mapping[Precision, Callable[[], object]]) -> dict[Precision, float]:
    """The shortest call of each, in milliseconds, after one that does not count."""
    best_ms = dict.fromkeys(calls, float("inf"))
    for call in calls.values():
        call()
    for _ in range(ROUNDS):
        for precision, call in calls.items():
            for _ in range(CALLS):
                began_s = time.perf_counter()
                call()
                best_ms[precision] = min(best_ms[precision], 1e3 * (time.perf_counter() - began_s))
    return best_ms
