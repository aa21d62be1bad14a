"""The graph that an engine is built from, whatever the source was."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass

import onnx

from .. import zoo
from ..errors import InvalidArgumentError, ModelFormatError
from ..files.atomic import sha256_of
from ..zoo.model_file import is_checkpoint
from .exporter import ExportOptions, convert, facts_of, read_source
from .from_deploy import deploy_kind, deploy_reference
from .graph import network_inputs, opset_of, shape_of
from .metadata import read_facts, write_facts
from .sources import Source, read_onnx
from .to_tensorrt import LAST_OPSET, MAX_TOP_K


@dataclass(frozen=True, slots=True, eq=False)
class EngineSource:
    """A source and what is made of it.

    Attributes:
        source: What was read; its reference is what the engine is compared with.
        model: The graph in deploy form, in the types to compute in.
    """

    source: Source
    model: onnx.ModelProto


def load_engine_source(
    source: str | os.PathLike[str],
    options: ExportOptions,
    *,
    download_bar: bool = False,
    progress: Callable[[str], None] | None = None,
) -> EngineSource:
    """Reads a source and makes the graph for TensorRT.

    A file of this exporter that computes in half precision already is taken as it is.

    Args:
        source: Checkpoint, name of a model of the store, or ONNX file.
        options: Deploy form, in fp16 or fp32, and the rest.
        download_bar: Show a progress bar on standard error while downloading.
        progress: Called with a line where parts stay in float32, see `exporter.convert`.

    Raises:
        ModelFormatError: The source is not a network that is known, or damaged.
        InvalidArgumentError: Options do not go with the source or with TensorRT.
        MissingDependencyError: It is a checkpoint and torch is not installed.
    """
    _require_possible(options)
    mixed = _load_mixed(source, options, download_bar=download_bar)
    if mixed is not None:
        return mixed
    loaded = read_source(source, options, download_bar=download_bar)
    model = convert(loaded, options, progress=progress)
    write_facts(model, facts_of(loaded, options))
    return EngineSource(loaded, model)


def _require_possible(options: ExportOptions) -> None:
    if options.opset > LAST_OPSET:
        raise InvalidArgumentError(
            f"opset {options.opset} is too new for TensorRT; take at most {LAST_OPSET}"
        )
    if options.top_k > MAX_TOP_K:
        raise InvalidArgumentError(
            f"top_k is {options.top_k}; TensorRT hands over at most {MAX_TOP_K} boxes"
        )


def _load_mixed(
    source: str | os.PathLike[str], options: ExportOptions, *, download_bar: bool
) -> EngineSource | None:
    """Reads an exported file in half precision, which cannot be turned back; None for others."""
    path = zoo.resolve_model(source, offline=options.offline, progress=download_bar)
    if is_checkpoint(path):
        return None
    model = read_onnx(path)
    kind = deploy_kind(model)
    facts = read_facts({entry.key: entry.value for entry in model.metadata_props})
    if kind is None or facts is None or facts.precision in ("fp32", "fp16-stored"):
        return None
    if facts.precision != options.precision:
        raise InvalidArgumentError(
            f"{path} computes in {facts.precision}, of which no engine in {options.precision} can "
            "be made; give the file it was exported from"
        )
    if opset_of(model) > LAST_OPSET:
        raise ModelFormatError(
            f"{path} is written in opset {opset_of(model)}, too new for TensorRT"
        )
    _, height, width, _ = shape_of(network_inputs(model)[0])
    if height is None or width is None:
        raise ModelFormatError(
            f"the input of {path} has no fixed height and width; export it with --fixed-size"
        )
    reference = deploy_reference(model, kind)
    loaded = Source(path, sha256_of(path), kind, facts.name, (width, height), model, reference)
    return EngineSource(loaded, model)
