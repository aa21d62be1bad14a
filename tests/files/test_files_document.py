from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import msgspec
import pytest

from dwpose_infer.errors import FormatError
from dwpose_infer.files.document import header_of, read_document, to_json, write_document


@dataclass(frozen=True, slots=True)
class Part:
    name: str
    size_wh: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Plain:
    schema_version: Literal[1] = field(default=1, kw_only=True)
    folder: Path
    parts: tuple[Part, ...]
    best: Path | None = None


class Result(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    schema_version: Literal[2] = 2
    benchmark: Literal["speed"] = "speed"
    ms: float = 1.0


PLAIN = Plain(Path("a/b"), (Part("ü", (1, 2)),))


def test_a_dataclass_comes_back_with_its_paths_and_tuples(tmp_path):
    path = write_document(tmp_path / "a.json", PLAIN)
    assert read_document(path, Plain) == PLAIN
    assert json.loads(path.read_bytes()) == {
        "schema_version": 1,
        "folder": str(Path("a/b")),
        "parts": [{"name": "ü", "size_wh": [1, 2]}],
        "best": None,
    }
    assert path.read_bytes() == to_json(PLAIN)
    assert path.read_text("utf-8").startswith('{\n  "schema_version": 1,\n')


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"schema_version": 2}, "written by a newer release"),
        ({"schema_version": "1"}, "expected a whole number"),
        ({"folder": 3}, r"expected text for a Path - at `\$\.folder`"),
        ({"parts": [{"name": "a"}]}, r"missing required field `size_wh` - at `\$\.parts\[0\]`"),
        ({"parts": [{"name": "a", "size_wh": [1]}]}, r"at `\$\.parts\[0\]\.size_wh`"),
    ],
)
def test_every_field_is_checked(tmp_path, change, message):
    path = tmp_path / "a.json"
    path.write_text(json.dumps({**json.loads(to_json(PLAIN)), **change}))
    with pytest.raises(FormatError, match=rf"a\.json: .*{message}"):
        read_document(path, Plain)


def test_what_is_no_part_of_a_document_cannot_be_written(tmp_path):
    with pytest.raises(TypeError, match="complex"):
        to_json({"a": 1j})


def test_the_header_tells_another_file_from_a_damaged_one(tmp_path):
    assert header_of(Plain) == {"schema_version": 1}
    assert header_of(Part) == {}
    assert header_of(Result) == {"schema_version": 2, "benchmark": "speed"}
    path = tmp_path / "a.json"
    path.write_text('{"benchmark": "size"}')
    with pytest.raises(FormatError, match="the result of 'size', not of 'speed'"):
        read_document(path, Result)
    path.write_text('{"benchmark": "speed", "schema_version": 2, "min": 3}')
    with pytest.raises(FormatError, match="unknown field `min`"):
        read_document(path, Result)
