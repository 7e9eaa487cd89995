"""A small table of figures with proper headers: for reading beside a chart, and for readers who cannot see it.

In go rows of names and numbers; out comes HTML without script, under the notebook's own style.
"""

from __future__ import annotations

import html
from dataclasses import dataclass

from lean_agentic.workbench.errors import WorkbenchError
from lean_agentic.workbench.style import NumberFormat

Cell = str | float | int


class TableError(WorkbenchError):
    """Rows, columns and formats that do not fit each other."""


@dataclass(frozen=True)
class Table:
    """Rows under columns; the first column names the row.

    Examples
    --------
    >>> table = Table("Costs", ("policy", "cost"), (("adaptive", 0.6),), ("", "${:.4f}"))
    >>> table.texts()
    (('adaptive', '$0.6000'),)

    Raises
    ------
    TableError
        A row or `formats` is not as long as `columns`.
    FormatError
        A number format of unknown form.
    """

    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    formats: tuple[str, ...] = ()
    """One number format a column, `""` for text; none at all: four significant digits everywhere."""

    def __post_init__(self) -> None:
        for field in ("columns", "formats"):
            object.__setattr__(self, field, tuple(getattr(self, field)))
        object.__setattr__(self, "rows", tuple(tuple(row) for row in self.rows))
        for row in (self.formats, *self.rows) if self.formats else self.rows:
            if len(row) != len(self.columns):
                raise TableError(f"Table {self.caption!r} has the columns {self.columns}; {row} does not fit them.")
        for template in filter(None, self.formats):
            NumberFormat(template)

    def texts(self) -> tuple[tuple[str, ...], ...]:
        """All cells as they are shown."""
        writers = [NumberFormat(template) if template else NumberFormat() for template in self._templates()]
        return tuple(tuple(map(_text, row, writers)) for row in self.rows)

    def _templates(self) -> tuple[str, ...]:
        return self.formats or ("",) * len(self.columns)

    def _repr_html_(self) -> str:
        heads = "".join(f"<th scope='col'>{html.escape(column)}</th>" for column in self.columns)
        body = "".join(_row(texts, row) for texts, row in zip(self.texts(), self.rows, strict=True))
        return (
            f"<table class='la-table'><caption>{html.escape(self.caption)}</caption>"
            f"<thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table>"
        )


def _text(cell: Cell, writer: NumberFormat) -> str:
    return cell if isinstance(cell, str) else writer.text(cell)


def _row(texts: tuple[str, ...], row: tuple[Cell, ...]) -> str:
    name, *shown = texts
    cells = "".join(map(_cell, shown, row[1:]))
    return f"<tr><th scope='row'>{html.escape(name)}</th>{cells}</tr>"


def _cell(text: str, cell: Cell) -> str:
    # The bare number stays readable for tests and scripts whatever the format rounds away.
    value = "" if isinstance(cell, str) else f" data-value='{float(cell)!r}'"
    return f"<td{value}>{html.escape(text)}</td>"
