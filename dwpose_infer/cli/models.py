"""The command `dwpose-models`: list, download and locate models, and look after engines."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING, Any

from ..errors import DwposeError, InvalidArgumentError, OutputError
from ..zoo import ModelSpec, download_model, find_model, list_models, resolve_model
from .exit_status import exit_status
from .standard_options import standard_parser

if TYPE_CHECKING:
    from ..export.engine_folder import CachedEngine
    from ..zoo import ModelKind

_EPILOG = """\
examples:
  dwpose-models list --describe
  dwpose-models list --kind pose --json
  dwpose-models download dwpose-m yolox-s-humanart
  dwpose-models download --all --kind pose
  dwpose-models path dwpose-m --offline
  dwpose-models engines list
  dwpose-models engines clean --stale

TensorRT engines are built on first use of --backend trt and kept beside the models.

environment variables:
  DWPOSE_HOME     folder for downloaded models and engines (default: the user's cache folder)
  DWPOSE_OFFLINE  1 forbids every download
  HTTPS_PROXY     proxy for downloads

exit status: 0 done, 1 failed, 2 wrong usage, 3 optional package missing, 4 model not available,
130 interrupted
"""


_FOOTNOTE = """
input: height x width in pixels; AP: as published, in percent, each on data of its own (see the
sources in `list --json`); hash: whether the right SHA-256 is known, else the first download fixes
it; where: bundled with the package, cached on this machine, or not here"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command.

    Args:
        argv: Arguments without the program's name; None takes those of the process.

    Returns:
        Exit status, see `dwpose-models --help`.
    """
    given = vars(_parser().parse_args(argv))
    work = partial(given.pop("run"), **given)
    return exit_status(
        lambda: _carry_out(work),
        program="dwpose-models",
        interrupted="interrupted; nothing unfinished was kept",
    )


def _carry_out(work: Callable[[], int]) -> int:
    try:
        return work()
    except BrokenPipeError:
        raise
    except OSError as error:
        raise OutputError(str(error)) from error


def _report(error: DwposeError) -> int:
    print(f"dwpose-models: error: {error}", file=sys.stderr)
    return error.exit_code


def _parser() -> argparse.ArgumentParser:
    parser = standard_parser(
        "dwpose-models",
        "List, download and locate the models of dwpose-infer and its engines.",
        _EPILOG,
    )
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")

    listing = commands.add_parser("list", help="show all models and which are on this machine")
    listing.add_argument("--kind", choices=("pose", "detector"), help="only models of this kind")
    listing.add_argument("--describe", action="store_true", help="add a line on what each is for")
    _add_json(listing)
    listing.set_defaults(run=_list)

    fetching = commands.add_parser(
        "download", help="download models; those already here are checked against their hashes"
    )
    fetching.add_argument("names", nargs="*", metavar="NAME", help="a name shown by `list`")
    fetching.add_argument(
        "--all", action="store_true", dest="everything", help="all models (of a --kind)"
    )
    fetching.add_argument("--kind", choices=("pose", "detector"), help="restrict --all to a kind")
    fetching.add_argument("--force", action="store_true", help="download even what is here")
    fetching.set_defaults(run=_download)

    locating = commands.add_parser("path", help="print a model's path; download it if needed")
    locating.add_argument("name", metavar="NAME", help="a name shown by `list`")
    locating.add_argument(
        "--offline", action="store_true", default=None, help="fail instead of downloading"
    )
    locating.add_argument(
        "--verify", action="store_true", help="compare the file with its hash; replace if damaged"
    )
    locating.set_defaults(run=_path)
    _add_engines(commands.add_parser("engines", help="list or delete cached TensorRT engines"))
    return parser


def _add_json(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--json", action="store_true", dest="as_json", help="print everything known, as JSON"
    )


def _add_engines(parser: argparse.ArgumentParser) -> None:
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    listing = commands.add_parser("list", help="show the cached engines and what they are for")
    _add_json(listing)
    listing.set_defaults(run=_list_engines)
    cleaning = commands.add_parser(
        "clean", help="delete cached engines; one that is being built is left alone"
    )
    which = cleaning.add_mutually_exclusive_group(required=True)
    which.add_argument("--all", action="store_false", dest="stale", help="all of them")
    which.add_argument(
        "--stale",
        action="store_true",
        help="those for another TensorRT, GPU or dwpose-infer than here, and damaged ones",
    )
    cleaning.set_defaults(run=_clean_engines)


def _list(*, kind: ModelKind | None, describe: bool, as_json: bool) -> int:
    specs = list_models(kind)
    if as_json:
        print(json.dumps([_to_json(spec) for spec in specs], indent=2))
        return 0
    header = ("name", "kind", "input", "MB", "licence", "AP", "hash", "where")
    lines = _table([header, *(_row(spec) for spec in specs)])
    descriptions = ("", *(spec.description for spec in specs))
    for line, description in zip(lines, descriptions, strict=True):
        print(line)
        if description and describe:
            print(f"    {description}")
    print(_FOOTNOTE)
    return 0


def _row(spec: ModelSpec) -> tuple[str, ...]:
    size_bytes = _size_bytes(spec)
    return (
        spec.name,
        spec.kind,
        f"{spec.input_hw[0]}x{spec.input_hw[1]}",
        "-" if size_bytes is None else f"{size_bytes / 1e6:.1f}",
        spec.licence,
        "-" if spec.accuracy is None else f"{spec.accuracy.ap:.1f}",
        "unknown" if spec.sha256 is None else "known",
        _where(spec),
    )


def _size_bytes(spec: ModelSpec) -> int | None:
    path = find_model(spec.name)
    return spec.size_bytes if path is None else path.stat().st_size


def _where(spec: ModelSpec) -> str:
    if find_model(spec.name) is None:
        return "-"
    return "bundled" if spec.bundled_file is not None else "cached"


def _to_json(spec: ModelSpec) -> dict[str, Any]:
    path = find_model(spec.name)
    return {
        **asdict(spec),
        "size_bytes": _size_bytes(spec),
        "where": _where(spec),
        "path": None if path is None else str(path),
    }


def _download(
    *, names: Sequence[str], everything: bool, kind: ModelKind | None, force: bool
) -> int:
    if everything == bool(names):
        raise InvalidArgumentError("name the models to download, or say --all")
    if kind and not everything:
        raise InvalidArgumentError("--kind restricts --all and goes with nothing else")
    names = names or [spec.name for spec in list_models(kind)]
    status = 0
    for name in names:
        try:
            path = download_model(name, progress=sys.stderr.isatty(), force=force)
        except DwposeError as error:  # the other models may still be had
            status = _report(error)
        else:
            print(path)
    return status


def _path(*, name: str, offline: bool | None, verify: bool) -> int:
    progress = sys.stderr.isatty()
    if verify:
        path = download_model(name, offline=offline, progress=progress)
    else:
        path = resolve_model(name, offline=offline, progress=progress)
    print(path)
    return 0


def _list_engines(*, as_json: bool) -> int:
    from ..export.engine_folder import list_engines
    from ..zoo.places import engines_folder

    engines = list_engines()
    if as_json:
        print(json.dumps([{**asdict(e), "path": str(e.path)} for e in engines], indent=2))
        return 0
    header = ("name", "precision", "batch", "MB", "library", "GPU", "built", "state")
    if engines:
        print("\n".join(_table([header, *(_engine_row(engine) for engine in engines)])))
    total_mb = sum(engine.size_bytes for engine in engines) / 1e6
    print(f"{len(engines)} engines, {total_mb:.1f} MB, in {engines_folder()}", file=sys.stderr)
    return 0


def _engine_row(engine: CachedEngine) -> tuple[str, ...]:
    size = f"{engine.size_bytes / 1e6:.1f}"
    state = f"{engine.state} ({engine.reason})" if engine.reason else engine.state
    record = engine.record
    if record is None:
        return (engine.path.name, "-", "-", size, "-", "-", "-", state)
    from ..backends.tensorrt.products import PRODUCTS

    identity = record.identity
    return (
        record.name,
        identity.precision,
        f"1-{identity.max_batch}",
        size,
        f"{PRODUCTS[identity.product].name} {identity.tensorrt_version}",
        identity.place,
        record.built_at[:10],
        state,
    )


def _clean_engines(*, stale: bool) -> int:
    from ..export.engine_folder import clean_engines

    for path in clean_engines(stale_only=stale):
        print(path)
    return 0


def _table(rows: Sequence[tuple[str, ...]]) -> list[str]:
    """Lines of a table whose columns are as wide as they need to be."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]


if __name__ == "__main__":
    raise SystemExit(main())
