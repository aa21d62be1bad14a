"""Readers of numbers, pairs and names on the command line, whose errors say what is expected."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable


def positive_number(text: str) -> int:
    """Reads a whole number above 0 from the command line."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number above 0")
    return int(text)


def share_number(text: str) -> float:
    """Reads a number from 0 to 1 from the command line."""
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 0 to 1")
    return value


def finite_number(text: str) -> float:
    """Reads any number but nan and the infinite ones from the command line."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number")
    return value


def key_and_value(text: str) -> tuple[str, str]:
    """Reads KEY=VALUE from the command line."""
    key, equals, value = text.partition("=")
    if not key or not equals:
        raise argparse.ArgumentTypeError(f"{text!r} is not KEY=VALUE")
    return key, value


def size_wh(text: str) -> int | tuple[int, int]:
    """Reads N or WIDTHxHEIGHT, in pixels, from the command line."""
    sides = text.lower().split("x")
    if len(sides) > 2 or not all(side.isdecimal() and int(side) > 0 for side in sides):
        raise argparse.ArgumentTypeError(f"{text!r} is neither N nor WIDTHxHEIGHT in pixels")
    return int(sides[0]) if len(sides) == 1 else (int(sides[0]), int(sides[1]))


def frame_rate(text: str) -> float:
    """Reads frames per second from the command line."""
    try:
        rate = float(text)
    except ValueError:
        rate = 0.0
    if not 0 < rate < 1000:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of frames per second")
    return rate


def names(*known: str) -> Callable[[str], list[str]]:
    """Returns a reader of comma-separated names; "none" stands for the empty list."""

    def read(text: str) -> list[str]:
        if text == "none":
            return []
        found = [name.strip() for name in text.split(",")]
        for name in found:
            if name not in known:
                raise argparse.ArgumentTypeError(
                    f"unknown name {name!r}, choose from {', '.join(known)}"
                )
        return found

    return read


def format_names(text: str) -> list[str]:
    """Reads names of formats; their table is loaded only now, for it would slow --help down."""
    from ..formats import FORMATS

    return names(*FORMATS)(text)
