"""The command `dwpose-bench other-networks`: who is measured, and on what."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from ...errors import InputError, InvalidArgumentError
from ..benchmark import Benchmark, option
from ..network_options import NetworkSettings, at_least_one

Method = Literal[
    "dwpose_infer",
    "mediapipe pose lite",
    "mediapipe pose full",
    "mediapipe pose heavy",
    "mediapipe holistic full",
    "mediapipe holistic heavy",
    "ultralytics",
]
"""Begins with the project, which is also the Python package; then, of MediaPipe, the solution and
the size of its network."""

OURS: Method = "dwpose_infer"
ULTRALYTICS: Method = "ultralytics"

BY_DEFAULT: tuple[Method, ...] = ("mediapipe pose full", "mediapipe holistic full", ULTRALYTICS)
"""The networks of the first two are in MediaPipe's wheel; it loads the others from the web."""

_EPILOG = """\
MediaPipe and Ultralytics run networks of their own, which find other points: this says how long
they take, and how many of COCO's 17 body points they hit. Each runs as its documentation shows it,
with its own settings, in a process and a Python environment of its own, and they take turns with
rests. Nothing of theirs is imported here; Ultralytics is under the AGPL.

Timed are made-up pictures, from the decoded picture to the points, and made-up clips, from the file
to the points of every frame, in which MediaPipe follows whom it has found. Its `solutions` find one
person. They are in its releases up to 0.10.21.

With --annotations: the share of the labelled body points that are within 5 % of the longer side of
the labelled box, as dwpose-eval counts it. "own boxes": each finds the persons in the whole picture
by itself. "labelled boxes": this package is given the boxes; the others, which take none, are given
the picture cut out around each, 1.25 times as large.

examples:
  python3.11 -m venv mp && mp/bin/pip install mediapipe==0.10.21
  python3.11 -m venv ul && ul/bin/pip install ultralytics-opencv-headless
  dwpose-bench other-networks --peer-python mediapipe=mp/bin/python
  dwpose-bench other-networks --peer-python mediapipe=mp/bin/python ultralytics=ul/bin/python \\
      --ultralytics-weights yolo11n-pose.pt --annotations val.json --images val2017
  dwpose-bench other-networks --from other_networks.json
"""


@dataclass(frozen=True, kw_only=True)
class OtherNetworksSettings(NetworkSettings):
    """Who is measured, and on what."""

    peer_python: Sequence[str] = option(
        "--peer-python",
        nargs="+",
        default=(),
        metavar="NAME=PYTHON",
        help="mediapipe= or ultralytics= and the Python interpreter that has it",
    )
    peers: Sequence[Method] | None = option(
        "--peers",
        nargs="+",
        choices=[name for name in get_args(Method) if name != OURS],
        metavar="PEER",
        help="which of them (default: 'mediapipe pose full' and 'mediapipe holistic full', whose "
        "networks are in its wheel, and ultralytics, where --peer-python names them; further "
        "there are 'mediapipe pose lite', 'mediapipe pose heavy', 'mediapipe holistic heavy')",
    )
    ultralytics_weights: Path | None = option(
        "--ultralytics-weights",
        type=Path,
        metavar="FILE",
        help="its network with COCO's 17 points, such as yolo11n-pose.pt",
    )
    persons: Sequence[int] = option(
        "--persons",
        nargs="*",
        type=int,
        default=[1, 4],
        metavar="N",
        help="persons on the made-up pictures and clips, 1 to 10 (default: 1 4); without a number "
        "none are made",
    )
    frames: int = option(
        "--frames", type=int, default=50, metavar="N", help="frames of a clip (default: 50)"
    )
    detect_every: int = option(
        "--detect-every",
        type=int,
        default=5,
        metavar="N",
        help="this package searches every N frames of a clip for persons (default: 5)",
    )
    pictures: Path | None = option(
        "--pictures", type=Path, metavar="DIR", help="also time the pictures of a folder"
    )
    annotations: Sequence[Path] = option(
        "--annotations",
        nargs="+",
        type=Path,
        default=(),
        metavar="FILE",
        help="also tell the share of body points hit, on labels in COCO's layout",
    )
    images: Sequence[Path] = option(
        "--images",
        nargs="+",
        type=Path,
        default=(),
        metavar="DIR",
        help="their pictures, a folder for each file of --annotations",
    )
    repeats: int = option("--repeats", type=int, default=10, help="calls timed (default: 10)")

    def pythons(self) -> dict[str, Path]:
        """Returns project -> interpreter.

        Raises:
            InvalidArgumentError: None is named, one is unknown, or there is no such file.
        """
        found = {}
        for given in self.peer_python:
            name, _, python = given.partition("=")
            if name not in ("mediapipe", "ultralytics") or not python:
                raise InvalidArgumentError(
                    f"--peer-python is {given}, must be mediapipe=PYTHON or ultralytics=PYTHON"
                )
            if not Path(python).is_file():
                raise InvalidArgumentError(f"--peer-python: there is no interpreter {python}")
            found[name] = Path(python)
        if not found:
            raise InvalidArgumentError(
                "there is nobody to measure beside this package: make an environment for each "
                "(python3.11 -m venv mp; mp/bin/pip install mediapipe==0.10.21) and name it: "
                "--peer-python mediapipe=mp/bin/python"
            )
        return found

    def methods(self) -> tuple[Method, ...]:
        """Returns who is measured, this package first.

        Raises:
            InvalidArgumentError: Something that one of them needs is not given.
            InputError: The weights are not there.
        """
        pythons = self.pythons()
        chosen = self.peers
        if chosen is None:
            chosen = [name for name in BY_DEFAULT if name.split()[0] in pythons]
        for name in chosen:
            project = name.split()[0]
            if project not in pythons:
                raise InvalidArgumentError(f"{name} needs --peer-python {project}=PYTHON")
        if ULTRALYTICS in chosen:
            if self.ultralytics_weights is None:
                raise InvalidArgumentError(
                    "ultralytics needs --ultralytics-weights FILE, such as yolo11n-pose.pt, which "
                    "its project publishes; or leave it out of --peer-python"
                )
            if not self.ultralytics_weights.is_file():
                raise InputError(f"{self.ultralytics_weights}: no such file")
        return OURS, *dict.fromkeys(chosen)

    def check(self) -> None:
        """Checks numbers, and that options which need each other are given together.

        Raises:
            InvalidArgumentError: They are not, or a number is out of range.
        """
        at_least_one(repeats=self.repeats, frames=self.frames, detect_every=self.detect_every)
        if len(self.annotations) != len(self.images):
            raise InvalidArgumentError(
                f"--annotations names {len(self.annotations)} files and --images "
                f"{len(self.images)} folders; there must be as many"
            )
        if not self.persons and self.pictures is None and not self.annotations:
            raise InvalidArgumentError(
                "there is nothing to measure: give --persons, --pictures or --annotations"
            )
        if self.annotations and self.random_weights is not None:
            raise InvalidArgumentError(
                "a network of --random-weights hits nothing: leave out --annotations"
            )


BENCHMARK = Benchmark(
    description="Measure time and share of body points hit beside MediaPipe and Ultralytics, whose "
    "networks are\nother ones.",
    epilog=_EPILOG,
    settings=OtherNetworksSettings,
    module=f"{__package__}.measuring",
)
