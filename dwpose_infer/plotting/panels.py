"""The drawing: a column for each person, a row for each panel, as PNG, SVG or PDF."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from ..arrays import Float64Array
from ..errors import InvalidArgumentError, needs_extra
from ..files.atomic import write_bytes
from . import kinematics
from .catalogue import (
    ANGLES,
    DEFAULT_MIN_SCORE,
    DEFAULT_POINTS,
    ENDINGS,
    PANELS,
    SPEED_UNITS,
    Panel,
    SpeedUnit,
)
from .kinematics import Tracks

DPI: Final = 120
COLUMN_INCHES: Final = 6.0
LEGEND_INCHES: Final = 2.2
ROW_INCHES: Final = 2.3
PATH_INCHES: Final = 4.0
LANE: Final = 0.85
"""Height of the fullest presence; lanes are 1 apart."""
LEGEND_LINES: Final = 12
MOST_COLUMNS: Final = 16

Axes = Any


@dataclass(frozen=True, slots=True, kw_only=True)
class PlotSettings:
    """What is plotted.

    Attributes:
        points: Names of the points whose paths, positions and speeds are shown.
        angles: Names of joints, of `catalogue.ANGLES`.
        panels: The rows, names of `catalogue.PANELS`.
        min_score: Points that score less are gaps.
        speed_unit: Length in which speeds are given; see `kinematics.length_px`.
        title: What stands above.
    """

    points: Sequence[str] = DEFAULT_POINTS
    angles: Sequence[str] = tuple(ANGLES)
    panels: Sequence[Panel] = tuple(PANELS)
    min_score: float = DEFAULT_MIN_SCORE
    speed_unit: SpeedUnit = "pixels"
    title: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class _Column:
    """One person's numbers, as the panels take them."""

    tracks: Tracks
    place: int
    settings: PlotSettings

    @property
    def scored(self) -> Any:
        """(T, K, 3) float32: x, y, score."""
        return self.tracks.points[:, self.place]

    @property
    def shown(self) -> Float64Array:
        """(T, K, 2) float64, pixels, NaN where absent or below the threshold."""
        return kinematics.without_low_scores(self.scored, self.settings.min_score)

    def point(self, name: str) -> Float64Array:
        """(T, 2) float64, pixels."""
        return self.shown[:, self.tracks.layout.point_names.index(name)]


def draw(tracks: Tracks, settings: PlotSettings) -> Any:
    """Returns a matplotlib figure of persons over time.

    Args:
        tracks: The persons, a column each.
        settings: What is plotted of them.

    Raises:
        MissingDependencyError: matplotlib is not installed.
        InvalidArgumentError: The tracks have not all of these points, or too many persons.
    """
    with needs_extra("plots need matplotlib", "plot"):
        from matplotlib.figure import Figure
    _require_what_fits(tracks, settings)
    rows = [row for panel in settings.panels for row in _ROWS[panel]]
    columns = [_Column(tracks, place, settings) for place in range(len(tracks.persons))]
    heights = [PATH_INCHES if row is _draw_path else ROW_INCHES for row in rows]
    width = COLUMN_INCHES * len(columns) + LEGEND_INCHES
    figure = Figure(figsize=(width, sum(heights) + 0.8), dpi=DPI, layout="constrained")
    grid = figure.subplots(
        len(rows), len(columns), squeeze=False, gridspec_kw={"height_ratios": heights}
    )
    for row, line in zip(rows, grid, strict=True):
        for column, axes in zip(columns, line, strict=True):
            row(axes, column)
            _say_if_empty(axes)
            axes.grid(visible=True, alpha=0.25)
            if row is not _draw_path:
                _time_axis(axes, tracks)
        _legend(line)
    for person, axes in zip(tracks.persons.tolist(), grid[0], strict=True):
        axes.set_title(f"id {person}" if tracks.tracked else f"place {person}, not tracked")
    figure.suptitle(settings.title, parse_math=False)
    return figure


def save(figure: Any, path: Path) -> Path:
    """Writes a figure as its ending says: .png, .svg or .pdf.

    Raises:
        InvalidArgumentError: It is another one.
        OutputError: The file cannot be written.
    """
    require_ending(path)
    picture = io.BytesIO()
    figure.savefig(picture, format=path.suffix.lower().lstrip("."))
    return write_bytes(path, picture.getvalue())


def require_ending(path: Path) -> None:
    """Raises InvalidArgumentError unless a plot can be written under this name."""
    if path.suffix.lower() not in ENDINGS:
        raise InvalidArgumentError(f"{path}: a plot is written as {', '.join(ENDINGS)}")


def _require_what_fits(tracks: Tracks, settings: PlotSettings) -> None:
    if len(tracks.persons) > MOST_COLUMNS:
        raise InvalidArgumentError(
            f"{len(tracks.persons)} persons are too many for one plot, which shows {MOST_COLUMNS}"
        )
    names = tracks.layout.point_names
    missing = [name for name in settings.points if name not in names]
    if missing:
        raise InvalidArgumentError(
            f"the clip's {len(names)} points ({tracks.layout.name}) have no {missing[0]!r}"
        )


def _plot(axes: Axes, x: Float64Array, y: Float64Array, *, name: str, **style: Any) -> None:
    """Draws a line with its gaps; what stands alone between two gaps is a dot."""
    there = ~(np.isnan(x) | np.isnan(y))
    before, after = np.r_[False, there[:-1]], np.r_[there[1:], False]
    alone = np.flatnonzero(there & ~before & ~after).tolist()
    linestyle = "--" if name.startswith("right_") else "-"
    axes.plot(x, y, marker=".", markevery=alone, linestyle=linestyle, label=_words(name), **style)


