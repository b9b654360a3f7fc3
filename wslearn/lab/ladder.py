"""A conversation as a ladder: two sides, time from top to bottom, an arrow for whatever passed.

Here items become rungs of text; on a simulated wire an arrow takes its time, and one that never arrived
ends in a cross (RFC 6455, section 1.2).
"""

from __future__ import annotations

import traitlets

from wslearn.lab.timeline import EDGE, Item, TimelineView
from wslearn.lab.view import module, style

# Columns between the two sides, and of a time with its margin.
WIDTH = 56
TIME = 11
# Columns of a label; an arrow that never arrives is 8 shorter.
ROOM = WIDTH - 14
# A pause that is longer, in seconds, is a row of its own.
PAUSE = 1.0


class Ladder(TimelineView):
    """Draws what passed between two sides over time: handshakes, frames, losses, and what happened.

    Args:
        shown: a trace, or a session with its trace; that of a simulated wire (`net.trace`) shows how long
            each frame took.
        sessions: the numbers of the sessions to draw, or of one; none for all.
        times: whether the text form has times; None says so for a simulated wire, where they are the same
            in every run.

    Raises:
        TypeError: `shown` is neither a trace nor a session.
    """

    _esm = module("timeline", "ladder")
    _css = style("timeline", "ladder")
    selected = traitlets.Int(0).tag(sync=True)

    def plain(self) -> str:
        """Return the ladder as text, a rung for each item; the middle of a long one is left out."""
        items = self.items
        if not items:
            return "nothing has passed yet"
        margin = " " * TIME if self.has_times else ""
        lines = [f"{margin}client{'server':>{WIDTH - 4}}"]
        between = len(items) - 2 * EDGE
        if between < 2:
            return "\n".join([*lines, *self._rungs(items)])
        middle = f"{margin}┆{f'… {between} more …':^{WIDTH}}┆"
        return "\n".join([*lines, *self._rungs(items[:EDGE]), middle, *self._rungs(items[-EDGE:])])

    def _rungs(self, items: list[Item]) -> list[str]:
        """Return the lines of some items, and of the pauses between them."""
        lines, last, several = [], items[0].time, self.has_several()
        for item in items:
            if self.has_times and item.time - last > PAUSE:
                lines.append(f"{'':>{TIME}}┆{f'{item.time - last:.4g} s':^{WIDTH}}┆")
            lines.append(self._rung(item, several))
            last = item.time
        return lines

    def _rung(self, item: Item, several: bool) -> str:
        label = _label(item, several)
        if not self.has_times:
            return _arrow(item, label)
        sent = f"{item.time:.4f} s"
        arrived = "" if item.received is None else f"{item.received:.4f} s"
        left, right = (arrived, sent) if item.sender == "server" else (sent, arrived)
        return f"{left:>{TIME - 2}}  {_arrow(item, label)}  {right}".rstrip()


def _label(item: Item, several: bool) -> str:
    """Return what is written at an arrow, the same in every run: a ping's payload comes from chance."""
    whose = f"{item.session}: " if several and item.session is not None else ""
    said = "" if item.group in ("ping", "pong") else f" {item.said}"
    label = f"{whose}{item.kind}{said}".rstrip()
    return label if len(label) <= ROOM else f"{label[: ROOM - 1]}…"


def _arrow(item: Item, label: str) -> str:
    """Return one rung: to the right from the client, to the left from the server, dotted for an event."""
    end = "✕" if item.lost else "▶"
    match item.sender:
        case None:
            return f"├{f' {label} ':╌^{WIDTH}}┤"
        case "client":
            line = f"── {label} ".ljust(WIDTH - 1 if not item.lost else WIDTH - 9, "─")
            return f"│{line}{end}".ljust(WIDTH + 1) + "│"
        case _:
            end = "✕" if item.lost else "◀"
            line = f" {label} ──".rjust(WIDTH - 1 if not item.lost else WIDTH - 9, "─")
            return "│" + f"{end}{line}│".rjust(WIDTH + 1)
