"""Facts about a model that travel inside its file, as ONNX metadata."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, cast, get_args

import onnx
from onnx import helper

from .._version import __version__
from ..errors import ModelFormatError
from ..zoo import ModelKind

PREFIX = "dwpose_infer."

Form = Literal["official", "deploy"]
"""official: float input, raw network output, as the published files; deploy: uint8 pictures in,
keypoints or boxes out."""

Precision = Literal["fp32", "fp16", "fp16-stored", "int8"]
"""fp16-stored keeps float32 arithmetic and halves the file; fp16 computes in half precision
except where that loses accuracy; int8 is static quantisation for CPUs."""

FORMS: tuple[Form, ...] = get_args(Form)
PRECISIONS: tuple[Precision, ...] = get_args(Precision)


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """What an exported file says about itself.

    Attributes:
        kind: "pose" or "detector".
        form: "official" or "deploy".
        name: Name of the network, such as "dwpose-t-256x192".
        input_size_wh: (width, height) of the input in pixels.
        precision: One of `PRECISIONS`.
        source_sha256: SHA-256 of the file it was exported from, lower-case hex.
        opset: Version of the standard operator set.
        exporter_version: Version of this package that wrote it.
    """

    kind: ModelKind
    form: Form
    name: str
    input_size_wh: tuple[int, int]
    precision: Precision
    source_sha256: str
    opset: int
    exporter_version: str = __version__


def write_facts(model: onnx.ModelProto, facts: ModelFacts) -> None:
    """Stores the facts in a model, in place of any stored before; foreign entries stay."""
    width, height = facts.input_size_wh
    own = {
        "kind": facts.kind,
        "form": facts.form,
        "name": facts.name,
        "input_size": f"{width}x{height}",
        "precision": facts.precision,
        "source_sha256": facts.source_sha256,
        "opset": str(facts.opset),
        "exporter_version": facts.exporter_version,
    }
    entries = {entry.key: entry.value for entry in model.metadata_props}
    entries |= {PREFIX + key: value for key, value in own.items()}
    del model.metadata_props[:]
    helper.set_model_props(model, entries)
    model.producer_name = "dwpose_infer"
    model.producer_version = facts.exporter_version


def forget_facts(model: onnx.ModelProto) -> None:
    """Removes what `write_facts` stored; foreign entries stay."""
    foreign = [entry for entry in model.metadata_props if not entry.key.startswith(PREFIX)]
    del model.metadata_props[:]
    model.metadata_props.extend(foreign)


def read_facts(metadata: Mapping[str, str]) -> ModelFacts | None:
    """Reads the facts back.

    Args:
        metadata: A model's metadata, for instance `Backend.metadata`.

    Returns:
        The facts; None where the file was not written by this exporter.

    Raises:
        ModelFormatError: Some of the entries are there, but not all, or not with known values.
    """
    own = {
        key.removeprefix(PREFIX): value for key, value in metadata.items() if key.startswith(PREFIX)
    }
    if not own:
        return None
    try:
        width, height = own["input_size"].split("x")
        for key, known in (
            ("kind", get_args(ModelKind)),
            ("form", FORMS),
            ("precision", PRECISIONS),
        ):
            if own[key] not in known:
                raise ValueError(f"{key} is {own[key]!r}")
        return ModelFacts(
            kind=cast(ModelKind, own["kind"]),
            form=cast(Form, own["form"]),
            name=own["name"],
            input_size_wh=(int(width), int(height)),
            precision=cast(Precision, own["precision"]),
            source_sha256=own["source_sha256"],
            opset=int(own["opset"]),
            exporter_version=own["exporter_version"],
        )
    except (KeyError, ValueError) as error:
        raise ModelFormatError(f"the model's metadata are damaged: {error}") from error
