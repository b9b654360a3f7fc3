"""The one tap: what passed between client and server, kept as it passed (RFC 6455, sections 1.2 and 5).

Chunks are recorded by reference while a conversation runs, and nothing else is done then. Frames,
handshakes and tables are derived when somebody looks. Nothing here judges: broken frames are shown too.
"""

from __future__ import annotations

import json
import os
import re
from collections import deque
from collections.abc import Iterator, Sequence
from html import escape
from threading import Lock
from typing import Any, Literal, NamedTuple, Protocol, Self

from wslearn.codec import CONTINUATION, FIN, LENGTH, MASK, OPCODE, RSV1, decode, mask, read_header
from wslearn.frames import KINDS, Close, Frame, Ping, Pong, Text
from wslearn.handshake import END, MAX_HEAD, Refused, read_request, read_response

Sender = Literal["client", "server"]
Direction = tuple[int, Sender]

MAX_BYTES = 8 * 2**20
MAX_HEADS = 64 * 2**10
MAX_EVENTS = 4096
# What a chunk costs beside its bytes, so that tiny ones cannot fill the memory.
OVERHEAD = 128
# How many rows of a long table are shown at its beginning and at its end, and how much of a payload.
EDGE = 20
SHOWN = 60
ARROWS = {"client": "client → server", "server": "server → client"}
NUMBERS = {"time/s", "sent/s", "received/s", "session", "bytes"}

# A recorded chunk: the loop's time, session, sender, bytes or a Gap, and on a wire its Segment.
Entry = tuple[Any, ...]


class Chunk(NamedTuple):
    """Bytes as read from TCP or handed to it, which does not respect frames.

    `time` is in seconds since the trace began; `session` counts connections from 1.
    """

    time: float
    session: int
    sender: Sender
    data: bytes

    def __repr__(self) -> str:
        return f"Chunk({_where(self)}, {_bytes(len(self.data))}: {_hex(self.data)})"


class TransitChunk(NamedTuple):
    """A chunk on a simulated wire: `received` is None while it has not arrived; `time` is `sent`."""

    time: float
    session: int
    sender: Sender
    data: bytes
    sent: float
    received: float | None

    def __repr__(self) -> str:
        received = "never" if self.received is None else f"at {self.received:.4f} s"
        return (
            f"TransitChunk({_where(self)}, received {received}, {_bytes(len(self.data))}: {_hex(self.data)})"
        )


class Event(NamedTuple):
    """Something that happened beside the bytes: opened, option changed, ping timeout, closed.

    `session` is None for what concerns no single session.
    """

    time: float
    session: int | None
    name: str
    detail: str = ""

    def __repr__(self) -> str:
        whose = "" if self.session is None else f", session {self.session}"
        detail = f": {_plain(self.detail)}" if self.detail else ""
        return f"Event({self.time:.4f} s{whose}, {self.name}{detail})"


class TracedFrame(NamedTuple):
    """A frame that passed.

    `time` is that of the chunk that completed it. `wire` is the frame as on the wire; `frame` is unmasked
    and, for a continuation, of the class of its message: None for a reserved opcode and for a
    continuation of nothing. `inflated` is the payload without compression, None where there is none.
    `received` is known on a simulated wire only.
    """

    time: float
    session: int
    sender: Sender
    wire: bytes
    frame: Frame | None
    inflated: bytes | None = None
    received: float | None = None

    @property
    def opcode(self) -> int:
        """The opcode on the wire: 0 for a continuation."""
        return self.wire[0] & OPCODE

    @property
    def kind(self) -> str:
        """What the frame is, in words: "Text", "Text, first fragment", "Ping, RSV1", "opcode 3"."""
        return _kind(self.wire[0], None if self.frame is None else type(self.frame))

    def __repr__(self) -> str:
        what = self.kind if self.frame is None else self.frame
        return f"TracedFrame({_where(self)}, {_bytes(len(self.wire))}, {what})"


class Handshake(NamedTuple):
    """The two heads of an opening handshake, with secrets starred.

    `time` is when the request was complete. Of a head that never completed or does not parse, only the
    length is kept: its bytes are empty. A head that never came has length 0.
    """

    time: float
    session: int
    request: bytes
    response: bytes
    request_length: int
    response_length: int

    def __repr__(self) -> str:
        request, response = _first_line(self.request), _first_line(self.response)
        return f"Handshake({self.time:.4f} s, session {self.session}, {request!r}, {response!r})"


class Dropped(NamedTuple):
    """What a bounded trace has let go: chunks and their bytes, heads of handshakes, events."""

    chunks: int = 0
    bytes: int = 0
    heads: int = 0
    events: int = 0


class Segment(Protocol):
    """Bytes on a simulated wire; `received` is the time of their arrival, None until then."""

    data: bytes
    sent: float
    received: float | None


