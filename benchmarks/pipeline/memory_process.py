"""The process whose memory is measured: a task on standard input, what it took on the output."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import msgspec

from .memory import MemoryTask, work


def _to_path(kind: type, value: Any) -> Any:
    return Path(value) if kind is Path else value


if __name__ == "__main__":
    task = msgspec.json.decode(sys.stdin.buffer.read(), type=MemoryTask, dec_hook=_to_path)
    sys.stdout.buffer.write(msgspec.json.encode(work(task)))
