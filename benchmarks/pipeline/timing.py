"""The whole pipeline of every method, each in a process of its own, and the stages of ours."""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

import cv2
import numpy as np
from tqdm import tqdm

from ...errors import InputError
from ...inputs import find_pictures
from ..benchmark import Work
from ..machine import capture_environment
from ..network_options import at_least_one, model_name
from ..peers.agreement import DisagreementError, check_found
from ..peers.baselines import IN_BF16, OURS, MethodName, installed_methods
from ..peers.clock import take_turns
from ..peers.montage import PICTURE_WH, write_montages
from ..peers.networks import NetworkFiles, official_files
from ..peers.process import Sample, Worker, block_sizes, start_worker
from .command import PipelineSettings
from .result import PipelineDocument, Row, Times, ratios_of, readme_table, report
from .worker import STAGES, PipelineBlock, PipelineReady, PipelineTask

PERSONS = (1, 2, 5, 10)
FOLDER_PERSONS = tuple(range(1, 11))
"""Persons on the pictures of the made-up folder."""

REPEATS = 30

PipelineWorker = Worker[PipelineReady, PipelineBlock]


def measure(settings: PipelineSettings) -> PipelineDocument:
    """Returns all that is measured, as the settings say.

    Raises:
        DwposeError: Networks or pictures cannot be had, or the methods do not agree.
    """
    repeats = REPEATS if settings.repeats is None else settings.repeats
    at_least_one(repeats=repeats)
    threads, counts = settings.thread_count(), settings.persons or PERSONS
    device = settings.place()
    if settings.opencv_threads is not None:
        cv2.setNumThreads(settings.opencv_threads)
    environment = capture_environment(threads={"onnxruntime_intra_op": threads})
    with tempfile.TemporaryDirectory(prefix="dwpose-bench-") as temporary:
        folder = Path(temporary)
        paths = write_montages(folder / "persons", counts)
        if settings.pictures is None:
            in_folder = write_montages(folder / "folder", FOLDER_PERSONS)
        else:
            in_folder = _pictures_in(settings.pictures)
        pose, detector = settings.models(folder)
        score_threshold = settings.threshold(detector)
        files = official_files(folder, pose=pose, detector=detector)
        rows = [
            measure_pictures(
                files,
                pictures,
                shown=shown,
                threads=threads,
                device=device,
                score_threshold=score_threshold,
                repeats=repeats,
                memory=not settings.no_memory,
            )
            for pictures, shown in [
                *(([path], shown) for path, shown in zip(paths, counts, strict=True)),
                (in_folder, None),
            ]
        ]
    return PipelineDocument(
        environment=environment,
        pose=settings.random_weights or model_name(pose),
        detector=model_name(detector),
        random_weights=settings.random_weights is not None,
        crop_wh=files.crop_wh,
        detector_wh=files.detector_wh,
        picture_wh=PICTURE_WH,
        score_threshold=score_threshold,
        threads=threads,
        device=device,
        repeats=repeats,
        blocks=len(block_sizes(repeats)),
        rows=tuple(rows),
    )


def _pictures_in(folder: Path) -> list[Path]:
    return [Path(picture.source) for picture in find_pictures([str(folder)], out_folder=None)]


