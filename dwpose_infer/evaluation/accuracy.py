"""How good a pose network is on labelled persons, in the few figures that a gate needs."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from .cli import command_parser
from .options import options_of
from .points import PointPart
from .run import run

PCK_PARTS: Final[tuple[PointPart, ...]] = ("body", "feet", "face", "hands")


@dataclass(frozen=True, slots=True)
class Accuracy:
    """Figures of `dwpose-eval` on the boxes of the labels.

    Attributes:
        persons: Labelled persons.
        ap: Average precision of the whole body, or of the points that labels and network share.
        pck: Part -> share of its points within 5 % of the box's longer side; parts without a
            labelled point are left out.
    """

    persons: int
    ap: float
    pck: Mapping[str, float]


def accuracy_of(pose: Path, annotations: Path, images: Path) -> Accuracy:
    """Evaluates a pose network on the CPU.

    Args:
        pose: ONNX file in any form.
        annotations: Labels in the layout of COCO-WholeBody.
        images: Folder of their pictures.

    Raises:
        DwposeError: Labels, pictures or the file cannot be used; see `dwpose-eval`.
    """
    with tempfile.TemporaryDirectory(prefix="dwpose-eval-") as folder:
        words = ["--annotations", str(annotations), "--images", str(images), "--pose", str(pose)]
        words += ["--quiet", "--out", str(Path(folder) / "metrics.json")]
        document = run(options_of(vars(command_parser().parse_args(words))))
    everyone = document.groups[0]
    parts = document.parts or {}
    figures = parts.get("wholebody") or next(iter(parts.values()))
    shares = {part: everyone.parts[part].pck for part in PCK_PARTS if part in everyone.parts}
    return Accuracy(
        persons=everyone.persons,
        ap=figures.ap,
        pck={part: share for part, share in shares.items() if share is not None},
    )
