from __future__ import annotations

import math

import pytest

from dwpose_infer.errors import FormatError, OutputError
from dwpose_infer.models.training.csv_log import CsvLog, drop_rows_after, read_table


def test_rows_come_back_with_all_their_digits(tmp_path):
    log = CsvLog(tmp_path / "log.csv", ["step", "loss"])
    log.append({"step": 1, "loss": 0.1 + 0.2})
    log.append({"step": 2, "loss": math.nan})
    table = read_table(log.path)
    assert table["step"] == [1, 2]
    assert table["loss"][0] == 0.1 + 0.2
    assert math.isnan(table["loss"][1])
    assert log.path.read_text().splitlines()[-1] == "2,"


def test_a_resumed_table_drops_later_rows_and_a_row_cut_off(tmp_path):
    path = tmp_path / "log.csv"
    log = CsvLog(path, ["step", "loss"])
    for step in (10, 20, 30):
        log.append({"step": step, "loss": step / 7})
    with path.open("a") as file:
        file.write("40,5.7")  # killed while writing
    drop_rows_after(path, 20)
    again = CsvLog(path, ["step", "loss"])
    assert read_table(path)["step"] == [10, 20]
    again.append({"step": 30, "loss": 30 / 7})
    assert read_table(path) == {"step": [10, 20, 30], "loss": [10 / 7, 20 / 7, 30 / 7]}


def test_a_new_run_begins_an_empty_table(tmp_path):
    path = tmp_path / "log.csv"
    CsvLog(path, ["step", "other"]).append({"step": 1, "other": 1})
    drop_rows_after(path, 0)
    CsvLog(path, ["step", "loss"])
    assert path.read_text() == "step,loss\n"
    assert read_table(path) == {}


def test_other_columns_are_refused_and_the_file_is_left_alone(tmp_path):
    path = tmp_path / "log.csv"
    CsvLog(path, ["step", "loss"]).append({"step": 1, "loss": 1.5})
    before = path.read_bytes()
    with pytest.raises(FormatError, match="loss_logit"):
        CsvLog(path, ["step", "loss_logit"])
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    "text", ["step,loss\nx,1\n", "step,loss\n1\n", "a,b\n1,2\n", "step\n1,2\n"]
)
def test_what_is_no_table_is_named(tmp_path, text):
    path = tmp_path / "log.csv"
    path.write_text(text)
    with pytest.raises(FormatError, match=r"log\.csv"):
        CsvLog(path, ["step", "loss"])


def test_a_field_that_is_no_number_is_named(tmp_path):
    path = tmp_path / "log.csv"
    path.write_text("step,loss\n1,high\n")
    with pytest.raises(FormatError, match="high"):
        read_table(path)


def test_a_missing_table_has_no_rows(tmp_path):
    assert read_table(tmp_path / "none.csv") == {}
    drop_rows_after(tmp_path / "none.csv", 3)
    assert not (tmp_path / "none.csv").exists()


def test_a_table_that_cannot_be_written_says_so(tmp_path):
    log = CsvLog(tmp_path / "log.csv", ["step"])
    log.path.unlink()
    log.path.mkdir()
    with pytest.raises(OutputError, match=r"log\.csv"):
        log.append({"step": 1})
