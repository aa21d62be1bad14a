"""The command `dwpose-batch`: poses of data sets, on this machine or a cluster."""

from __future__ import annotations

import argparse
import math
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ..cli.argument_values import positive_number
from ..cli.exit_status import printable
from ..cli.model_options import add_model_options
from ..cli.picture_options import (
    add_person_options,
    add_picture_options,
    add_url_options,
    predictor_options,
)
from ..cli.standard_options import run_command, standard_parser

if TYPE_CHECKING:
    from .plan import Plan
    from .shard import ShardDone

_EPILOG = """\
sources, on this machine or in a store (s3://, gs://, hdfs://, and what fsspec knows):
  photos/  s3://bucket/photos/     a folder, searched with its subfolders for pictures and tar files
  'photos/**/*.jpg'                a pattern
  list.txt  (.lst .list)           a path, URI or URL in every line; relative ones go by the list
  'shards/*.tar'                   WebDataset shards: every picture in them
  'data/*.parquet'                 pictures as bytes (also Hugging Face's), or their paths

examples:
  dwpose-batch photos/ --out poses
  dwpose-batch 's3://bucket/shards/*.tar' --out s3://bucket/poses --address auto
  dwpose-batch data/train.parquet --column image --out poses --gpus-per-worker 0.25

what is written:
  part-000007-of-000120.parquet    a row for each picture: persons (empty where there is nobody),
                                   or the error of one that cannot be read
  _plan.parquet                    which picture is in which part

Broken off, by Ctrl-C or a lost machine, the same command goes on: parts that are there are kept,
and every picture is in one of them, once. Needs pip install "dwpose-infer[cpu,ray]".

exit status:
  0 done    1 pictures could not be read, or parts are missing: the others are done
  2 wrong usage    3 backend, device, cluster or optional package unavailable
  4 model not available    130 interrupted
"""

