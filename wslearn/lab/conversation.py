"""What both sides said, as the list that browsers show, and how messages lie in frames and frames in chunks.

Here items become a list and lanes; taking a frame apart is the inspector's (RFC 6455, sections 1.2 and 5.4).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from html import escape
from typing import Any

import anywidget
import traitlets

from wslearn.lab.frame_inspector import FrameInspector, dissect_traced, dissection_data
from wslearn.lab.lanes import as_data, as_text, lay
from wslearn.lab.timeline import GROUPS, Item, TimelineView
from wslearn.lab.view import PRE, module, style
from wslearn.session import RawSession
from wslearn.trace import Trace

NUMBERS = {"sent/s", "received/s", "session", "bytes"}


class Conversation(TimelineView):
    """Lists what passed in both directions, and takes apart what is chosen; grows with its trace.

    Args:
        shown: a trace, or a session with its trace.
        sessions: the numbers of the sessions to list, or of one; none for all.
        kinds: which kinds to list at first, of "handshake", "text", "binary", "ping", "pong", "close",
            "other" and "event"; none for all.
        lanes: whether chunks, frames and messages stand above the list, as lanes on one time axis.
        times: whether the text form has times; None says so for a simulated wire, where they are the same
            in every run.

    Raises:
        TypeError: `shown` is neither a trace nor a session.
        ValueError: a kind is unknown.
    """

    _esm = module("timeline", "lanes", "conversation")
    _css = style("timeline", "lanes", "conversation")
    kinds: traitlets.List[str] = traitlets.List(traitlets.Unicode()).tag(sync=True)
    selected = traitlets.Int(0).tag(sync=True)
    shown = traitlets.Int(0).tag(sync=True)
    told = traitlets.Unicode().tag(sync=True)
    lanes = traitlets.Dict().tag(sync=True)
    inspector = anywidget.WidgetTrait().tag(sync=True)

    def __init__(
        self,
        shown: Trace | RawSession,
        sessions: int | Collection[int] = (),
        *,
        kinds: Collection[str] = (),
        lanes: bool = False,
        times: bool | None = None,
    ) -> None:
        for kind in kinds:
            if kind not in GROUPS:
                raise ValueError(f"kind is {kind!r}: one of {', '.join(GROUPS)} is needed")
        self._has_lanes = lanes
        inspector = FrameInspector(b"")
        super().__init__(shown, sessions, times=times, kinds=list(kinds), inspector=inspector)
        self._lay()

    def _take(self, at: int) -> None:
        super()._take(at)
        self._lay()

    @traitlets.observe("sessions")
    def _lay(self, change: object = None) -> None:
        """Lay the lanes of the first of the sessions that are listed, if they are asked for."""
        if not self._has_lanes:
            return
        session = min(self.sessions or self.numbers, default=1)
        self._directions = lay(self.timeline.trace, session)
        items = enumerate(self.timeline.items, self.timeline.gone + 1)
        rows = [at for at, item in items if item.is_frame and item.session == session]
        self.lanes = as_data(self._directions, rows)

    @traitlets.observe("selected")
    def _choose(self, change: dict[str, Any]) -> None:
        """Take the chosen item apart; numbers count from 1, those left out too."""
        at = self.selected - 1 - self.timeline.gone
        every = [*self.timeline.items, *self.timeline.half]
        if at < 0:
            self.told = "the trace has let this one go"
        elif at < len(every):
            self._inspect(every[at])
        self.shown = self.selected

    def _inspect(self, item: Item) -> None:
        self.told = "" if item.is_frame else item.wire.decode("latin-1") or f"{item.kind}: {item.said}"
        if item.is_frame:
            self.inspector.frame = dissection_data(dissect_traced(item.wire, item.sender, item.inflated))

    def close(self) -> None:
        """End the view and the inspector in it."""
        if self.inspector is not None:
            self.inspector.close()
        super().close()

    @property
    def listed(self) -> list[Item]:
        """The items of the chosen session and kinds."""
        return [item for item in self.items if not self.kinds or item.group in self.kinds]

    def plain(self) -> str:
        """Return the list as a table of text."""
        headings, *rows = self.table(self.listed) or [["nothing has passed yet"]]
        widths = [max(map(len, column)) for column in zip(headings, *rows, strict=True)]
        lines = ["  ".join(map(_aligned, row, widths, headings)).rstrip() for row in (headings, *rows)]
        return "\n".join([*lines, *self._lanes_lines()])

    def _lanes_lines(self) -> list[str]:
        if not self._has_lanes:
            return []
        note = [self.lanes["note"]] if self.lanes["note"] else []
        return ["", *note, as_text(self._directions, self.has_times)]

    def html(self) -> str:
        """Return the list as a table."""
        headings, *rows = self.table(self.listed) or [["nothing has passed yet"]]
        head = "".join(f'<th scope="col"{_side(name)}>{name}</th>' for name in headings)
        body = "".join(f"<tr>{_html_cells(row, headings)}</tr>" for row in rows)
        table = f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
        lanes = "\n".join(self._lanes_lines()[1:])
        return f"{PRE}{escape(lanes)}</pre>{table}" if self._has_lanes else table


def _aligned(cell: str, width: int, heading: str) -> str:
    return cell.rjust(width) if heading in NUMBERS else cell.ljust(width)


def _side(heading: str) -> str:
    return "" if heading in NUMBERS else ' style="text-align:left"'


def _html_cells(row: Sequence[str], headings: Sequence[str]) -> str:
    pairs = zip(row, headings, strict=True)
    return "".join(f"<td{_side(heading)}>{escape(cell)}</td>" for cell, heading in pairs)
