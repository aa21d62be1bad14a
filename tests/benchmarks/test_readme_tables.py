from __future__ import annotations

from pathlib import Path

import pytest

from dwpose_infer.benchmarks import readme_tables
from dwpose_infer.benchmarks.cli import main
from dwpose_infer.errors import FormatError, InputError

ROOT = Path(__file__).resolve().parent.parent.parent
PAGES = [
    "README.md",
    "benchmarks/README.md",
    *(f"docs/{path.name}" for path in sorted((ROOT / "docs").glob("*.md"))),
]
END = readme_tables.END
README = """\
# Title

<!-- table: numbers from results/a.json -->
typed by hand
<!-- end of table -->

Between.

<!-- table: numbers from results/b.json -->
<!-- end of table -->
"""
EXPECTED = """\
# Title

<!-- table: numbers from results/a.json -->

| a.json |
| --- |

<!-- end of table -->

Between.

<!-- table: numbers from results/b.json -->

| b.json |
| --- |

<!-- end of table -->
"""


@pytest.fixture
def readme(tmp_path, monkeypatch):
    def render(path):
        assert path.parent == tmp_path / "results"  # relative to the Markdown file
        return f"| {path.name} |\n| --- |\n"

    monkeypatch.setattr(readme_tables, "renderers", lambda: {"numbers": render, "others": render})
    path = tmp_path / "README.md"
    path.write_text(README, encoding="utf-8")
    return path


def test_tables_are_written(readme, capsys):
    assert main(["readme", str(readme), "--check"]) == 1
    assert f"write them: dwpose-bench readme {readme}" in capsys.readouterr().err
    assert readme.read_text(encoding="utf-8") == README
    assert main(["readme", str(readme)]) == 0
    assert readme.read_text(encoding="utf-8") == EXPECTED
    assert main(["readme", str(readme), "--check"]) == 0
    assert main(["readme", str(readme)]) == 0
    assert readme.read_text(encoding="utf-8") == EXPECTED


def test_a_file_without_tables_stays_as_it_is(tmp_path):
    path = tmp_path / "plain.md"
    path.write_text("# Nothing\n\n<!-- a comment -->\n", encoding="utf-8")
    assert main(["readme", str(path), "--check"]) == 0


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("<!-- table: numbers from results/a.json -->\n", "has no counterpart"),
        (f"{END}\n", "has no counterpart"),
        (f"<!-- table: speed from a.json -->\n{END}\n", "'speed'; there are numbers, others"),
        (f"<!-- table: numbers -->\n{END}\n", "stands between '<!-- table: KIND from FILE -->'"),
        (f"{END}\n<!-- table: numbers from results/a.json -->\n", "not between '<!-- end of"),
        ("<!-- table: numbers from a.json -->\n<!-- end of tables -->\n", "stands between"),
        (
            "<!-- table: numbers from results/a.json -->\n" * 2 + f"{END}\n" * 2,
            "not between '<!-- table: numbers",
        ),
    ],
)
def test_damaged_markers(readme, text, message):
    readme.write_text(text, encoding="utf-8")
    with pytest.raises(FormatError, match=message) as caught:
        readme_tables.update(readme)
    assert str(caught.value).startswith(f"{readme}: ")
    assert readme.read_text(encoding="utf-8") == text


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(InputError, match=r"missing\.md: cannot be read"):
        readme_tables.update(tmp_path / "missing.md")
    (tmp_path / "binary.md").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match=r"binary\.md: cannot be read"):
        readme_tables.update(tmp_path / "binary.md")


def test_a_result_that_is_missing_or_of_another_kind(tmp_path, capsys):
    path = tmp_path / "README.md"
    path.write_text(f"<!-- table: latency from latency.json -->\n{END}\n", encoding="utf-8")
    assert main(["readme", str(path)]) == 1
    assert "latency.json: there is no such file" in capsys.readouterr().err
    (tmp_path / "latency.json").write_text('{"schema_version": 1, "benchmark": "complexity"}')
    assert main(["readme", str(path)]) == 1
    assert "the result of 'complexity', not of 'latency'" in capsys.readouterr().err


@pytest.mark.parametrize("name", PAGES)
def test_tables_of_this_repository_are_those_of_the_committed_results(name):
    text = (ROOT / name).read_text(encoding="utf-8")
    folder = (ROOT / name).parent
    assert readme_tables.with_tables(text, folder, origin=name) == text


def test_every_committed_result_is_in_a_table():
    shown = set()
    for path in (ROOT / name for name in PAGES):
        for marker in readme_tables._BEGIN.finditer(path.read_text(encoding="utf-8")):
            result = path.parent / marker["path"]  # may be a pattern
            shown |= {each.resolve() for each in result.parent.glob(result.name)}
    assert {path.resolve() for path in (ROOT / "benchmarks/results").glob("*.json")} <= shown
