"""Checkpoints of a training run: written whole or not at all, read without running anything.

A checkpoint has mmengine's layout: `state_dict` holds the averaged weights under the official
names, so that `load_model` and the exporter read it like a published file; with an average the
raw weights stand beside it in `ema_state_dict`, as `module.*`, with its counter `steps`. What
else the run needs to go on lies under names of its own, see `TrainingState`.
"""

from __future__ import annotations

import json
import os
import pickle
import re
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor

from ...._version import __version__
from ....errors import InvalidArgumentError, ModelFormatError, OutputError
from ....files.atomic import part_file

FORMAT: Final = 1
"""Version of the layout."""

BEST_NAME: Final = "best.pth"
"""The weights with the best validation so far, without what going on would need."""

_NAME = re.compile(r"step_(\d{8,})\.pth")


@dataclass(frozen=True, slots=True, eq=False)
class TrainingState:
    """All that determines how a run goes on.

    Attributes:
        step: Steps done.
        epoch: Epochs done; with `step` it says how far the current one is.
        settings: The run's settings as plain data.
        facts: What else has to be the same when it goes on, such as the number of samples.
        weights: What the optimiser changes and all buffers, by official name.
        averaged: Their moving average, by the same names; None without one.
        averaged_steps: How often the average was updated.
        optimizer: The optimiser's state.
        scaler: The state of the loss scaling; empty without any.
        meters: Sums of the log's current interval.
    """

    step: int
    epoch: int
    settings: Mapping[str, Any]
    facts: Mapping[str, Any]
    weights: Mapping[str, Tensor]
    averaged: Mapping[str, Tensor] | None = None
    averaged_steps: int = 0
    optimizer: Mapping[str, Any] = field(default_factory=dict)
    scaler: Mapping[str, Any] = field(default_factory=dict)
    meters: Mapping[str, Any] = field(default_factory=dict)

    @property
    def result(self) -> Mapping[str, Tensor]:
        """The weights that the run hands out: the average where there is one."""
        return self.weights if self.averaged is None else self.averaged


def step_path(folder: Path, step: int) -> Path:
    """Returns where the checkpoint of a step lies."""
    return folder / f"step_{step:08d}.pth"


def list_checkpoints(folder: Path) -> list[Path]:
    """Returns the checkpoints of a folder, by step, the newest last."""
    found = [path for path in folder.glob("step_*.pth") if _NAME.fullmatch(path.name)]
    return sorted(found, key=lambda path: int(path.stem.removeprefix("step_")))


def save_state(folder: Path, state: TrainingState, *, keep: int) -> Path:
    """Writes a checkpoint, then removes the oldest.

    Args:
        folder: Folder of the checkpoints.
        state: What to write.
        keep: How many to leave, at least 1; two protect against a damaged one.

    Returns:
        The file.

    Raises:
        OutputError: It cannot be written; the older ones are all there.
    """
    path = step_path(folder, state.step)
    document = _weights_document(state) | {
        "optimizer": dict(state.optimizer),
        "scaler": dict(state.scaler),
        "meters": dict(state.meters),
    }
    if state.averaged is not None:
        raw = {f"module.{name}": value for name, value in state.weights.items()}
        document["ema_state_dict"] = {"steps": torch.tensor(state.averaged_steps), **raw}
    _write(path, document)
    for old in list_checkpoints(folder)[:-keep]:
        old.unlink(missing_ok=True)
    return path


def save_best(folder: Path, state: TrainingState, *, metric: str, value: float) -> Path:
    """Writes the weights that the run hands out, and how good they are, as `BEST_NAME`.

    Raises:
        OutputError: The file cannot be written; what stood there before is unchanged.
    """
    document = _weights_document(state)
    document["meta"] |= {"best_metric": metric, "best_value": float(value)}
    path = folder / BEST_NAME
    _write(path, document)
    return path


def read_best_value(folder: Path, metric: str) -> float | None:
    """Returns how good the best weights of a folder are, None where there are none of a metric.

    Raises:
        ModelFormatError: The file is damaged.
    """
    path = folder / BEST_NAME
    if not path.exists():
        return None
    meta = _read(path)["meta"]
    return float(meta["best_value"]) if meta.get("best_metric") == metric else None


