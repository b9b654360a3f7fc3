"""Rows of text under headings, as text and as HTML that needs no style sheet.

Here cells are only laid out; what they say is whoever's table it is.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from html import escape

LEFT = 'style="text-align:left"'
WIDE = 'style="text-align:left;min-width:26ch"'


class Table:
    """A table whose first row is its headings.

    Args:
        rows: all of the same length.
        code: headings of the columns that hold bytes or code.
        wide: headings of those whose lines stay long, where the page is narrow and the table is not.
    """

    def __init__(
        self, rows: Sequence[Sequence[str]], code: Collection[str] = (), wide: Collection[str] = ()
    ) -> None:
        self.rows = rows
        self.code = code
        self.wide = wide

    def __repr__(self) -> str:
        widths = [max(map(len, column)) for column in zip(*self.rows, strict=True)]
        return "\n".join("   ".join(map(str.ljust, row, widths)).rstrip() for row in self.rows)

    def _repr_html_(self) -> str:
        head = "".join(map(self._heading, self.rows[0]))
        body = "".join(f"<tr>{''.join(map(self._cell, self.rows[0], row))}</tr>" for row in self.rows[1:])
        return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"

    def _heading(self, cell: str) -> str:
        style = WIDE if cell in self.wide else LEFT
        return f'<th scope="col" {style}>{escape(cell)}</th>'

    def _cell(self, heading: str, cell: str) -> str:
        if heading in self.code:
            return f'<td style="text-align:left;white-space:pre;font-family:monospace">{escape(cell)}</td>'
        return f"<td {LEFT}>{escape(cell)}</td>"
