"""A run's curves as one picture: losses, learning rate, accuracy, speed."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ....errors import needs_extra
from ....files.atomic import write_bytes
from .csv_log import read_table

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_SIZE_INCHES = (12.0, 8.0)
_DOTS_PER_INCH = 100


def draw_curves(log: Path, validation: Path, out: Path, *, title: str) -> Path:
    """Draws what the tables of a run hold.

    Args:
        log: The table of the training, `log.csv`.
        validation: The table of the validations, `validation.csv`; may be missing.
        out: PNG file to write.
        title: Headline.

    Returns:
        The PNG file.

    Raises:
        FormatError: A table is damaged.
        MissingDependencyError: matplotlib is not installed.
        OutputError: The picture cannot be written.
    """
    with needs_extra("drawing curves needs matplotlib", "train"):
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    steps, checks = read_table(log), read_table(validation)
    figure = Figure(figsize=_SIZE_INCHES, dpi=_DOTS_PER_INCH, layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(title)
    axes = figure.subplots(2, 2).ravel()
    _plot(axes[0], steps, [name for name in steps if name.startswith("loss")], logarithmic=True)
    axes[0].set_title("losses")
    _plot(axes[1], checks, [name for name in checks if name.startswith(("AP", "PCK"))])
    axes[1].set_title("validation")
    axes[1].set_ylim(0, 1)
    _plot(axes[2], steps, ["lr"], logarithmic=True)
    axes[2].set_title("learning rate")
    _plot(axes[3], steps, ["samples_per_s"])
    axes[3].set_title("samples per second")
    picture = io.BytesIO()
    figure.savefig(picture, format="png")
    return write_bytes(out, picture.getvalue())


def _plot(
    axes: Any,
    table: Mapping[str, Sequence[float]],
    names: Sequence[str],
    *,
    logarithmic: bool = False,
) -> None:
    """Plots columns over the steps; empty fields leave gaps, empty columns are left out."""
    drawn: list[float] = []
    for name in names:
        values = np.asarray(table.get(name, []), np.float64)
        known = np.isfinite(values) & ((values > 0) | (not logarithmic))
        if known.any():
            axes.plot(np.asarray(table["step"])[known], values[known], label=name, marker=".")
            drawn += values[known].tolist()
    if logarithmic and drawn and min(drawn) < max(drawn):  # one value alone has no decades
        axes.set_yscale("log")
    if drawn:
        axes.legend(fontsize="small")
    axes.set_xlabel("step")
    axes.grid(alpha=0.3)
