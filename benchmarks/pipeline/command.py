"""The command `dwpose-bench pipeline`."""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ...errors import InvalidArgumentError
from ..result_options import add_result_options, show_result

if TYPE_CHECKING:
    from ..peers.baselines import NetworkFiles
    from .document import PipelineDocument, Row

DEFAULT_PERSONS = (1, 2, 5, 10)
FOLDER_PERSONS = tuple(range(1, 11))
"""Persons on the pictures of the made-up folder."""

_EPILOG = """\
From decoded picture to keypoints, with real networks, for this package, rtmlib and the official
ONNX recipe: the same two sessions of ONNX Runtime, taking turns in one process; before anything is
timed, all must find the same persons and the same points. Then every stage of this package, from
picture file to drawn picture, and the largest memory of each contender in a process of its own.

The pictures are made of the public-domain crops that come with the package; --pictures takes a
folder of your own for the last row.

For rtmlib among the contenders: pip install --no-deps rtmlib==0.0.16 (with its dependencies it
would replace cv2).

examples:
  dwpose-bench pipeline --json pipeline.json
  dwpose-bench pipeline --pose dwpose-l-384 --det yolox-l
  dwpose-bench pipeline --random-weights dwpose-l-384 --repeats 10
  dwpose-bench pipeline --persons 1 --pictures photos/
  dwpose-bench pipeline --from pipeline.json
"""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds the subcommand `pipeline`."""
    parser = commands.add_parser(
        "pipeline",
        help="from picture to result, stage by stage and beside rtmlib",
        description="Measure the whole pipeline, stage by stage, with memory, and beside rtmlib "
        "and the official recipe.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_network_options(parser)
    parser.add_argument(
        "--persons",
        nargs="+",
        type=int,
        default=list(DEFAULT_PERSONS),
        metavar="N",
        help="persons on the made-up pictures, 1 to 10 (default: 1 2 5 10)",
    )
    parser.add_argument(
        "--pictures",
        type=Path,
        metavar="DIR",
        help="folder of pictures for the last row, searched with its subfolders "
        "(default: ten made-up pictures of 1 to 10 persons)",
    )
    parser.add_argument("--repeats", type=int, default=30, help="rounds (default: 30)")
    parser.add_argument(
        "--score-threshold",
        type=float,
        metavar="S",
        help="persons score above this, with every contender (default: the detector's own)",
    )
    parser.add_argument(
        "--no-memory", action="store_true", help="leave out the processes that measure memory"
    )
    add_result_options(parser)
    parser.set_defaults(run=_run)


def add_network_options(parser: argparse.ArgumentParser) -> None:
    """Adds the options that choose the two networks and the threads."""
    pose = parser.add_mutually_exclusive_group()
    pose.add_argument(
        "--pose",
        metavar="NAME|PATH",
        help="pose model of `dwpose-models list`, or ONNX file (default: the bundled one)",
    )
    pose.add_argument(
        "--random-weights",
        metavar="NAME",
        help="a published pose network with random weights, such as dwpose-l-384; needs torch",
    )
    parser.add_argument(
        "--det",
        metavar="NAME|PATH",
        help="detector, likewise (default: the bundled one)",
    )
    parser.add_argument(
        "--threads",
        type=int,
        metavar="N",
        help="threads inside one operator of ONNX Runtime (default: one for each physical core)",
    )


def threads_of(arguments: argparse.Namespace) -> int:
    """Returns the number of threads asked for, or one for each physical core.

    Raises:
        InvalidArgumentError: It is below 1.
    """
    from ..machine import physical_cores

    threads = physical_cores() if arguments.threads is None else int(arguments.threads)
    if threads < 1:
        raise InvalidArgumentError(f"--threads is {threads}, must be at least 1")
    return threads


def models_of(arguments: argparse.Namespace, folder: Path) -> tuple[str | Path, str | Path]:
    """Returns pose model and detector as asked for, or the bundled ones.

    Args:
        arguments: Parsed options of `add_network_options`.
        folder: Where a network with random weights is written, if one is asked for.
    """
    from ...zoo import DEFAULT_DETECTOR, DEFAULT_POSE

    detector = arguments.det or DEFAULT_DETECTOR
    if arguments.random_weights is None:
        return arguments.pose or DEFAULT_POSE, detector
    from ..peers.networks import random_pose

    return random_pose(arguments.random_weights, folder)[0], detector


def name_of(model: str | Path) -> str:
    """Returns the name of a model, or that of its file without the folders it is in."""
    return Path(model).name


def pose_name_of(arguments: argparse.Namespace, pose: str | Path) -> str:
    """Returns the name of the pose model, which says so where its weights are random."""
    if arguments.random_weights is None:
        return name_of(pose)
    return f"{arguments.random_weights} (random weights)"


def threshold_of(arguments: argparse.Namespace, detector: str | Path) -> float:
    """Returns the threshold asked for, or the detector's own."""
    from ... import zoo
    from ...detector import DetectorOptions

    if arguments.score_threshold is not None:
        chosen = float(arguments.score_threshold)
    else:
        spec = zoo.find_spec(detector)
        own = spec.score_threshold if spec is not None else None
        chosen = DetectorOptions().score_threshold if own is None else own
    return DetectorOptions(score_threshold=chosen).score_threshold  # checks it


