"""Small synthetic sets in COCO-WholeBody's layout, settings for them, and runs of their own.

As a program it carries out a run in a process that can be killed:

    python training_samples.py SETTINGS.json FOLDER OPTIONS.json
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np

SIDE = 96
ONE_THREAD = {**os.environ, "OMP_NUM_THREADS": "1"}
FIELDS = {
    "keypoints": slice(0, 17),
    "foot_kpts": slice(17, 23),
    "face_kpts": slice(23, 91),
    "lefthand_kpts": slice(91, 112),
    "righthand_kpts": slice(112, 133),
}


def write_set(folder: Path, *, persons: int, seed: int = 5) -> Path:
    """Writes labels.json and pictures of coloured patches, one person each; returns the folder."""
    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    images, annotations = [], []
    for number in range(1, persons + 1):
        patches = rng.integers(0, 256, (6, 6, 3), np.uint8)
        picture = cv2.resize(patches, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC)
        cv2.imwrite(str(folder / f"{number}.png"), picture)
        images.append({"id": number, "file_name": f"{number}.png", "width": SIDE, "height": SIDE})
        points = np.full((133, 3), 2.0)
        points[:, :2] = rng.uniform(20, SIDE - 20, (133, 2)).round(2)
        annotations.append(
            {
                "id": 100 + number,
                "image_id": number,
                "category_id": 1,
                "iscrowd": 0,
                "bbox": [14, 14, SIDE - 28, SIDE - 28],
                "num_keypoints": 17,
                **{name: points[span].ravel().tolist() for name, span in FIELDS.items()},
            }
        )
    (folder / "labels.json").write_text(json.dumps({"images": images, "annotations": annotations}))
    return folder


def small_settings(folder: Path, **changes: Any) -> dict[str, Any]:
    """Settings of a small run as plain data: DWPose t at 64x64, batches of 4, no workers."""
    source = {"annotations": "labels.json", "images": "."}
    settings: dict[str, Any] = {
        "name": "small",
        "size": "t",
        "input_height": 64,
        "input_width": 64,
        "epochs": 3,
        "batch_size": 4,
        "validate_every": 1,
        "log_every": 1,
        "best_by": "PCK",
        "data": {
            "root": str(folder),
            "train": [source],
            "validation": source,
            "flip_test": False,
            "workers": 0,
        },
        "augment": {"final_epochs": 1},
        "codec": {"sigma_xy": [2.0, 2.0]},
        "schedule": {"warmup_steps": 4},
        "ema": {"gamma": 10},
    }
    for key, value in changes.items():
        if isinstance(value, dict) and isinstance(settings.get(key), dict):
            settings[key] = settings[key] | value
        else:
            settings[key] = value
    return settings


def run_command(
    settings: dict[str, Any],
    folder: Path,
    *,
    processes: int = 1,
    kill_at: int | None = None,
    **options: Any,
) -> list[str]:
    """Returns the command that carries out a run.

    Args:
        settings: As plain data.
        folder: Folder of the run.
        processes: More than one are started by torchrun.
        kill_at: The process sends itself SIGKILL in this step.
        options: Fields of `RunOptions`.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    paths = [folder.with_name(f"{folder.name}.{name}.json") for name in ("settings", "options")]
    for path, content in zip(paths, (settings, {**options, "kill_at": kill_at}), strict=True):
        path.write_text(json.dumps(content))
    command = [sys.executable]
    if processes > 1:
        command += ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node"]
        command += [str(processes)]
    return [*command, __file__, str(paths[0]), str(folder), str(paths[1])]


def start_run(
    settings: dict[str, Any], folder: Path, **options: Any
) -> subprocess.CompletedProcess[str]:
    """Carries out a run in processes of its own, each with one thread; see `run_command`."""
    return subprocess.run(
        run_command(settings, folder, **options),
        check=False,
        capture_output=True,
        text=True,
        timeout=280,
        env=ONE_THREAD,
    )


def main(settings_path: str, folder: str, options_path: str) -> None:
    import torch

    from dwpose_infer.errors import DwposeError
    from dwpose_infer.models.training.overrides import from_plain
    from dwpose_infer.models.training.pose.run import PoseLearner
    from dwpose_infer.models.training.trainer import RunOptions, train

    torch.set_num_threads(1)
    settings = from_plain(json.loads(Path(settings_path).read_text()))
    options = json.loads(Path(options_path).read_text())
    kill_at = options.pop("kill_at")
    if kill_at is not None:
        whole_step = PoseLearner.training_step
        done = 0

        def last_step(*arguments: Any, **keywords: Any) -> Any:
            nonlocal done
            done += 1
            if done == kill_at:
                os.kill(os.getpid(), signal.SIGKILL)
            return whole_step(*arguments, **keywords)

        PoseLearner.training_step = last_step  # type: ignore[method-assign]
    try:
        say = partial(print, flush=True)
        summary = train(settings, Path(folder), RunOptions(say=say, **options))
    except DwposeError as error:
        sys.exit(f"{type(error).__name__}: {error}")
    sys.stdout.write(f"finished {summary.finished} at step {summary.step}\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
