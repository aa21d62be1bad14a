"""From a source to a verified ONNX file."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx

from ..arrays import Array, UInt8Array
from ..errors import InvalidArgumentError, OutputError
from ..files.atomic import write_bytes
from ..files.document import write_document
from .deploy import DEFAULT_TOP_K, DEPLOY_INPUTS, to_deploy_detector, to_deploy_pose
from .free_sides import free_sides
from .from_checkpoint import DEFAULT_OPSET
from .graph import count_operators
from .labelled import Measure, compare_on_labels
from .metadata import FORMS, PRECISIONS, Form, ModelFacts, Precision, write_facts
from .padded_columns import split_columns
from .parity import check_parity
from .parity_report import ParityReport, judged_on_labels, require_parity
from .pictures import folder_samples, official_input, shipped_samples
from .serving_device import ServingDevice, check_where_it_serves
from .sources import Source, load_source

if TYPE_CHECKING:
    from ..models.checkpoints import Stage

MAX_CALIBRATION_SAMPLES = 128


@dataclass(frozen=True, slots=True)
class ExportOptions:
    """Settings of an export.

    Attributes:
        form: "deploy" takes uint8 pictures and gives keypoints or boxes; "official" has the
            inputs and outputs of the published files, for other programs.
        precision: "fp32", "fp16-stored" (half the file, the same arithmetic), "fp16" (half
            precision where it is safe, for GPUs) or "int8" (for CPUs, needs `calibration`).
        opset: Operator set of the file.
        detector_size_wh: (width, height) of the input of a detector read from a checkpoint;
            None takes the published size.
        distiller_stage: Stage of one of DWPose's own training files; None finds out.
        top_k: Boxes that a detector in deploy form hands over.
        fixed_size: Let a detector in deploy form take its own input size alone. Off, it takes
            any height and width in multiples of 32; in half precision, which is for GPUs, where
            every new shape costs time, and in engines the size is always fixed.
        whole_kernels: Leave the last convolution of a pose network whole, as in official form and
            where `serving` is a GPU. Off, deploy forms that compute in float32 add up the columns
            of its kernel, which saves CPUs the products with padding, see `padded_columns`.
        calibration: Folder of pictures of people for int8; a network that was trained for int8
            needs none.
        against: With labels, the network that the result is compared with, as a source; None
            takes the source itself. A network that was trained for int8 needs one.
        verify: Folder of pictures for the parity gate besides those of the package.
        allow_undecided: Accept the raw outputs as evidence where the network is not sure of
            enough points.
        serving: Where the file is compared besides on the CPU, see `ServingDevice`.
        offline: Forbid downloads; None obeys DWPOSE_OFFLINE.
    """

    form: Form = "deploy"
    precision: Precision = "fp32"
    opset: int = DEFAULT_OPSET
    detector_size_wh: tuple[int, int] | None = None
    distiller_stage: Stage | None = None
    top_k: int = DEFAULT_TOP_K
    fixed_size: bool = False
    whole_kernels: bool = False
    calibration: Path | None = None
    against: str | None = None
    verify: Path | None = None
    allow_undecided: bool = False
    serving: ServingDevice = field(default_factory=ServingDevice)
    offline: bool | None = None

    def __post_init__(self) -> None:
        if self.form not in FORMS:
            raise InvalidArgumentError(f"unknown form {self.form!r}; the forms are {FORMS}")
        if self.precision not in PRECISIONS:
            raise InvalidArgumentError(
                f"unknown precision {self.precision!r}; the precisions are {', '.join(PRECISIONS)}"
            )
        if self.calibration is not None and self.precision != "int8":
            raise InvalidArgumentError(
                "--calibration goes with --precision int8: nothing else is calibrated"
            )


@dataclass(frozen=True, slots=True, eq=False)
class ExportResult:
    """An exported file.

    Attributes:
        path: The file.
        size_bytes: Its size.
        facts: What it says about itself.
        operators: Number of nodes by operator.
        parity: What the gate measured on the CPU.
        served: What it measured on the GPU that the file is for; None where that is none.
    """

    path: Path
    size_bytes: int
    facts: ModelFacts
    operators: dict[str, int]
    parity: ParityReport
    served: ParityReport | None = None

    def to_json(self) -> dict[str, Any]:
        """Everything as plain data."""
        return {
            "path": str(self.path),
            "size_bytes": self.size_bytes,
            "facts": asdict(self.facts),
            "operators": self.operators,
            "parity": self.parity.to_json(),
            "served": None if self.served is None else self.served.to_json(),
        }


def export_model(
    source: str | os.PathLike[str],
    out: str | os.PathLike[str],
    options: ExportOptions | None = None,
    *,
    report: str | os.PathLike[str] | None = None,
    measure: Measure | None = None,
    progress: Callable[[str], None] | None = None,
    download_bar: bool = False,
) -> ExportResult:
    """Exports a network and keeps the file only if it does what its source does.

    Args:
        source: Checkpoint, name of a model of the store, or ONNX file in official form.
        out: File to write; it appears whole or not at all.
        options: Form, precision and the rest.
        report: Also write the measurements there, as JSON; also when the gate is not passed.
        measure: Measures a pose network on labels, such as
            `dwpose_infer.evaluation.accuracy.accuracy_of`; then these figures judge in place of
            the largest distances, see `labelled`.
        progress: Called with a line before each step.
        download_bar: Show a progress bar on standard error while downloading.

    Returns:
        The file and what was measured.

    Raises:
        ParityError: Source and result differ by more than the limits; nothing was written.
        BackendUnavailableError: The GPU to compare on cannot be used.
        ModelFormatError: The source is not a network that is known, or damaged.
        InputError: The pictures given cannot be used, or nobody is on them.
        OutputError: The file cannot be written.
        MissingDependencyError: An optional package is missing.
        InvalidArgumentError: Options contradict each other or the source.
    """
    options = options or ExportOptions()
    say = progress or (lambda _line: None)
    options.serving.require_available()
    say(f"reading {os.fspath(source)}")
    loaded = read_source(source, options, download_bar=download_bar)
    require_not_source(Path(out), loaded)
    compared = None if measure is None else _compared_with(loaded, options, download_bar)
    samples = gate_samples(loaded, options)
    say(f"converting {loaded.name} ({loaded.kind}): {options.form} form, {options.precision}")
    model = convert(loaded, options, samples, progress=say)
    facts = facts_of(loaded, options)
    write_facts(model, facts)
    say(f"comparing with the source on {len(samples)} pictures")
    parity = check_parity(
        loaded,
        model,
        samples,
        form=options.form,
        precision=options.precision,
        allow_undecided=options.allow_undecided,
    )
    if measure is not None and compared is not None:
        say(f"measuring {compared.name} and the result on the labels")
        with tempfile.TemporaryDirectory(prefix="dwpose-export-") as folder:
            labelled = compare_on_labels(
                compared.model, model, measure, name=compared.name, folder=Path(folder)
            )
        parity = judged_on_labels(parity, labelled)
    data: bytes = model.SerializeToString()
    served = None
    if not parity.violations:
        served = check_where_it_serves(
            options.serving,
            loaded,
            data,
            samples,
            form=options.form,
            precision=options.precision,
            allow_undecided=options.allow_undecided,
            progress=say,
        )
    result = ExportResult(Path(out), len(data), facts, count_operators(model), parity, served)
    if report is not None:
        write_document(report, result.to_json())
    require_parity(parity)
    if served is not None:
        require_parity(served)
    write_bytes(out, data)
    return result


def read_source(
    source: str | os.PathLike[str], options: ExportOptions, *, download_bar: bool
) -> Source:
    """Reads a source as the options say, see `sources.load_source`."""
    loaded = load_source(
        source,
        opset=options.opset,
        detector_size_wh=options.detector_size_wh,
        distiller_stage=options.distiller_stage,
        offline=options.offline,
        progress=download_bar,
    )
    _require_precision(loaded, options)
    return loaded


def _require_precision(source: Source, options: ExportOptions) -> None:
    if source.trained_for_int8:
        if options.precision != "int8":
            raise InvalidArgumentError(
                f"{source.path} was trained for 8-bit integers: give --precision int8, or export "
                "the network that it was trained from"
            )
        if options.calibration is not None:
            raise InvalidArgumentError(
                f"{source.path} was trained for 8-bit integers and knows its ranges: leave "
                "--calibration away"
            )
    elif options.precision == "int8" and options.calibration is None:
        raise InvalidArgumentError(
            "int8 needs pictures of people to be calibrated on: give --calibration FOLDER, or a "
            "checkpoint that dwpose-train int8 wrote"
        )


def _compared_with(source: Source, options: ExportOptions, download_bar: bool) -> Source:
    """The network whose accuracy the result has to keep."""
    if source.kind != "pose":
        raise InvalidArgumentError("labels judge pose networks alone, and this is a detector")
    if options.against is not None:
        plain = replace(options, precision="fp32", calibration=None)
        return read_source(options.against, plain, download_bar=download_bar)
    if source.trained_for_int8:
        raise InvalidArgumentError(
            f"{source.path} was trained for 8-bit integers: name the network that it was trained "
            "from with --against, its accuracy is what has to be kept"
        )
    return source


def facts_of(source: Source, options: ExportOptions) -> ModelFacts:
    """Returns what the network says about itself once it is converted."""
    return ModelFacts(
        kind=source.kind,
        form=options.form,
        name=source.name,
        input_size_wh=source.input_size_wh,
        precision=options.precision,
        source_sha256=source.sha256,
        opset=options.opset,
    )


def require_not_source(out: Path, source: Source) -> None:
    """Finds out before the work starts what would go wrong at its end.

    Raises:
        OutputError: The target is a folder.
        InvalidArgumentError: It is the source itself.
    """
    if out.is_dir():
        raise OutputError(f"cannot write {out}: it is a folder")
    if out.exists() and out.samefile(source.path):
        raise InvalidArgumentError(f"{out} is the source itself; give another file")


def gate_samples(source: Source, options: ExportOptions) -> UInt8Array:
    """Returns the pictures for the parity gate, (N, H, W, 3) uint8 BGR: the user's, the package's.

    Raises:
        InputError: Nobody is on the user's pictures, or one cannot be read.
    """
    samples = shipped_samples(source.kind, source.input_size_wh)
    if options.verify is None:
        return samples
    own = folder_samples(options.verify, source.kind, source.input_size_wh)
    return np.concatenate([own, samples])


def convert(
    source: Source,
    options: ExportOptions,
    samples: UInt8Array | None = None,
    *,
    progress: Callable[[str], None] | None = None,
) -> onnx.ModelProto:
    """Returns the source's network in the form and the precision asked for.

    Args:
        source: The network.
        options: Form, precision and the rest.
        samples: (N, H, W, 3) uint8 BGR, of the network's input size: pictures on which no tensor
            of half precision may come near the end of its range; None takes `gate_samples`.
        progress: Called with a line where parts stay in float32 for that.
    """
    if options.form == "official":
        model = onnx.ModelProto()
        model.CopyFrom(source.model)
    elif source.kind == "pose":
        model = to_deploy_pose(source.model)
        whole = options.whole_kernels or options.serving.is_gpu
        if options.precision in ("fp32", "fp16-stored") and not whole:
            model = split_columns(model)
    else:
        model = to_deploy_detector(source.model, top_k=options.top_k)
        if not (options.fixed_size or options.precision == "fp16"):
            model = free_sides(model, top_k=options.top_k) or model
    if options.precision == "fp16-stored":
        from .fp16 import store_weights_fp16

        return store_weights_fp16(model)
    if options.precision == "fp16":
        samples = gate_samples(source, options) if samples is None else samples
        return _in_half(source, model, samples, options, progress or (lambda _line: None))
    if options.precision == "int8":
        from .int8 import quantize_int8, quantize_trained

        if source.trained_for_int8:
            return quantize_trained(model)
        return quantize_int8(model, _calibration(source, options))
    return model


def _in_half(
    source: Source,
    model: onnx.ModelProto,
    samples: UInt8Array,
    options: ExportOptions,
    say: Callable[[str], None],
) -> onnx.ModelProto:
    """Half precision where structure and numbers allow it."""
    from .fp16 import HALF_LARGEST, measure_half_range, to_mixed_fp16

    fed: Array = samples
    if options.form == "official":
        fed = official_input(source.kind, samples)
    found = measure_half_range(model, fed)
    if found.too_large:
        say(
            f"{len(found.too_large)} tensors reach up to {found.largest:,.0f} on the pictures "
            f"({found.tensor}), half precision ends at {HALF_LARGEST:,.0f}: what touches them "
            "stays in float32"
        )
    return to_mixed_fp16(model, too_large=found.too_large)


def _calibration(source: Source, options: ExportOptions) -> Iterator[dict[str, Array]]:
    """Inputs of the model to be quantised, one sample each."""
    assert options.calibration is not None  # checked by ExportOptions
    samples = folder_samples(
        options.calibration, source.kind, source.input_size_wh, limit=MAX_CALIBRATION_SAMPLES
    )
    name = "input" if source.kind == "pose" else "images"
    for index in range(len(samples)):
        sample: Array = samples[index : index + 1]
        if options.form == "deploy":
            yield {DEPLOY_INPUTS[source.kind]: sample}
        else:
            yield {name: official_input(source.kind, sample)}
