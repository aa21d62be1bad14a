"""Tables in Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def markdown_table(
    header: Sequence[str], rows: Iterable[Sequence[str]], *, text_columns: int = 1
) -> str:
    """Returns a table.

    Args:
        header: Names of the columns.
        rows: Cells, as many as there are names.
        text_columns: So many columns at the left hold words; the others hold numbers and are
            aligned to the right.

    Raises:
        ValueError: A row has another number of cells.
    """
    marks = ["---"] * text_columns + ["---:"] * (len(header) - text_columns)
    lines = [header, marks]
    for row in rows:
        if len(row) != len(header):
            raise ValueError(f"a row has {len(row)} cells, the table {len(header)} columns: {row}")
        lines.append(row)
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
