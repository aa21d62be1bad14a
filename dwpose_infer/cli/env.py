"""`dwpose-infer --env`: what this machine can run, tried out, for users and for bug reports."""

from __future__ import annotations

import json
import platform
import sys
import textwrap
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

from .._version import __version__
from ..backends import BACKENDS, BackendName, backend_kind, load_backend
from ..cores import usable_cores
from ..errors import BackendUnavailableError, DwposeError
from ..wheels import (
    check_opencv,
    installed,
    join_wheels,
    onnxruntime_wheels,
    opencv_in_words,
    opencv_remedy,
    opencv_wheels,
    ort_remedy,
)
from ..zoo import DEFAULT_DETECTOR, cache_folder, is_offline, resolve_model


@dataclass(frozen=True, slots=True)
class BackendStatus:
    """Whether a backend can be used on this machine.

    Attributes:
        name: The backend and its device, as the commands name them.
        usable: Whether it was really used just now: a network was loaded with it, or for
            TensorRT, whose networks take minutes to build, its library and the GPU were opened.
        detail: What it runs on, or why it does not run and what to do.
    """

    name: str
    usable: bool
    detail: str


@dataclass(frozen=True, slots=True)
class Environment:
    """What matters for running the package on this machine.

    Attributes:
        versions: Name of each component -> its version or state.
        backends: The backends, usable or not.
        warnings: What is likely to cause trouble, with the remedy.
    """

    versions: dict[str, str]
    backends: list[BackendStatus]
    warnings: list[str]


def inspect_environment() -> Environment:
    """Looks at the installed packages and tries every backend; never fails itself."""
    tried = [
        _try(f"--backend {name} --device {device}", partial(_use, name, device))
        for name in BACKENDS
        for device in backend_kind(name).probes
    ]
    return Environment(versions=_versions(), backends=tried, warnings=_warnings())


def _versions() -> dict[str, str]:
    return {
        "dwpose-infer": f"{__version__} ({Path(__file__).parent.parent})",
        "Python": f"{platform.python_version()} ({sys.executable})",
        "system": f"{platform.platform()}, {usable_cores()} CPU cores usable",
        "numpy": installed(("numpy",)).get("numpy", "not installed"),
        "pillow": installed(("pillow",)).get("pillow", "not installed"),
        "OpenCV": opencv_in_words(),
        **{key: value for name in BACKENDS for key, value in backend_kind(name).versions().items()},
        "models": f"{cache_folder()}{' (offline)' if is_offline() else ''}",
    }


def _try(name: str, attempt: Callable[[], str]) -> BackendStatus:
    try:
        return BackendStatus(name, True, attempt())
    except DwposeError as error:
        return BackendStatus(name, False, str(error))
    except Exception as error:  # a report has to come whatever is wrong with a library
        return BackendStatus(name, False, f"unexpected {type(error).__name__}: {error}")


def _use(name: BackendName, device: str) -> str:
    """Loads a network and runs it, or does what shows as much."""
    probe = backend_kind(name).probe
    return probe(device) if probe is not None else _load_detector(name, device)


def _load_detector(backend: BackendName, device: str) -> str:
    with load_backend(backend, resolve_model(DEFAULT_DETECTOR), device=device) as loaded:
        loaded.warmup()
        return loaded.description


def _warnings() -> list[str]:
    found = []
    try:
        difference = check_opencv()
    except BackendUnavailableError as error:
        difference = str(error)
    if difference is not None:
        found.append(difference)
    if len(opencv_wheels()) > 1:
        found.append(
            f"several OpenCV wheels lie over one another ({join_wheels(opencv_wheels())}); which "
            f"one is used is chance. {opencv_remedy()}"
        )
    if len(onnxruntime_wheels()) > 1:
        found.append(
            "several ONNX Runtime wheels lie over one another "
            f"({join_wheels(onnxruntime_wheels())}); GPU support may be lost. {ort_remedy('cuda')}"
        )
    return found


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