class Trace:
    """What passed, as chunks and events; frames and handshakes are derived from them.

    A full trace lets its oldest chunks go and still knows where the frames of the others begin.
    Handshakes are kept apart, up to 64 KiB, and the last 4,096 events.

    Args:
        max_bytes: bound of all chunks, each counted as its length + 128.

    Raises:
        TypeError, ValueError: `max_bytes` is not a whole number above 0.
    """

    def __init__(self, max_bytes: int = MAX_BYTES) -> None:
        if not isinstance(max_bytes, int) or isinstance(max_bytes, bool):
            raise TypeError(f"max_bytes is {max_bytes!r}: a whole number is needed")
        if max_bytes <= 0:
            raise ValueError(f"max_bytes is {max_bytes}: more than 0 is needed")
        self.max_bytes = max_bytes
        self._zero: float | None = None
        self._sessions = 0
        self._chunks: deque[Entry] = deque()
        self._room = max_bytes
        self._first = 0
        self._starts: dict[Direction, _Start] = {}
        self._heads: deque[_Head] = deque()
        self._head_size = 0
        self._events: deque[tuple[_Place, Event]] = deque()
        self._places = 0
        self._plain: set[int] = set()
        self._ended: set[int] = set()
        self._prune_at = 1024
        self._dropped_chunks = self._dropped_bytes = self._dropped_heads = self._dropped_events = 0
        self._lock = Lock()
        self._reading = Lock()
        self._cutting = _Cutting()

    def begin(self, now: float) -> None:
        """Set the zero of the trace's clock; later calls change nothing.

        Args:
            now: the loop's time, in seconds.
        """
        if self._zero is None:
            self._zero = now

    def number(self) -> int:
        """Return the number of the next session, from 1."""
        self._sessions += 1
        return self._sessions

    def record(self, now: float, session: int, sender: Sender, data: bytes) -> None:
        """Keep bytes that passed after the handshake, by reference."""
        # `_keep` in place: this runs for every chunk of every session
        self._chunks.append((now, session, sender, data))
        self._room -= len(data) + OVERHEAD
        if self._room < 0:
            self._make_room()

    def record_head(
        self, session: int, sender: Sender, chunks: Sequence[tuple[float, bytes]], size: int | None
    ) -> None:
        """Keep the head of a request or response, its secrets starred; record what follows it.

        Args:
            chunks: time and bytes of each chunk.
            size: bytes of the head; None if it never completed or does not parse.
        """
        self._record_head([(time, session, sender, data) for time, data in chunks], size)

    def event(self, now: float, session: int | None, name: str, detail: str = "") -> None:
        """Keep something that happened beside the bytes."""
        self.begin(now)
        self._events.append((self._place(), Event(now, session, name, detail)))
        if len(self._events) > MAX_EVENTS:
            self._events.popleft()
            self._dropped_events += 1
        if name == "closed" and session is not None:
            self._end(session)

    @property
    def chunks(self) -> list[Chunk | TransitChunk]:
        """The chunks in the order of time, heads with their secrets starred.

        Missing are heads of which only the length is kept, and chunks larger than `max_bytes`.
        """
        kept = self._snapshot()
        return [_chunk(entry, kept.zero) for _, entry in sorted(_entries(kept), key=_by_order)]

    @property
    def events(self) -> list[Event]:
        """What happened beside the bytes, in the order of time."""
        kept = self._snapshot()
        events = [event._replace(time=event.time - kept.zero) for _, event in kept.events]
        return sorted(events, key=lambda event: event.time)

    @property
    def frames(self) -> list[TracedFrame]:
        """The frames that passed whole, in the order of their last bytes."""
        return [cut.frame for cut in self._cut()[0]]

    @property
    def unfinished(self) -> list[Chunk]:
        """The bytes at the end of each direction that are no whole frame yet."""
        return [chunk for _, chunk in self._cut()[1]]

    @property
    def handshakes(self) -> list[Handshake]:
        """The opening handshakes, refused ones too, in the order of time."""
        kept = self._snapshot()
        pairs: dict[int, dict[Sender, _Head]] = {}
        for head in kept.heads:
            pairs.setdefault(head.session, {})[head.sender] = head
        found = [_handshake(pair, kept.zero) for pair in pairs.values()]
        return sorted(found, key=lambda handshake: handshake.time)

    @property
    def dropped(self) -> Dropped:
        """What has been let go since the beginning."""
        return Dropped(self._dropped_chunks, self._dropped_bytes, self._dropped_heads, self._dropped_events)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the trace as JSON lines: one line about the whole, then one for each record."""
        kept = self._snapshot()
        with open(path, "w", encoding="utf-8") as file:
            for line in _lines(kept, self.max_bytes, self._sessions, self.dropped):
                file.write(json.dumps(line) + "\n")

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Read a trace that `save` has written.

        Raises:
            ValueError: a line is not what `save` writes.
        """
        trace: Self | None = None
        with open(path, encoding="utf-8", errors="replace") as file:
            for number, line in enumerate(file, 1):
                try:
                    record = json.loads(line)
                    if trace is None:
                        trace = cls(record["max_bytes"])
                    trace._restore(record)
                except (ValueError, TypeError, KeyError, IndexError) as error:
                    raise ValueError(
                        f"{os.fspath(path)}, line {number}: no line of a trace: {error}"
                    ) from None
        if trace is None:
            raise ValueError(f"{os.fspath(path)}: an empty file is no trace")
        return trace

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Trace):
            return NotImplemented
        return self._value() == other._value()

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return "\n".join([self._summary(), *_text_lines(self._rows())])

    def _repr_html_(self) -> str:
        return _html_table(self._summary(), self._rows())

    def _place(self) -> _Place:
        """Return the place of an event or a head: before the next chunk, behind all others."""
        self._places += 1
        return _Place(self._first + len(self._chunks), self._places)

    def _record_head(self, entries: list[Entry], size: int | None) -> None:
        if not entries:
            return
        self.begin(entries[0][0])
        time, session, sender = entries[-1][:3]
        data = b"".join(entry[3] for entry in entries)
        if size is None:
            self._keep_head(_Head(self._place(), time, session, sender, len(data), (), False))
            return
        parts, rest = _cut_head(entries, redact(data[:size]))
        joined = len(parts) + len(rest) > len(entries)
        self._keep_head(_Head(self._place(), parts[-1][0], session, sender, size, parts, joined))
        for entry in rest:
            self._keep(entry)
        if sender == "server" and not data.startswith(b"HTTP/1.1 101"):
            self._plain.add(session)
            self._end(session)

    def _keep_head(self, head: _Head) -> None:
        self._heads.append(head)
        self._head_size += head.cost
        while self._head_size > MAX_HEADS:
            self._head_size -= self._heads.popleft().cost
            self._dropped_heads += 1

    def _keep(self, entry: Entry) -> None:
        self._chunks.append(entry)
        self._room -= len(entry[3]) + OVERHEAD
        if self._room < 0:
            self._make_room()

    def _make_room(self) -> None:
        """Let the oldest chunks go, and the bytes of a chunk that can never fit."""
        self.begin(self._chunks[0][0])
        with self._lock:
            if len(self._chunks[-1][3]) + OVERHEAD > self.max_bytes:
                self._leave_gap()
            while self._room < 0:
                entry = self._chunks.popleft()
                direction, data = (entry[1], entry[2]), entry[3]
                self._first += 1
                self._room += OVERHEAD
                if isinstance(data, _Gap):
                    self._starts[direction] = data.start
                    continue
                self._room += len(data)
                self._dropped_chunks += 1
                self._dropped_bytes += len(data)
                start = self._starts.get(direction)
                if start is None:
                    start = self._starts[direction] = _Start()
                start.pass_over(data)

    def _leave_gap(self) -> None:
        """Put a gap in the place of the newest chunk."""
        entry = self._chunks[-1]
        direction, data = (entry[1], entry[2]), entry[3]
        start = self._starts.get(direction, _Start()).copy()
        for one in self._chunks:
            if (one[1], one[2]) != direction:
                continue
            if isinstance(one[3], _Gap):
                start = one[3].start.copy()
            else:
                start.pass_over(one[3])
        self._chunks[-1] = (*entry[:3], _Gap(len(data), start), *entry[4:])
        self._room += len(data)
        self._dropped_chunks += 1
        self._dropped_bytes += len(data)

    def _end(self, session: int) -> None:
        """Forget now and then what is remembered of ended sessions of which no chunk is kept."""
        self._ended.add(session)
        if len(self._ended) < self._prune_at:
            return
        gone = self._ended - {entry[1] for entry in self._chunks}
        self._ended -= gone
        self._plain -= gone
        with self._lock:
            self._starts = {key: start for key, start in self._starts.items() if key[0] not in gone}
        self._prune_at = 1024 + 2 * len(self._ended)

    def _snapshot(self) -> _Kept:
        """Return all that is kept at one moment; recording may go on in another thread."""
        with self._lock:
            chunks = list(self._chunks)
            starts = {direction: start.copy() for direction, start in self._starts.items()}
            first, heads, events, plain = self._first, list(self._heads), list(self._events), {*self._plain}
        if chunks:
            self.begin(chunks[0][0])
        return _Kept(self._zero or 0.0, first, chunks, starts, heads, events, plain)

    def _cut(self) -> tuple[list[_Cut], list[tuple[_Order, Chunk]]]:
        """Return the frames, cut on from where the last reader stopped, and what is not whole yet."""
        with self._reading:
            kept = self._snapshot()
            if not self._cutting.goes_on(kept):
                self._cutting = _Cutting()
            self._cutting.go_on(kept)
            return self._cutting.frames(kept), self._cutting.unfinished(kept)

    def _restore(self, record: dict[str, Any]) -> None:
        """Take one line of a file."""
        match record:
            case {"trace": 1, "sessions": sessions, "dropped": dropped, "starts": starts, "plain": plain}:
                self._zero = 0.0
                self._sessions = sessions
                self._dropped_chunks, self._dropped_bytes, self._dropped_heads, self._dropped_events = dropped
                self._plain = set(plain)
                self._starts = {(session, sender): _read_start(start) for session, sender, *start in starts}
            case {"event": str(name), "time": float(time), "session": session, "detail": str(detail)}:
                self._events.append((self._place(), Event(time, session, name, detail)))
            case {
                "head": int(length),
                "time": float(time),
                "session": int(session),
                "sender": "client" | "server" as sender,
                "joined": joined,
            }:
                parts = tuple(_read_entry(part, session, sender) for part in record["parts"])
                self._keep_head(_Head(self._place(), time, session, sender, length, parts, joined))
            case {"time": float(), "session": int(session), "sender": "client" | "server" as sender}:
                entry = _read_entry(record, session, sender)
                self._chunks.append(entry)
                self._room -= OVERHEAD + (0 if isinstance(entry[3], _Gap) else len(entry[3]))
            case _:
                raise ValueError("unknown keys or values")

    def _value(self) -> tuple[object, ...]:
        return (self.max_bytes, self.chunks, self.events, self.handshakes, self.frames, self.dropped)

    def _summary(self) -> str:
        kept = self._snapshot()
        sessions = {entry[1] for entry in kept.chunks} | {head.session for head in kept.heads}
        sizes = [head.length for head in kept.heads]
        sizes += [len(entry[3]) for entry in kept.chunks if not isinstance(entry[3], _Gap)]
        if not sizes and not kept.events:
            return "Trace: nothing has passed yet"
        parts = [_count(len(sessions), "session"), _count(len(self.frames), "frame"), _bytes(sum(sizes))]
        if self._dropped_chunks:
            parts.append(f"{_count(self._dropped_chunks, 'chunk')} of {_bytes(self._dropped_bytes)} not kept")
        return f"Trace: {', '.join(parts)}"

    def _rows(self) -> list[_Row]:
        """Return what a table shows, in the order of time, with one line for the middle of a long one."""
        kept = self._snapshot()
        frames, unfinished = self._cut()
        items: list[_Item] = [(cut.order, cut.frame) for cut in frames]
        items += [(order, _unfinished_row(chunk)) for order, chunk in unfinished]
        items += [*_notes(kept), *_unframed(kept)]
        items.sort(key=_by_order)
        between = len(items) - 2 * EDGE
        if between < 2:
            return [_row(item) for _, item in items]
        rows = [_row(item) for _, item in items[:EDGE] + items[-EDGE:]]
        rows.insert(EDGE, _Row(what=f"… {between} rows between …"))
        return rows


