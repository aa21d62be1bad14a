"""What was left out, altered or assumed of pictures reaches the user."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from dwpose_infer import Predictor
from dwpose_infer.cli.infer import main


@pytest.mark.slow
def test_notes_on_the_terminal_and_in_the_results(tmp_path, monkeypatch, capsys, astronaut):
    monkeypatch.chdir(tmp_path)
    picture = Image.open(astronaut).resize((64, 64))
    for name, frames in (("a", 2), ("b", 3)):
        others = [Image.new("RGB", (64, 64), (40 * index, 0, 0)) for index in range(1, frames)]
        picture.save(f"{name}.gif", save_all=True, append_images=others)
    picture.save("c.png")
    assert main(["a.gif", "b.gif", "c.png", "--json", "--format", "json"]) == 0
    out, error = capsys.readouterr()
    assert error.count("frames used") == 1  # the second is of the same kind
    assert "dwpose-infer: a.gif: first of 2 frames used (said once)" in error
    assert "; 2 with notes; " in error
    printed = [json.loads(line) for line in out.splitlines()]
    assert [each.get("notes") for each in printed] == [
        ["first of 2 frames used"],
        ["first of 3 frames used"],
        None,
    ]
    written = json.loads((tmp_path / "dwpose-out" / "b.json").read_text())
    assert written["notes"] == ["first of 3 frames used"]
    main(["a.gif", "--quiet"])
    assert capsys.readouterr().err == ""


def test_notes_in_results_of_the_predictor(astronaut):
    predictor = Predictor()
    clear = np.zeros((32, 32, 4), np.uint8)
    plain, altered = predictor([clear[..., :3].copy(), clear])
    assert plain.notes == ()
    (note,) = altered.notes
    assert note == "alpha passed over: it is 0 everywhere"
    assert altered.select([]).notes == altered.masked(min_score=0.3).notes == (note,)
