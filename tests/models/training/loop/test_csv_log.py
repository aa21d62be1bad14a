from __future__ import annotations

import math

import pytest

from dwpose_infer.errors import FormatError, OutputError
from dwpose_infer.models.training.loop.csv_log import CsvLog, read_table


def write(path, rows, *, last_step=0):
    with CsvLog(path, last_step=last_step) as log:
        for row in rows:
            log.append(row)


def test_rows_come_back_with_all_their_digits(tmp_path):
    path = tmp_path / "log.csv"
    write(path, [{"step": 1, "loss": 0.1 + 0.2}, {"step": 2, "loss": math.nan}])
    table = read_table(path)
    assert table["step"] == [1, 2]
    assert table["loss"][0] == 0.1 + 0.2
    assert math.isnan(table["loss"][1])
    assert path.read_text() == "step,loss\n1,0.30000000000000004\n2,\n"


def test_a_row_is_in_the_file_at_once(tmp_path):
    with CsvLog(tmp_path / "log.csv", last_step=0) as log:
        for step in (1, 2):
            log.append({"step": step, "loss": 0.5})
            assert read_table(log.path)["step"] == [1, 2][:step]


@pytest.mark.parametrize("edited", [False, True])
def test_a_resumed_table_drops_later_rows_and_a_row_cut_off(tmp_path, edited):
    path = tmp_path / "log.csv"
    write(path, [{"step": step, "loss": step / 7} for step in (10, 20, 30)])
    if edited:  # a program that ends lines in another way, and an empty line
        path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n").replace(b"10,", b"\r\n10,"))
    with path.open("a") as file:
        file.write("40,5.7")  # killed while writing
    with CsvLog(path, last_step=20) as again:
        assert read_table(path)["step"] == [10, 20]
        again.append({"step": 30, "loss": 30 / 7})
    assert read_table(path) == {"step": [10, 20, 30], "loss": [10 / 7, 20 / 7, 30 / 7]}


def test_a_new_run_begins_an_empty_table(tmp_path):
    path = tmp_path / "log.csv"
    write(path, [{"step": 1, "other": 1}])
    write(path, [])
    assert read_table(path) == {}
    write(path, [{"step": 2, "loss": 1.5}])
    assert path.read_text() == "step,loss\n2,1.5\n"


def test_other_columns_are_refused_and_the_file_is_left_alone(tmp_path):
    path = tmp_path / "log.csv"
    write(path, [{"step": 1, "loss": 1.5}])
    before = path.read_bytes()
    with pytest.raises(FormatError, match="loss_logit"):
        write(path, [{"step": 2, "loss_logit": 1.5}], last_step=1)
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    "text", ["step,loss\nx,1\n", "step,loss\n1\n", "a,b\n1,2\n", "step\n1,2\n"]
)
def test_what_is_no_table_is_named(tmp_path, text):
    path = tmp_path / "log.csv"
    path.write_text(text)
    with pytest.raises(FormatError, match=r"log\.csv"):
        CsvLog(path, last_step=0)
    assert path.read_text() == text


def test_a_field_that_is_no_number_is_named(tmp_path):
    path = tmp_path / "log.csv"
    path.write_text("step,loss\n1,high\n")
    with pytest.raises(FormatError, match="high"):
        read_table(path)


def test_a_missing_table_has_no_rows(tmp_path):
    assert read_table(tmp_path / "none.csv") == {}
    write(tmp_path / "none.csv", [], last_step=3)
    assert not (tmp_path / "none.csv").exists()


def test_a_table_that_cannot_be_written_says_so(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match=r"log\.csv"):
        write(tmp_path / "file" / "log.csv", [{"step": 1}])