class WireTrace(Trace):
    """A trace of a wire, which knows bytes only: it finds the heads itself.

    Its chunks are `TransitChunk`s, with the times of both ends.
    """

    def __init__(self, max_bytes: int = MAX_BYTES) -> None:
        super().__init__(max_bytes)
        self._open_heads: dict[Direction, list[Entry]] = {}
        self._past_heads: set[Direction] = set()
        self._lost: set[Direction] = set()

    def tap(self, session: int, sender: Sender, segment: Segment) -> None:
        """Keep a segment when it is written; its `received` may be set later."""
        direction = (session, sender)
        if not segment.data or direction in self._lost:
            return
        entry = (segment.sent, session, sender, segment.data, segment)
        if direction in self._past_heads:
            self._keep(entry)
        else:
            self._collect_head(direction, entry)

    def _snapshot(self) -> _Kept:
        kept = super()._snapshot()
        for (session, sender), entries in self._open_heads.items():
            place = _Place(kept.first + len(kept.chunks), self._places)
            length = sum(len(entry[3]) for entry in entries)
            kept.heads.append(_Head(place, entries[-1][0], session, sender, length, (), False))
        return kept

    def _collect_head(self, direction: Direction, entry: Entry) -> None:
        entries = self._open_heads.setdefault(direction, [])
        entries.append(entry)
        data = b"".join(entry[3] for entry in entries)
        end = data.find(END)
        if end < 0 and len(data) <= MAX_HEAD:
            return
        del self._open_heads[direction]
        size = end + len(END)
        if end >= 0 and _parses(direction[1], data[:size]):
            self._past_heads.add(direction)
            self._record_head(entries, size)
        else:
            # what follows a head that nobody understands may hold its secrets
            self._lost.add(direction)
            self._record_head(entries, None)


