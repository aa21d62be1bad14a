"""The whole distillation as one job that can be stopped and gone on with at any point.

    stage1    a student learns from labels and a larger teacher      stage1/
    transfer1 the student out of stage 1's checkpoint                stage1/model.pth
    stage2    a new head on the student's frozen backbone            stage2/
    transfer2 the network out of stage 2's checkpoint                stage2/model.pth
    export    ONNX in deploy form, compared with the network         model.onnx, parity.json
    predict   the exported file on a picture                         check.json, check.jpg

Every finished step is written to `distill.json` in the folder; the same call goes on behind it,
within a stage from its newest checkpoint.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from ....errors import InputError
from ....files.atomic import sha256_of, write_bytes
from ...checkpoints import Stage
from ..loop.csv_log import read_table
from ..loop.run_log import VALIDATION_NAME
from ..loop.run_options import RunOptions, TrainingSummary, say_nothing
from ..settings.pose import Settings
from ..trainer import train
from ..transfer import transfer
from .launch import train_in_processes
from .plan import MODEL_NAME, STAGE_FOLDERS, DistillPlan
from .record import DistillRecord, StepRecord

STEPS: Final = ("stage1", "transfer1", "stage2", "transfer2", "export", "predict")
ONNX_NAME: Final = "model.onnx"
PARITY_NAME: Final = "parity.json"
CHECK_NAME: Final = "check"

Inputs = Callable[[], dict[str, Any]]
Work = Callable[[], StepRecord | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class DistillOptions:
    """How a distillation is carried out.

    Attributes:
        device: "cpu", "cuda" or "cuda:N" for the training.
        processes: Training processes on this machine, one for each GPU.
        say: Told what happens, a line at a time.
    """

    device: str = "cpu"
    processes: int = 1
    say: Callable[[str], None] = say_nothing


@dataclass(frozen=True, slots=True)
class DistillSummary:
    """How a distillation ended.

    Attributes:
        steps: Step -> what it did, of those that are finished.
        stopped_by: The signal that ended it early, such as "SIGINT"; None where all is done.
    """

    steps: dict[str, StepRecord]
    stopped_by: str | None

    def table(self) -> str:
        """Returns the steps as a Markdown table."""
        lines = ["| step | result | files |", "|---|---|---|"]
        lines += [
            f"| {name} | {step.result} | {', '.join(step.files)} |"
            for name, step in self.steps.items()
        ]
        return "\n".join(lines)


def distill(plan: DistillPlan, options: DistillOptions | None = None) -> DistillSummary:
    """Carries out a distillation, or what is left of it.

    Args:
        plan: What is trained, see `plan.make_plan`.
        options: How it is carried out.

    Returns:
        What was done, and whether it was stopped.

    Raises:
        InvalidArgumentError: The folder holds another distillation.
        ParityError: The exported file does not do what the trained network does.
        DwposeError: What `trainer.train`, `transfer.transfer`, `export.exporter.export_model` and
            `Predictor` raise.
    """
    return _Distillation(plan, options or DistillOptions()).run()


class _Distillation:
    def __init__(self, plan: DistillPlan, options: DistillOptions) -> None:
        self._plan, self._options = plan, options
        self._folder = plan.folder
        self._record = DistillRecord(plan.folder, plan.identity())
        self._stopped_by: str | None = None

    def run(self) -> DistillSummary:
        plan = self._plan
        work: dict[str, tuple[str, Inputs, Work]] = {
            "stage1": (
                f"{plan.teacher_name} teaches {plan.first.architecture.name}",
                lambda: {"source_sha256": plan.teacher_sha256},
                lambda: self._train(1, plan.first),
            ),
            "transfer1": ("the student", lambda: {}, lambda: self._transfer(1)),
            "stage2": (
                "a new head on its backbone",
                lambda: {"source_sha256": sha256_of(self._model(1))},
                lambda: self._train(2, plan.second),
            ),
            "transfer2": ("the trained network", lambda: {}, lambda: self._transfer(2)),
            "export": (ONNX_NAME, self._export_inputs, self._export),
            "predict": ("on a picture", self._predict_inputs, self._predict),
        }
        done: dict[str, StepRecord] = {}
        for number, (name, (title, inputs_of, do)) in enumerate(work.items(), start=1):
            inputs = inputs_of()
            step = self._record.find(name, inputs)
            heading = f"== {number} of {len(STEPS)}: {name}, {title}"
            if step is None:
                self._options.say(heading)
                step = self._run(name, inputs, do)
            else:
                self._options.say(f"{heading}: done before")
            if step is None:
                return DistillSummary(done, self._stopped_by)
            self._options.say(f"   {step.result}")
            done[name] = step
        return DistillSummary(done, None)

    def _run(self, name: str, inputs: dict[str, Any], do: Work) -> StepRecord | None:
        if "source_sha256" in inputs:
            self._record.begin(name, inputs["source_sha256"])
        step = do()
        if step is None:
            return None
        step = replace(step, inputs=inputs)
        self._record.finish(name, step, later=STEPS[STEPS.index(name) + 1 :])
        return step

    def _model(self, stage: Stage) -> Path:
        return self._folder / STAGE_FOLDERS[stage] / MODEL_NAME

    def _name(self, path: Path) -> str:
        return path.relative_to(self._folder).as_posix()

    def _train(self, stage: Stage, settings: Settings) -> StepRecord | None:
        folder = self._folder / STAGE_FOLDERS[stage]
        options = self._options
        if options.processes > 1:
            summary = train_in_processes(
                settings, folder, processes=options.processes, device=options.device
            )
        else:
            run = RunOptions(device=options.device, resume=True, say=options.say)
            summary = train(settings, folder, run)
        if not summary.finished:
            self._stopped_by = summary.stopped_by
            return None
        chosen = summary.best or summary.checkpoint
        return StepRecord({}, (self._name(chosen),), _training_result(summary, settings))

    def _transfer(self, stage: Stage) -> StepRecord:
        (checkpoint,) = self._step_files(STAGE_FOLDERS[stage])
        out = self._model(stage)
        architecture = transfer(checkpoint, stage, out)
        return StepRecord({}, (self._name(out),), architecture.name)

    def _step_files(self, name: str) -> list[Path]:
        step = self._record.steps[name]
        return [self._folder / file for file in step.files]

    def _export_inputs(self) -> dict[str, Any]:
        plan = self._plan
        return {
            "model_sha256": sha256_of(self._model(2)),
            "verify": None if plan.verify is None else str(plan.verify.absolute()),
            "allow_undecided": plan.allow_undecided,
        }

    def _export(self) -> StepRecord:
        from ....export.exporter import ExportOptions, export_model

        plan, out = self._plan, self._folder / ONNX_NAME
        exported = export_model(
            self._model(2),
            out,
            ExportOptions(verify=plan.verify, allow_undecided=plan.allow_undecided),
            report=self._folder / PARITY_NAME,
            progress=self._options.say,
        )
        parity = exported.parity
        share = 0.0 if parity.points is None else parity.points.share
        raw = max(difference.largest for difference in parity.raw.values())
        judged = "raw outputs" if parity.undecided else f"{share:.0%} of the points"
        result = (
            f"{exported.size_bytes / 1e6:.1f} MB, equal to the network by {judged} "
            f"(raw outputs within {raw:.1g})"
        )
        return StepRecord({}, (ONNX_NAME, PARITY_NAME), result)

    def _predict_inputs(self) -> dict[str, Any]:
        picture = self._plan.picture
        return {
            "model_sha256": sha256_of(self._folder / ONNX_NAME),
            "picture": None if picture is None else str(picture.absolute()),
        }

    def _predict(self) -> StepRecord:
        import cv2

        from ....images import read_image
        from ....predictor import Predictor
        from ....zoo import DEFAULT_DETECTOR

        picture, boxes = self._plan.picture, None
        if picture is None:
            picture, boxes = labelled_picture(self._plan.second)
        image = read_image(picture)
        detector = DEFAULT_DETECTOR if boxes is None else None
        with Predictor(self._folder / ONNX_NAME, detector) as predictor:
            found = predictor(image, boxes=boxes)
        files = tuple(f"{CHECK_NAME}{suffix}" for suffix in (".json", ".jpg"))
        found.save(self._folder / files[0])
        _, encoded = cv2.imencode(".jpg", found.draw(image, style="overlay"))
        write_bytes(self._folder / files[1], encoded.tobytes())
        persons = f"{len(found)} person{'' if len(found) == 1 else 's'}"
        return StepRecord({}, files, f"{persons} on {picture.name}")


def labelled_picture(settings: Settings) -> tuple[Path, Any]:
    """Returns the first labelled picture of a run's validation, or training, and its boxes.

    Args:
        settings: The run.

    Returns:
        The picture, and (P, 4) float32, left, top, right, bottom in pixels.

    Raises:
        InputError: Nobody is labelled there, or the labels cannot be read.
        FormatError: The labels do not hold what they should.
    """
    from ....annotations import read_annotations
    from ..data import labelled_boxes

    data = settings.data
    for source in (data.validation, *data.train):
        if source is None:
            continue
        annotations = read_annotations(Path(data.root) / source.annotations)
        boxes = labelled_boxes(annotations)
        if len(boxes):
            index = int(boxes.image_indices[0])
            path = Path(data.root) / source.images / annotations.file_name(index)
            return path, boxes.boxes_xyxy[boxes.image_indices == index]
    raise InputError(
        "nobody is labelled in the data; give a picture to try the network on (--picture)"
    )


def _training_result(summary: TrainingSummary, settings: Settings) -> str:
    """Says how good the weights are that a stage hands on."""
    words = [f"{summary.epochs} epochs, {summary.step} steps"]
    table = read_table(summary.folder / VALIDATION_NAME)
    column = table.get(settings.best_by, [])
    if summary.best is not None and column:
        best = max(range(len(column)), key=lambda row: (column[row] == column[row], column[row]))
        words += [f"{name} {table[name][best]:.4f}" for name in ("AP", "PCK")]
        words.append(f"mean error {table['error_px'][best]:.2f} px")
    return ", ".join(words)
