"""The networks to be measured: by name, from files, or with random weights."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ...errors import InvalidArgumentError, ModelError, needs_extra
from ...zoo import find_spec, resolve_model
from ..published import PUBLISHED, PublishedRow, find_published, published_row

if TYPE_CHECKING:
    from .result import Weights

DeployPrecision = Literal["fp32", "fp16"]

REMEDY = (
    "to measure networks of the same shape with random weights, which take the same time: "
    "--random-weights"
)


@dataclass(frozen=True, slots=True, eq=False)
class Network:
    """A network to be measured.

    Attributes:
        name: Name in the published table where it is in it, else of the model or file.
        weights: Where its weights come from.
        path: ONNX file.
        input_hw: Height and width of the input in pixels; (0, 0) where only the file knows.
        module: The torch module in evaluation mode, or None.
    """

    name: str
    weights: Weights
    path: Path
    input_hw: tuple[int, int] = (0, 0)
    module: Any = None


def find_networks(models: Sequence[str], *, progress: bool = False) -> list[Network]:
    """Finds the ONNX files of models.

    Args:
        models: Names of models, paths of ONNX files, or NAME=FILE, which puts a file into the
            row of the published network NAME. Empty: the five published networks.
        progress: Show a progress bar while downloading.

    Raises:
        ModelError: A model is neither at hand nor to be had.
        InvalidArgumentError: Two models would have the same name.
    """
    networks = [_find(model, progress) for model in models or [row.name for row in PUBLISHED]]
    names = [network.name for network in networks]
    for name in names:
        if names.count(name) > 1:
            raise InvalidArgumentError(f"two networks are called {name!r}; measure each once")
    return networks


def _find(model: str, progress: bool) -> Network:
    name, equals, path = model.partition("=")
    if equals and not Path(model).exists():
        return Network(published_row(name).name, "file", resolve_model(Path(path)))
    try:
        file = resolve_model(model, kind="pose" if find_spec(model) else None, progress=progress)
    except ModelError as error:
        if find_published(model) is None:
            raise
        raise type(error)(f"{error}; {REMEDY}") from error
    if find_spec(model) is None:
        return Network(file.name, "file", file)
    return Network(model, "model", file)


def random_networks(names: Sequence[str], folder: Path, *, progress: bool) -> list[Network]:
    """Builds published networks with random weights and exports them.

    Args:
        names: Names in the published table; empty for all of them.
        folder: Folder for the ONNX files.
        progress: Show a progress bar.

    Raises:
        ModelNotFoundError: A network is not in the published table.
        MissingDependencyError: torch or onnx is not installed.
    """
    from tqdm import tqdm

    rows: Iterable[PublishedRow] = [published_row(name) for name in names] or PUBLISHED
    bar = tqdm(rows, "exporting", leave=False, disable=None if progress else True)
    return [_random(row, folder) for row in bar]


def _random(row: PublishedRow, folder: Path) -> Network:
    from ..random_networks import random_network

    network = random_network(row)
    import onnx

    from ...export.from_checkpoint import to_official

    path = folder / f"{row.name}.onnx"
    onnx.save(to_official(network), path)
    return Network(row.name, "random", path, row.input_hw, network.module)


def write_deploy_form(path: Path, precision: DeployPrecision, target: Path) -> Path:
    """Writes a network in deploy form, as `dwpose-export` converts it.

    It is not compared with its source: random weights are sure of nothing that could be.

    Raises:
        MissingDependencyError: The package onnx is not installed.
        ModelFormatError: The file is no network that can be converted.
    """
    with needs_extra("converting networks needs onnx", "bench"):
        from ...export.exporter import ExportOptions, convert, facts_of, read_source
        from ...export.metadata import write_facts
    options = ExportOptions(precision=precision, fixed_size=True, whole_kernels=True)
    source = read_source(path, options, download_bar=False)
    model = convert(source, options)
    write_facts(model, facts_of(source, options))
    target.write_bytes(model.SerializeToString())
    return target


def in_deploy_form(
    networks: Sequence[Network], precision: DeployPrecision, folder: Path
) -> list[Network]:
    """Returns the networks with files in deploy form, which are written into a folder."""
    return [
        replace(
            network,
            path=write_deploy_form(network.path, precision, folder / f"{number}.deploy.onnx"),
        )
        for number, network in enumerate(networks)
    ]