class _Start:
    """Where the next whole frame of a direction starts, and the opcode of the message that is open.

    `skip` bytes from here, or, with the beginning of a header in `head`, behind the frame of that header.
    """

    __slots__ = ("head", "message", "skip")

    def __init__(self, skip: int = 0, head: bytes = b"", message: int = 0) -> None:
        self.skip = skip
        self.head = head
        self.message = message

    def copy(self) -> _Start:
        return _Start(self.skip, self.head, self.message)

    def pass_over(self, data: bytes) -> None:
        """Go on behind a chunk, looking at lengths only."""
        if self.head:
            data = self.head + data
        at, end, message = self.skip, len(data), self.message
        while at + 2 <= end:
            first, second = data[at], data[at + 1]
            length = second & LENGTH
            if length < 126:
                at += length + (6 if second & MASK else 2)
            elif header := read_header(data, at):
                at += header.size + header.length
            else:
                break
            if message or not first & FIN:
                message = _message_behind(first, message)
        self.skip = at - end if at > end else 0
        self.head = data[at:]
        self.message = message


class _Gap(NamedTuple):
    """In the place of a chunk that is larger than the trace: its length, and where the frames go on."""

    length: int
    start: _Start


class _Place(NamedTuple):
    """Where an event or a head stands: before chunk `chunk`, in the order of `number`."""

    chunk: int
    number: int


