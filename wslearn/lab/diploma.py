"""The last page of the course: a certificate, made of what a learner has done and of a match on their server.

It is one HTML file that needs nothing else: light and dark, and one sheet of paper. It holds no date and no
address, and nobody vouches for the name on it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from html import escape
from pathlib import Path

from wslearn.frames import Close, Ping, Pong, Text
from wslearn.lab.board import Board
from wslearn.lab.exercises import progress
from wslearn.lab.parts import part
from wslearn.trace import TracedFrame, WireTrace

LEFT, WIDTH, LANE = 100, 600, 60
"""Pixels of the names beside the strip, of the strip, and of the height of each connection."""

PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Certificate</title><style>
:root {{ color-scheme: light dark; --text: #1b1b1b; --quiet: #5f5f5f; --ground: #fff; --line: #b5b5b5; }}
@media screen and (prefers-color-scheme: dark) {{
  :root {{ --text: #ececec; --quiet: #b4b4b4; --ground: #161616; --line: #5a5a5a; }}
}}
body {{ margin: 0; color: var(--text); background: var(--ground); font: 16px/1.5 Georgia, serif; }}
main {{ max-width: 720px; margin: 24px auto; padding: 24px 30px; border: 3px double var(--line); }}
main {{ text-align: center; }}
h1 {{ font-size: 36px; letter-spacing: .06em; margin: 0; font-weight: 400; }}
h2 {{ font-size: 18px; margin: 24px 0 4px; font-weight: 400; }}
.name {{ font-size: 28px; font-style: italic; margin: 14px auto 18px; min-height: 1.5em; width: 70%; }}
.name {{ border-bottom: 1px solid var(--line); }}
.quiet, figcaption {{ color: var(--quiet); font-size: 14px; }}
figure {{ margin: 0; }}
@page {{ size: A4; margin: 12mm; }}
@media print {{ main {{ margin: 0 auto; break-inside: avoid; }} svg {{ print-color-adjust: exact; }} }}
</style></head><body><main>
<h1>Certificate</h1><p class="quiet">wslearn: the WebSocket protocol, byte by byte</p>
<p class="name">{name}</p>
{lines}
<h2>The match, as it passed on this server's wire</h2>
<figure>{strip}<figcaption>{legend}</figcaption></figure>
</main></body></html>
"""

LEGEND = "● text ◆ ping or pong ■ Close ✕ lost; above a line the client's, below it the server's"


class Diploma:
    """A certificate of what was done in this folder, of a board, and of what passed in a match.

    Args:
        board: of the learner's server.
        trace: of a match on it.
        name: of the learner; empty for a line to write on.
    """

    def __init__(self, board: Board, trace: WireTrace, name: str = "") -> None:
        self.name, self._trace = name, trace
        kept = progress()
        known = list(kept.known)
        server = part("14.3").whose
        whose = "a server of one's own" if server.startswith("yours") else server
        self.lines = [
            f"{sum(number in kept for number in known)} of {len(known)} exercises done",
            f"{whose}: {len(board.green)} of {len(board.cases)} conformance cases are green",
            f"a match on it: {len(trace.handshakes)} connections, {len(trace.frames)} frames",
        ]

    @property
    def page(self) -> str:
        """The whole page as HTML."""
        lines = "\n".join(f"<p>{escape(line)}</p>" for line in self.lines)
        return PAGE.format(name=escape(self.name), lines=lines, strip=strip(self._trace), legend=LEGEND)

    def write(self, path: str | os.PathLike[str] = "certificate.html") -> str:
        """Write the page to a file, to be opened and printed by a browser; return the file's name."""
        Path(path).write_text(self.page, encoding="utf-8")
        return Path(path).name

    def __repr__(self) -> str:
        return "\n".join(["Certificate", *([self.name] if self.name else []), *self.lines])

    def _repr_html_(self) -> str:
        name = f"<p><em>{escape(self.name)}</em></p>" if self.name else ""
        lines = "".join(f"<li>{escape(line)}</li>" for line in self.lines)
        return f"<p><strong>Certificate</strong></p>{name}<ul>{lines}</ul>{strip(self._trace)}<p>{LEGEND}</p>"


def strip(trace: WireTrace) -> str:
    """Return what passed as SVG: a line for each connection, and a mark for each frame.

    What passed at one time is in the order of the connections, for a server may write to a set of them.
    """
    sessions = sorted({frame.session for frame in trace.frames})
    last = max((frame.time for frame in trace.frames), default=1.0)
    height = LANE * len(sessions) + 24
    lanes = "".join(_lane(at, session) for at, session in enumerate(sessions))
    frames = sorted(trace.frames, key=lambda frame: (frame.time, frame.session, frame.sender))
    marks = "".join(_mark(frame, sessions, last) for frame in frames)
    said = f"{len(sessions)} connections over {last:.0f} seconds"
    return (
        f'<svg viewBox="0 0 {LEFT + WIDTH + 20} {height}" role="img" aria-label="{said}"'
        f' style="max-width:100%;font:12px system-ui,sans-serif" fill="currentColor">'
        f"{lanes}{marks}{''.join(_ticks(last, height))}</svg>"
    )


def _x(time: float, last: float) -> float:
    return round(LEFT + WIDTH * time / last, 1)


def _lane(at: int, session: int) -> str:
    y = LANE * at + LANE // 2
    line = f'<path d="M{LEFT},{y}h{WIDTH}" stroke="currentColor" stroke-opacity=".4"/>'
    return f'<text x="0" y="{y + 4}">connection {session}</text>{line}'


def _mark(frame: TracedFrame, sessions: list[int], last: float) -> str:
    """Return one frame as a shape in a colour, above its line where the client sent it."""
    y = LANE * sessions.index(frame.session) + LANE // 2 + (-12 if frame.sender == "client" else 12)
    x = _x(frame.time, last)
    if frame.received is None:
        return f'<path d="M{x - 4},{y - 4}l8,8m0,-8l-8,8" stroke="#d55e00" stroke-width="2"/>'
    match frame.frame:
        case Close():
            return f'<rect x="{x - 5}" y="{y - 5}" width="10" height="10" fill="#d55e00"/>'
        case Ping() | Pong():
            return f'<path d="M{x},{y - 4}l4,4l-4,4l-4,-4z" fill="#009e73"/>'
        case Text():
            return f'<circle cx="{x}" cy="{y}" r="5" fill="#0072b2"/>'
    return f'<circle cx="{x}" cy="{y}" r="3"/>'


def _ticks(last: float, height: int) -> Iterator[str]:
    for seconds in range(0, int(last) + 1, 15):
        yield f'<text x="{_x(seconds, last)}" y="{height - 6}" text-anchor="middle">{seconds} s</text>'
