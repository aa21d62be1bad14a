"""What a run has to do, written down before it begins: `_plan.parquet` in the folder of results.

Each row group of it is a shard, whose results are one file. A run that goes on asks the plan, not
the sources, so a picture is in one shard however often the run was broken off, and whatever was
added to the sources meanwhile.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from ..errors import FormatError, InputError, InvalidArgumentError
from .sources import open_parquet
from .store import names_in, write_file

PLAN_NAME: Final = "_plan.parquet"
"""Begins with _, so that whoever reads the folder as a data set leaves it out."""

FULL_SHARD: Final = 1000
MANY_SHARDS: Final = 64
SMALL_SHARD: Final = 16
"""A small data set has enough shards for many workers, each long enough to be worth a file."""

_SETTINGS: Final = b"dwpose_infer.batch"


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """The shards of a run.

    Attributes:
        out: Folder of the results, an absolute path or a URI.
        pictures: Pictures of each shard; -1 where nobody knows before it is read.
    """

    out: str
    pictures: tuple[int, ...]

    def part(self, shard: int) -> str:
        """Returns the file of a shard's results."""
        return f"{self.out}/{_part_name(shard, len(self.pictures))}"

    def left(self) -> list[int]:
        """Returns the shards whose results are not there yet."""
        done = set(names_in(self.out))
        shards = len(self.pictures)
        return [each for each in range(shards) if _part_name(each, shards) not in done]


def _part_name(shard: int, shards: int) -> str:
    return f"part-{shard:06}-of-{shards:06}.parquet"


def make_plan(
    sources: Any, out: str, *, settings: Mapping[str, Any], shard_pictures: int | None
) -> Plan:
    """Cuts sources into shards and writes the plan.

    Args:
        sources: What `sources.find_sources` found.
        out: Folder of the results.
        settings: All that results depend on; a run with others does not go on with this one.
        shard_pictures: Pictures of a shard; None for `FULL_SHARD`, or of few pictures so many
            that `MANY_SHARDS` come of them, at least `SMALL_SHARD`. What is read in one go is not
            cut, so a tar file or a row group may have more.

    Raises:
        InvalidArgumentError: The folder holds results already.
        OutputError: The plan cannot be written.
    """
    from pyarrow import parquet

    if any(re.fullmatch(r"part-\d+-of-\d+\.parquet", name) for name in names_in(out)):
        raise InvalidArgumentError(f"{out} holds results, but no {PLAN_NAME}; choose another --out")
    counts = sources["pictures"].to_numpy()
    if shard_pictures is None:
        wanted = -(-int(counts[counts > 0].sum()) // MANY_SHARDS)
        shard_pictures = min(max(wanted, SMALL_SHARD), FULL_SHARD)
    text = json.dumps(dict(settings)).encode()
    schema = sources.schema.with_metadata({_SETTINGS: text})
    file = io.BytesIO()
    pictures = []
    with parquet.ParquetWriter(file, schema, compression="zstd") as writer:
        for start, stop in _cuts(counts, shard_pictures):
            shard = sources.slice(start, stop - start)
            writer.write_table(shard, row_group_size=max(1, len(shard)))
            pictures.append(_total(shard["pictures"].to_numpy()))
    write_file(f"{out}/{PLAN_NAME}", file.getvalue())
    return Plan(out, tuple(pictures))


def _cuts(pictures: Any, shard_pictures: int) -> Iterator[tuple[int, int]]:
    """Where shards begin and end among the rows."""
    start = held = 0
    for index, count in enumerate(pictures.tolist()):
        if index > start and (count < 0 or held + count > shard_pictures):
            yield start, index
            start, held = index, 0
        held += shard_pictures if count < 0 else count
    if len(pictures) > start:
        yield start, len(pictures)


def _total(pictures: Any) -> int:
    return -1 if (pictures < 0).any() else int(pictures.sum())


def read_plan(out: str, *, settings: Mapping[str, Any]) -> Plan | None:
    """Reads the plan of a folder of results.

    Args:
        out: The folder.
        settings: Those of this run.

    Returns:
        The plan; None where there is none.

    Raises:
        InvalidArgumentError: It is that of a run with other settings.
        FormatError: It is damaged.
    """
    if PLAN_NAME not in names_in(out):
        return None
    file = open_plan(out)
    before = json.loads(file.schema_arrow.metadata[_SETTINGS])
    other = [name for name in settings if before.get(name) != settings[name]]
    if other:
        changes = "; ".join(f"{each} was {before.get(each)}, is {settings[each]}" for each in other)
        raise InvalidArgumentError(
            f"{out} holds results of a run that differs: {changes}. Choose another --out, or "
            "remove that folder"
        )
    groups = range(file.num_row_groups)
    counts = (file.read_row_group(each, ["pictures"])["pictures"].to_numpy() for each in groups)
    return Plan(out, tuple(_total(each) for each in counts))


def open_plan(out: str) -> Any:
    """Opens the plan, whose row groups are the shards.

    Raises:
        FormatError: It is damaged, or not there.
    """
    try:
        file = open_parquet(f"{out}/{PLAN_NAME}")
    except InputError as error:
        raise FormatError(str(error)) from error
    if _SETTINGS not in (file.schema_arrow.metadata or {}):
        raise FormatError(f"{out}/{PLAN_NAME} is no plan of dwpose-batch")
    return file
