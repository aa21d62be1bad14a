"""The work of a shard: its pictures read, through the networks, and its results written."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any, Final, TypeAlias

from ..errors import DwposeError, InferenceError, InputError
from ..formats.parquet import import_pyarrow, picture_rows
from ..images import ImageSource
from ..predictor import Predictor
from ..results import PoseResult
from .plan import Plan, open_plan
from .reading import UnreachedError, read_pictures
from .store import write_file

ROW_GROUP_PICTURES: Final = 1000
"""Pictures whose results make a row group, and wait in memory for it."""

Answered: TypeAlias = "tuple[str | None, PoseResult | DwposeError]"
"""The name of a picture, and its result or its error."""

BLAMED: Final = (InferenceError, UnreachedError)
"""Errors whose reason may lie in the machine or the store."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ShardDone:
    """What became of a shard.

    Attributes:
        shard: Its number.
        pictures: Pictures in its results.
        persons: Persons found.
        empty: Pictures with nobody on them.
        unread: Pictures that could not be read.
        failure: Why there are no results; None where there are.
    """

    shard: int
    pictures: int = 0
    persons: int = 0
    empty: int = 0
    unread: int = 0
    failure: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ShardWork:
    """What is done with every shard.

    Attributes:
        plan: The shards.
        column: Column of Parquet files that holds the pictures; None finds it.
        whole_image: Where nobody is found, take the whole picture for one person.
    """

    plan: Plan
    column: str | None = None
    whole_image: bool = False

    def do(self, shard: int, predictor: Predictor, plan_file: Any) -> ShardDone:
        """Works on a shard; its results appear whole or not at all.

        An error of the package that is not of a picture becomes a `failure`; the shard is left.
        """
        try:
            return self._do(shard, predictor, plan_file)
        except (DwposeError, OSError) as error:
            return ShardDone(shard=shard, failure=f"{type(error).__name__}: {error}")

    def _do(self, shard: int, predictor: Predictor, plan_file: Any) -> ShardDone:
        pyarrow, parquet = import_pyarrow()
        rows = plan_file.read_row_group(shard).to_pylist()
        read = read_pictures(rows, column=self.column, urls=predictor.urls)
        pictures = ((each.name, each) for each in read)
        found = predict_each(predictor, pictures, whole_image=self.whole_image)
        sink, writer = pyarrow.BufferOutputStream(), None
        done, blamed = ShardDone(shard=shard), None
        chunk = list(islice(found, ROW_GROUP_PICTURES))
        while writer is None or chunk:  # a tar file may hold no picture
            table = rows_of(chunk)
            writer = writer or parquet.ParquetWriter(sink, table.schema, compression="zstd")
            writer.write_table(table)
            done = _added(done, chunk)
            blamed = blamed or next((each for _, each in chunk if isinstance(each, BLAMED)), None)
            chunk = list(islice(found, ROW_GROUP_PICTURES))
        writer.close()
        if blamed is not None and done.unread == done.pictures:
            raise blamed  # not even one: that is no matter of the pictures
        write_file(self.plan.part(shard), sink.getvalue().to_pybytes())
        return done


def _added(done: ShardDone, found: Sequence[Answered]) -> ShardDone:
    persons = [len(each) for _, each in found if isinstance(each, PoseResult)]
    return replace(
        done,
        pictures=done.pictures + len(found),
        persons=done.persons + sum(persons),
        empty=done.empty + persons.count(0),
        unread=done.unread + len(found) - len(persons),
    )


def predict_each(
    predictor: Predictor,
    pictures: Iterator[tuple[str | None, ImageSource]],
    *,
    whole_image: bool = False,
) -> Iterator[Answered]:
    """Yields the name of each picture with its result, or with its error.

    Where the networks fail with several pictures they are asked again with each of them alone.

    Args:
        predictor: The networks.
        pictures: Names and pictures; some are read ahead.
        whole_image: Where nobody is found, take the whole picture for one person.
    """
    taken: deque[tuple[str | None, ImageSource]] = deque()

    def feed() -> Iterator[Any]:
        for picture in pictures:
            taken.append(picture)
            yield picture[1]

    going_on = True
    while going_on:
        going_on = False
        try:
            for result in predictor(feed(), whole_image=whole_image, on_error="return"):
                yield taken.popleft()[0], result
        except InferenceError:
            going_on = bool(taken)
            while taken:
                name, picture = taken.popleft()
                yield name, _alone(predictor, picture, whole_image)


def _alone(
    predictor: Predictor, picture: ImageSource, whole_image: bool
) -> PoseResult | DwposeError:
    try:
        return predictor(picture, whole_image=whole_image)
    except (InferenceError, InputError) as error:
        return error


def rows_of(found: Sequence[Answered]) -> Any:
    """Returns a `pyarrow.Table` with a row for each picture, see `formats.parquet`."""
    poses: list[PoseResult] = []
    errors: list[str | None] = []
    for name, each in found:
        if isinstance(each, PoseResult):
            poses.append(replace(each, source=name))
            errors.append(None)
        else:
            poses.append(PoseResult.empty(source=name))
            errors.append(_with_name(name, str(each)))
    return picture_rows(poses, errors)


def _with_name(name: str | None, error: str) -> str:
    """An error that says of which picture it is; what is read from an open file has no name."""
    if name is None:
        return error
    for unnamed in ("the bytes given", "the open file"):
        error = error.replace(unnamed, name)
    return error if name in error else f"{name}: {error}"


class ShardWorker:
    """Works on shards, one after the other; what an actor of Ray is."""

    def __init__(self, work: ShardWork, predictor: Mapping[str, Any]) -> None:
        """Does nothing yet, so that what fails does so in `open`, where Ray tells the reason.

        Args:
            work: What is done.
            predictor: Options of `Predictor`.
        """
        self._work = work
        self._options = predictor

    def open(self) -> None:
        """Loads the networks.

        Raises:
            DwposeError: That is not possible, see `Predictor`.
        """
        self._predictor = Predictor(**self._options)
        self._plan_file = open_plan(self._work.plan.out)

    def do(self, shard: int) -> ShardDone:
        """Works on a shard."""
        return self._work.do(shard, self._predictor, self._plan_file)
