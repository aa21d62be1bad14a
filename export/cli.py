"""The command `dwpose-export`: networks in, verified ONNX files or TensorRT engines out."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from ..cli.standard_options import run_command
from ..errors import InputError, InvalidArgumentError, MissingDependencyError
from .command_options import CommandOptions, command_parser

if TYPE_CHECKING:
    from ..backends.device import Device
    from ..backends.tensorrt.engine_record import EngineOptions
    from .engine_exporter import EngineResult
    from .exporter import ExportOptions, ExportResult
    from .labelled import Measure
    from .metadata import Precision
    from .serving_device import ServingDevice


ENGINE_OPTIONS = ("precision", "max_batch", "opt_batch", "workspace_mib", "capabilities")

GOES_WITH: Mapping[str, tuple[str, ...]] = {
    "max_batch": ("engine", "triton"),
    "opt_batch": ("engine",),
    "workspace_mib": ("engine",),
    "provider_option": ("onnx", "triton"),
    "capabilities": ("engine",),
    "instances": ("triton",),
    "instance_kind": ("triton",),
    "queue_delay_us": ("triton",),
    "labels": ("onnx",),
    "against": ("onnx",),
}
"""Options that mean something to some of the values of --to alone."""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command.

    Args:
        argv: Arguments without the program's name; None takes those of the process.

    Returns:
        Exit status, see `dwpose-export --help`.
    """
    return run_command(
        command_parser(),
        lambda given: _carry_out(CommandOptions(**vars(given))),
        argv,
        interrupted="interrupted; nothing was written",
    )


def _carry_out(options: CommandOptions) -> int:
    for name, fitting in GOES_WITH.items():
        if getattr(options, name) is not None and options.to not in fitting:
            words = " or ".join(f"--to {each}" for each in fitting)
            raise InvalidArgumentError(f"--{name.replace('_', '-')} goes with {words} only")
    result = _WAYS[options.to](options)
    summary, path = result
    if not options.quiet:
        print("\n".join(summary), file=sys.stderr)
    print(path)
    return 0


def _export(options: CommandOptions) -> tuple[list[str], Path]:
    _require_onnx("export")
    from .exporter import export_model

    result = export_model(
        options.source,
        options.out,
        _options(options, precision=options.precision or "fp32"),
        report=options.report,
        measure=_measure(options),
        progress=_show(options),
        download_bar=_shows_bars(options),
    )
    return _summary(result), result.path


def _measure(options: CommandOptions) -> Measure | None:
    """What measures a network on the labels that were given."""
    if options.labels is None:
        if options.against is not None:
            raise InvalidArgumentError("--against goes with --labels only")
        return None
    annotations, images = options.labels
    if not images.is_dir():
        raise InputError(f"{images}: there is no such folder")
    from ..evaluation.accuracy import accuracy_of

    return lambda path: accuracy_of(path, annotations, images)


def _export_triton(options: CommandOptions) -> tuple[list[str], Path]:
    _require_onnx("export")
    from .to_triton import TritonOptions, export_to_triton

    if options.form != "deploy":
        raise InvalidArgumentError("a server is given the deploy form; leave --form away")
    plain = TritonOptions()
    triton = TritonOptions(
        max_batch=_or(options.max_batch, plain.max_batch),
        instances=_or(options.instances, plain.instances),
        kind=options.instance_kind or plain.kind,
        queue_delay_us=_or(options.queue_delay_us, plain.queue_delay_us),
    )
    result = export_to_triton(
        options.source,
        options.out,
        triton,
        _options(options, precision=options.precision or "fp32"),
        report=options.report,
        progress=_show(options),
        download_bar=_shows_bars(options),
    )
    return _summary(result), result.path.parent.parent


def _export_engine(options: CommandOptions) -> tuple[list[str], Path]:
    from ..backends.tensorrt.products import TENSORRT, choose_product
    from ..backends.tensorrt.system import check_tensorrt

    engine = _engine_options(options)
    if options.provider == "cuda":
        raise InvalidArgumentError(
            "an engine is built by TensorRT: --provider tensorrt or tensorrt-rtx"
        )
    product = choose_product(options.provider)
    device = _gpu(options.device)
    if product is TENSORRT or device is not None:
        check_tensorrt(product)  # names all that is missing at once
    _require_onnx(product.extra)
    from .engine_exporter import export_engine

    result = export_engine(
        options.source,
        options.out,
        engine,
        _options(options, precision=engine.precision),
        product=product,
        device=device,
        report=options.report,
        progress=_show(options),
        show_bars=_shows_bars(options),
    )
    return _engine_summary(result), result.path


