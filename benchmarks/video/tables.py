"""What is said of a result of `dwpose-bench video`, from its document alone."""

from __future__ import annotations

from ..markdown import markdown_table
from ..peers.baselines import MISSING, RTMLIB_REMEDY
from .document import (
    PLAIN_LOOP,
    RTMLIB,
    STREAM,
    TARGET_ONE_PERSON,
    TARGET_SEVERAL,
    Row,
    VideoDocument,
    misses,
)


def readme_table(document: VideoDocument) -> str:
    """Returns the short table and where it comes from."""
    return f"{summary_table(document)}\n\n{origin(document)}"


def origin(document: VideoDocument) -> str:
    """Returns the line that says what was measured where."""
    weights = " with random weights" if document.random_weights else ""
    width, height = document.picture_wh
    return (
        f"Measured on: {document.environment.label}; {document.pose}{weights} and "
        f"{document.detector}, ONNX Runtime on {document.threads} "
        f"thread{'s'[document.threads == 1 :]}; {document.frames} frames of {width}x{height} "
        "read, predicted, drawn and encoded; searched for persons every "
        f"{document.detect_every} frames, by the plain loop in every frame; medians of "
        f"{document.repeats} interleaved rounds."
    )


def summary_table(document: VideoDocument) -> str:
    """Returns the short table: frames per second, and how many times as fast."""
    header = [
        "persons",
        "stream, fps",
        "plain loop, fps",
        "rtmlib, fps",
        "times as fast as the plain loop",
        "times as fast as rtmlib",
    ]
    lines = []
    for row in document.rows:
        rates = [row.fps.get(name) for name in (STREAM, PLAIN_LOOP, RTMLIB)]
        speeds = [row.speed.get(name) for name in (PLAIN_LOOP, RTMLIB)]
        lines.append(
            [
                str(row.persons),
                *(MISSING if rate is None else f"{rate:.1f}" for rate in rates),
                *(MISSING if speed is None else f"{speed:.2f}" for speed in speeds),
            ]
        )
    return markdown_table(header, lines, text_columns=0)


def stages_table(document: VideoDocument) -> str:
    """Returns the table of the stream's stages, which overlap."""
    lines = [
        [
            stage.name,
            *(f"{row.stages[place].working_ms:.2f}" for row in document.rows),
            *(f"{100 * row.stages[place].share:.0f} %" for row in document.rows),
        ]
        for place, stage in enumerate(document.rows[0].stages)
    ]
    header = [
        "stage",
        *(f"{_persons(row)}, ms per frame" for row in document.rows),
        *(f"{_persons(row)}, share of the time" for row in document.rows),
    ]
    return markdown_table(header, lines)


def found_table(document: VideoDocument) -> str:
    """Returns the table of what the methods found."""
    names = list(document.rows[0].persons_found)
    lines = [
        [
            str(row.persons),
            *(f"{row.persons_found[name]:.2f}" for name in names),
            f"{row.searched_frames}",
        ]
        for row in document.rows
    ]
    header = ["persons", *(f"{name} finds" for name in names), "frames the stream searched"]
    return markdown_table(header, lines, text_columns=0)


def _persons(row: Row) -> str:
    return f"{row.persons} person{'s'[row.persons == 1 :]}"


def verdict(document: VideoDocument) -> str:
    """Returns what is met and what is missed of the targets, one line for each clip."""
    lines = [
        f"Targets: {TARGET_ONE_PERSON:g} times the frames per second of the plain loop at one "
        f"person, {TARGET_SEVERAL:g} times at several; ahead of rtmlib."
    ]
    for row in document.rows:
        missed = misses(row)
        lines.append(f"- {_persons(row)}: {'MISSED: ' + ', '.join(missed) if missed else 'met'}")
    if any(RTMLIB not in row.fps for row in document.rows):
        lines.append(RTMLIB_REMEDY)
    return "\n".join(lines)


def report(document: VideoDocument) -> str:
    """Returns all that is printed after measuring."""
    parts = (
        origin(document),
        summary_table(document),
        found_table(document),
        stages_table(document),
        verdict(document),
    )
    return "\n\n".join(parts)
