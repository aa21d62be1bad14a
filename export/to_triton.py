"""Model repositories for NVIDIA's Triton Inference Server: a network in deploy form and its config.

Deploy form suits a server: crops travel as bytes, and keypoints or boxes come back. Detecting,
cropping and suppression stay with the client; `docs/triton.md` shows one.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import onnx
from onnx import TensorProto

from ..errors import InvalidArgumentError
from ..files.atomic import write_bytes
from .exporter import ExportOptions, ExportResult, export_model, facts_of, read_source
from .graph import elem_type_of, network_inputs, shape_of
from .sources import read_onnx

VERSION_FOLDER = "1"
"""Triton serves the highest number; an export is always the first version."""

InstanceKind = Literal["cpu", "gpu"]

_TYPES: dict[int, str] = {TensorProto.UINT8: "TYPE_UINT8", TensorProto.FLOAT: "TYPE_FP32"}


@dataclass(frozen=True, slots=True)
class TritonOptions:
    """How the server runs the network.

    Attributes:
        max_batch: Largest batch that requests are put together to; 0 for none.
        instances: Copies of the network that run at the same time on each device.
        kind: "cpu", or "gpu" for every GPU the server sees.
        queue_delay_us: Microseconds a request may wait for others to share its batch.
    """

    max_batch: int = 16
    instances: int = 1
    kind: InstanceKind = "cpu"
    queue_delay_us: int = 2000

    def __post_init__(self) -> None:
        for name, least in (("max_batch", 0), ("instances", 1), ("queue_delay_us", 0)):
            if getattr(self, name) < least:
                raise InvalidArgumentError(
                    f"{name} is {getattr(self, name)}, must be at least {least}"
                )
        if self.kind not in ("cpu", "gpu"):
            raise InvalidArgumentError(f"kind is {self.kind!r}, must be 'cpu' or 'gpu'")


def export_to_triton(
    source: str | os.PathLike[str],
    repository: str | os.PathLike[str],
    triton: TritonOptions | None = None,
    options: ExportOptions | None = None,
    *,
    report: str | os.PathLike[str] | None = None,
    progress: Callable[[str], None] | None = None,
    download_bar: bool = False,
) -> ExportResult:
    """Exports a network, verified against its source, into a model repository.

    Written are `REPOSITORY/NAME/1/model.onnx` and `REPOSITORY/NAME/config.pbtxt`, where NAME is the
    network's, such as dwpose-s-256x192. Other models of the repository stay as they are.

    Args:
        source: Checkpoint, name of a model of the store, or ONNX file in official form.
        repository: Folder that the server is given as --model-repository.
        triton: How the server runs it.
        options: Precision and the rest of the export; the form is always "deploy".
        report: Also write the measurements there, as JSON; also when the gate is not passed.
        progress: Called with a line before each step.
        download_bar: Show a progress bar on standard error while downloading.

    Returns:
        The file and what was measured.

    Raises:
        DwposeError: As `export_model`.
    """
    triton = triton or TritonOptions()
    options, on_gpu = options or ExportOptions(), triton.kind == "gpu"
    options = replace(
        options,
        form="deploy",
        whole_kernels=options.whole_kernels or on_gpu,
        serving=replace(options.serving, for_gpus=on_gpu),
    )
    loaded = read_source(source, options, download_bar=download_bar)
    folder = Path(repository) / facts_of(loaded, options).name
    target = folder / VERSION_FOLDER / "model.onnx"
    result = export_model(source, target, options, report=report, progress=progress)
    config = config_text(folder.name, read_onnx(result.path), triton)
    write_bytes(folder / "config.pbtxt", config.encode())
    return result


def config_text(name: str, model: onnx.ModelProto, options: TritonOptions) -> str:
    """Returns the model configuration in protobuf's text form (Triton's model_config.proto).

    Args:
        name: Name of the model, which has to be that of its folder.
        model: The network in deploy form, whose first sides are the batch.
        options: How the server runs it.
    """
    batched = options.max_batch > 0
    parts = [
        f'name: "{name}"',
        'backend: "onnxruntime"',
        f"max_batch_size: {options.max_batch}",
        *(_tensor("input", value, batched) for value in network_inputs(model)),
        *(_tensor("output", value, batched) for value in model.graph.output),
        f"instance_group [ {{ count: {options.instances} kind: KIND_{options.kind.upper()} }} ]",
    ]
    if batched:
        sizes = [size for size in (4, 8, 16, 32) if size <= options.max_batch]
        preferred = f"preferred_batch_size: {sizes} " if sizes else ""
        delay = f"max_queue_delay_microseconds: {options.queue_delay_us}"
        parts.append(f"dynamic_batching {{ {preferred}{delay} }}")
    return "\n".join(parts) + "\n"


def _tensor(field: str, value: onnx.ValueInfoProto, batched: bool) -> str:
    shape: Sequence[int | None] = shape_of(value)[1:] if batched else shape_of(value)
    dims = [-1 if size is None else size for size in shape]
    return (
        f'{field} [ {{ name: "{value.name}" data_type: {_TYPES[elem_type_of(value)]} '
        f"dims: {dims} }} ]"
    )