def measure_pictures(
    files: NetworkFiles,
    paths: Sequence[Path],
    *,
    shown: int | None,
    threads: int,
    device: str = "cpu",
    score_threshold: float,
    repeats: int,
    memory: bool,
) -> Row:
    """Times every method on the same pictures, block by block, in turns.

    The pictures are decoded beforehand, for decoding is the same work for all. Ours gets the list
    in one call, the others picture by picture, as they are made.

    Args:
        files: The networks.
        paths: Picture files, at least one.
        shown: Persons on the made-up picture; None for a folder.
        threads: Threads inside one operator.
        device: Where ONNX Runtime's networks run.
        score_threshold: Persons must score above this.
        repeats: Calls of each method that count.
        memory: Whether the largest memory is measured.

    Raises:
        DisagreementError: The methods do not find the same.
        InferenceError: A process failed, such as at a picture that cannot be read.
        InputError: Nobody is found on any picture.
    """
    title = "folder" if shown is None else f"{shown} person{'s'[shown == 1 :]}"
    blocks: dict[MethodName, list[PipelineBlock]] = {}
    with ExitStack() as stack:
        workers: dict[MethodName, PipelineWorker] = {
            name: stack.enter_context(
                start_worker(
                    "dwpose_infer.benchmarks.pipeline.worker",
                    PipelineTask(
                        method=name,
                        files=files,
                        pictures=tuple(paths),
                        threads=threads,
                        device=device,
                        score_threshold=score_threshold,
                        memory=memory,
                    ),
                    name=name,
                    ready=PipelineReady,
                    answer=PipelineBlock,
                )
            )
            for name in tqdm(
                installed_methods(device), f"{title}, loading", leave=False, disable=None
            )
        }
        found = {name: worker.ready for name, worker in workers.items()}
        agreements = check_all(found, paths, files.crop_wh)
        bar = tqdm(block_sizes(repeats), title, unit="block", leave=False, disable=None)
        for number, calls in enumerate(bar):
            for name, worker in take_turns(workers, number):
                blocks.setdefault(name, []).append(worker.work(calls))
    times = {
        name: _medians([each for block in done for each in block.samples], len(paths))
        for name, done in blocks.items()
    }
    staged = [stages for block in blocks[OURS] for stages in block.stages_ms]
    return Row(
        workload="folder" if shown is None else "persons",
        pictures=len(paths),
        persons_shown=shown,
        persons=sum(map(len, found[OURS].keypoints)),
        agreement=min(share for name, share in agreements.items() if name not in IN_BF16),
        agreements=agreements,
        times=times,
        ratios=ratios_of({name: each.total_ms for name, each in times.items()}),
        outside_ratios=ratios_of({name: each.outside_ms for name, each in times.items()}),
        stages_ms={
            stage: statistics.median(each[stage] for each in staged) / len(paths)
            for stage in STAGES
        },
        peak_mb={name: each.peak_mb for name, each in found.items() if each.peak_mb is not None},
    )


def check_all(
    found: Mapping[MethodName, PipelineReady], paths: Sequence[Path], crop_wh: tuple[int, int]
) -> dict[MethodName, float]:
    """Checks that all methods found the same persons and the same points, but for those in bf16.

    Args:
        found: Method -> what it found on all pictures.
        paths: The pictures, for messages.
        crop_wh: (width, height) of the pose network's input in pixels.

    Returns:
        Method -> share of its points that agree, of the picture where it agrees least; 0 where
        one in bf16 finds other persons.

    Raises:
        DisagreementError: A method finds something else.
        InputError: Nobody is found on any picture.
    """
    ours = found[OURS]
    if not any(ours.keypoints):
        raise InputError(
            "the detector finds nobody on the pictures; give another one with --det, or a lower "
            "--score-threshold"
        )

    def share(method: MethodName, index: int) -> float:
        try:
            return check_found(
                method,
                np.reshape(found[method].keypoints[index], (-1, 133, 2)),
                np.reshape(ours.keypoints[index], (-1, 133, 2)),
                np.reshape(ours.boxes_xyxy[index], (-1, 4)),
                crop_wh=crop_wh,
                name=paths[index].name,
                least_share=0 if method in IN_BF16 else None,
            )
        except DisagreementError:
            if method not in IN_BF16:
                raise
            return 0.0

    return {method: min(share(method, index) for index in range(len(paths))) for method in found}


def _medians(samples: Sequence[Sample], count: int) -> Times:
    return Times(
        total_ms=statistics.median(each.outside_ms + each.networks_ms for each in samples) / count,
        networks_ms=statistics.median(each.networks_ms for each in samples) / count,
        outside_ms=statistics.median(each.outside_ms for each in samples) / count,
        cpu_ms=statistics.median(each.cpu_ms for each in samples) / count,
    )


WORK = Work(
    document=PipelineDocument,
    measure=measure,
    report=report,
    table="pipeline",
    readme_table=readme_table,
)
