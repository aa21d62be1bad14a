"""The complexity table, from its document alone."""

from __future__ import annotations

from ..markdown import markdown_table
from ..random_networks import sides
from .document import ComplexityDocument

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
