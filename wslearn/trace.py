"""The one tap: what passed between client and server, kept as it passed (RFC 6455, sections 1.2 and 5).

Chunks are recorded by reference while a conversation runs, and nothing else is done then. Frames,
handshakes, tables and packets are derived when somebody looks. Nothing here judges: broken frames are
shown too.
"""

from __future__ import annotations

import json
import math
import os
import re
import sys
from collections import Counter, defaultdict, deque
from collections.abc import Iterator, Sequence, Set
from functools import partial
from html import escape
from io import BytesIO
from itertools import chain, takewhile
from operator import add, itemgetter
from struct import Struct, pack
from threading import Lock
from types import SimpleNamespace
from typing import Any, Literal, NamedTuple, Protocol, Self

from wslearn.codec import CONTINUATION, FIN, LENGTH, MASK, OPCODE, RSV1, decode, mask, read_header
from wslearn.extensions import Deflate, FrameInflater, header_of
from wslearn.frames import KINDS, Close, Frame, Ping, Pong, Text
from wslearn.handshake import END, MAX_HEAD, Refused, read_request, read_response

Sender = Literal["client", "server"]
Direction = tuple[int, Sender]

MAX_BYTES = 8 * 2**20
MAX_HEADS = 64 * 2**10
MAX_EVENTS = 4096
# What a chunk costs beside its bytes, so that tiny ones cannot fill the memory.
OVERHEAD = 128
DEFLATE = Deflate.name.encode()
SELDOM = 4096  # directions of which nothing is kept, before the trace looks which of them are over
# Chunks stand in blocks, which go as a whole: a block has about so many, and no more than a part of the room.
MANY, PARTS = 512, 16
SLICE = 256  # chunks that are looked at together when they go
FEW = 8  # chunks that are looked at one by one with less ado
# How many rows of a long table are shown at its beginning and at its end, and how much of a payload.
EDGE = 20
SHOWN = 60
ARROWS = {"client": "client → server", "server": "server → client"}


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
        size = _bytes(len(self.data))
        return f"TransitChunk({_where(self)}, received {received}, {size}: {_hex(self.data)})"


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
    continuation of nothing. `inflated` is what the payload was before it was compressed: None where it was
    not, or where what it looks back to is not kept any more. `received` is known on a simulated wire only.
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
        inflated = "" if self.inflated is None else f", inflated {_text_or_hex(self.inflated)}"
        return f"TracedFrame({_where(self)}, {_bytes(len(self.wire))}, {what}{inflated})"


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
    Handshakes are kept apart, up to 64 KiB, and the last 4,096 events. What frames inflate to is bounded by
    `max_bytes` once more.

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
        # What is kept stands in blocks, as a block is what goes at once.
        self._block: list[_Entry] = []
        self._blocks: deque[list[_Entry]] = deque([self._block])
        self._full = 0  # bytes of all blocks but the newest, which may have a part, and of that has room left
        self._part = self._room = max_bytes // PARTS
        self._first = self._first_of_block = 0
        self._starts: defaultdict[Direction, _Start] = defaultdict(_Start)
        self._amid: set[Direction] = set()  # in a frame or between two fragments
        self._whole: Counter[tuple[int, Sender, int]] = Counter()  # that went and are not in starts yet
        self._deflated: dict[int, str] = {}
        self._heads: deque[_Head] = deque()
        self._room_of_heads = MAX_HEADS
        self._newest_gone = 0  # of the sessions of which a head has gone
        self._events: deque[tuple[int, float, int | None, str, str]] = deque()  # with the next entry's number
        self._ended: set[int] = set()
        self._forget_at = SELDOM
        self._dropped = dict.fromkeys(Dropped._fields, 0)
        self._lock = Lock()
        self._reading = Lock()
        self._cutting = _Cutting(max_bytes)

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
        self._block.append((now, session, sender, data, None))
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
        self._record_head([(time, session, sender, data, None) for time, data in chunks], size)

    def event(self, now: float, session: int | None, name: str, detail: str = "") -> None:
        """Keep something that happened beside the bytes."""
        if self._zero is None:
            self.begin(now)
        self._events.append((self._first_of_block + len(self._block), now, session, name, detail))
        if len(self._events) > MAX_EVENTS:
            self._events.popleft()
            self._dropped["events"] += 1

    def end(self, session: int) -> None:
        """Note that a session's connection is lost: nothing more of it passes."""
        self._ended.add(session)

    @property
    def chunks(self) -> list[Chunk | TransitChunk]:
        """The chunks in the order of time, heads with their secrets starred.

        Missing are heads of which only the length is kept, and chunks larger than `max_bytes`.
        """
        kept = self._snapshot()
        entries = sorted(kept.entries, key=itemgetter(0))
        return [_chunk(entry, kept.zero) for entry in entries if entry[3] or not isinstance(entry[4], _Start)]

    @property
    def events(self) -> list[Event]:
        """What happened beside the bytes, in the order of time."""
        kept = self._snapshot()
        events = [event._replace(time=event.time - kept.zero) for _, event in kept.events]
        return sorted(events, key=itemgetter(0))

    @property
    def frames(self) -> list[TracedFrame]:
        """The frames that passed whole, in the order of their last bytes."""
        kept, cuts, _ = self._cut()
        return [
            _with_arrival(what, entry, kept.zero) if entry[4] else what
            for _, _, entry, what in cuts
            if isinstance(what, TracedFrame)
        ]

    def frames_from(self, place: int) -> tuple[list[TracedFrame], int]:
        """Return the frames behind a place, and the place behind them.

        So who follows a trace sees each frame once, at the cost of the new ones.

        Args:
            place: 0, or what the last call has returned.
        """
        kept, cuts, _ = self._cut()
        new = takewhile(lambda cut: cut.number >= place, reversed(cuts))
        frames = [cut.what for cut in new if isinstance(cut.what, TracedFrame)]
        return frames[::-1], kept.first + len(kept.entries)

    @property
    def unfinished(self) -> list[Chunk]:
        """The bytes at the end of each direction that are no whole frame yet."""
        return [cut.what for cut in self._cut()[2]]

    @property
    def handshakes(self) -> list[Handshake]:
        """The opening handshakes, refused ones too, in the order of time."""
        kept = self._snapshot()
        pairs: dict[int, dict[Sender, _Head]] = {}
        for head in kept.heads:
            pairs.setdefault(head.entry[1], {})[head.entry[2]] = head
        found = [
            _handshake(session, pair, kept.zero)
            for session, pair in pairs.items()
            # a response whose request has gone is no handshake, one that nobody asked for is
            if "client" in pair or session > self._newest_gone
        ]
        return sorted(found, key=itemgetter(0))

    @property
    def dropped(self) -> Dropped:
        """What has been let go since the beginning."""
        return Dropped(**self._dropped)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the trace as JSON lines: one line about the whole, then one for each record."""
        with open(path, "w", encoding="utf-8") as file:
            file.writelines(json.dumps(line) + "\n" for line in self._lines())

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

    def to_pcap(self, path: str | os.PathLike[str]) -> None:
        """Write the chunks for Wireshark, as packets of TCP between made-up addresses.

        Session n goes from port 50000 + n of 198.51.100.1 to port 80 of 192.0.2.1. Bytes that are not kept
        are missing there too, and with them the rest of a frame that begins in them. A session whose
        handshake has gone is TCP to Wireshark.
        """
        with open(path, "wb") as file:
            file.write(PCAP_HEADER)
            file.writelines(_packets(self._snapshot()))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Trace):
            return NotImplemented
        return [*self._lines()] == [*other._lines()]

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        summary, table = self._table()
        return "\n".join([summary, *_text_lines(table)])

    def _repr_html_(self) -> str:
        return _html(*self._table())

    @property
    def _next(self) -> int:
        """The number of the next entry."""
        return self._first_of_block + len(self._block)

    def _record_head(self, entries: list[_Entry], size: int | None) -> None:
        if not entries:
            return
        time, session, sender, _, segment = entries[-1]
        if self._zero is None:
            self.begin(entries[0][0])
        number = self._first_of_block + len(self._block)
        data = entries[0][3] if len(entries) == 1 else b"".join([entry[3] for entry in entries])
        message = 0
        if sender == "server" and not data.startswith(b"HTTP/1.1 101"):
            self._keep((time, session, "client", b"", _Start(message=NO_FRAMES)))
            message = NO_FRAMES
        if size is None:
            head, size = b"", len(data)
            self._keep((time, session, sender, b"", _Start(message=NO_FRAMES, passed=size)))
        else:
            head = redact(data[:size])
            if sender == "server" and head.find(DEFLATE) >= 0:
                self._deflated[session] = header_of(read_response(head).headers)
            if len(entries) == 1 and size == len(data) and not (message or segment):
                # as nearly always: one entry, which goes with whole frames
                self._keep((time, session, sender, head, FRAMES))
            else:
                self._keep((entries[0][0], session, sender, b"", _Start(size, message=message)))
                for entry in entries if head == data[:size] else _cut_alike(head + data[size:], entries):
                    self._keep(entry)
        self._keep_head(_Head(number, (time, session, sender, head, segment), size))

    def _keep_head(self, head: _Head) -> None:
        self._heads.append(head)
        self._room_of_heads -= OVERHEAD + len(head.entry[3])
        if self._room_of_heads < 0:
            self._let_handshakes_go()

    def _let_handshakes_go(self) -> None:
        """Let the oldest heads go until all fits, and with a request the response that stands behind it."""
        gone = None
        while self._heads and (self._room_of_heads < 0 or self._heads[0].entry[1] == gone):
            _, gone, _, head, _ = self._heads.popleft().entry
            self._newest_gone = max(self._newest_gone, gone)
            self._room_of_heads += OVERHEAD + len(head)
            self._dropped["heads"] += 1

    def _keep(self, entry: _Entry) -> None:
        self._block.append(entry)
        self._room -= len(entry[3]) + OVERHEAD
        if self._room < 0:
            self._make_room()

    def _make_room(self) -> None:
        """Begin a block with the newest chunk, and let the oldest blocks go until all fits."""
        if self._zero is None:
            self.begin(self._blocks[0][0][0])
        with self._lock:
            if len(self._block[-1][3]) + OVERHEAD > self.max_bytes:
                self._leave_out_what_never_fits()
            newest = self._block.pop()
            used = len(newest[3]) + OVERHEAD
            spent = self._part - self._room - used
            part = min(self.max_bytes // PARTS, MANY * spent // max(1, len(self._block)))
            self._full += spent
            self._begin_block([newest])
            while self._full + used > self.max_bytes and self._blocks:
                gone = self._blocks.popleft()
                self._full -= self._let_go(gone)
                self._first += len(gone)
            if not self._blocks:
                # not even the newest fits
                self._begin_block([])
                self._full = used = 0
            self._part = max(used, min(part, self.max_bytes - self._full))
            self._room = self._part - used
            if len(self._starts) + len(self._whole) >= self._forget_at:
                self._forget_ended()

    def _begin_block(self, entries: list[_Entry]) -> None:
        """Go on with a block, in the place of one that is empty."""
        self._first_of_block += len(self._block)
        if self._blocks and not self._block:
            self._blocks.pop()
        self._block = entries
        self._blocks.append(entries)

    def _let_go(self, entries: list[_Entry]) -> int:
        """Let chunks go; return how much room they leave."""
        if len(entries) < FEW:
            went = self._pass_over(entries)
        else:
            went = sum(self._let_slice_go(entries[at : at + SLICE]) for at in range(0, len(entries), SLICE))
        self._dropped["bytes"] += went
        return went + OVERHEAD * len(entries)

    def _let_slice_go(self, entries: list[_Entry]) -> int:
        """Let chunks go, all at once if that can be; return their bytes."""
        _, sessions, senders, chunks, starts = zip(*entries, strict=True)
        sizes = [*map(len, chunks)]
        if self._let_whole_go(sessions, senders, chunks, starts, sizes):
            return sum(sizes)
        return self._pass_over(entries)

    def _let_whole_go(
        self,
        sessions: Sequence[int],
        senders: Sequence[Sender],
        chunks: Sequence[bytes],
        starts: Sequence[Any],
        sizes: list[int],
    ) -> bool:
        """Let chunks go that are whole frames, or heads, all at once; tell whether they do."""
        if self._amid and not self._amid.isdisjoint(zip(sessions, senders, strict=True)):
            return False
        if not _are_whole(chunks, sizes):
            if starts.count(None) == len(starts):
                return False
            frames = [chunk for chunk, start in zip(chunks, starts, strict=True) if start is not FRAMES]
            if not _are_whole(frames, [*map(len, frames)]):
                return False
        self._dropped["chunks"] += len(chunks)
        self._whole.update(zip(sessions, senders, sizes, strict=True))
        return True

    def _pass_over(self, entries: list[_Entry]) -> int:
        """Let chunks go, each by itself; return their bytes."""
        starts, marks, went = self._starts, 0, 0
        for _, session, sender, data, segment in entries:
            start, size = starts[session, sender], len(data)
            went += size
            if segment is None and start.skip > size:
                # amid a large frame, as the one before it was
                start.skip -= size
                start.passed += size
                continue
            if segment and isinstance(segment, _Start):
                marks += not data
                start.follow(segment)
                start.passed += size
            elif not (start.skip or start.head or start.message) and _is_whole(data):
                start.passed += size
                continue
            else:
                start.pass_over(data)
            if start.is_amid:
                self._amid.add((session, sender))
            else:
                self._amid.discard((session, sender))
        self._dropped["chunks"] += len(entries) - marks
        return went

    def _count_whole(self, but: Set[int] = frozenset()) -> None:
        """Add up what went as whole frames and heads, by direction, but not of some sessions."""
        for (session, sender, size), count in self._whole.items():
            if session not in but:
                self._starts[session, sender].passed += size * count
        self._whole.clear()

    def _leave_out_what_never_fits(self) -> None:
        """Put where frames go on into the place of the newest chunk, which is larger than the trace."""
        time, session, sender, data, _ = self._block[-1]
        start = self._starts[session, sender].copy()
        for entry in chain.from_iterable(self._blocks):
            if entry[1:3] == (session, sender):
                start.follow(entry[4]) if isinstance(entry[4], _Start) else start.pass_over(entry[3])
        start.passed = len(data)
        self._block[-1] = (time, session, sender, b"", start)
        self._room += len(data)
        self._dropped["chunks"] += 1
        self._dropped["bytes"] += len(data)

    def _forget_ended(self) -> None:
        """Forget what is remembered of ended sessions of which no chunk is kept."""
        gone = self._ended - set(map(itemgetter(1), chain.from_iterable(self._blocks)))
        self._count_whole(but=gone)
        self._ended -= gone
        self._deflated = {number: line for number, line in self._deflated.items() if number not in gone}
        for direction in [direction for direction in self._starts if direction[0] in gone]:
            del self._starts[direction]
            self._amid.discard(direction)
        self._forget_at = SELDOM + 2 * len(self._starts)

    def _snapshot(self) -> _Kept:
        """Return all that is kept at one moment; recording may go on in another thread."""
        with self._lock:
            self._count_whole()
            entries = [*chain.from_iterable(self._blocks)]
            starts = {direction: start.copy() for direction, start in self._starts.items()}
            first, heads = self._first, list(self._heads)
            events = [
                (number, Event(now, session, name, detail))
                for number, now, session, name, detail in list(self._events)
            ]
            deflated = self._deflated.copy()
        if entries:
            self.begin(entries[0][0])
        return _Kept(self._zero or 0.0, first, entries, starts, heads, events, deflated)

    def _cut(self) -> tuple[_Kept, list[_Cut], list[_Cut]]:
        """Return what is kept, its frames and bodies, and what is not whole yet."""
        with self._reading:
            kept = self._snapshot()
            if kept.first > self._cutting.next:
                # chunks went that nobody has read
                self._cutting = _Cutting(self.max_bytes, kept.first)
            self._cutting.go_on(kept)
            return kept, self._cutting.cuts[:], self._cutting.unfinished(kept)

    def _table(self) -> tuple[str, list[list[str]]]:
        """Return a summary, and headings and rows in the order of time."""
        kept, cuts, unfinished = self._cut()
        items: list[_Item] = [(event.time, number, event) for number, event in kept.events]
        items += [(head.entry[0], head.number, head) for head in kept.heads]
        items += [(cut.entry[0], cut.number, cut) for cut in cuts + unfinished]
        if not items:
            return "Trace: nothing has passed yet", []
        items.sort(key=itemgetter(0, 1))
        frames = sum(isinstance(cut.what, TracedFrame) for cut in cuts)
        return _summary(kept, frames, self.dropped), _rows(items, kept.zero)

    def _lines(self) -> Iterator[dict[str, Any]]:
        """Yield the records of a file, in the order in which they came."""
        kept = self._snapshot()
        yield {
            "trace": 1,
            "max_bytes": self.max_bytes,
            "sessions": self._sessions,
            "dropped": self._dropped,
            "starts": [[*direction, *start.line()] for direction, start in kept.starts.items()],
            "deflated": [[session, line] for session, line in kept.deflated.items()],
            "newest_gone": self._newest_gone,
        }
        lines = [(number, _event_line(event, kept.zero)) for number, event in kept.events]
        lines += [(head.number, _head_line(head, kept.zero)) for head in kept.heads]
        lines += [(number, _line(entry, kept.zero)) for number, entry in enumerate(kept.entries, kept.first)]
        for _, line in sorted(lines, key=itemgetter(0)):
            yield line

    @property
    def _restored(self) -> int:
        """The number of the next head or event of a file; those whose entries have gone keep their order."""
        return self._next or len(self._heads) + len(self._events) - sys.maxsize

    def _restore(self, record: dict[str, Any]) -> None:
        """Take one line of a file."""
        match record:
            case {"trace": 1, "sessions": int(sessions), "dropped": dropped, "starts": starts, **rest}:
                self._zero, self._sessions, self._dropped = 0.0, sessions, Dropped(**dropped)._asdict()
                for session, sender, *line in starts:
                    self._starts[session, sender] = start = _read_start(line)
                    if start.is_amid:
                        self._amid.add((session, sender))
                self._deflated = {session: str(line) for session, line in rest.get("deflated", [])}
                self._newest_gone = int(rest.get("newest_gone", 0))
            case {"event": str(name), "time": float(time), "session": session, "detail": str(detail)}:
                self._events.append((self._restored, time, session, name, detail))
            case {"head": str(head), "length": int(length), **rest}:
                self._heads.append(_Head(self._restored, _read_entry(rest, head.encode("latin-1")), length))
                self._room_of_heads -= OVERHEAD + len(head)
            case {"start": start, **rest}:
                data = bytes.fromhex(rest.get("data", ""))
                self._keep((*_read_entry(rest, data)[:4], _read_start(start)))
            case {"data": str(text), **rest}:
                self._keep(_read_entry(rest, bytes.fromhex(text)))
            case _:
                raise ValueError("unknown keys or values")


class WireTrace(Trace):
    """A trace of a wire, which knows bytes only: it finds the heads itself.

    Its chunks are `TransitChunk`s, with the times of both ends.
    """

    def __init__(self, max_bytes: int = MAX_BYTES) -> None:
        super().__init__(max_bytes)
        self._open_heads: dict[Direction, list[_Entry]] = {}
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
        for entries in self._open_heads.values():
            time, session, sender, _, segment = entries[-1]
            length = sum(len(entry[3]) for entry in entries)
            kept.heads.append(_Head(self._next, (time, session, sender, b"", segment), length))
        return kept

    def _collect_head(self, direction: Direction, entry: _Entry) -> None:
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
            # what follows a head that nobody understands may hold its secrets, and what a tunnel brings back
            self._lost.add(direction)
            if data.startswith(b"CONNECT "):
                self._lost.add((direction[0], "server"))
            self._record_head(entries, None)


def _parses(sender: Sender, head: bytes) -> bool:
    try:
        read_request(head) if sender == "client" else read_response(head)
    except (Refused, ValueError):
        return False
    return True


# ── what is kept ─────────────────────────────────────────────────────────────────────────────────────

# What is kept in order: the loop's time, session, sender and bytes of a chunk, on a wire also its segment;
# or a `_Start`, which tells how the direction goes on, with no bytes or with those of a whole head before it.
_Entry = tuple[float, int, Sender, bytes, Any]


class _Head(NamedTuple):
    """A head of a handshake, before entry `number`: its last chunk, but with all its bytes or none."""

    number: int
    entry: _Entry
    length: int


class _Kept(NamedTuple):
    """What a trace holds at one moment; entries count on from `first`, events stand before a number."""

    zero: float
    first: int
    entries: list[_Entry]
    starts: dict[Direction, _Start]
    heads: list[_Head]
    events: list[tuple[int, Event]]
    deflated: dict[int, str]


# ── from chunks to frames ────────────────────────────────────────────────────────────────────────────

# The message that is open where no frames are: in a body of HTTP.
NO_FRAMES = -1
# First bytes of messages in one frame that no extension has changed, and of control frames.
WHOLE = bytes(range(0x80, 0x90))
# The size of a frame by its second byte, as far as that tells: without a payload whose length is extended.
SIZES = bytes(2 + key + {126: 2, 127: 8}.get(length, length) for key in (0, 4) for length in range(128))
# The same for frames with short lengths only: no frame has size 0.
SHORT = bytes(0 if second & LENGTH > 125 else size for second, size in enumerate(SIZES))
LONGEST = max(SHORT)
# Second bytes of frames whose length stands in the 16 bits behind them.
LONG, SIXTEEN_BITS = bytes([126, MASK | 126]), Struct("!xxH")
LONGEST_LONG = SIZES[MASK | 126] + 0xFFFF


class _Start:
    """Where the next whole frame of a direction starts, and the opcode of the message that is open.

    `skip` bytes from here, or, with the beginning of a header in `head`, behind the frame of that header.
    Of what was before, `passed` bytes are not kept, and `lost` tells whether they hold what compressed
    messages look back to. Among the chunks it tells how the direction goes on.
    """

    __slots__ = ("head", "lost", "message", "passed", "skip")

    def __init__(
        self, skip: int = 0, head: bytes = b"", message: int = 0, passed: int = 0, lost: bool = False
    ) -> None:
        self.skip = skip
        self.head = head
        self.message = message
        self.passed = passed
        self.lost = lost

    @property
    def is_amid(self) -> bool:
        """Whether no frame starts here, or one that goes on with a message."""
        return bool(self.skip or self.head or self.message)

    def copy(self) -> _Start:
        return _Start(self.skip, self.head, self.message, self.passed, self.lost)

    def line(self) -> list[Any]:
        """Return it for a file."""
        return [self.skip, self.head.hex(), self.message, self.passed, self.lost]

    def follow(self, start: _Start) -> None:
        """Go on where another one is."""
        self.skip, self.head, self.message, self.lost = start.skip, start.head, start.message, start.lost
        self.passed += start.passed

    def pass_over(self, data: bytes) -> list[int]:
        """Go on behind a chunk, looking at lengths only; return where in it something ends."""
        self.passed += len(data)
        before, message = len(self.head), self.message
        data = self.head + data
        at, end = self.skip, len(data)
        ends = [at] if at else []
        if message == NO_FRAMES:
            at = max(at, end)
        last = end - 1
        while at < last:
            second = data[at + 1]
            size = SIZES[second]
            if second & LENGTH > 125:
                begin = at + (4 if second & LENGTH == 126 else 10)
                if begin > end:
                    break
                size += int.from_bytes(data[at + 2 : begin])
            first = data[at]
            if message or first < FIN:
                message = _message_behind(first, message)
            if first & RSV1:
                self.lost = True
            at += size
            ends.append(at)
        if at > end:
            ends.pop()
        self.skip, self.head, self.message = max(0, at - end), data[at:], message
        return [end - before for end in ends] if before else ends


FRAMES = _Start()
"""What follows nearly all heads."""


def _is_whole(chunk: bytes) -> bool:
    """Tell whether a chunk is one whole frame of any size, a message by itself and not compressed."""
    if len(chunk) < 2 or chunk[0] not in WHOLE:
        return False
    second = chunk[1]
    if second & LENGTH < 126:
        return SIZES[second] == len(chunk)
    payload = int.from_bytes(chunk[2 : 4 if second & LENGTH == 126 else 10])
    return SIZES[second] + payload == len(chunk)


def _are_whole(chunks: Sequence[bytes], sizes: list[int]) -> bool:
    """Tell whether each chunk is one whole frame, a message by itself and not compressed.

    They are looked at all at once if all are short or all are long; what is mixed or huge is none here.
    """
    if not sizes:
        return True
    if (largest := max(sizes)) > LONGEST:
        return largest <= LONGEST_LONG and min(sizes) > LONGEST and _are_long(chunks, sizes)
    if min(sizes) < 2:
        # too little is also no chunk at all but a `_Start`
        return False
    # what was sent to many is looked at once
    distinct = set(chunks)
    firsts, seconds = bytes(map(itemgetter(0), distinct)), bytes(map(itemgetter(1), distinct))
    return not firsts.translate(None, WHOLE) and list(seconds.translate(SHORT)) == list(map(len, distinct))


def _are_long(chunks: Sequence[bytes], sizes: list[int]) -> bool:
    """Tell the same of chunks that are too large for short frames: each length has to stand in 16 bits."""
    heads = b"".join([chunk[:4] for chunk in chunks])
    firsts, seconds = heads[::4], heads[1::4]
    if firsts.translate(None, WHOLE) or seconds.translate(None, LONG):
        return False
    payloads = chain.from_iterable(SIXTEEN_BITS.iter_unpack(heads))
    return [*map(add, payloads, seconds.translate(SIZES))] == sizes


def _read_start(line: list[Any]) -> _Start:
    """Return what `line` has written."""
    skip, head, message, passed, *lost = line
    return _Start(skip, bytes.fromhex(head), message, passed, *lost)


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


class _Cut(NamedTuple):
    """A frame, an unfinished one, or the bytes of a body; it ends in entry `number` and begins in `since`."""

    number: int
    since: int
    entry: _Entry
    what: Any


class _Cutter:
    """Cuts one direction into frames, whatever pieces it comes in."""

    def __init__(self, start: _Start, number: int) -> None:
        self._start = start.copy()
        self._message = _message_behind(start.head[0], start.message) if start.head else start.message
        # None where the beginning is not kept
        self._parts: list[bytes] | None = None if start.skip or start.head else []
        self._since = self.number = number
        self._lost = start.lost or bool(start.head and start.head[0] & RSV1)
        self._inflater: FrameInflater | None = None
        self.entry: _Entry

    def feed(self, number: int, entry: _Entry, kept: _Kept, limit: int) -> Iterator[_Cut]:
        """Yield what ends in an entry; a frame inflates to as many bytes as the limit says at most."""
        time, session, sender, data, _ = entry
        self.number, self.entry = number, entry
        begin, since = 0, self._since if self._parts else number
        if self._inflater is None and session in kept.deflated:
            self._inflater = FrameInflater(kept.deflated[session], sender, self._lost)
        for end in self._start.pass_over(data):
            if self._parts is not None:
                wire = b"".join([*self._parts, data[begin:end]])
                frame = self._frame(wire)
                inflated = None if self._inflater is None else self._inflater.inflate(frame, limit)
                traced = TracedFrame(time - kept.zero, session, sender, wire, frame, inflated)
                yield _Cut(number, since, entry, traced)
            self._parts, since, begin = [], number, end
        if self._parts is None or begin == len(data):
            return
        if self._start.message == NO_FRAMES:
            yield _Cut(number, number, entry, data[begin:])
            return
        self._parts.append(data[begin:])
        self._since = since

    def unfinished(self, zero: float) -> _Cut | None:
        """Return what has come of a frame that is not whole yet."""
        if not self._parts:
            return None
        time, session, sender, *_ = self.entry
        chunk = Chunk(time - zero, session, sender, b"".join(self._parts))
        return _Cut(self.number, self._since, self.entry, chunk)

    def _frame(self, wire: bytes) -> Frame | None:
        first = wire[0]
        kind = KINDS.get(first & OPCODE or self._message)
        self._message = _message_behind(first, self._message)
        return decode(first, _unmasked(wire), kind) if kind else None


class _Cutting:
    """What has been cut so far, so that a reader who comes back finds the work done.

    Args:
        room: bytes that frames may inflate to, all together; of the oldest they are forgotten first.
    """

    def __init__(self, room: int, first: int = 0) -> None:
        self.next = self._first = first
        self.cuts: list[_Cut] = []
        self._cutters: dict[Direction, _Cutter] = {}
        self._room = room
        self._inflated = self._forgotten = 0

    def go_on(self, kept: _Kept) -> None:
        """Cut what is new, and forget what begins in an entry that has gone."""
        for number, entry in enumerate(kept.entries[self.next - kept.first :], self.next):
            direction, start = entry[1:3], entry[4]
            if isinstance(start, _Start):
                self._cutters[direction] = _Cutter(start, number)
                if start.passed and start.message != NO_FRAMES:
                    self.cuts.append(_Cut(number, number, entry, start))
                continue
            if direction not in self._cutters:
                self._cutters[direction] = _Cutter(kept.starts.get(direction, _Start()), number)
            for cut in self._cutters[direction].feed(number, entry, kept, self._room):
                if cut.since < kept.first:
                    continue
                self.cuts.append(cut)
                self._inflated += _size_inflated(cut)
                if self._inflated > self._room:
                    self._forget_inflated()
        self.next = kept.first + len(kept.entries)
        if kept.first > self._first:
            self._first = kept.first
            self.cuts = [cut for cut in self.cuts if cut.since >= kept.first]
            self._cutters = {key: one for key, one in self._cutters.items() if one.number >= kept.first}
            self._inflated, self._forgotten = sum(map(_size_inflated, self.cuts)), 0

    def _forget_inflated(self) -> None:
        """Make half of the room free, from the oldest frame on."""
        while self._inflated > self._room // 2:
            cut = self.cuts[self._forgotten]
            if size := _size_inflated(cut):
                self.cuts[self._forgotten] = cut._replace(what=cut.what._replace(inflated=None))
                self._inflated -= size
            self._forgotten += 1

    def unfinished(self, kept: _Kept) -> list[_Cut]:
        found = [cutter.unfinished(kept.zero) for cutter in self._cutters.values()]
        return [cut for cut in found if cut is not None and cut.since >= kept.first]


def _size_inflated(cut: _Cut) -> int:
    return len(cut.what.inflated or b"") if isinstance(cut.what, TracedFrame) else 0


def _with_arrival(frame: TracedFrame, entry: _Entry, zero: float) -> TracedFrame:
    """Return a frame with the time at which its last chunk arrived, as it is known now."""
    return frame._replace(received=_received(entry, zero))


def _chunk(entry: _Entry, zero: float) -> Chunk | TransitChunk:
    time, session, sender, data, segment = entry
    if segment is None or isinstance(segment, _Start):
        return Chunk(time - zero, session, sender, data)
    return TransitChunk(time - zero, session, sender, data, time - zero, _received(entry, zero))


def _received(entry: _Entry, zero: float) -> float | None:
    """Return when a chunk arrived; None if it has not, or where nobody knows."""
    received = getattr(entry[4], "received", None)
    return None if received is None else received - zero


def _handshake(session: int, heads: dict[Sender, _Head], zero: float) -> Handshake:
    none = _Head(0, (zero, session, "client", b"", None), 0)
    request, response = heads.get("client", none), heads.get("server", none)
    complete = heads.get("client", response).entry[0]
    lengths = (request.length, response.length)
    return Handshake(complete - zero, session, request.entry[3], response.entry[3], *lengths)


# ── secrets ──────────────────────────────────────────────────────────────────────────────────────────

SECRET_HEADERS = re.compile(
    rb"\n(?:(?:set-)?cookie|(?:proxy-)?authorization)[ \t]*:(.*(?:\r?\n[ \t].*)*)",
    re.IGNORECASE,
)
QUERY = re.compile(rb"(?!HTTP/)[^ \r\n]+ [^?\r\n]*\?(.*) HTTP/")
USER_AND_PASSWORD = re.compile(rb"(?!HTTP/)[^ \r\n]+ https?://([^/?# \r\n]*)@", re.IGNORECASE)


def _cut_alike(data: bytes, entries: list[_Entry]) -> Iterator[_Entry]:
    """Yield entries with other bytes, in pieces of the same sizes."""
    rest = BytesIO(data)
    for time, session, sender, chunk, segment in entries:
        yield time, session, sender, rest.read(len(chunk)), segment


def redact(head: bytes) -> bytes:
    """Return a head of the same length, its secrets replaced by stars.

    They are the values of Cookie, Set-Cookie, Authorization and Proxy-Authorization, whose folds stay, the
    values of query parameters, and user and password of a whole URL.
    """
    # no `in`, which makes an error first: that bytes are no number
    if head.find(b"?") >= 0 and (found := QUERY.match(head)):
        head = _starred(found, rb"(?<==)[^&]+") + head[found.end() :]
    if head.find(b"@") >= 0 and (found := USER_AND_PASSWORD.match(head)):
        head = _starred(found, rb"[^:]+") + head[found.end() :]
    lower = head.lower()
    if lower.find(b"cookie") < 0 and lower.find(b"authorization") < 0:
        return head
    return SECRET_HEADERS.sub(lambda found: _starred(found, rb"[^ \t\r\n](?:.*[^ \t\r\n])?"), head)


def _starred(found: re.Match[bytes], secret: bytes) -> bytes:
    """Return what was found, with stars for each secret in its first group."""
    begin, end = found.start(1) - found.start(), found.end(1) - found.start()
    stars = re.sub(secret, lambda value: b"*" * len(value[0]), found[1])
    return found[0][:begin] + stars + found[0][end:]


# ── a trace as a file ────────────────────────────────────────────────────────────────────────────────


def _line(entry: _Entry, zero: float) -> dict[str, Any]:
    """Return an entry for a file."""
    time, session, sender, data, segment = entry
    line: dict[str, Any] = {"time": float(time - zero), "session": session, "sender": sender}
    if isinstance(segment, _Start):
        line["start"] = segment.line()
    elif segment is not None:
        line["received"] = _received(entry, zero)
    return line | {"data": data.hex()}


def _read_entry(line: dict[str, Any], data: bytes) -> _Entry:
    """Return the entry of a line."""
    match line:
        case {"time": float(time), "session": int(session), "sender": "client" | "server" as sender}:
            segment = SimpleNamespace(received=line["received"]) if "received" in line else None
            return (time, session, sender, data, segment)
    raise ValueError("unknown keys or values")


def _head_line(head: _Head, zero: float) -> dict[str, Any]:
    line = _line(head.entry, zero)
    return line | {"head": bytes.fromhex(line.pop("data")).decode("latin-1"), "length": head.length}


def _event_line(event: Event, zero: float) -> dict[str, Any]:
    time, session, name, detail = event
    return {"time": float(time - zero), "session": session, "event": name, "detail": detail}


# ── a trace as a capture ─────────────────────────────────────────────────────────────────────────────

# Source: draft-ietf-opsawg-pcap. Times in microseconds; packets begin with IP (LINKTYPE_RAW).
PCAP_HEADER = pack("<IHHIIII", 0xA1B2C3D4, 2, 4, 0, 0, 0xFFFF, 101)
SYN, PSH, ACK = 0x02, 0x08, 0x10
MAX_SEGMENT = 0xFFFF - 40


class _Stream:
    """One direction of a TCP connection, whose SYN has the sequence number 0."""

    def __init__(self) -> None:
        self.next = 1
        self._start = _Start()
        self._lost = False
        self._acknowledged = 1
        self._arriving: deque[tuple[float, int]] = deque()

    def follow(self, start: _Start, data: bytes) -> None:
        """Go on behind bytes that are not kept, and pass over those of a head."""
        self._start.follow(start)
        self._start.skip += len(data)
        self._lost = start.passed > 0 and bool(start.skip or start.head)
        self.next += start.passed

    def readable(self, data: bytes) -> bytes:
        """Return a chunk without the end of a frame whose beginning is missing."""
        ends = self._start.pass_over(data)
        if not self._lost:
            return data
        self._lost = not ends
        missing = ends[0] if ends else len(data)
        self.next += missing
        return data[missing:]

    def arrives(self, received: float | None) -> None:
        """Note when all that was sent so far arrives; None for never."""
        self._arriving.append((math.inf if received is None else received, self.next))

    def acknowledged(self, now: float) -> int:
        """Return the number of the byte that the receiver waits for."""
        while self._arriving and self._arriving[0][0] <= now:
            self._acknowledged = self._arriving.popleft()[1]
        return self._acknowledged


def _packets(kept: _Kept) -> Iterator[bytes]:
    """Yield the records of a capture; a connection opens just before its first bytes."""
    streams: defaultdict[Direction, _Stream] = defaultdict(_Stream)
    opened: set[int] = set()
    for entry in _with_what_went(kept):
        time, session, sender, data, segment = entry
        stream = streams[session, sender]
        if isinstance(segment, _Start):
            stream.follow(segment, data)
            if not data:
                continue
        packet = partial(_packet, time - kept.zero, session)
        if data and session not in opened:
            opened.add(session)
            yield packet("client", SYN, 0, 0)
            yield packet("server", SYN | ACK, 0, 1)
            yield packet("client", ACK, 1, 1)
        data = stream.readable(data)
        acknowledged = streams[session, "server" if sender == "client" else "client"].acknowledged(time)
        for at in range(0, len(data), MAX_SEGMENT):
            piece = data[at : at + MAX_SEGMENT]
            yield packet(sender, PSH | ACK, stream.next, acknowledged, piece)
            stream.next += len(piece)
        stream.arrives(getattr(segment, "received", time))


def _with_what_went(kept: _Kept) -> list[_Entry]:
    """Return all entries in the order of time; of those that went, heads and lengths."""
    heads = {head.entry[1:3]: head.entry for head in kept.heads}
    went: list[_Entry] = []
    for direction, start in kept.starts.items():
        entry = heads.get(direction)
        if entry is None or len(entry[3]) > start.passed:
            entry = (kept.zero, *direction, b"", None)
        behind = _Start(start.skip, start.head, start.message, start.passed - len(entry[3]))
        went += [entry, (*entry[:3], b"", behind)]
    return sorted([*went, *kept.entries], key=itemgetter(0))


def _packet(
    time: float, session: int, sender: Sender, flags: int, number: int, acknowledged: int, data: bytes = b""
) -> bytes:
    """Return the record of one packet: time, sizes, IPv4 (RFC 791), TCP (RFC 9293)."""
    high, low = divmod(session, 10_000)
    client, server = (bytes([198, 51, 100, 1 + high % 254]), 50_000 + low), (bytes([192, 0, 2, 1]), 80)
    (source, from_port), (target, to_port) = (client, server) if sender == "client" else (server, client)
    # windows in units of 16 KiB (RFC 7323, section 2.2), so that none looks full
    options = b"\3\3\x0e\0" if flags & SYN else b""
    numbers = (number % 2**32, acknowledged % 2**32)
    begin = 5 + len(options) // 4 << 4
    tcp = pack("!HHIIBBHHH", from_port, to_port, *numbers, begin, flags, 0xFFFF, 0, 0) + options + data
    tcp = _with_checksum(tcp, 16, source + target + pack("!HH", 6, len(tcp)))
    ip = pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(tcp), 0, 0x4000, 64, 6, 0, source, target)
    packet = _with_checksum(ip, 10) + tcp
    seconds, microseconds = divmod(round(max(0.0, time) * 1e6), 1_000_000)
    return pack("<IIII", seconds, microseconds, len(packet), len(packet)) + packet


def _with_checksum(packet: bytes, at: int, pseudo_header: bytes = b"") -> bytes:
    """Return a packet with its checksum at byte `at`.

    Source: RFC 1071; the ones' complement sum of the words is the remainder by 0xFFFF.
    """
    words = pseudo_header + packet + bytes(len(packet) % 2)
    checksum = 0xFFFF - int.from_bytes(words) % 0xFFFF
    return packet[:at] + checksum.to_bytes(2) + packet[at + 2 :]


# ── a trace as a table ───────────────────────────────────────────────────────────────────────────────

_Item = tuple[float, int, "Event | _Head | _Cut"]
HEADINGS = ["sent/s", "received/s", "session", "direction", "what", "bytes", "payload"]
NUMBERS = {"time/s", "sent/s", "received/s", "session", "bytes"}


def _summary(kept: _Kept, frames: int, dropped: Dropped) -> str:
    sessions = {entry[1] for entry in kept.entries} | {head.entry[1] for head in kept.heads}
    size = sum(len(entry[3]) for entry in kept.entries)
    parts = [_count(len(sessions), "session"), _count(frames, "frame"), _bytes(size)]
    if dropped.chunks:
        parts.append(f"{_count(dropped.chunks, 'chunk')} of {_bytes(dropped.bytes)} not kept")
    return f"Trace: {', '.join(parts)}"


def _rows(items: list[_Item], zero: float) -> list[list[str]]:
    """Return headings and rows, with one row for the middle of a long table."""
    between = len(items) - 2 * EDGE
    shown = items if between < 2 else items[:EDGE] + items[-EDGE:]
    rows = [HEADINGS, *(_cells(item, zero) for _, _, item in shown)]
    if between >= 2:
        rows.insert(1 + EDGE, ["", "", "", "", f"… {between} rows between …", "", ""])
    if any(row[1] for row in rows[1:]):
        return rows
    return [["time/s", *HEADINGS[2:]], *([time, *row] for time, _, *row in rows[1:])]


def _cells(item: Event | _Head | _Cut, zero: float) -> list[str]:
    match item:
        case Event(time, session, name, detail):
            number = "" if session is None else str(session)
            return [f"{time - zero:.4f}", "", number, "", name, "", _shortened(detail)]
        case _Head(_, entry, length):
            what = "request" if entry[2] == "client" else "response"
            line = _first_line(entry[3]) if entry[3] else "not kept: incomplete, or not HTTP"
            return _passed(entry, zero, what, length, line)
        case _Cut(_, _, entry, TracedFrame() as frame):
            return _passed(entry, zero, frame.kind, len(frame.wire), _payload(frame))
        case _Cut(_, _, entry, Chunk(data=data)):
            header = read_header(data)
            whole = f"of {_bytes(header.size + header.length)}" if header else "of a header"
            return _passed(entry, zero, "unfinished", len(data), f"{whole}: {_hex(data)}")
        case _Cut(_, _, entry, _Start() as start):
            return _passed(entry, zero, "not kept", start.passed, "larger than max_bytes")
        case _Cut(_, _, entry, data):
            return _passed(entry, zero, "body", len(data), _text_or_hex(data))


def _passed(entry: _Entry, zero: float, what: str, size: int, payload: str) -> list[str]:
    """Return the cells of something that passed."""
    time, session, sender, *_ = entry
    received = _received(entry, zero)
    arrival = "" if received is None else f"{received:.4f}"
    return [f"{time - zero:.4f}", arrival, str(session), ARROWS[sender], what, str(size), payload]


def _payload(traced: TracedFrame) -> str:
    """Return the payload as people read it."""
    match traced.frame:
        case None:
            return _hex(_unmasked(traced.wire))
        case Text() as frame if traced.inflated is not None:
            return _quoted(traced.inflated.decode(errors="replace"))
        case Text() as frame if not frame.rsv1:
            return _quoted(frame.data.decode(errors="replace"))
        case Close() as frame:
            return _close_reason(frame)
        case Ping() | Pong() as frame:
            return _text_or_hex(frame.data)
        case frame:
            return _hex(frame.data if traced.inflated is None else traced.inflated)


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


def _text_lines(table: list[list[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    widths[-1:] = [0]
    return ["  ".join(map(_aligned, cells, widths, table[0])).rstrip() for cells in table]


def _aligned(cell: str, width: int, heading: str) -> str:
    return cell.rjust(width) if heading in NUMBERS else cell.ljust(width)


def _html(summary: str, table: list[list[str]]) -> str:
    caption = f'<caption style="text-align:left">{escape(summary)}</caption>'
    if not table:
        return f"<table>{caption}</table>"
    styles = ["" if heading in NUMBERS else ' style="text-align:left"' for heading in table[0]]
    head, *body = (_html_row(cells, styles) for cells in table)
    head = head.replace("<td", '<th scope="col"').replace("</td>", "</th>")
    return f"<table>{caption}<thead>{head}</thead><tbody>{''.join(body)}</tbody></table>"


def _html_row(cells: list[str], styles: list[str]) -> str:
    filled = (f"<td{style}>{escape(cell)}</td>" for cell, style in zip(cells, styles, strict=True))
    return f"<tr>{''.join(filled)}</tr>"


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
