"""What passed, one item for each thing worth a row: heads, frames, the rest of one, events.

Here a trace becomes one list in the order of time, and grows with it; how a list is drawn is the views'.
"""

from __future__ import annotations

import json
import re
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from reprlib import repr as short
from typing import Any, NamedTuple

import traitlets

from wslearn.lab.frame_inspector import in_words, said
from wslearn.lab.view import View
from wslearn.session import RawSession
from wslearn.trace import ARROWS, Chunk, Event, Sender, Trace, TracedFrame, TransitChunk, WireTrace

GROUPS = ("handshake", "text", "binary", "ping", "pong", "close", "other", "event")
# At one moment a session opens before its frames pass, and ends behind them.
RANKS = {"request": 0, "response": 1, "opened": 2, "closed": 4}
CLOSED = re.compile(r"CloseReason\((\d+)(?:, (?!by=))?(.*?)(?:, )?by='(\w+)'\)")
# How many rows of a long list are printed at its beginning and at its end.
EDGE = 20


class Item(NamedTuple):
    """A head, a frame, the beginning of one, or an event, as it passed or happened.

    Times are in seconds: `received` is known on a simulated wire only, `lost` says that it never arrived
    there. `sender` is None for an event, `session` None for one of no single session. `wire` is what there
    is to inspect, and `inflated` its payload without compression.
    """

    time: float
    session: int | None
    sender: Sender | None
    group: str
    kind: str
    said: str
    size: int
    received: float | None = None
    lost: bool = False
    wire: bytes = b""
    inflated: bytes | None = None

    def row(self) -> list[Any]:
        """Return it as plain JSON for a module."""
        received = None if self.received is None else round(self.received, 6)
        return [round(self.time, 6), received, self.lost, self.session, self.sender, *self[3:7]]

    @property
    def is_frame(self) -> bool:
        """Whether it is a frame, or the beginning of one."""
        return self.group not in ("handshake", "event")

    @property
    def end(self) -> float:
        """When it had arrived; when it was sent, where nobody knows."""
        return self.time if self.received is None else self.received


class Timeline:
    """The items of a trace in the order of time, those of which the trace has let go left out.

    `gone` counts the items that were left out, `half` are the frames that are not whole yet, and
    `is_simulated` tells whether it is of a simulated wire, whose times are the same in every run.

    Raises:
        TypeError: `trace` is no trace.
    """

    def __init__(self, trace: Trace) -> None:
        if not isinstance(trace, Trace):
            raise TypeError(
                f"shown is {short(trace)}: a trace is needed, such as server.trace or session.trace"
            )
        self.trace = trace
        self.half: list[Item] = []
        self.is_simulated = isinstance(trace, WireTrace) or isinstance(
            next(iter(trace.chunks), 0), TransitChunk
        )
        self._forget()
        self.grow()

    def _forget(self) -> None:
        self.items: list[Item] = []
        self.gone = 0
        self._frames: list[TracedFrame] = []
        self._heads: set[tuple[int, Sender]] = set()
        self._passed = self._left_out = self._happened = 0

    def grow(self) -> int | None:
        """Take what is new; return the first item that has changed, None for no change."""
        before, half = self.items, self.half
        if self.is_simulated:
            # what was on its way may have arrived
            self._forget()
        fresh = self._fresh()
        self.half = [_of_rest(chunk) for chunk in self.trace.unfinished]
        at = bisect_right(self.items, _order(fresh[0]), key=_order) if fresh else len(self.items)
        self.items[at:] = sorted([*self.items[at:], *fresh], key=_order) if at < len(self.items) else fresh
        is_same = self.items == before if self.is_simulated else not fresh
        return None if is_same and self.half == half else at

    def _fresh(self) -> list[Item]:
        """Return the items of what has passed since, and leave out those of what has gone."""
        frames, events = self.trace.frames, self.trace.events
        heads = [*self._new_heads(self.trace.handshakes)]
        new = behind(frames, self._frames)
        self._passed += len(new)
        self._leave_out(self._passed - len(frames) - self._left_out)
        gone = self.trace.dropped.events
        fresh = [*heads, *map(_of_event, events[max(0, self._happened - gone) :])]
        fresh += [_of_frame(frame, self.is_simulated) for frame in new]
        self._frames, self._happened = frames, gone + len(events)
        return sorted(fresh, key=_order)

    def _new_heads(self, handshakes: Sequence[Any]) -> Iterator[Item]:
        new = [shake for shake in handshakes if (shake.session, "server") not in self._heads]
        if not new:
            return
        chunks: defaultdict[tuple[int, Sender], list[Chunk | TransitChunk]] = defaultdict(list)
        for chunk in self.trace.chunks:
            chunks[chunk.session, chunk.sender].append(chunk)
        for time, session, request, response, *lengths in new:
            senders: tuple[Sender, Sender] = ("client", "server")
            for sender, head, length in zip(senders, (request, response), lengths, strict=True):
                if length and (session, sender) not in self._heads:
                    self._heads.add((session, sender))
                    yield _of_head(time, session, sender, head, length, chunks[session, sender])

    def _leave_out(self, frames: int) -> None:
        """Leave out the oldest frames, of which the trace has let go, and what stands before them."""
        self._left_out += frames
        at = 0
        while frames and at < len(self.items):
            frames -= self.items[at].is_frame
            at += 1
        del self.items[:at]
        self.gone += at


