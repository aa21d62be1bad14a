"""Any data set of Ray Data, its pictures through the networks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from ..errors import InvalidArgumentError
from ..formats.parquet import PICTURE_COLUMNS
from ..predictor import Predictor
from .reading import bytes_of, fetch, fetch_ahead
from .shard import BLAMED, predict_each, rows_of
from .sources import PATH_COLUMNS, holds
from .store import absolute
from .workers import Workers, import_ray

if TYPE_CHECKING:
    from ray.data import Dataset


def predict_dataset(
    dataset: Dataset,
    *,
    column: str | None = None,
    predictor: Mapping[str, Any] | None = None,
    whole_image: bool = False,
    workers: Workers | None = None,
    batch_pictures: int = 64,
) -> Dataset:
    """Finds every person in the pictures of a data set of Ray Data.

    Args:
        dataset: What `ray.data.read_binary_files`, `read_parquet`, `read_images` and the others
            give.
        column: Column with the pictures: bytes of picture files, Hugging Face's structs of these,
            paths or URIs, or arrays (RGB, as `read_images` makes them, needs the option
            `color="rgb"`). None takes the only column of bytes, else "image", else the first
            that is called as one of `sources.PATH_COLUMNS`.
        predictor: Options of `Predictor` by name.
        whole_image: Where nobody is found, take the whole picture for one person.
        workers: How many, and what each of them gets; None for one CPU each, as many as are free.
        batch_pictures: Pictures that are given to a worker at once.

    Returns:
        A data set, computed when it is consumed, with the columns of `dataset` but the one of the
        pictures, and those of `formats.parquet.PICTURE_COLUMNS`. A picture that cannot be read
        has its `error`; `source` is its path where a column tells.

    Raises:
        MissingDependencyError: Ray is not installed.
    """
    import_ray()
    workers = workers or Workers()
    found: Dataset = dataset.map_batches(
        _RowWorker,
        batch_size=batch_pictures,
        batch_format="pyarrow",
        compute=workers.pool(),
        fn_constructor_kwargs={
            "column": column,
            "predictor": workers.predictor_options(predictor or {}),
            "whole_image": whole_image,
        },
        num_cpus=workers.cpus,
        num_gpus=workers.gpus or None,
    )
    return found


class _RowWorker:
    """Adds results to rows; what an actor holds."""

    def __init__(
        self, *, column: str | None, predictor: Mapping[str, Any], whole_image: bool
    ) -> None:
        self._column = column
        self._predictor = Predictor(**predictor)
        self._whole_image = whole_image

    def __call__(self, batch: Any) -> Any:
        column = self._column or _column_of(batch.schema)
        if column not in batch.column_names:
            raise InvalidArgumentError(f"there is no column {column!r}: {batch.column_names}")
        others = batch.drop_columns(column)
        taken = sorted(set(others.column_names) & set(PICTURE_COLUMNS))
        if taken:
            raise InvalidArgumentError(
                f"columns of the results are there already: {', '.join(taken)}; rename them"
            )
        kind = holds(batch.schema.field(column).type)
        values = batch[column].to_pylist()
        named = column if kind == "names" else _path_column(others.column_names)
        names = batch[named].to_pylist() if named else [None] * len(batch)
        read = values if kind is None else fetch_ahead(self._task(each, kind) for each in values)
        pictures = zip(names, read, strict=True)
        found = list(predict_each(self._predictor, pictures, whole_image=self._whole_image))
        errors = [each for _, each in found if isinstance(each, Exception)]
        blamed = [each for each in errors if isinstance(each, BLAMED)]
        if blamed and len(errors) == len(found):
            raise blamed[0]
        rows = rows_of(found)
        for name in others.column_names:
            rows = rows.append_column(others.schema.field(name), others[name])
        return rows

    def _task(self, value: Any, kind: str) -> tuple[str, Callable[[], bytes]]:
        if kind == "names" and value is not None:
            return value, partial(fetch, absolute(value), urls=self._predictor.urls)
        return "", partial(bytes_of, value)


def _column_of(schema: Any) -> str:
    held = {each.name: holds(each.type) for each in schema}
    chosen = [name for name, kind in held.items() if kind == "bytes"]
    chosen = chosen or [name for name in ("image", *PATH_COLUMNS) if name in held][:1]
    if len(chosen) != 1:
        raise InvalidArgumentError(
            f"which column holds the pictures? Say column=; there are {', '.join(schema.names)}"
        )
    return chosen[0]


def _path_column(names: Sequence[str]) -> str | None:
    return next((each for each in PATH_COLUMNS if each in names), None)
