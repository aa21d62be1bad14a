"""`dwpose-infer --env`: what this machine can run, for users and for bug reports."""

from __future__ import annotations

import json
import textwrap
from dataclasses import asdict

from ..environment import Environment, inspect_environment


def print_environment(*, as_json: bool) -> int:
    """Prints versions, backends and warnings.

    Returns:
        Exit status: 0 where some backend is usable, else 3.
    """
    environment = inspect_environment()
    print(json.dumps(asdict(environment), indent=2) if as_json else _as_text(environment))
    return 0 if any(backend.usable for backend in environment.backends) else 3


def _as_text(environment: Environment) -> str:
    width = max(map(len, environment.versions))
    lines = [f"{name:<{width}}  {value}" for name, value in environment.versions.items()]
    lines += ["", "backends:"]
    for backend in environment.backends:
        lines.append(f"  {backend.name}: {'usable' if backend.usable else 'NOT usable'}")
        lines += _wrap(backend.detail, indent=" " * 4)
    for warning in environment.warnings:
        lines += ["", *_wrap(f"warning: {warning}", indent="")]
    return "\n".join(lines)


def _wrap(text: str, *, indent: str) -> list[str]:
    """Wraps lines without breaking the names and commands that are to be copied."""
    return textwrap.wrap(
        text, 98, initial_indent=indent, subsequent_indent=indent, break_on_hyphens=False
    )