def behind(frames: Sequence[TracedFrame], known: Sequence[TracedFrame]) -> Sequence[TracedFrame]:
    """Return the frames behind the last one known; all of them where that one has gone."""
    for at in range(len(frames) - 1, -1, -1):
        if known and frames[at] is known[-1]:
            return frames[at + 1 :]
    return frames


def _order(item: Item) -> tuple[float, int]:
    return (item.time, RANKS.get(item.kind, 3))


def _of_event(event: Event) -> Item:
    return Item(event.time, event.session, None, "event", event.name, told(event), 0)


def told(event: Event) -> str:
    """Return the detail of an event; of the end of a session "1000 'bye', by peer"."""
    found = CLOSED.fullmatch(event.detail)
    return f"{found[1]}{found[2] and ' ' + found[2]}, by {found[3]}" if found else event.detail


def _of_frame(traced: TracedFrame, in_transit: bool) -> Item:
    frame = traced.frame
    return Item(
        traced.time,
        traced.session,
        traced.sender,
        "other" if frame is None else type(frame).__name__.lower(),
        traced.kind,
        said(frame, traced.inflated),
        len(traced.wire),
        traced.received,
        in_transit and traced.received is None,
        traced.wire,
        traced.inflated,
    )


def _of_rest(chunk: Chunk) -> Item:
    time, session, sender, data = chunk[:4]
    told = in_words(data)
    return Item(time, session, sender, "other", "unfinished", told, len(data), wire=data)


def _of_head(
    time: float, session: int, sender: Sender, head: bytes, size: int, chunks: Sequence[Chunk | TransitChunk]
) -> Item:
    """Return a head with the times of its last chunk, where that is kept."""
    kind = "request" if sender == "client" else "response"
    said = head.partition(b"\r\n")[0].decode("latin-1") if head else "not kept: incomplete, or not HTTP"
    item = Item(time, session, sender, "handshake", kind, said, size, wire=head)
    at = 0
    for chunk in chunks:
        if not head or chunk.data[: len(head) - at] != head[at : at + len(chunk.data)]:
            return item
        at += len(chunk.data)
        if at >= len(head):
            received = getattr(chunk, "received", None)
            lost = isinstance(chunk, TransitChunk) and received is None
            return item._replace(time=chunk.time, received=received, lost=lost)
    return item