def _say_if_empty(axes: Axes) -> None:
    """Says so where no line has a point: an empty panel might be taken for a mistake."""
    if axes.lines and all(np.isnan(line.get_xydata()).any(axis=1).all() for line in axes.lines):
        words = "none: points absent or below the threshold"
        axes.text(0.5, 0.5, words, ha="center", va="center", transform=axes.transAxes)


def _colours(names: Sequence[str]) -> dict[str, str]:
    """A colour for each name; left and right have the same."""
    pairs = list(dict.fromkeys(_without_side(name) for name in names))
    return {name: f"C{pairs.index(_without_side(name)) % 10}" for name in names}


def _without_side(name: str) -> str:
    return name.removeprefix("left_").removeprefix("right_")


def _words(name: str) -> str:
    return name.replace("_", " ")


def _draw_path(axes: Axes, column: _Column) -> None:
    colours = _colours(column.settings.points)
    for name, colour in colours.items():
        x, y = column.point(name).T
        _plot(axes, x, y, name=name, color=colour)
    axes.set_aspect("equal", adjustable="datalim")
    axes.invert_yaxis()
    axes.set_xlabel("x, pixels")
    axes.set_ylabel("y, pixels, downwards")


def _draw_x(axes: Axes, column: _Column) -> None:
    _draw_coordinate(axes, column, 0)
    axes.set_ylabel("x, pixels")


def _draw_y(axes: Axes, column: _Column) -> None:
    _draw_coordinate(axes, column, 1)
    axes.invert_yaxis()
    axes.set_ylabel("y, pixels, downwards")


def _draw_coordinate(axes: Axes, column: _Column, coordinate: int) -> None:
    for name, colour in _colours(column.settings.points).items():
        values = column.point(name)[:, coordinate]
        _plot(axes, column.tracks.times, values, name=name, color=colour)


def _draw_angles(axes: Axes, column: _Column) -> None:
    shown = column.shown
    for name, colour in _colours(column.settings.angles).items():
        angles_deg = kinematics.joint_angle_deg(shown, name)
        _plot(axes, column.tracks.times, angles_deg, name=name, color=colour)
    axes.set_ylim(0, 180)
    axes.set_yticks(range(0, 181, 45))
    axes.set_ylabel("angle, degrees")


def _draw_speeds(axes: Axes, column: _Column) -> None:
    unit = column.settings.speed_unit
    length_px = kinematics.length_px(column.shown, unit)
    for name, colour in _colours(column.settings.points).items():
        times, speeds = kinematics.speeds(column.point(name) / length_px, column.tracks.times)
        _plot(axes, times, speeds, name=name, color=colour)
    axes.set_ylim(bottom=0)
    axes.set_ylabel(f"speed, {SPEED_UNITS[unit]}/{column.tracks.time_unit}")
    if unit != "pixels":
        known = "unknown" if np.isnan(length_px) else f"{length_px:.1f} pixels"
        axes.set_title(f"length: {known}", loc="right", fontsize="small")


def _draw_presence(axes: Axes, column: _Column) -> None:
    shown, layout = column.shown, column.tracks.layout
    for lane, part in enumerate(layout.parts.values()):
        top = lane + LANE * kinematics.presence(shown[:, part])
        axes.fill_between(column.tracks.times, lane, top, step="mid", color=f"C{lane}", linewidth=0)
    axes.set_ylim(-0.1, len(layout.parts))
    axes.set_yticks(range(len(layout.parts)), [_words(name) for name in layout.parts])
    axes.set_ylabel("points there, full: all")


def _draw_scores(axes: Axes, column: _Column) -> None:
    times, layout = column.tracks.times, column.tracks.layout
    for number, (name, part) in enumerate(layout.parts.items()):
        low, median, high = kinematics.score_band(column.scored[:, part, 2])
        _plot(axes, times, median, name=name, color=f"C{number}")
        axes.fill_between(times, low, high, color=f"C{number}", alpha=0.2, linewidth=0)
    axes.axhline(column.settings.min_score, color="black", linestyle=":", label="threshold")
    axes.set_ylim(bottom=0)
    axes.set_ylabel("score, median and 80 %")


_ROWS: Final[Mapping[Panel, tuple[Callable[[Axes, _Column], None], ...]]] = {
    "path": (_draw_path,),
    "position": (_draw_x, _draw_y),
    "angles": (_draw_angles,),
    "speeds": (_draw_speeds,),
    "presence": (_draw_presence,),
    "scores": (_draw_scores,),
}


def _time_axis(axes: Axes, tracks: Tracks) -> None:
    first, last = tracks.times[0], tracks.times[-1]
    if last > first:
        axes.set_xlim(first, last)
    axes.set_xlabel("time, s" if tracks.time_unit == "s" else "frame")


def _legend(line: Sequence[Axes]) -> None:
    """Names the lines of a row, once, beside its last panel."""
    handles, labels = line[0].get_legend_handles_labels()
    if handles:
        line[-1].legend(
            handles,
            labels,
            loc="center left",
            bbox_to_anchor=(1.0, 0.5),
            fontsize="small",
            ncols=-(-len(handles) // LEGEND_LINES),
        )
