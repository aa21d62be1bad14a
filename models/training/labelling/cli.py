"""The command `dwpose-train labels`: points for persons that have boxes alone, or few points."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Final

from ....cli.argument_values import key_and_value, positive_number
from ....errors import InvalidArgumentError
from .settings import TREATMENTS, LabelRule, Treatment

EPILOG: Final = """\
The teacher looks at every person three times, with more and less room around the box, and each time
at the mirror image too. A point becomes a label where its score is high and the looks agree; all
others stay without (v = 0), and the trainer lets those count nothing. Persons with too few sure
points stay without any.

teachers:
  A larger pose model, by name (`dwpose-models list`) or as an ONNX file of DWPose or RTMPose: all
  its points. Or an ONNX file that gives heat maps of COCO's 17 points at a quarter of its input, as
  HRNet, ViTPose and PP-TinyPose do: the body alone.

persons that have labels (--labelled; keep where it is not given):
{treatments}
  What is printed says how often labels and teacher agree.

A person that gets its points here has the label of --name, by which the trainer's settings choose
persons ("labels"). An interrupted run goes on when the same command is given again.

examples:
  dwpose-train labels --annotations boxes.json --images photos --teacher dwpose-l-384 \\
      --out labels.json
  dwpose-train labels --annotations train.json --images train --teacher tinypose.onnx \\
      --labelled auto=mean --name tiny17 --out train-tiny.json
  dwpose-train --recipe base-t-256 --data labels.json photos --out runs/mine
"""

_RULE_HELP: Final = {
    "least_side_px": "leave persons whose box's longer side is below so many pixels",
    "least_score": "least score of a point",
    "most_spread": "how far looks may lie apart, in shares of the box's longer side",
    "least_points": "sure points of the body that a person needs, two of them below the head",
    "least_score_over_labels": "least score of a point that completes or contradicts labels",
    "agree_within": "labels this near are averaged (mean)",
    "differ_beyond": "labels this far away are taken away (check, mean)",
}


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds the command to those of `dwpose-train`."""
    parser = commands.add_parser(
        "labels",
        help="label persons with another pose network, where it is sure",
        description="Give persons of an annotation file the points that another pose network is "
        "sure of.",
        epilog=EPILOG.format(
            treatments="\n".join(f"  {how:<8} {text}" for how, text in TREATMENTS.items())
        ),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(handler=_label)
    for flag, metavar, text in (
        ("--annotations", "FILE.json", "persons with boxes, in the layout of COCO-WholeBody"),
        ("--images", "DIR", "folder of the pictures"),
        ("--out", "FILE.json", "annotation file to write"),
    ):
        parser.add_argument(flag, type=Path, required=True, metavar=metavar, help=text)
    parser.add_argument(
        "--teacher", required=True, metavar="MODEL", help="name of a pose model, or an ONNX file"
    )
    parser.add_argument(
        "--labelled",
        nargs="+",
        default=[],
        metavar="[LABEL=]HOW",
        help="what becomes of labels that are there: keep, fill, check or mean; for persons of one "
        "label alone LABEL=HOW (default: keep)",
    )
    parser.add_argument(
        "--name",
        default="teacher",
        help="label of the persons that get their points here (default: teacher)",
    )
    parser.add_argument("--restart", action="store_true", help="forget what an interrupted run did")
    _add_rule(parser)
    _add_runtime(parser)


def _add_rule(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("when a point counts")
    default = LabelRule()
    for field in fields(LabelRule):
        value = getattr(default, field.name)
        group.add_argument(
            f"--{field.name.replace('_', '-')}",
            type=type(value),
            default=value,
            metavar="N" if isinstance(value, int) else "X",
            help=f"{_RULE_HELP[field.name]} (default: {value:g})".replace("%", "%%"),
        )


def _add_runtime(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("where the teacher runs")
    group.add_argument(
        "--backend", choices=("ort", "openvino"), default="ort", help="runtime (default: ort)"
    )
    group.add_argument("--device", metavar="NAME", help="cpu, cuda or cuda:N (default: cpu)")
    group.add_argument("--threads", type=positive_number, metavar="N", help="CPU threads")
    group.add_argument("--offline", action="store_true", help="never download a model")


def treatments_of(words: Sequence[str]) -> dict[str, Treatment]:
    """Reads `[LABEL=]HOW`: label of persons -> what becomes of their labels, "" for all others.

    Raises:
        InvalidArgumentError: A word is not one of these, or a label stands twice.
    """
    found: dict[str, Treatment] = {}
    for word in words:
        label, how = key_and_value(word) if "=" in word else ("", word)
        chosen = next((each for each in TREATMENTS if each == how), None)
        if chosen is None:
            raise InvalidArgumentError(
                f"--labelled {word}: {how!r} is none of {', '.join(TREATMENTS)}"
            )
        if label in found:
            raise InvalidArgumentError(f"--labelled says twice what becomes of {label or 'all'}")
        found[label] = chosen
    return found


def _rule(arguments: argparse.Namespace) -> LabelRule:
    return LabelRule(**{field.name: getattr(arguments, field.name) for field in fields(LabelRule)})


def _label(arguments: argparse.Namespace, _argv: Sequence[str]) -> int:
    from ....runtime import Runtime
    from ..run_command import say
    from .run import LabellingOptions, label_persons

    progress = sys.stderr.isatty()
    options = LabellingOptions(
        annotations=arguments.annotations,
        images=arguments.images,
        teacher=arguments.teacher,
        out=arguments.out,
        rule=_rule(arguments),
        treatments=treatments_of(arguments.labelled),
        name=arguments.name,
        restart=arguments.restart,
        runtime=Runtime(
            backend=arguments.backend,
            device=arguments.device,
            threads=arguments.threads,
            offline=True if arguments.offline else None,
            progress=progress,
        ),
        progress=progress,
    )
    for label, count in label_persons(options).items():
        say(f"{label or 'no label'}: {count}")
    print(options.out)
    return 0
