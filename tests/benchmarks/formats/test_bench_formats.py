from __future__ import annotations

import msgspec
import pytest

from dwpose_infer.benchmarks.cli import main
from dwpose_infer.benchmarks.formats import writing
from dwpose_infer.benchmarks.formats.command import FormatSettings
from dwpose_infer.benchmarks.formats.writing import WRITERS, frames_of, is_whole
from dwpose_infer.errors import InvalidArgumentError
from dwpose_infer.formats import load_clip


def test_the_plain_way_writes_what_is_written_now(tmp_path):
    frames = frames_of(8)
    for file_name, write in WRITERS.values():
        write(frames, tmp_path / file_name)
        assert is_whole(frames, tmp_path / file_name)
        assert not is_whole(frames_of(12), tmp_path / file_name)
    plain, ours = (load_clip(tmp_path / name) for name in ("plain.jsonl", "clip.jsonl"))
    assert [frame.result.to_dict() for frame in plain] == [frame.result.to_dict() for frame in ours]


def test_numbers_have_to_fit():
    for bad in ({"persons": 6}, {"persons": 0}, {"rounds": 0}):
        with pytest.raises(InvalidArgumentError):
            numbers = {"persons": 8, "rounds": 1} | bad
            writing.measure(FormatSettings(json=None, source=None, **numbers))


@pytest.mark.slow
def test_a_run_and_its_report(tmp_path, capsys):
    path = tmp_path / "formats.json"
    assert main(["formats", "--persons", "400", "--rounds", "1", "--json", str(path)]) == 0
    said = capsys.readouterr().out
    document = msgspec.json.decode(path.read_bytes(), type=writing.FormatsDocument)
    assert [each.name for each in document.writings] == list(WRITERS)
    assert main(["formats", "--from", str(path)]) == 0
    assert capsys.readouterr().out == said
