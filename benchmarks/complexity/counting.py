"""Rows of the complexity table: the published networks, and ONNX files."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from tqdm import tqdm

from ...zoo import resolve_model
from ..machine import capture_environment
from ..published import PUBLISHED, PublishedRow, find_published
from ..random_networks import as_exportable, build_network
from .onnx_count import count_file, count_model
from .result import ComplexityDocument, ComplexityRow
from .settings import ComplexitySettings
from .torch_count import count_products, count_with_fvcore, parameter_count


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