class _Head(NamedTuple):
    """A recorded head of a handshake; no `parts` where only the length is kept.

    `joined` says that the chunk of its last part goes on in chunk number `place.chunk`.
    """

    place: _Place
    time: float
    session: int
    sender: Sender
    length: int
    parts: tuple[Entry, ...]
    joined: bool

    @property
    def cost(self) -> int:
        return OVERHEAD + sum(len(part[3]) for part in self.parts)

    @property
    def data(self) -> bytes:
        return b"".join(part[3] for part in self.parts)


class _Kept(NamedTuple):
    """What a trace holds at one moment; the chunks count on from `first`."""

    zero: float
    first: int
    chunks: list[Entry]
    starts: dict[Direction, _Start]
    heads: list[_Head]
    events: list[tuple[_Place, Event]]
    plain: set[int]


class _Row(NamedTuple):
    """A row of a table; times are in seconds of the trace."""

    time: float | None = None
    received: float | None = None
    session: int | None = None
    sender: Sender | None = None
    what: str = ""
    size: int | None = None
    payload: str = ""


_Order = tuple[float, int, int, int]
_Item = tuple[_Order, TracedFrame | Event | _Row]


class _Cut(NamedTuple):
    """A frame, the number of the chunk in which it starts, and the chunk that completed it."""

    order: _Order
    start: int
    entry: Entry
    frame: TracedFrame


def _by_order(item: tuple[_Order, Any] | _Cut) -> _Order:
    return item[0]


def _noted(time: float, place: _Place) -> _Order:
    """Return the order of an event or a head: with its time, before the chunk of its place."""
    return (time, place.chunk, 0, place.number)


def _recorded(time: float, number: int) -> _Order:
    """Return the order of a chunk and of what ends in it."""
    return (time, number, 1, 0)


SECRET_HEADERS = re.compile(
    rb"^(?:(?:set-)?cookie|(?:proxy-)?authorization)[ \t]*:(.*(?:\r?\n[ \t].*)*)",
    re.IGNORECASE | re.MULTILINE,
)
QUERY = re.compile(rb"\A(?!HTTP/)[^ \r\n]+ [^?\r\n]*\?(.*) HTTP/")


def redact(head: bytes) -> bytes:
    """Return a head of the same length, its secrets replaced by stars.

    They are the values of Cookie, Set-Cookie, Authorization and Proxy-Authorization, whose folds stay, and
    the values of query parameters.
    """
    head = QUERY.sub(lambda found: _starred(found, rb"(?<==)[^&]+"), head)
    return SECRET_HEADERS.sub(lambda found: _starred(found, rb"[^ \t\r\n](?:.*[^ \t\r\n])?"), head)


def _starred(found: re.Match[bytes], secret: bytes) -> bytes:
    """Return what was found, with stars for each secret in its first group."""
    begin, end = found.start(1) - found.start(), found.end(1) - found.start()
    stars = re.sub(secret, lambda value: b"*" * len(value[0]), found[1])
    return found[0][:begin] + stars + found[0][end:]


def _cut_head(entries: list[Entry], head: bytes) -> tuple[tuple[Entry, ...], list[Entry]]:
    """Return the head in the pieces of its chunks, and the pieces that follow it."""
    parts, rest, at = [], [], 0
    for entry in entries:
        data = entry[3]
        part = head[at : at + len(data)]
        if part:
            parts.append((*entry[:3], part, *entry[4:]))
        if len(part) < len(data):
            rest.append((*entry[:3], data[len(part) :], *entry[4:]))
        at += len(data)
    return tuple(parts), rest


def _parses(sender: Sender, head: bytes) -> bool:
    try:
        read_request(head) if sender == "client" else read_response(head)
    except (Refused, ValueError):
        return False
    return True


def _entries(kept: _Kept) -> Iterator[tuple[_Order, Entry]]:
    """Yield all chunks that are kept, those of heads put together with the bytes behind the head."""
    joined: dict[int, bytes] = {}
    for head in kept.heads:
        parts = head.parts
        if _is_joined(head, kept):
            joined[head.place.chunk] = parts[-1][3]
            parts = parts[:-1]
        for part in parts:
            yield _noted(part[0], head.place), part
    for number, entry in enumerate(kept.chunks, kept.first):
        if not isinstance(entry[3], _Gap):
            data = joined.get(number, b"") + entry[3]
            yield _recorded(entry[0], number), (*entry[:3], data, *entry[4:])


