"""Options that several commands of `dwpose-train` have in common."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_settings_options(parser: argparse.ArgumentParser) -> None:
    """Adds what reads, changes and prints the settings of a run."""
    parser.add_argument(
        "--settings", type=Path, metavar="FILE.json", help="settings as --print writes them"
    )
    add_set(parser, "--set", "change a setting, such as batch_size=64; may be repeated")
    parser.add_argument(
        "--print",
        nargs="?",
        const="json",
        choices=("json", "keys"),
        help="print the complete settings and stop: json for --settings (default), or keys, one "
        "KEY = VALUE a line as --set takes them",
    )


def add_run_options(group: argparse._ArgumentGroup) -> None:
    """Adds what says where and how a run is carried out."""
    group.add_argument(
        "--out", type=Path, metavar="DIR", help="folder of the run (default: runs/NAME)"
    )
    group.add_argument(
        "--resume",
        action="store_true",
        help="go on from the newest checkpoint in the folder, if there is one; where nothing else "
        "says what to train, with the settings of the run in --out",
    )
    add_device(group)
    group.add_argument(
        "--max-steps", type=count, metavar="N", help="stop after step N, for trials; resumable"
    )
    group.add_argument(
        "--checkpoint-steps",
        type=count,
        default=1000,
        metavar="N",
        help="steps between two checkpoints, besides those at ends of epochs (default: 1000)",
    )
    group.add_argument(
        "--report",
        type=Path,
        metavar="FILE",
        help="write how the run ended as JSON, with its speed",
    )


def add_set(
    parser: argparse.ArgumentParser | argparse._ArgumentGroup, flag: str, text: str
) -> None:
    """Adds an option that takes KEY=VALUE and may be repeated."""
    parser.add_argument(flag, action="append", default=[], metavar="KEY=VALUE", help=text)


def add_device(group: argparse._ArgumentGroup) -> None:
    """Adds the choice of the device."""
    group.add_argument(
        "--device",
        default="cpu",
        metavar="cpu|cuda|cuda:N",
        help="where to train; it is used, or an error says why not (default: cpu)",
    )


def count(text: str) -> int:
    """Reads a whole number from 1."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1")
    return int(text)
