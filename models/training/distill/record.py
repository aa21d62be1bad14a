"""What `dwpose-train distill` has done so far: one JSON file in its folder, always whole."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

from ...._version import __version__
from ....errors import FormatError, InvalidArgumentError
from ....files.document import read_document, write_document
from ..loop.checkpoint import require_same
from ..loop.resuming import HARMLESS

RECORD_NAME: Final = "distill.json"


@dataclass(frozen=True, slots=True)
class StepRecord:
    """A finished step.

    Attributes:
        inputs: What it was made from; another value makes the step run again.
        files: What it wrote, relative to the folder.
        result: What it came to, in words.
    """

    inputs: dict[str, Any]
    files: tuple[str, ...]
    result: str


@dataclass(frozen=True, slots=True)
class _Layout:
    format: Literal[1] = field(default=1, kw_only=True)
    dwpose_infer: str
    identity: dict[str, Any]
    begun: dict[str, str]
    steps: dict[str, StepRecord]


class DistillRecord:
    """The finished steps of a folder, and what belongs to all of them.

    Attributes:
        folder: The folder.
        path: The record's file in it.
        steps: Name -> finished step.
    """

    def __init__(self, folder: Path, identity: Mapping[str, Any]) -> None:
        """Reads a folder's record, or begins one.

        Args:
            folder: The folder; need not exist.
            identity: What the whole distillation is of, as plain data: `teacher`, and the
                settings of the stages as `stage1` and `stage2`.

        Raises:
            InvalidArgumentError: The folder holds a distillation that is of something else; the
                message names each difference.
            FormatError: The record is damaged.
        """
        self.folder = folder
        self.path = folder / RECORD_NAME
        self._identity: dict[str, Any] = json.loads(json.dumps(identity))
        self.steps: dict[str, StepRecord] = {}
        self._begun: dict[str, str] = {}
        if self.path.exists():
            self._read()

    def _read(self) -> None:
        harmless = {f"{stage}.{name}" for stage in ("stage1", "stage2") for name in HARMLESS}
        try:
            stored = read_document(self.path, _Layout)
            require_same(
                stored.identity, self._identity, harmless=frozenset(harmless), path=self.path
            )
        except (FormatError, InvalidArgumentError) as error:
            raise type(error)(
                f"{error} (give another --out, or remove {self.folder} to start anew)"
            ) from error
        self._begun, self.steps = stored.begun, stored.steps

    def find(self, step: str, inputs: Mapping[str, Any]) -> StepRecord | None:
        """Returns a step that was finished with these inputs and whose files are all there."""
        record = self.steps.get(step)
        if record is None or record.inputs != json.loads(json.dumps(inputs)):
            return None
        return record if all((self.folder / name).exists() for name in record.files) else None

    def finish(self, step: str, record: StepRecord, *, later: Sequence[str]) -> None:
        """Writes down that a step is finished.

        Args:
            step: Its name.
            record: What it did.
            later: Steps that build on it: what was done of them before no longer counts.

        Raises:
            OutputError: The record cannot be written.
        """
        for name in later:
            self.steps.pop(name, None)
        self.steps[step] = record
        self._write()

    def begin(self, step: str, source_sha256: str) -> None:
        """Writes down what a training stage begins with.

        Raises:
            InvalidArgumentError: It began with something else before.
            OutputError: The record cannot be written.
        """
        before, folder = self._begun.get(step), self.folder / step
        if before is not None and before != source_sha256 and folder.exists():
            raise InvalidArgumentError(
                f"{folder} began with another network than the one that is there now; remove "
                f"{folder} to train it anew, or give another --out"
            )
        self._begun[step] = source_sha256
        self._write()

    def _write(self) -> None:
        write_document(
            self.path,
            _Layout(
                dwpose_infer=__version__,
                identity=self._identity,
                begun=self._begun,
                steps=self.steps,
            ),
        )