def _run(arguments: argparse.Namespace) -> int:
    from .document import PipelineDocument
    from .tables import report

    show_result(arguments, PipelineDocument, measure=measure_all, report=report)
    return 0


def measure_all(arguments: argparse.Namespace) -> PipelineDocument:
    """Returns all that is measured, as the parsed arguments say.

    Raises:
        DwposeError: Networks or pictures cannot be had, or the contenders do not agree.
    """
    from ..machine import capture_environment
    from ..peers.montage import PICTURE_WH, write_montages
    from ..peers.networks import official_files
    from .document import PipelineDocument

    if arguments.repeats < 1:
        raise InvalidArgumentError(f"--repeats is {arguments.repeats}, must be at least 1")
    threads = threads_of(arguments)
    environment = capture_environment(threads={"onnxruntime_intra_op": threads})
    with tempfile.TemporaryDirectory(prefix="dwpose-bench-") as temporary:
        folder = Path(temporary)
        paths = write_montages(folder / "persons", arguments.persons)
        if arguments.pictures is None:
            in_folder = write_montages(folder / "folder", FOLDER_PERSONS)
        else:
            in_folder = _pictures_in(arguments.pictures)
        pose, detector = models_of(arguments, folder)
        score_threshold = threshold_of(arguments, detector)
        settings = _Settings(
            files=official_files(folder, pose=pose, detector=detector),
            threads=threads,
            score_threshold=score_threshold,
            repeats=arguments.repeats,
            memory=not arguments.no_memory,
        )
        rows = [
            _row(settings, [path], shown=shown)
            for path, shown in zip(paths, arguments.persons, strict=True)
        ]
        rows.append(_row(settings, in_folder, shown=None))
    return PipelineDocument(
        environment=environment,
        pose=arguments.random_weights or name_of(pose),
        detector=name_of(detector),
        random_weights=arguments.random_weights is not None,
        crop_wh=settings.files.crop_wh,
        detector_wh=settings.files.detector_wh,
        picture_wh=PICTURE_WH,
        score_threshold=settings.score_threshold,
        threads=threads,
        repeats=arguments.repeats,
        rows=tuple(rows),
    )


def _pictures_in(folder: Path) -> list[Path]:
    from ...inputs import find_pictures

    return [Path(picture.source) for picture in find_pictures([str(folder)], out_folder=None)]


@dataclass(frozen=True, slots=True)
class _Settings:
    """What all rows have in common."""

    files: NetworkFiles
    threads: int
    score_threshold: float
    repeats: int
    memory: bool


def _row(settings: _Settings, paths: Sequence[Path], *, shown: int | None) -> Row:
    from .document import Row, ratios_of
    from .memory import peaks_mb
    from .timing import measure_pictures

    measured = measure_pictures(
        settings.files,
        paths,
        threads=settings.threads,
        score_threshold=settings.score_threshold,
        repeats=settings.repeats,
        title="folder" if shown is None else f"{shown} person{'s'[shown == 1 :]}",
    )
    peaks = peaks_mb(
        measured.times if settings.memory else (),
        settings.files,
        paths,
        threads=settings.threads,
        score_threshold=settings.score_threshold,
    )
    return Row(
        workload="folder" if shown is None else "persons",
        pictures=len(paths),
        persons_shown=shown,
        persons=measured.persons,
        agreement=measured.agreement,
        times=measured.times,
        ratios=ratios_of({name: times.total_ms for name, times in measured.times.items()}),
        outside_ratios=ratios_of(
            {name: times.outside_ms for name, times in measured.times.items()}
        ),
        stages_ms=measured.stages_ms,
        peak_mb=peaks,
    )
