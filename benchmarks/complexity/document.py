"""The result of `dwpose-bench complexity`."""

from __future__ import annotations

from typing import Literal

import msgspec

from ..document import Document


class ComplexityRow(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What one network holds and computes for one crop.

    Counts are multiply-accumulates, which this field calls flops.

    Attributes:
        model: Name of the network, or name of the file without its folder.
        counted_from: "torch" for the network as it is trained, "onnx" for a file.
        input_shape: Shape of the input, one sample.
        parameters: Learnt numbers; in a file, where batch normalisation is part of the
            convolutions, the numbers stored.
        fvcore: Count by fvcore's rules; None for a file.
        fvcore_by_operator: The same by operator.
        products: Convolutions, Linears and matrix products, by torch's counter; None for a file.
        products_onnx: The same from an ONNX file alone.
        published_gflops: Figure of the published table in 1e9, or None.
    """

    model: str
    counted_from: Literal["torch", "onnx"]
    input_shape: tuple[int, ...]
    parameters: int
    fvcore: int | None
    fvcore_by_operator: dict[str, int]
    products: int | None
    products_onnx: int
    published_gflops: float | None


class ComplexityDocument(Document, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Result of `dwpose-bench complexity`: one row for each network."""

    schema_version: Literal[1] = 1
    benchmark: Literal["complexity"] = "complexity"
    rows: tuple[ComplexityRow, ...]
