"""How a connection closes: the states that both ends go through, step by step (RFC 6455, section 7).

Here the Closes that passed become steps of two state machines, one for each end; nothing is judged.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from typing import Any, NamedTuple

import traitlets

from wslearn.lab.timeline import Item, Timeline
from wslearn.lab.view import View, module, style
from wslearn.session import RawSession
from wslearn.trace import Sender, Trace

# What each state is called, and the section that names it.
STATES = {
    "connecting": ("connecting", "4.1"),
    "refused": ("refused", "4.1"),
    "open": ("open", "4.1"),
    "sent": ("closing: Close sent", "7.1.2"),
    "received": ("closing: Close received", "7.1.3"),
    "both": ("closing: both Closes", "7.1.3"),
    "clean": ("closed, cleanly", "7.1.4"),
    "cut": ("closed, not cleanly", "7.1.4"),
}
# "the server considers the WebSocket connection to be established" in 4.2.2, the client in 4.1
OPENS: dict[Sender, str] = {"client": "4.1", "server": "4.2.2"}
SIDES: tuple[Sender, Sender] = ("client", "server")
OTHER: dict[Sender, Sender] = {"client": "server", "server": "client"}
# Where a Close leads that is sent, and one that is received.
SENDS = {"connecting": "sent", "open": "sent", "received": "both"}
RECEIVES = {"connecting": "received", "open": "received", "sent": "both"}
ENDED = ("clean", "cut", "refused")


class Step(NamedTuple):
    """One end goes to another state; `time` is in seconds of the trace that is shown."""

    time: float
    side: Sender
    state: str
    what: str
    section: str


class _Moment(NamedTuple):
    """Something that may move one end on: opened, refused, sent, received, ended.

    At one time what was under way arrives first, as an answer follows what it answers; `place` is that of
    the item.
    """

    time: float
    rank: int
    place: int
    side: Sender
    event: str
    what: str


def steps(
    timeline: Timeline, session: int, server: Timeline | None = None, client: Timeline | None = None
) -> list[Step]:
    """Return the steps of both ends of a session, in the order of time.

    Args:
        server: of the server's own trace, which knows when its end was over; likewise `client`.
    """
    items = [item for item in timeline.items if item.session == session]
    moments = [*_passed(items), *_ended(items, server, client)]
    states: dict[Sender, str] = {"client": "connecting", "server": "connecting"}
    found = []
    for moment in sorted(moments):
        state, section = _next(states[moment.side], moment.event, moment.side)
        if state is not None:
            states[moment.side] = state
            found.append(Step(moment.time, moment.side, state, moment.what, section))
    return found


def _next(state: str, event: str, side: Sender) -> tuple[str | None, str]:
    """Return where an event leads, and the section that says so; None where it leads nowhere."""
    match state, event:
        case ("clean" | "cut" | "refused", _):
            return None, ""
        case "connecting", "opened":
            return "open", OPENS[side]
        case "connecting", "refused":
            return "refused", OPENS[side]
        case _, "sent":
            return SENDS.get(state), "5.5.1" if state == "received" else "7.1.2"
        case _, "received":
            return RECEIVES.get(state), "7.1.3"
        case "both", "ended":
            return "clean", "7.1.4"
        case _, "ended":
            return "cut", "7.1.4"
    return None, ""


def _passed(items: Sequence[Item]) -> Iterator[_Moment]:
    """Yield what heads and Closes mean to their sender, and where they arrived to the other end."""
    for place, item in enumerate(items):
        if item.sender is None or not (item.group == "close" or item.kind == "response"):
            continue
        event = "opened" if item.said.startswith("HTTP/1.1 101") else "refused"
        sent, received = ("sent", "received") if item.group == "close" else (event, event)
        name = f"Close {item.said}".rstrip() if item.group == "close" else item.said.removeprefix("HTTP/1.1 ")
        yield _Moment(item.time, 1, 2 * place, item.sender, sent, f"sends {name}")
        if not item.lost:
            rank = 0 if item.end > item.time else 1
            yield _Moment(item.end, rank, 2 * place + 1, OTHER[item.sender], received, f"receives {name}")


def _ended(items: Sequence[Item], server: Timeline | None, client: Timeline | None) -> Iterator[_Moment]:
    """Yield the end of each side, not before the last Close that it has sent or received."""
    known = {"server": _end_of(items, server, "server"), "client": _end_of(items, client, "client")}
    if server is None and client is None:
        known = _own_end(items)
    for side in SIDES:
        if end := known.get(side):
            last = [item.time if item.sender == side else item.end for item in items if item.group == "close"]
            yield _Moment(max([end.time, *last]), 2, 0, side, "ended", f"is over: {end.said}")


def _own_end(items: Sequence[Item]) -> dict[str, Item | None]:
    """Return the end that the trace itself knows: of whose it is, or of both where TCP has ended."""
    end = next((item for item in items if item.kind == "closed"), None)
    closes = [item for item in items if item.group == "close" and item.sender]
    senders = list(dict.fromkeys(item.sender for item in closes if item.sender))
    if end is None or len(senders) != 1:
        return {"client": end, "server": end}
    # a Close that nobody answered: only one end knows that it is over
    return {senders[0] if end.said.endswith("local") else OTHER[senders[0]]: end}


def _end_of(items: Sequence[Item], timeline: Timeline | None, side: Sender) -> Item | None:
    """Return the end in the trace of one side, its time on the clock of `items`: their requests are one."""
    if timeline is None:
        return None
    session = items[0].session if items else None
    own = [item for item in timeline.items if item.session == session]
    if not any(item.kind == "closed" for item in own):
        own = [item for item in timeline.items if item.session is not None]
    end = next((item for item in own if item.kind == "closed"), None)
    here = next((item for item in items if item.kind == "request"), None)
    there = next((item for item in own if item.kind == "request"), None)
    if end is None or here is None or there is None:
        return end
    return end._replace(time=end.time + (here.time if side == "client" else here.end) - there.time)


class CloseStates(View):
    """Shows how both ends of a session close, state by state.

    Args:
        shown: a trace, or a session with its trace. That of a simulated wire (`net.trace`) knows when each
            Close arrived, but not when an end was over: `server` and `client` may add that. Alone, the trace
            of one end takes for granted that what it sends arrives, and that TCP ends at both ends.
        session: the number of the session; None for the first.
        server: the trace of the server; likewise `client`.
        times: whether the text form has times; None says so for a simulated wire, where they are the same
            in every run.

    Raises:
        TypeError: something is no trace.
    """

    _esm = module("timeline", "close_states")
    _css = style("timeline", "close_states")
    steps: traitlets.List[list[Any]] = traitlets.List().tag(sync=True)
    session = traitlets.Int(0).tag(sync=True)
    numbers: traitlets.List[int] = traitlets.List(traitlets.Int()).tag(sync=True)
    names = traitlets.Dict({name: list(named) for name, named in STATES.items()}).tag(sync=True)

    def __init__(
        self,
        shown: Trace | RawSession,
        session: int | None = None,
        *,
        server: Trace | None = None,
        client: Trace | None = None,
        times: bool | None = None,
    ) -> None:
        self._shown = Timeline(shown.trace if isinstance(shown, RawSession) else shown)
        self._server = None if server is None else Timeline(server)
        self._client = None if client is None else Timeline(client)
        self.has_times = self._shown.is_simulated if times is None else times
        if isinstance(shown, RawSession) and session is None:
            session = shown.number
        self._is_of_one = isinstance(shown, RawSession)
        self.path: list[Step] = []
        super().__init__(session=session or 0)
        self._walk()
        if not self._shown.is_simulated:
            self.live()

    def step(self) -> bool:
        """Show what is new; return False when both ends of an only session are over."""
        timelines = [each for each in (self._shown, self._server, self._client) if each is not None]
        grown = [timeline.grow() for timeline in timelines]
        if grown != [None] * len(grown):
            self._walk()
        ended = {step.side for step in self.path if step.state in ENDED}
        return not (self._is_of_one and ended == set(SIDES))

    @traitlets.observe("session")
    def _walk(self, change: object = None) -> None:
        """Find the steps of the chosen session, or of the first that there is."""
        self.numbers = sorted({item.session for item in self._shown.items if item.session is not None})
        session = self.session or min(self.numbers, default=0)
        self.path = steps(self._shown, session, self._server, self._client)
        self.steps = [[round(step.time, 6), *step[1:]] for step in self.path]

    def _repr_mimebundle_(self, **kwargs: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        self.step()
        return super()._repr_mimebundle_(**kwargs)

    def _table(self) -> list[list[str]]:
        """Return headings and rows: the states of both ends after each step, the new one marked."""
        rows = [["time/s", "client", "server", "what"]]
        states: dict[Sender, str] = {"client": "connecting", "server": "connecting"}
        for time, side, state, what, section in self.path:
            states[side] = state
            cells = [("→ " if end == side else "  ") + STATES[states[end]][0] for end in SIDES]
            rows.append([f"{time:.4f}", *cells, f"{side} {what} (section {section})"])
        return [row if self.has_times else row[1:] for row in rows]

    def plain(self) -> str:
        """Return the path of both ends as a table of text."""
        if not self.path:
            return "client and server: connecting"
        rows = self._table()
        widths = [*(max(map(len, column)) for column in zip(*rows, strict=True))]
        return "\n".join("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)

    def html(self) -> str:
        """Return the path of both ends as a table."""
        if not self.path:
            return f"<p>{self.plain()}</p>"
        head, *rows = self._table()
        headings = "".join(f'<th scope="col" style="text-align:left">{name}</th>' for name in head)
        body = "".join(f"<tr>{''.join(map(_html_cell, row))}</tr>" for row in rows)
        return f"<table><thead><tr>{headings}</tr></thead><tbody>{body}</tbody></table>"


def _html_cell(cell: str) -> str:
    text = escape(cell.strip())
    return f'<td style="text-align:left">{f"<strong>{text}</strong>" if cell.startswith("→") else text}</td>'