class TimelineView(View):
    """What views of a whole trace have in common: its items, sent once, then only what is new.

    Args:
        shown: a trace, or a session with its trace.
        sessions: the numbers of the sessions to show, or of one; none for all.
        times: whether the text form has times; None says so for a simulated wire, where they are the same
            in every run.
        state: what the view adds.

    Raises:
        TypeError: `shown` is neither.
    """

    rows = traitlets.Dict().tag(sync=True)
    half: traitlets.List[list[Any]] = traitlets.List().tag(sync=True)
    turn = traitlets.Int(0).tag(sync=True)
    sessions: traitlets.List[int] = traitlets.List(traitlets.Int()).tag(sync=True)

    def __init__(
        self,
        shown: Trace | RawSession,
        sessions: int | Collection[int] = (),
        *,
        times: bool | None = None,
        **state: Any,
    ) -> None:
        self.timeline = Timeline(shown.trace if isinstance(shown, RawSession) else shown)
        self.has_times = self.timeline.is_simulated if times is None else times
        numbers = [sessions] if isinstance(sessions, int) else [*sessions]
        if isinstance(shown, RawSession) and not numbers:
            numbers = [shown.number]
        self._gone = self.timeline.gone
        # one text: a widget looks into each list of its state for buffers
        kept = {"turn": 0, "gone": self._gone, "items": json.dumps(_rows(self.timeline.items))}
        super().__init__(rows=kept, half=_rows(self.timeline.half), sessions=numbers, **state)
        self.on_msg(self._hear)
        if not self.timeline.is_simulated:
            self.live()

    @property
    def items(self) -> list[Item]:
        """The items that the text form shows."""
        every = [*self.timeline.items, *self.timeline.half]
        return [item for item in every if not self.sessions or item.session in (*self.sessions, None)]

    @property
    def numbers(self) -> list[int]:
        """The numbers of all sessions that the trace knows."""
        return sorted({item.session for item in self.timeline.items if item.session is not None})

    def has_several(self) -> bool:
        """Tell whether more than one session is shown, so that each row needs its number."""
        return len(self.sessions or self.numbers) > 1

    def step(self) -> bool:
        """Show what is new; a trace may always grow."""
        changed = self.timeline.grow()
        if changed is not None or self._gone != self.timeline.gone:
            self._take(len(self.timeline.items) if changed is None else changed)
        return True

    def _take(self, at: int) -> None:
        """Send the rows from an item on."""
        self._gone = self.timeline.gone
        self._tell_rows(self.turn + 1, at)
        with self.hold_sync():
            self.half = _rows(self.timeline.half)
            self.turn += 1

    def _tell_rows(self, turn: int, at: int) -> None:
        self.send({"turn": turn, "gone": self._gone, "at": at, "rows": _rows(self.timeline.items[at:])})

    def _hear(self, view: Any, content: dict[str, Any], buffers: Any) -> None:
        """Send all rows to a module that was loaded after some of them."""
        self._tell_rows(self.turn, 0)

    def _repr_mimebundle_(self, **kwargs: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        self.step()
        return super()._repr_mimebundle_(**kwargs)

    def table(self, items: Sequence[Item]) -> list[list[str]]:
        """Return headings and rows of text, with one row for the middle of a long list."""
        between = len(items) - 2 * EDGE
        shown = items if between < 2 else [*items[:EDGE], *items[-EDGE:]]
        several = self.has_several()
        rows = [self._cells(item, several) for item in shown]
        if between >= 2:
            rows.insert(EDGE, [*[""] * 4, f"… {between} more …", "", ""])
        used = [column for column in range(7) if any(row[column] for row in rows)]
        return [[row[column] for column in used] for row in [HEADINGS, *rows]] if rows else []

    def _cells(self, item: Item, several: bool) -> list[str]:
        """Return an item in words that are the same in every run: a ping's payload comes from chance."""
        sent = f"{item.time:.4f}" if self.has_times else ""
        received = "never" if item.lost else f"{item.received:.4f}" if item.received is not None else ""
        return [
            sent,
            received if self.has_times else "not arrived" if item.lost else "",
            str(item.session or "") if several else "",
            ARROWS[item.sender] if item.sender else "",
            item.kind,
            "" if item.group in ("ping", "pong") else item.said,
            str(item.size) if item.sender else "",
        ]


def _rows(items: Iterable[Item]) -> list[list[Any]]:
    return [item.row() for item in items]


HEADINGS = ["sent/s", "received/s", "session", "direction", "what", "says", "bytes"]
