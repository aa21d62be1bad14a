"""The result of `dwpose-bench complexity` as a typed document, and its table."""

from __future__ import annotations

from typing import Literal

import msgspec

from ..document import Document
from ..markdown import markdown_table
from ..random_networks import sides


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


MISSING = "-"


def full_table(document: ComplexityDocument) -> str:
    """Returns the table with every count."""
    header = (
        "network",
        "input",
        "parameters",
        "GFLOPs, published",
        "GFLOPs, fvcore",
        "GFLOPs in products, torch",
        "GFLOPs in products, ONNX",
    )
    rows = (
        (
            row.model,
            sides(row.input_shape),
            f"{row.parameters:,}",
            MISSING if row.published_gflops is None else f"{row.published_gflops:g}",
            _giga(row.fvcore),
            _giga(row.products),
            _giga(row.products_onnx),
        )
        for row in document.rows
    )
    return markdown_table(header, rows, text_columns=2)


def _giga(count: int | None) -> str:
    return MISSING if count is None else f"{count / 1e9:.4f}"
