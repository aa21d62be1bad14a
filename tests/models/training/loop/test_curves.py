from __future__ import annotations

import cv2
import numpy as np
import pytest

from dwpose_infer.models.training.loop.csv_log import CsvLog
from dwpose_infer.models.training.loop.run_log import draw_curves

pytest.importorskip("matplotlib")


def _tables(folder, *, steps):
    for name in ("log.csv", "validation.csv"):
        (folder / name).unlink(missing_ok=True)
    with CsvLog(folder / "log.csv", last_step=0) as log:
        for step in range(steps):
            log.append({"step": step, "lr": 1e-3, "loss": 1 / (1 + step), "samples_per_s": 50.0})
    with CsvLog(folder / "validation.csv", last_step=0) as checks:
        checks.append({"step": steps, "AP": 0.5, "PCK": float("nan")})


def test_the_picture_shows_what_the_tables_hold(tmp_path):
    first = None
    for steps in (1, 40):
        _tables(tmp_path, steps=steps)
        out = draw_curves(
            tmp_path / "log.csv", tmp_path / "validation.csv", tmp_path / "c.png", title="a run"
        )
        picture = cv2.imread(str(out))
        assert picture.shape == (800, 1200, 3)
        assert first is None or (picture != first).any()
        first = picture
        # A curve is coloured, the rest grey.
        coloured = np.ptp(picture.astype(int), axis=2) > 60
        assert coloured[50:400, :600].any() and coloured[50:400, 600:].any()


def test_tables_without_rows_give_empty_axes(tmp_path):
    out = draw_curves(tmp_path / "none.csv", tmp_path / "no.csv", tmp_path / "c.png", title="x")
    picture = cv2.imread(str(out))
    assert not (np.ptp(picture.astype(int), axis=2) > 60).any()


def test_one_row_is_enough(tmp_path):
    """A power of ten less or more a rounding has no limits of its own on a logarithmic axis."""
    log = tmp_path / "log.csv"
    log.write_text("step,loss,lr,samples_per_s\n1,2.5,1.0000000000000001e-07,3.0\n")
    out = draw_curves(log, tmp_path / "none.csv", tmp_path / "curves.png", title="one row")
    assert out.stat().st_size > 10_000
