"""Polars and DuckDB: the tables and the frame log."""

import duckdb
import polars

from dwpose_infer.formats import load_clip
from expected import FOLDER, Comparison, require


def rows_agree(rows: list[dict], what: str, *, frames: str = "frame") -> None:
    """Compares rows of a table, one a person, by the names of its columns."""
    comparison = Comparison("wholebody")
    require(len(rows) == 6, f"{what}: {len(rows)} rows")
    for row in rows:
        frame, person = row[frames], row["person"]
        require(row["id"] == comparison.ids[person], f"{what}: id {row['id']!r}")
        require(abs(row["time_s"] - comparison.times_s[frame]) < 1e-9, f"{what}: {row['time_s']}")
        for name in comparison.names:
            values = [row[f"{name}_{value}"] for value in ("x", "y", "score")]
            comparison.require(frame, person, name, values)
    comparison.done(what)


def log_agrees(frames: list[dict], what: str) -> None:
    """Compares the lines of the frame log, whose points stand in the order of the names."""
    comparison = Comparison("wholebody")
    for line in frames:
        for person, found in enumerate(line["persons"]):
            for name, point, score in zip(
                comparison.names, found["keypoints"], found["scores"], strict=True
            ):
                comparison.require(line["frame"], person, name, [*(point or (None, None)), score])
    comparison.done(what)


rows_agree(polars.read_csv(FOLDER / "clip.csv").to_dicts(), "polars clip.csv")
rows_agree(polars.read_parquet(FOLDER / "clip.parquet").to_dicts(), "polars clip.parquet")
log_agrees(polars.read_ndjson(FOLDER / "clip.jsonl").to_dicts(), "polars clip.jsonl")
quiet = polars.read_ndjson(FOLDER / "quiet.jsonl", infer_schema_length=None)
require(len(quiet["persons"][200]) == 2, "polars quiet.jsonl: nobody in the last frame")

for name in ("clip.csv", "clip.parquet"):
    table = duckdb.sql(f"select * from '{FOLDER / name}'")
    rows = [dict(zip(table.columns, row, strict=True)) for row in table.fetchall()]
    rows_agree(rows, f"duckdb {name}")
for name, frames in (("clip.jsonl", 3), ("quiet.jsonl", 201)):
    table = duckdb.sql(f"select frame, persons from read_json('{FOLDER / name}')")
    lines = [dict(zip(table.columns, row, strict=True)) for row in table.fetchall()]
    require(len(lines) == frames, f"duckdb {name}: {len(lines)} lines")
    if name == "clip.jsonl":
        log_agrees(lines, f"duckdb {name}")
    else:
        require(len(lines[200]["persons"]) == 2, "duckdb quiet.jsonl: nobody in the last frame")

clip = load_clip(FOLDER / "clip.jsonl")
frame = clip.to_dataframe(library="polars")
comparison = Comparison("wholebody")
for row in frame.to_dicts():
    require(row["id"] == comparison.ids[row["person"]], f"id {row['id']!r}")
    values = [row["x"], row["y"], row["score"]]
    comparison.require(row["frame"], row["person"], row["keypoint"], values)
comparison.done("polars, to_dataframe")
