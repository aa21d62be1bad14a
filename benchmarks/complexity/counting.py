"""Rows of the complexity table: the published networks, and ONNX files."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Literal

import msgspec
from tqdm import tqdm

from ...errors import needs_extra
from ...zoo import resolve_model
from ..benchmark import Work
from ..document import Document
from ..machine import capture_environment
from ..markdown import markdown_table
from ..published import PUBLISHED, PublishedRow, find_published
from ..random_networks import as_exportable, build_network, import_torch, sides
from .command import ComplexitySettings
from .onnx_count import count_file, count_model


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


def count(settings: ComplexitySettings) -> ComplexityDocument:
    """Counts as the settings say; raises as `count_files` and `count_published` do."""
    if settings.models:
        return count_files(settings.models)
    return count_published(tqdm(PUBLISHED, "networks", leave=False, disable=None))


def count_published(rows: Iterable[PublishedRow] = PUBLISHED) -> ComplexityDocument:
    """Counts the networks of the published table, from torch and from the ONNX of their export.

    Args:
        rows: Networks; a progress bar may be around them.

    Raises:
        MissingDependencyError: torch, onnx or fvcore is not installed.
    """
    environment = capture_environment()
    return ComplexityDocument(
        environment=environment, rows=tuple(_count_network(row) for row in rows)
    )


def _count_network(row: PublishedRow) -> ComplexityRow:
    module = build_network(row)
    by_operator = count_with_fvcore(module, row.input_hw)
    exportable = as_exportable(row, module)
    from ...export.from_checkpoint import to_official

    exported = count_model(to_official(exportable), origin=row.name)
    return ComplexityRow(
        model=row.name,
        counted_from="torch",
        input_shape=(1, 3, *row.input_hw),
        parameters=parameter_count(module),
        fvcore=sum(by_operator.values()),
        fvcore_by_operator=by_operator,
        products=count_products(module, row.input_hw),
        products_onnx=exported.products,
        published_gflops=row.gflops,
    )


def count_files(models: Sequence[str]) -> ComplexityDocument:
    """Counts ONNX files; neither torch nor a runtime is needed.

    Args:
        models: Names of models of the store, or paths of ONNX files.

    Raises:
        ModelError: A model is not at hand or not an ONNX file that can be counted.
        MissingDependencyError: The package `onnx` is not installed.
    """
    environment = capture_environment()
    return ComplexityDocument(
        environment=environment, rows=tuple(_count_file(model) for model in models)
    )


def _count_file(model: str) -> ComplexityRow:
    path = resolve_model(model)
    count = count_file(path)
    published = find_published(model)
    return ComplexityRow(
        model=Path(model).name,
        counted_from="onnx",
        input_shape=count.input_shape,
        parameters=count.parameters,
        fvcore=None,
        fvcore_by_operator={},
        products=None,
        products_onnx=count.products,
        published_gflops=published.gflops if published else None,
    )


def parameter_count(module: Any) -> int:
    """Returns the number of learnt numbers; running statistics are none."""
    return sum(int(parameter.numel()) for parameter in module.parameters())


def count_with_fvcore(module: Any, input_hw: tuple[int, int]) -> dict[str, int]:
    """Returns multiply-accumulates of one crop by operator, as fvcore counts them.

    It counts convolutions, Linears, matrix products, batch normalisation and adaptive pooling,
    and calls the sum flops; the published table was made with the same rules.

    Raises:
        MissingDependencyError: fvcore is not installed.
    """
    torch = import_torch()
    with warnings.catch_warnings(), torch.no_grad():
        # fvcore traces with torch.jit, which is deprecated, and even importing it does.
        warnings.simplefilter("ignore", DeprecationWarning)
        with needs_extra("the count of fvcore needs fvcore", "bench"):
            from fvcore.nn import FlopCountAnalysis
        analysis = FlopCountAnalysis(module, torch.zeros(1, 3, *input_hw))
        analysis.unsupported_ops_warnings(False).uncalled_modules_warnings(False)
        analysis.tracer_warnings("none")
        return {name: int(count) for name, count in analysis.by_operator().items()}


def count_products(module: Any, input_hw: tuple[int, int]) -> int:
    """Returns multiply-accumulates of one crop in convolutions, Linears and matrix products.

    Counted by torch's own counter, which gives two operations for each.
    """
    torch = import_torch()
    from torch.utils.flop_counter import FlopCounterMode

    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        module(torch.zeros(1, 3, *input_hw))
    return int(counter.get_total_flops()) // 2


WORK = Work(document=ComplexityDocument, measure=count, report=full_table, table="complexity")