_LINE_EVERY_S = 60.0
"""Without a terminal progress is a line now and then, for logs."""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command.

    Args:
        argv: Arguments without the program's name; None takes those of the process.

    Returns:
        Exit status, see `dwpose-batch --help`.
    """
    words = "interrupted; the same command goes on"
    return run_command(_parser(), lambda given: _run(vars(given)), argv, interrupted=words)


def _run(given: Mapping[str, Any]) -> int:
    from .pool import run_shards
    from .shard import ShardWork
    from .workers import Workers, import_ray

    import_ray()
    on_gpu = given["backend"] == "trt" or str(given["device"]).startswith("cuda")
    gpus = given["gpus_per_worker"]
    workers = Workers(
        count=given["workers"],
        cpus=given["cpus_per_worker"],
        gpus=float(on_gpu) if gpus is None else gpus,
    )
    plan = _plan(given)
    left = plan.left()
    counts = [plan.pictures[each] for each in left]
    _say(given, f"{_parts(plan.pictures)} in {plan.out}")
    if not left:
        _say(given, "all of it is there already")
        return 0
    if len(left) < len(plan.pictures):
        there = len(plan.pictures) - len(left)
        _say(given, f"{there:,} of them there already; left: {_parts(counts)}")
    work = ShardWork(plan=plan, column=given["column"], whole_image=given["whole_image"])
    options = predictor_options(given)
    shards = run_shards(work, left, predictor=options, workers=workers, address=given["address"])
    return _report(given, _shown(shards, plan, left, quiet=given["quiet"]))


def _plan(given: Mapping[str, Any]) -> Plan:
    from .plan import make_plan, read_plan
    from .sources import find_sources
    from .store import absolute

    out = absolute(given["out"]).rstrip("/")
    settings = {
        "sources": [absolute(each) for each in given["sources"]],
        **{name: given[name] for name in ("column", "part_pictures", "whole_image")},
        **{name: value for name, value in predictor_options(given).items() if name not in _FREE},
    }
    plan = read_plan(out, settings=settings)
    if plan is None:
        _say(given, "listing the sources")
        found = find_sources(given["sources"], column=given["column"], out=out)
        plan = make_plan(found, out, settings=settings, shard_pictures=given["part_pictures"])
    return plan


_FREE = ("threads", "offline", "max_batch")
"""Options that may change when a run goes on: the results do not depend on them."""


def _parts(pictures: Sequence[int]) -> str:
    number = len(pictures)
    known = sum(each for each in pictures if each > 0)
    unknown = sum(each < 0 for each in pictures)
    held = f"{known:,} pictures" if known or not unknown else ""
    tars = f"{unknown:,} tar files" if unknown else ""
    return f"{number:,} part{'s'[number == 1 :]} of {' and '.join(filter(None, [held, tars]))}"


def _shown(
    shards: Iterator[ShardDone], plan: Plan, left: Sequence[int], *, quiet: bool
) -> Iterator[ShardDone]:
    """Yields the same with a bar, or with lines for a log."""
    from tqdm import tqdm

    counts = [plan.pictures[each] for each in left]
    total = None if min(counts) < 0 else sum(counts)
    begun_s = said_s = time.monotonic()
    done = parts = 0
    with tqdm(total=total, unit="picture", disable=quiet or not sys.stderr.isatty()) as bar:
        for shard in shards:
            yield shard
            bar.update(shard.pictures)
            done, parts = done + shard.pictures, parts + 1
            now_s = time.monotonic()
            if bar.disable and not quiet and now_s - said_s >= _LINE_EVERY_S:
                said_s = now_s
                rate = done / (now_s - begun_s)
                print(
                    f"dwpose-batch: {parts:,} of {len(left):,} parts, {done:,} pictures, "
                    f"{rate:.1f} a second",
                    file=sys.stderr,
                )


def _report(given: Mapping[str, Any], shards: Iterator[ShardDone]) -> int:
    begun_s = time.monotonic()
    done = []
    for shard in shards:
        done.append(shard)
        if shard.failure is not None:
            _error(f"part {shard.shard}: {shard.failure}")
    missing = sum(each.failure is not None for each in done)
    unread = sum(each.unread for each in done)
    words = [
        f"{sum(each.pictures for each in done):,} pictures",
        f"{sum(each.persons for each in done):,} persons",
        f"{sum(each.empty for each in done):,} with nobody",
    ]
    if unread:
        words.append(f"{unread:,} could not be read (column error)")
    if missing:
        words.append(f"{missing:,} parts are missing; the same command tries them again")
    words.append(f"{time.monotonic() - begun_s:.1f} s")
    _say(given, "; ".join(words))
    return 1 if unread or missing else 0


def _say(given: Mapping[str, Any], text: str) -> None:
    if not given["quiet"]:
        print(printable(f"dwpose-batch: {text}"), file=sys.stderr)


def _error(text: str) -> None:
    print(printable(f"dwpose-batch: error: {text}"), file=sys.stderr)


def _parser() -> argparse.ArgumentParser:
    parser = standard_parser(
        "dwpose-batch",
        "Find everybody in data sets of pictures, with as many workers as there are "
        "CPUs or GPUs, on this machine or a Ray cluster.",
        _EPILOG,
    )
    parser.add_argument("sources", nargs="+", metavar="SOURCE", help="see below")
    parser.add_argument("--out", required=True, metavar="FOLDER|URI", help="folder of the results")
    parser.add_argument(
        "--column", metavar="NAME", help="column of Parquet files with the pictures or their paths"
    )
    parser.add_argument(
        "--part-pictures",
        type=positive_number,
        metavar="N",
        help="pictures of a part, which is done again as a whole where it is lost; tar files and "
        "row groups of Parquet files are not cut (default: 1000, or a 64th of the pictures, "
        "at least 16)",
    )
    parser.add_argument("--quiet", action="store_true", help="print errors only")
    workers = parser.add_argument_group("workers")
    workers.add_argument(
        "--address",
        metavar="ADDRESS",
        help="of a running Ray cluster, such as auto or ray://head:10001 (default: this machine)",
    )
    workers.add_argument(
        "--workers",
        type=positive_number,
        metavar="N",
        help="processes, each with networks of its own (default: as many as CPUs or GPUs allow)",
    )
    workers.add_argument(
        "--cpus-per-worker",
        type=_amount,
        default=1.0,
        metavar="X",
        help="CPUs of a worker, which are threads of its networks too (default: 1)",
    )
    workers.add_argument(
        "--gpus-per-worker",
        type=_amount,
        metavar="X",
        help="GPUs of a worker, such as 0.25 for four on each (default: 1 with --device cuda or "
        "--backend trt, else none)",
    )
    add_model_options(parser.add_argument_group("models and where they run"))
    persons = parser.add_argument_group("persons")
    add_person_options(persons)
    add_picture_options(persons)
    add_url_options(
        parser.add_argument_group("URLs, in lists and tables"),
        hosts="all",
        private="a private URL that is listed needs no permission",
    )
    return parser


def _amount(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 0")
    return value


if __name__ == "__main__":
    raise SystemExit(main())
