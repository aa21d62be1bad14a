"""All pipelines by turns, each in a process and an interpreter of its own."""

from __future__ import annotations

import statistics
import sys
import tempfile
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from msgspec.structs import replace
from tqdm import tqdm

from ...inputs import find_pictures
from ..benchmark import Work
from ..machine import capture_environment
from ..network_options import model_name
from ..peers.clock import take_turns
from ..peers.montage import PICTURE_WH, write_montages
from ..peers.process import Worker, block_sizes, start_worker
from ..video.scene import write_clip
from .accuracy import labelled_pictures, pck_rows
from .command import OURS, Method, OtherNetworksSettings
from .messages import Ready, Spent, Task, Who
from .result import Cost, OtherNetworksDocument, PckRow, TimeRow, readme_table, report

PROGRAM = Path(__file__).with_name("program.py")


@dataclass(frozen=True, slots=True)
class Starter:
    """Starts the processes.

    Attributes:
        task: What is the same for all.
        pythons: Project -> its interpreter; this package has the running one.
    """

    task: Task
    pythons: dict[str, Path]

    def start(
        self, method: Method, answer: Any, **changes: Any
    ) -> AbstractContextManager[Worker[Ready, Any]]:
        """Returns a process for a method; the changes are those of its task."""
        return start_worker(
            PROGRAM,
            replace(self.task, method=method, **changes),
            name=method,
            ready=Ready,
            answer=answer,
            python=self.pythons.get(method.split()[0], Path(sys.executable)),
        )


def measure(settings: OtherNetworksSettings) -> OtherNetworksDocument:
    """Returns all that is measured, as the settings say.

    Raises:
        DwposeError: Something that was asked for is not there, or a process failed.
    """
    settings.check()
    methods, threads = settings.methods(), settings.thread_count()
    weights = settings.ultralytics_weights
    labels = [
        labelled_pictures(path, folder)
        for path, folder in zip(settings.annotations, settings.images, strict=True)
    ]
    environment = capture_environment(threads={"onnxruntime_intra_op": threads})
    versions: dict[Method, dict[str, str]] = {}
    with tempfile.TemporaryDirectory(prefix="dwpose-bench-") as temporary:
        folder = Path(temporary)
        pose, detector = settings.models(folder)
        starter = Starter(
            Task(
                method=OURS,
                threads=threads,
                pose=str(pose),
                detector=str(detector),
                detect_every=settings.detect_every,
                weights=weights,
            ),
            settings.pythons(),
        )
        times = []
        for row, changes in _workloads(settings, folder):
            timed, of_row = time_row(starter, methods, row, changes, repeats=settings.repeats)
            times.append(timed)
            versions |= of_row
        accuracy: list[PckRow] = []
        for labelled in labels:
            found: dict[Method, list[Who]] = {}
            for name in methods:
                with starter.start(name, Who, people=labelled.pictures) as worker:
                    bar = tqdm(
                        range(len(labelled.pictures)),
                        f"{labelled.facts.name}: {name}",
                        unit="picture",
                        leave=False,
                        disable=None,
                    )
                    found[name] = [worker.ask(number) for number in bar]
                    versions[name] = worker.ready.versions
            accuracy += pck_rows(labelled, found)
    return OtherNetworksDocument(
        environment=environment,
        pose=settings.random_weights or model_name(pose),
        detector=model_name(detector),
        random_weights=settings.random_weights is not None,
        ultralytics_weights=None if weights is None else weights.name,
        picture_wh=PICTURE_WH,
        threads=threads,
        detect_every=settings.detect_every,
        repeats=settings.repeats,
        blocks=len(block_sizes(settings.repeats)),
        versions=versions,
        times=tuple(times),
        accuracy=tuple(accuracy),
    )


def _workloads(
    settings: OtherNetworksSettings, folder: Path
) -> list[tuple[TimeRow, dict[str, Any]]]:
    """Rows without figures, and the tasks that give them."""
    workloads: list[tuple[TimeRow, dict[str, Any]]] = []
    paths = write_montages(folder / "persons", settings.persons)
    for persons, path in zip(settings.persons, paths, strict=True):
        row = TimeRow(workload="picture", count=1, persons_shown=persons, costs={})
        workloads.append((row, {"pictures": (path,)}))
    for persons in settings.persons:
        clip = folder / f"{persons}.mp4"
        write_clip(clip, persons=persons, frames=settings.frames)
        row = TimeRow(workload="clip", count=settings.frames, persons_shown=persons, costs={})
        workloads.append((row, {"clip": clip}))
    if settings.pictures is not None:
        there = find_pictures([str(settings.pictures)], out_folder=None)
        files = tuple(Path(picture.source) for picture in there)
        row = TimeRow(workload="folder", count=len(files), persons_shown=None, costs={})
        workloads.append((row, {"pictures": files}))
    return workloads


def time_row(
    starter: Starter,
    methods: tuple[Method, ...],
    row: TimeRow,
    changes: dict[str, Any],
    *,
    repeats: int,
) -> tuple[TimeRow, dict[Method, dict[str, str]]]:
    """Times every method on the same, block by block, in turns.

    Args:
        starter: Starts the processes.
        methods: Who is timed.
        row: What is worked on, without the costs.
        changes: Pictures or clip of the tasks.
        repeats: Calls of each that count.

    Returns:
        The row with the costs, and the versions of every method.

    Raises:
        InferenceError: A process failed.
    """
    spent: dict[Method, list[Spent]] = {name: [] for name in methods}
    title = f"{row.workload} {row.persons_shown or ''}".strip()
    with ExitStack() as stack:
        workers: dict[Method, Worker[Ready, list[Spent]]] = {
            name: stack.enter_context(starter.start(name, list[Spent], **changes))
            for name in tqdm(methods, f"{title}, loading", leave=False, disable=None)
        }
        bar = tqdm(block_sizes(repeats), title, unit="block", leave=False, disable=None)
        for number, calls in enumerate(bar):
            for name, worker in take_turns(workers, number):
                spent[name] += worker.work(calls)
        ready = {name: worker.ready for name, worker in workers.items()}
    costs = {
        name: Cost(
            ms=statistics.median(each.ms for each in done) / row.count,
            cpu_ms=statistics.median(each.cpu_ms for each in done) / row.count,
            persons=statistics.mean(ready[name].persons),
        )
        for name, done in spent.items()
    }
    return replace(row, costs=costs), {name: each.versions for name, each in ready.items()}


WORK = Work(
    document=OtherNetworksDocument,
    measure=measure,
    report=report,
    table="other-networks",
    readme_table=readme_table,
)