def _gpu(name: str | None) -> Device | None:
    from ..backends.device import parse_device

    if name is None:
        return None
    device = parse_device(name)
    if device.kind != "cuda":
        raise InvalidArgumentError("an engine is built on a GPU: --device cuda or cuda:N")
    return device


def _or(value: int | None, default: int) -> int:
    return default if value is None else value


def _require_onnx(extra: str) -> None:
    if find_spec("onnx") is None:
        raise MissingDependencyError(
            f'the package onnx is needed; install it with: pip install "dwpose-infer[{extra}]"'
        )


def _show(options: CommandOptions) -> Callable[[str], None]:
    def show(line: str) -> None:
        if not options.quiet:
            print(f"dwpose-export: {line}", file=sys.stderr, flush=True)

    return show


def _shows_bars(options: CommandOptions) -> bool:
    return sys.stderr.isatty() and not options.quiet


def _engine_options(options: CommandOptions) -> EngineOptions:
    from ..backends.tensorrt.engine_record import EngineOptions

    if options.form != "deploy":
        raise InvalidArgumentError("an engine is made of the deploy form; leave --form away")
    if options.calibration is not None:
        raise InvalidArgumentError(
            "--calibration goes with int8, which is for CPUs; an engine is fp16 or fp32"
        )
    given = {name: getattr(options, name) for name in ENGINE_OPTIONS}
    return EngineOptions(**{name: value for name, value in given.items() if value is not None})


def _options(options: CommandOptions, *, precision: Precision) -> ExportOptions:
    from .exporter import ExportOptions

    return ExportOptions(
        form=options.form,
        precision=precision,
        opset=options.opset,
        detector_size_wh=options.input_size,
        distiller_stage=options.distiller_stage,
        top_k=options.top_k,
        fixed_size=options.fixed_size,
        whole_kernels=options.whole_kernels,
        calibration=options.calibration,
        against=options.against,
        verify=options.verify,
        allow_undecided=options.allow_undecided,
        serving=_serving(options),
        offline=True if options.offline else None,
    )


def _serving(options: CommandOptions) -> ServingDevice:
    from .serving_device import ServingDevice

    if options.to == "engine":  # its own gate runs where it is built for
        return ServingDevice()
    if options.provider == "tensorrt-rtx":
        raise InvalidArgumentError(
            "--provider tensorrt-rtx builds engines: --to engine; a file is compared with "
            "ONNX Runtime's cuda or tensorrt"
        )
    return ServingDevice(
        device=options.device,
        provider=options.provider,
        provider_options=dict(options.provider_option or ()),
    )


def _summary(result: ExportResult) -> list[str]:
    facts = result.facts
    width, height = facts.input_size_wh
    operators = ", ".join(f"{count} {name}" for name, count in list(result.operators.items())[:6])
    return [
        f"{facts.name}, {facts.kind}, {facts.form} form, {facts.precision}, input "
        f"{width}x{height} (width x height), opset {facts.opset}",
        f"{result.size_bytes / 1e6:.2f} MB, {sum(result.operators.values())} operators: "
        f"{operators}, ...",
        *result.parity.summary(),
        *(() if result.served is None else result.served.summary()),
    ]


def _engine_summary(result: EngineResult) -> list[str]:
    from ..backends.tensorrt.products import PRODUCTS

    record = result.record
    identity = record.identity
    lines = [
        f"{record.name}, {identity.precision}, batches of 1 to {identity.max_batch} (tuned for "
        f"{identity.opt_batch})",
        f"{record.size_bytes / 1e6:.2f} MB, built in {record.build_s:.0f} s for "
        f"{PRODUCTS[identity.product].name} {identity.tensorrt_version}, {identity.place}",
        *result.parity.summary(),
    ]
    if record.compared == "graph":
        lines.append(
            "the engine itself has not run: no GPU here runs it; compared was the graph it is of"
        )
    return lines


_WAYS = {"onnx": _export, "engine": _export_engine, "triton": _export_triton}

if __name__ == "__main__":
    raise SystemExit(main())
