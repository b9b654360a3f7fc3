"""Rows of text under headings, as text and as HTML that needs no style sheet.

Here cells are only laid out; what they say is whoever's table it is.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from html import escape

LEFT = 'style="text-align:left"'


class Table:
    """A table whose first row is its headings.

    Args:
        rows: all of the same length.
        code: headings of the columns that hold bytes or code.
    """

    def __init__(self, rows: Sequence[Sequence[str]], code: Collection[str] = ()) -> None:
        self.rows = rows
        self.code = code

    def __repr__(self) -> str:
        widths = [max(map(len, column)) for column in zip(*self.rows, strict=True)]
        return "\n".join("   ".join(map(str.ljust, row, widths)).rstrip() for row in self.rows)

    def _repr_html_(self) -> str:
        head = "".join(f'<th scope="col" {LEFT}>{escape(cell)}</th>' for cell in self.rows[0])
        body = "".join(f"<tr>{''.join(map(self._cell, self.rows[0], row))}</tr>" for row in self.rows[1:])
        return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"

    def _cell(self, heading: str, cell: str) -> str:
        if heading in self.code:
            return f'<td style="text-align:left;white-space:pre;font-family:monospace">{escape(cell)}</td>'
        return f"<td {LEFT}>{escape(cell)}</td>"