def _is_joined(head: _Head, kept: _Kept) -> bool:
    """Tell whether the chunk of the head's last part goes on in a chunk that is kept."""
    at = head.place.chunk - kept.first
    return head.joined and 0 <= at < len(kept.chunks) and not isinstance(kept.chunks[at][3], _Gap)


def _chunk(entry: Entry, zero: float) -> Chunk | TransitChunk:
    time, session, sender, data, *wire = entry
    if not wire:
        return Chunk(time - zero, session, sender, data)
    return TransitChunk(time - zero, session, sender, data, time - zero, _received(entry, zero))


def _received(entry: Entry, zero: float) -> float | None:
    """Return when a chunk arrived; None if it has not, or where nobody knows."""
    received = entry[4].received if len(entry) > 4 else None
    return None if received is None else received - zero


def _handshake(heads: dict[Sender, _Head], zero: float) -> Handshake:
    request, response = heads.get("client"), heads.get("server")
    first = request or response
    assert first is not None
    return Handshake(
        time=first.time - zero,
        session=first.session,
        request=request.data if request else b"",
        response=response.data if response else b"",
        request_length=request.length if request else 0,
        response_length=response.length if response else 0,
    )


def _message_behind(first: int, message: int) -> int:
    """Return the opcode of the message that is open behind a frame, 0 for none.

    Args:
        first: the frame's first byte.
        message: the opcode of the message that was open before it.
    """
    opcode = first & OPCODE
    if opcode >= Close.kind:
        return message
    if first & FIN:
        return 0
    return opcode or message


class _Cutter:
    """Cuts one direction into frames, whatever pieces it comes in."""

    def __init__(self, start: _Start) -> None:
        self._skip = start.skip
        self._message = start.message
        self._parts = [start.head]
        self._have = len(start.head)
        self._need = 2
        self.since = -1 if start.head else 0
        self.order: _Order = (0.0, 0, 0, 0)

    @property
    def rest(self) -> bytes:
        """The bytes of a frame that is not whole yet; `since` is the number of its first chunk."""
        return b"".join(self._parts)

    def feed(self, number: int, data: bytes) -> Iterator[tuple[int, bytes, Frame | None]]:
        """Yield the frames that end in chunk `number`: where they start, on the wire, and unmasked."""
        skipped = min(self._skip, len(data))
        self._skip -= skipped
        if not self._have:
            self.since = number
        self._parts.append(data[skipped:])
        self._have += len(data) - skipped
        if self._have < self._need:
            return
        data, at = b"".join(self._parts), 0
        while header := read_header(data, at):
            end = at + header.size + header.length
            if end > len(data):
                break
            frame = self._frame(data[at], header.masking_key, data[at + header.size : end])
            yield self.since, data[at:end], frame
            self.since, at = number, end
        self._parts = [data[at:]]
        self._have = len(data) - at
        self._need = header.size + header.length if header else self._have + 1

    def _frame(self, first: int, key: bytes | None, payload: bytes) -> Frame | None:
        kind = KINDS.get(first & OPCODE or self._message)
        self._message = _message_behind(first, self._message)
        return decode(first, mask(key, payload) if key else payload, kind) if kind else None


class _Cutting:
    """The frames cut so far, so that a reader who comes back finds the work done."""

    def __init__(self) -> None:
        self._first = 0
        self._next: int | None = None
        self._cutters: dict[Direction, _Cutter] = {}
        self._cuts: list[_Cut] = []
        self._plain: set[int] = set()

    def goes_on(self, kept: _Kept) -> bool:
        """Tell whether what was cut is still true: no chunk was missed, no session turned out plain."""
        if self._next is None or kept.first > self._next:
            return False
        turned = kept.plain - self._plain
        return not any(session in turned for session, _ in self._cutters)

    def go_on(self, kept: _Kept) -> None:
        """Cut what is new."""
        begin = kept.first if self._next is None else self._next
        in_order = True
        for number, entry in enumerate(kept.chunks[begin - kept.first :], begin):
            if entry[1] in kept.plain:
                continue
            for cut in self._feed(number, entry, kept):
                in_order = in_order and (not self._cuts or self._cuts[-1].order <= cut.order)
                self._cuts.append(cut)
        if not in_order:
            self._cuts.sort(key=_by_order)
        if kept.first != self._first:
            self._forget(kept.first)
        self._next = kept.first + len(kept.chunks)
        self._plain = kept.plain

    def _forget(self, first: int) -> None:
        """Forget what starts in a chunk before `first`, and directions that have no chunk any more."""
        self._first = first
        self._cuts = [cut for cut in self._cuts if cut.start >= first]
        self._cutters = {key: cutter for key, cutter in self._cutters.items() if cutter.order[1] >= first}

    def frames(self, kept: _Kept) -> list[_Cut]:
        """Return the frames; those of a wire with the time of their arrival as it is known now."""
        if not any(len(cut.entry) > 4 for cut in self._cuts[:1]):
            return self._cuts
        return [
            cut._replace(frame=cut.frame._replace(received=_received(cut.entry, kept.zero)))
            for cut in self._cuts
        ]

    def unfinished(self, kept: _Kept) -> list[tuple[_Order, Chunk]]:
        return [
            (cutter.order, Chunk(cutter.order[0] - kept.zero, session, sender, cutter.rest))
            for (session, sender), cutter in self._cutters.items()
            if cutter.since >= kept.first and cutter.rest
        ]

    def _feed(self, number: int, entry: Entry, kept: _Kept) -> Iterator[_Cut]:
        time, session, sender, data = entry[:4]
        direction, order = (session, sender), _recorded(time, number)
        if isinstance(data, _Gap):
            self._cutters[direction] = _Cutter(data.start)
            return
        cutter = self._cutters.get(direction)
        if cutter is None:
            cutter = self._cutters[direction] = _Cutter(kept.starts.get(direction, _Start()))
        cutter.order = order
        for start, wire, frame in cutter.feed(number, data):
            traced = TracedFrame(time - kept.zero, session, sender, wire, frame)
            yield _Cut(order, start, entry, traced)


