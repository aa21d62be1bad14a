"""Who imports whom, on the layout as installed: no circles, and nothing against the layers.

Imports inside functions and under TYPE_CHECKING count: they are what a reader follows.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

TOPS = {
    "dwpose_infer": "dwpose_infer",
    "export": "dwpose_infer.export",
    "models": "dwpose_infer.models",
    "benchmarks": "dwpose_infer.benchmarks",
}
"""Top-level folder -> its package once installed, as setup.cfg maps them."""


def modules() -> dict[str, Path]:
    found = {}
    for folder, package in TOPS.items():
        for path in sorted((ROOT / folder).rglob("*.py")):
            parts = [package, *path.relative_to(ROOT / folder).with_suffix("").parts]
            found[".".join(part for part in parts if part != "__init__")] = path
    return found


def imported(name: str, path: Path, known: set[str]) -> Iterator[str]:
    """Names of the package's own modules that a module imports, wherever in it."""
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            targets = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = package.split(".")[: len(package.split(".")) - node.level + 1]
            stem = ".".join([*base, *filter(None, [node.module])]) if node.level else node.module
            targets = [f"{stem}.{alias.name}" for alias in node.names]
        else:
            continue
        for target in targets:
            found = target
            while found and found not in known:
                found = found.rpartition(".")[0]  # a name in a module
            if found and found != name:
                yield found


@lru_cache(maxsize=1)
def graph() -> dict[str, set[str]]:
    found = modules()
    return {name: set(imported(name, path, set(found))) for name, path in found.items()}


def circles(edges: dict[str, set[str]]) -> list[list[str]]:
    """The strongly connected parts of more than one module (Tarjan, without recursion)."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found = []
    for root, targets in edges.items():
        work = [(root, iter(sorted(targets)))] if root not in index else []
        while work:
            name, rest = work[-1]
            if name not in index:
                index[name] = low[name] = len(index)
                stack.append(name)
            following = next(rest, None)
            if following is not None:
                if following not in index:
                    work.append((following, iter(sorted(edges[following]))))
                elif following in stack:
                    low[name] = min(low[name], index[following])
                continue
            work.pop()
            if work:
                low[work[-1][0]] = min(low[work[-1][0]], low[name])
            if low[name] == index[name]:
                place = stack.index(name)
                part, stack[place:] = stack[place:], []
                if len(part) > 1:
                    found.append(sorted(part))
    return found


def test_circles_are_found():
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}}) == [["a", "b", "c"]]
    assert circles({"a": {"b", "c"}, "b": {"c"}, "c": set()}) == []


def test_there_are_no_circles():
    found = circles(graph())
    assert not found, "\n\n".join("\n".join(part) for part in found)


BELOW = {
    "dwpose_infer.files": ("dwpose_infer.errors", "dwpose_infer._version", "dwpose_infer.closing"),
    "dwpose_infer.errors": (),
    "dwpose_infer.keypoints": ("dwpose_infer.errors",),
    "dwpose_infer.layouts": ("dwpose_infer.errors", "dwpose_infer.keypoints"),
    "dwpose_infer.poses": (
        "dwpose_infer.arrays",
        "dwpose_infer.errors",
        "dwpose_infer.layouts",
        "dwpose_infer.keypoints",
    ),
}
"""Package or module -> all that it may import of ours."""


@pytest.mark.parametrize("room", BELOW)
def test_the_ground_stands_on_nothing(room):
    for name, targets in graph().items():
        if name == room or name.startswith(f"{room}."):
            strange = [each for each in targets if not each.startswith((*BELOW[room], room))]
            assert not strange, f"{name} imports {strange}"


COMMANDS = ("dwpose_infer.export.cli",)
"""Command lines that stand on top of all rooms although their file is in one."""


@pytest.mark.parametrize(
    ("room", "never"),
    [
        ("dwpose_infer.backends", ("export", "models", "benchmarks", "evaluation", "cli")),
        ("dwpose_infer.formats", ("backends", "export", "models", "benchmarks", "cli", "media")),
        ("dwpose_infer.drawing", ("backends", "export", "models", "benchmarks", "cli", "media")),
        ("dwpose_infer.export", ("benchmarks", "evaluation", "streaming")),
        ("dwpose_infer.models", ("benchmarks", "cli.infer", "cli.run", "streaming")),
        ("dwpose_infer.predictor", ("benchmarks", "models", "evaluation", "cli")),
    ],
)
def test_rooms_do_not_reach_upwards(room, never):
    refused = tuple(f"dwpose_infer.{each}" for each in never)
    for name, targets in graph().items():
        if name in COMMANDS:
            continue
        if name == room or name.startswith(f"{room}."):
            inside = tuple(f"{each}." for each in refused)
            strange = [each for each in targets if each in refused or each.startswith(inside)]
            assert not strange, f"{name} imports {strange}"


def test_inference_asks_the_exporter_in_one_place_alone():
    """What runs networks builds none; `runtime` asks for engines and official forms."""
    rooms = ("backends", "detector", "estimator", "pipeline", "predictor", "streaming", "tracking")
    inside = tuple(f"dwpose_infer.{room}" for room in rooms)
    for name, targets in graph().items():
        if name.startswith(inside):
            strange = [each for each in targets if each.startswith("dwpose_infer.export")]
            assert not strange, f"{name} imports {strange}"
    assert any(each.startswith("dwpose_infer.export") for each in graph()["dwpose_infer.runtime"])
