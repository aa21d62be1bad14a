"""The files that tell how a run goes: two tables, the curves, TensorBoard's where wanted.

The curves are one picture: losses, learning rate, accuracy, speed.
"""

from __future__ import annotations

import io
import math
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from ....closing import ClosesOnExit
from ....errors import needs_extra
from ....files.atomic import write_bytes
from .csv_log import CsvLog, read_table

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


LOG_NAME: Final = "log.csv"
VALIDATION_NAME: Final = "validation.csv"
CURVES_NAME: Final = "curves.png"
TENSORBOARD_NAME: Final = "tensorboard"

CURVES_INTERVAL_S: Final = 30.0
"""Least time between two drawings of the curves, which cost about a second, on small sets."""


class RunLog(ClosesOnExit):
    """The tables of a run, begun or gone on with.

    Attributes:
        folder: Folder of the run.
    """

    def __init__(self, folder: Path, *, title: str, step: int, tensorboard: bool) -> None:
        """Opens the files; what they say about later steps is dropped.

        Args:
            folder: Folder of the run.
            title: Headline of the curves.
            step: Steps that the run has done.
            tensorboard: Whether to write TensorBoard's files too.

        Raises:
            MissingDependencyError: TensorBoard is wanted and not installed.
        """
        self.folder = folder
        self._title = title
        self._next_curves = 0.0
        self._board: Any = _open_board(folder, step) if tensorboard else None
        self._steps = CsvLog(folder / LOG_NAME, last_step=step)
        self._validations = CsvLog(folder / VALIDATION_NAME, last_step=step)

    def add_steps(self, row: Mapping[str, float]) -> None:
        """Adds a row about the steps since the last one."""
        self._steps.append(row)
        self._show("train", row)

    def add_validation(self, row: Mapping[str, float]) -> None:
        """Adds a row about a validation."""
        self._validations.append(row)
        self._show("validation", row)

    def validated(self, step: int) -> bool:
        """Tells whether the table has a validation after a step."""
        return step in read_table(self.folder / VALIDATION_NAME).get("step", [])

    def draw(self, *, now: bool) -> None:
        """Draws the curves anew.

        Args:
            now: Even if that was done less than `CURVES_INTERVAL_S` ago.
        """
        if not now and time.monotonic() < self._next_curves:
            return
        self._next_curves = time.monotonic() + CURVES_INTERVAL_S
        draw_curves(
            self.folder / LOG_NAME,
            self.folder / VALIDATION_NAME,
            self.folder / CURVES_NAME,
            title=self._title,
        )

    def close(self) -> None:
        """Closes the files."""
        self._steps.close()
        self._validations.close()
        if self._board is not None:
            self._board.close()

    def _show(self, group: str, row: Mapping[str, float]) -> None:
        if self._board is None:
            return
        for name, value in row.items():
            if name != "step" and not math.isnan(value):
                self._board.add_scalar(f"{group}/{name}", value, int(row["step"]))
        self._board.flush()


def _open_board(folder: Path, step: int) -> Any:
    with needs_extra("tensorboard=true needs TensorBoard", "tensorboard"):
        from torch.utils.tensorboard import SummaryWriter
    writer: Any = SummaryWriter
    return writer(str(folder / TENSORBOARD_NAME), purge_step=step + 1)


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