def _notes(kept: _Kept) -> Iterator[_Item]:
    """Yield the events and the heads of handshakes."""
    for place, event in kept.events:
        yield _noted(event.time, place), event._replace(time=event.time - kept.zero)
    for head in kept.heads:
        what = "request" if head.sender == "client" else "response"
        line = _first_line(head.data) if head.parts else "not kept: incomplete, or not HTTP"
        received = _received(head.parts[-1], kept.zero) if head.parts else None
        row = _Row(head.time - kept.zero, received, head.session, head.sender, what, head.length, line)
        yield _noted(head.time, head.place), row


def _unframed(kept: _Kept) -> Iterator[_Item]:
    """Yield the chunks in which no frames are: bodies of HTTP, and those too large for the trace."""
    for number, entry in enumerate(kept.chunks, kept.first):
        time, session, sender, data = entry[:4]
        row = _Row(time - kept.zero, _received(entry, kept.zero), session, sender)
        if isinstance(data, _Gap):
            row = row._replace(what="not kept", size=data.length, payload="larger than max_bytes")
        elif session in kept.plain:
            row = row._replace(what="body", size=len(data), payload=_text_or_hex(data))
        else:
            continue
        yield _recorded(time, number), row


def _unfinished_row(chunk: Chunk) -> _Row:
    header = read_header(chunk.data)
    whole = f"of {_bytes(header.size + header.length)}" if header else "of a header"
    return _Row(
        chunk.time,
        None,
        chunk.session,
        chunk.sender,
        "unfinished",
        len(chunk.data),
        f"{whole}: {_hex(chunk.data)}",
    )


def _row(item: TracedFrame | Event | _Row) -> _Row:
    match item:
        case TracedFrame():
            size, payload = len(item.wire), _payload(item)
            return _Row(item.time, item.received, item.session, item.sender, item.kind, size, payload)
        case Event(time, session, name, detail):
            return _Row(time, None, session, None, name, None, _shortened(detail))
    return item


def _payload(traced: TracedFrame) -> str:
    """Return the payload as people read it."""
    match traced.frame:
        case None:
            return _hex(_unmasked(traced.wire))
        case Text() as frame if not frame.rsv1:
            return _quoted(frame.data.decode(errors="replace"))
        case Close() as frame:
            return _close_reason(frame)
        case Ping() | Pong() as frame:
            return _text_or_hex(frame.data)
        case frame:
            return _hex(frame.data)


def _unmasked(wire: bytes) -> bytes:
    """Return the payload of a whole frame."""
    header = read_header(wire)
    assert header is not None
    payload = wire[header.size :]
    return mask(header.masking_key, payload) if header.masking_key else payload


def _close_reason(frame: Close) -> str:
    reason = frame.read_reason()
    if reason is None:
        return _hex(frame.data) or "no code"
    name = f" {reason.known.name.lower().replace('_', ' ')}" if reason.known else ""
    return f"{reason.code}{name}" + (f" {_quoted(reason.message)}" if reason.message else "")


def _kind(first: int, kind: type[Frame] | None) -> str:
    opcode = first & OPCODE
    name = kind.__name__ if kind else "opcode " + str(opcode) if opcode else "Continuation"
    marks = [f"RSV{n}" for n in (1, 2, 3) if first & RSV1 >> (n - 1)]
    if opcode >= Close.kind and not first & FIN:
        marks.insert(0, "FIN 0")
    elif opcode == CONTINUATION:
        marks.insert(0, "last fragment" if first & FIN else "fragment")
    elif not first & FIN:
        marks.insert(0, "first fragment")
    return ", ".join([name, *marks])


def _lines(kept: _Kept, max_bytes: int, sessions: int, dropped: Dropped) -> Iterator[dict[str, Any]]:
    """Yield a trace as records for a file, in the order in which it was recorded."""
    yield {
        "trace": 1,
        "max_bytes": max_bytes,
        "sessions": sessions,
        "dropped": dropped,
        "starts": [[*direction, *_start_line(start)] for direction, start in kept.starts.items()],
        "plain": sorted(kept.plain),
    }
    lines = [(_noted(0, head.place), _head_line(head, kept)) for head in kept.heads]
    lines += [(_noted(0, place), _event_line(event, kept.zero)) for place, event in kept.events]
    for number, entry in enumerate(kept.chunks, kept.first):
        line = {"session": entry[1], "sender": entry[2], **_entry_line(entry, kept.zero)}
        lines.append((_recorded(0, number), line))
    for _, line in sorted(lines, key=_by_order):
        yield line


