"""`dwpose-bench complexity`."""

from __future__ import annotations

import argparse
from pathlib import Path

_DESCRIPTION = """\
Count what the networks hold and compute, beside the published table.

GFLOPs are multiply-accumulates of one crop in 1e9, as this field counts them. Three counts:
  fvcore          its rules: convolutions, Linears, matrix products, batch normalisation and
                  adaptive pooling; the published table was made with the same rules
  products,       convolutions, Linears and matrix products only, by torch's own counter
    torch
  products, ONNX  the same from an ONNX file alone, by shape inference
"""

_EPILOG = """\
examples:
  dwpose-bench complexity                       the five networks; needs torch and fvcore:
                                                pip install "dwpose-infer[bench,export]"
  dwpose-bench complexity dwpose-t-bundled      a model by name, from its ONNX file; no torch
  dwpose-bench complexity mine.onnx --json mine.json
"""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds the subcommand."""
    parser = commands.add_parser(
        "complexity",
        help="parameters and GFLOPs of the networks, or of ONNX files",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "models",
        nargs="*",
        metavar="MODEL",
        help="name of a model or ONNX file (default: the five networks, built with torch)",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every count")
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    from tqdm import tqdm

    from ..document import write_document
    from ..published import PUBLISHED
    from .counting import count_files, count_published
    from .tables import full_table

    if arguments.models:
        document = count_files(arguments.models)
    else:
        document = count_published(tqdm(PUBLISHED, "networks", leave=False, disable=None))
    print(full_table(document))
    if arguments.json is not None:
        write_document(arguments.json, document)
    return 0
