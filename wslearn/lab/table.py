"""Rows of text under headings, as text and as HTML that needs no style sheet.

Here cells are only laid out; what they say is whoever's table it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

LEFT = 'style="text-align:left"'


class Table:
    """A table whose first row is its headings.

    Args:
        rows: all of the same length.
    """

    def __init__(self, rows: Sequence[Sequence[str]]) -> None:
        self.rows = rows

    def __repr__(self) -> str:
        widths = [max(map(len, column)) for column in zip(*self.rows, strict=True)]
        return "\n".join("   ".join(map(str.ljust, row, widths)).rstrip() for row in self.rows)

    def _repr_html_(self) -> str:
        head = "".join(f'<th scope="col" {LEFT}>{escape(cell)}</th>' for cell in self.rows[0])
        body = "".join(
            f"<tr>{''.join(f'<td {LEFT}>{escape(cell)}</td>' for cell in row)}</tr>" for row in self.rows[1:]
        )
        return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