def load_state(path: Path) -> TrainingState:
    """Reads a checkpoint; nothing in it is run.

    Raises:
        ModelFormatError: The file is damaged, or no checkpoint that a run can go on from.
    """
    document = _read(path)
    try:
        meta = document["meta"]
        if meta["format"] != FORMAT:
            raise ModelFormatError(
                f"{path} has the layout {meta['format']}, this version reads {FORMAT}"
            )
        raw = document.get("ema_state_dict")
        result = document["state_dict"]
        return TrainingState(
            step=meta["step"],
            epoch=meta["epoch"],
            settings=json.loads(meta["settings"]),
            facts=json.loads(meta["facts"]),
            weights=result if raw is None else _without_prefix(raw),
            averaged=None if raw is None else result,
            averaged_steps=0 if raw is None else int(raw["steps"]),
            optimizer=document["optimizer"],
            scaler=document["scaler"],
            meters=document["meters"],
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ModelFormatError(
            f"{path} is not a checkpoint that a training run can go on from: it lacks {error}"
        ) from error


def require_same(
    stored: Mapping[str, Any], given: Mapping[str, Any], *, harmless: frozenset[str], path: Path
) -> None:
    """Checks that a run goes on as it began.

    Args:
        stored: Settings of the checkpoint as plain data, nested.
        given: Settings of the run that goes on.
        harmless: Dotted names that may differ, with all below them.
        path: The checkpoint, for the message.

    Raises:
        InvalidArgumentError: They differ; the message names each difference.
    """
    before, now = _flat(stored), _flat(given)
    differences = [
        f"{name} was {json.dumps(before.get(name))}, is {json.dumps(now.get(name))}"
        for name in sorted(before.keys() | now.keys())
        if before.get(name) != now.get(name) and not _is_harmless(name, harmless)
    ]
    if differences:
        raise InvalidArgumentError(
            f"the run of {path} cannot go on with other settings: {'; '.join(differences)}. Go on "
            "with the same, or begin a new run in another folder"
        )


def _is_harmless(name: str, harmless: frozenset[str]) -> bool:
    return any(name == allowed or name.startswith(f"{allowed}.") for allowed in harmless)


def _flat(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in tree.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{prefix}{name}.")
        else:
            flat[f"{prefix}{name}"] = value
    return flat


def _weights_document(state: TrainingState) -> dict[str, Any]:
    return {
        "meta": {
            "format": FORMAT,
            "dwpose_infer": __version__,
            "step": state.step,
            "epoch": state.epoch,
            "settings": json.dumps(state.settings),
            "facts": json.dumps(state.facts),
        },
        "state_dict": dict(state.result),  # plain: a state_dict's own class would need pickling
    }


def _without_prefix(raw: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {
        name.removeprefix("module."): value
        for name, value in raw.items()
        if name.startswith("module.")
    }


def _write(path: Path, document: Mapping[str, Any]) -> None:
    """As `files.atomic`, but straight into the file: optimisers are too large for two copies."""
    try:
        with part_file(path) as part:
            with part.open("wb") as file:
                torch.save(dict(document), file)
                file.flush()
                os.fsync(file.fileno())
            part.replace(path)
    except (OSError, RuntimeError) as error:  # torch wraps a full disk in a RuntimeError
        raise OutputError(f"cannot write {path}: {error}") from error


def _read(path: Path) -> dict[str, Any]:
    try:
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()  # torch itself does not look at the check sums
        if damaged is not None:
            raise ModelFormatError(f"{path} is damaged: the check sum of {damaged} is wrong")
        document: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, zipfile.BadZipFile, pickle.UnpicklingError) as error:
        raise ModelFormatError(f"{path} is not a readable checkpoint: {error}") from error
    if not isinstance(document, dict) or not isinstance(document.get("meta"), dict):
        raise ModelFormatError(f"{path} is not a checkpoint of dwpose-train")
    return document
