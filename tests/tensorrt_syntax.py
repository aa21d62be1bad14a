"""What the package's source says it uses of TensorRT, read from its syntax tree."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from fake_tensorrt_recording import Use

MODULE_NAME = "trt"  # the package's name for the module wherever it uses it
ANY = "?"  # a class that only a run could tell


def uses_in(path: Path) -> set[Use]:
    """Uses in one source file.

    Names of the module and members of its enums are certain. Of objects that came out of it, in
    any number of steps, the class is not known: such a use has the owner `ANY`.
    """
    tree = ast.parse(path.read_text(encoding="utf-8"))
    objects = _names_of_objects(tree)
    uses: set[Use] = set()
    inner = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            uses |= set(_overrides(node))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            inner.add(node.func)
            uses |= set(_call(node, objects))
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and node not in inner:
            uses |= set(_attribute(node, objects))
    public = ("__init__", "__version__")
    return {use for use in uses if not use.name.startswith("_") or use.name in public}


def uses_module(path: Path) -> bool:
    """Whether a source file uses TensorRT at all."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return any(_dotted(node).startswith(f"{MODULE_NAME}.") for node in ast.walk(tree))


def _dotted(node: ast.AST) -> str:
    """ "a.b.c" of an expression that is nothing else, or ""."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        before = _dotted(node.value)
        return f"{before}.{node.attr}" if before else ""
    return ""


def _names_of_objects(tree: ast.Module) -> set[str]:
    """Names given to what comes out of TensorRT, whatever the function; "f()" for functions."""
    found: set[str] = set()
    while True:
        before = len(found)
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef) and any(
                isinstance(part, ast.Return) and part.value and _comes_out(part.value, found)
                for part in ast.walk(node)
            ):
                found.add(f"{node.name}()")
            value = node.value if isinstance(node, (ast.Assign, ast.AnnAssign)) else None
            if value is not None and _comes_out(value, found):
                targets = node.targets if isinstance(node, ast.Assign) else [node.target]
                found |= {_dotted(target) for target in targets} - {""}
        if len(found) == before:
            return found


def _comes_out(value: ast.AST, objects: set[str]) -> bool:
    """Whether an expression is an object of TensorRT: made by it, or one under another name."""
    if isinstance(value, ast.Call):
        if isinstance(value.func, ast.Name):
            return f"{value.func.id}()" in objects
        owner = _dotted(value.func.value) if isinstance(value.func, ast.Attribute) else ""
        return owner == MODULE_NAME or owner in objects
    return _dotted(value) in objects


def _overrides(node: ast.ClassDef) -> Iterator[Use]:
    for base in node.bases:
        name = _dotted(base)
        if not name.startswith(f"{MODULE_NAME}."):
            continue
        for method in node.body:
            if isinstance(method, ast.FunctionDef):
                count = len(method.args.args) - 1
                yield Use(name.removeprefix(f"{MODULE_NAME}."), method.name, "override", count)


def _call(node: ast.Call, objects: set[str]) -> Iterator[Use]:
    assert isinstance(node.func, ast.Attribute)
    owner, name = _dotted(node.func.value), node.func.attr
    keywords = tuple(sorted(keyword.arg or "**" for keyword in node.keywords))
    if owner == MODULE_NAME:
        yield Use("", name, "module")
        yield Use(name, "__init__", "call", len(node.args), keywords)
    elif owner in objects:
        yield Use(ANY, name, "call", len(node.args), keywords)
    elif owner.startswith(f"{MODULE_NAME}."):
        yield from _chain(owner)


def _attribute(node: ast.Attribute, objects: set[str]) -> Iterator[Use]:
    owner = _dotted(node.value)
    if owner == MODULE_NAME:
        yield Use("", node.attr, "module")
    elif owner.startswith(f"{MODULE_NAME}."):
        yield from _chain(f"{owner}.{node.attr}")
    elif owner in objects:
        kind = "set" if isinstance(node.ctx, ast.Store) else "get"
        yield Use(ANY, node.attr, kind)


def _chain(dotted: str) -> Iterator[Use]:
    """`trt.Enum.MEMBER`."""
    _, owner, *members = dotted.split(".")
    yield Use("", owner, "module")
    if members:
        yield Use(owner, members[0], "member")