def _start_line(start: _Start) -> list[Any]:
    return [start.skip, start.head.hex(), start.message]


def _read_start(line: list[Any]) -> _Start:
    """Return what `_start_line` has written."""
    skip, head, message = line
    return _Start(skip, bytes.fromhex(head), message)


def _event_line(event: Event, zero: float) -> dict[str, Any]:
    return {
        "time": float(event.time - zero),
        "session": event.session,
        "event": event.name,
        "detail": event.detail,
    }


def _head_line(head: _Head, kept: _Kept) -> dict[str, Any]:
    return {
        "time": float(head.time - kept.zero),
        "session": head.session,
        "sender": head.sender,
        "head": head.length,
        "parts": [_entry_line(part, kept.zero) for part in head.parts],
        "joined": _is_joined(head, kept),
    }


def _entry_line(entry: Entry, zero: float) -> dict[str, Any]:
    data = entry[3]
    line: dict[str, Any] = {"time": float(entry[0] - zero)}
    if len(entry) > 4:
        line["received"] = _received(entry, zero)
    if isinstance(data, _Gap):
        return line | {"gap": data.length, "start": _start_line(data.start)}
    return line | {"data": data.hex()}


def _read_entry(line: dict[str, Any], session: int, sender: Sender) -> Entry:
    """Return the entry that `_entry_line` has written."""
    data = _Gap(line["gap"], _read_start(line["start"])) if "gap" in line else bytes.fromhex(line["data"])
    entry: Entry = (line["time"], session, sender, data)
    return (*entry, _Received(line["received"])) if "received" in line else entry


class _Received(NamedTuple):
    """What a file knows of a segment."""

    received: float | None


def _cells(row: _Row, with_received: bool) -> list[str]:
    times = [row.time, row.received] if with_received else [row.time]
    return [
        *("" if time is None else f"{time:.4f}" for time in times),
        "" if row.session is None else str(row.session),
        ARROWS[row.sender] if row.sender else "",
        row.what,
        "" if row.size is None else str(row.size),
        row.payload,
    ]


def _headings(with_received: bool) -> list[str]:
    times = ["sent/s", "received/s"] if with_received else ["time/s"]
    return [*times, "session", "direction", "what", "bytes", "payload"]


def _text_lines(rows: list[_Row]) -> list[str]:
    if not rows:
        return []
    with_received = any(row.received is not None for row in rows)
    table = [_headings(with_received), *(_cells(row, with_received) for row in rows)]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    widths[-1] = 0
    return ["  ".join(map(_aligned, cells, widths, table[0])).rstrip() for cells in table]


def _aligned(cell: str, width: int, heading: str) -> str:
    return cell.rjust(width) if heading in NUMBERS else cell.ljust(width)


def _html_table(summary: str, rows: list[_Row]) -> str:
    with_received = any(row.received is not None for row in rows)
    names = _headings(with_received)
    head = "".join(f'<th scope="col"{_style(name)}>{name}</th>' for name in names)
    body = "".join(f"<tr>{_html_cells(_cells(row, with_received), names)}</tr>" for row in rows)
    table = f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody>" if rows else ""
    return f'<table><caption style="text-align:left">{escape(summary)}</caption>{table}</table>'


def _html_cells(cells: list[str], names: list[str]) -> str:
    return "".join(f"<td{_style(name)}>{escape(cell)}</td>" for cell, name in zip(cells, names, strict=True))


def _style(name: str) -> str:
    return "" if name in NUMBERS else ' style="text-align:left"'


def _where(item: Chunk | TransitChunk | TracedFrame) -> str:
    return f"{item.time:.4f} s, session {item.session}, {ARROWS[item.sender]}"


def _first_line(head: bytes) -> str:
    return _shortened(head.partition(b"\r\n")[0].decode("latin-1"))


def _text_or_hex(data: bytes) -> str:
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return _hex(data)
    return _quoted(text) if text.isprintable() else _hex(data)


def _quoted(text: str) -> str:
    return repr(text) if len(text) <= SHOWN else f"{text[:SHOWN]!r} … {len(text)} characters"


def _shortened(text: str) -> str:
    return _plain(text if len(text) <= SHOWN else f"{text[:SHOWN]}…")


def _plain(text: str) -> str:
    """Return text that stays on its line."""
    return text if text.isprintable() else repr(text)


def _hex(data: bytes) -> str:
    most = SHOWN // 3
    return data.hex(" ") if len(data) <= most else f"{data[:most].hex(' ')} … {_bytes(len(data))}"


def _bytes(number: int) -> str:
    return _count(number, "byte")


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
