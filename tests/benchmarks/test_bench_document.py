from __future__ import annotations

import json
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from dwpose_infer.benchmarks.cli import main
from dwpose_infer.benchmarks.complexity.counting import ComplexityDocument, ComplexityRow
from dwpose_infer.benchmarks.document import json_schema
from dwpose_infer.benchmarks.machine import capture_environment
from dwpose_infer.benchmarks.readme_tables import document_types
from dwpose_infer.errors import FormatError, InputError, OutputError
from dwpose_infer.files.document import header_of, read_document, to_json, write_document

RESULTS = Path(__file__).resolve().parents[2] / "benchmarks" / "results"


@pytest.fixture
def document():
    row = ComplexityRow(
        model="dwpose-t",
        counted_from="torch",
        input_shape=(1, 3, 256, 192),
        parameters=5519779,
        fvcore=552146816,
        fvcore_by_operator={"conv": 448028928},
        products=548147072,
        products_onnx=548147072,
        published_gflops=0.5,
    )
    return ComplexityDocument(environment=capture_environment(), rows=(row,))


def test_there_and_back(document, tmp_path):
    path = write_document(tmp_path / "new/result.json", document)
    assert read_document(path, ComplexityDocument) == document
    assert path.read_bytes() == to_json(document)
    plain = json.loads(path.read_bytes())
    assert list(plain)[:3] == ["schema_version", "benchmark", "environment"]
    assert plain["benchmark"] == "complexity"


def changed(plain, path, value):
    """A copy of a plain document with one place changed; `...` removes it."""
    copy = json.loads(json.dumps(plain))
    *parents, last = path
    place = copy
    for key in parents:
        place = place[key]
    if value is ...:
        del place[last]
    else:
        place[last] = value
    return copy


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (["benchmark"], "latency", "the result of 'latency', not of 'complexity'"),
        (["benchmark"], ..., "the result of None"),
        (["schema_version"], 2, "written by a newer release"),
        (["schema_version"], True, "expected a whole number"),
        (["rows"], ..., r"missing required field `rows`"),
        (["rows"], [], None),
        (["rows", 0, "parameters"], "many", r"Expected `int`, got `str` - at `\$.rows\[0\].param"),
        (["rows", 0, "parameters"], 1.5, r"at `\$.rows\[0\].parameters`"),
        (["rows", 0, "counted_from"], "guess", r"Invalid enum value 'guess' - at `\$.rows\[0\]"),
        (["rows", 0, "comment"], "new", r"unknown field `comment` - at `\$.rows\[0\]`"),
        (["environment", "cpu", "flags"], None, r"at `\$.environment.cpu.flags`"),
        (["environment", "date"], "yesterday", r"at `\$.environment.date`"),
    ],
)
def test_damaged_documents(document, tmp_path, path, value, message):
    file = tmp_path / "result.json"
    file.write_text(json.dumps(changed(json.loads(to_json(document)), path, value)))
    if message is None:
        assert read_document(file, ComplexityDocument).rows == ()
        return
    with pytest.raises(FormatError, match=message) as caught:
        read_document(file, ComplexityDocument)
    assert str(caught.value).startswith(f"{file}: ")


@pytest.mark.parametrize("text", ["", "[]", "3", "{", "null"])
def test_files_that_hold_no_document(tmp_path, text):
    path = tmp_path / "result.json"
    path.write_text(text)
    with pytest.raises(FormatError, match=r"result\.json"):
        read_document(path, ComplexityDocument)


def test_files_that_cannot_be_read_or_written(document, tmp_path):
    with pytest.raises(InputError, match="no such file"):
        read_document(tmp_path / "missing.json", ComplexityDocument)
    with pytest.raises(OutputError, match="folder"):
        write_document(tmp_path, document)
    assert list(tmp_path.iterdir()) == []


def test_every_benchmark_has_a_name_of_its_own_and_a_schema(capsys):
    names = [header_of(kind)["benchmark"] for kind in document_types()]
    assert len(set(names)) == len(names)
    assert {"complexity", "latency"} <= set(names)
    assert main(["schema"]) == 0
    assert capsys.readouterr().out.split() == names
    for kind, name in zip(document_types(), names, strict=True):
        assert main(["schema", name]) == 0
        schema = json.loads(capsys.readouterr().out)
        assert json.dumps(schema, indent=2) == json_schema(kind)
        definition = schema["$defs"][kind.__name__]
        assert definition["additionalProperties"] is False
        assert definition["properties"]["benchmark"]["enum"] == [name]


@pytest.mark.slow
@pytest.mark.parametrize("kind", document_types(), ids=lambda kind: header_of(kind)["benchmark"])
def test_committed_results_are_what_their_schema_says(kind):
    schema = Draft202012Validator(json.loads(json_schema(kind)))
    documents = [json.loads(path.read_bytes()) for path in RESULTS.rglob("*.json")]
    name = header_of(kind)["benchmark"]
    found = [each for each in documents if isinstance(each, dict) and each.get("benchmark") == name]
    assert found
    for document in found:
        schema.validate(document)
        assert not schema.is_valid({**document, "unknown": 1})
        for key in ("benchmark", "schema_version"):
            assert not schema.is_valid({**document, key: "another"})


def test_schema_of_an_unknown_benchmark(capsys):
    assert main(["schema", "speed"]) == 2
    assert "no benchmark is called 'speed'; there are accuracy, " in capsys.readouterr().err
