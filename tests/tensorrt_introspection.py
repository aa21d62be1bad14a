"""Compares uses of TensorRT with the vendor's real Python module; run as a program.

    python tensorrt_introspection.py FOLDER < uses.json

FOLDER holds the package `tensorrt_bindings`, with libraries of the right names beside it: the
module loads with any that have the entry points it imports, as nothing is called in them. Prints
JSON: the version, what is missing, and how some of the package's own code fares on it.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import re
import sys

MODULE = "tensorrt_bindings"

_TP_AS_BUFFER = 160  # offset of that field in CPython's type objects on 64-bit machines


def split_arguments(text: str) -> list[str]:
    """Splits at the commas that are outside of all brackets."""
    parts, depth, current = [], 0, ""
    for character in text:
        depth += (character in "([{<") - (character in ")]}>")
        if character == "," and depth == 0:
            parts.append(current.strip())
            current = ""
        else:
            current += character
    return [*parts, current.strip()] if current.strip() else parts


def signatures(function) -> list[list[tuple[str, bool]]]:
    """(name, has a default) of every argument but self, for every overload in a docstring."""
    found = []
    for line in (function.__doc__ or "").replace("->", "→").splitlines():
        match = re.match(r"(?:\d+\. )?\w+\((.*)\)(?: → .*)?$", line.strip())
        if match is None or "*args" in match[1]:
            continue
        arguments = [part for part in split_arguments(match[1]) if part not in ("/", "*")]
        named = [
            (part.split(":")[0].split("=")[0].strip(), bool(re.search(r"= ", part)))
            for part in arguments
        ]
        found.append(named[1:] if named and named[0][0] == "self" else named)
    return found


def accepts(signature: list[tuple[str, bool]], positional: int, keywords: list[str]) -> bool:
    """Whether a call with so many arguments and these keywords fits."""
    if positional > len(signature):
        return False
    left = dict(signature[positional:])
    required = {name for name, has_default in left.items() if not has_default}
    return set(keywords) <= set(left) and required <= set(keywords)


def find_fault(trt, use: dict) -> str | None:
    """What is wrong with one use, or None."""
    owner, name, kind = use["owner"], use["name"], use["kind"]
    if kind == "module":
        return None if hasattr(trt, name) else "no such name"
    if owner == "?":  # any class will do
        classes = [cls for cls in vars(trt).values() if isinstance(cls, type)]
        faults = [find_fault_in(cls, use) for cls in classes]
        return None if None in faults else "no class has it so"
    cls = getattr(trt, owner, None)
    for inner in ("ILogger",):  # Severity is a name inside of ILogger
        cls = cls or getattr(getattr(trt, inner), owner, None)
    if cls is None:
        return "no such class"
    return find_fault_in(cls, {**use, "name": name})


def find_fault_in(cls: type, use: dict) -> str | None:
    name, kind = use["name"], use["kind"]
    found = getattr(cls, name, None)
    if found is None:
        return "no such attribute"
    if kind == "member":
        return None if hasattr(type(found), "__members__") else "not a member of an enum"
    if kind in ("get", "set"):
        if not isinstance(found, property):
            return "not a property"
        return "cannot be set" if kind == "set" and found.fset is None else None
    if isinstance(found, property) or not callable(found):
        return "not a method"
    known = signatures(found)
    if any(accepts(one, use["positional"], use["keywords"]) for one in known):
        return None
    return f"no overload fits; there are {known}"


def has_buffer(cls: type) -> bool:
    """Whether instances of a class can be turned into bytes, as the C type tells."""
    table = ctypes.c_void_p.from_address(id(cls) + _TP_AS_BUFFER).value
    return bool(table) and bool(ctypes.c_void_p.from_address(table).value)


def try_own_code(trt) -> dict[str, object]:
    """Runs the parts of the package that need no library behind the module."""
    from dwpose_infer.backends.tensorrt.library import MessageLog, create_logger
    from dwpose_infer.errors import BackendUnavailableError
    from dwpose_infer.export.to_tensorrt import BuildProgress, create_builder, create_monitor

    log = MessageLog()
    logger = create_logger(trt, log)
    logger.log(trt.ILogger.ERROR, " reason ")
    logger.log(trt.ILogger.INFO, "chatter")
    errors = log.take_errors()
    progress = BuildProgress("test", visible=False)
    monitor = create_monitor(trt, progress)
    monitor.phase_start("all", None, 2)
    goes_on = monitor.step_complete("all", 0)
    progress.cancel()
    refused = ""
    try:
        create_builder(trt, logger, log)
    except BackendUnavailableError as error:
        refused = str(error)

    class Plain:
        pass

    return {
        "errors": errors,
        "is_logger": isinstance(logger, trt.ILogger),
        "is_monitor": isinstance(monitor, trt.IProgressMonitor),
        "goes_on": [goes_on, monitor.step_complete("all", 1)],
        "share": progress.share,
        "refused": refused,
        "dims": list(tuple(trt.Dims((3, 256, 192)))),
        "flag": int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED),
        "buffers": [has_buffer(bytes), has_buffer(Plain), has_buffer(trt.IHostMemory)],
    }


def main() -> None:
    sys.path.insert(0, sys.argv[1])
    uses = json.load(sys.stdin)
    with contextlib.redirect_stdout(sys.stderr):
        trt = __import__(MODULE)
    faults = {}
    for use in uses:
        fault = find_fault(trt, use)
        if fault is not None:
            faults[f"{use['owner']}.{use['name']} ({use['kind']})"] = fault
    report = {"version": trt.__version__, "faults": faults, "own_code": try_own_code(trt)}
    print(json.dumps(report))  # noqa: T201


if __name__ == "__main__":
    main()
