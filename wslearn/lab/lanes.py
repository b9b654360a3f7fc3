"""How messages lie in frames and frames in chunks, on one time axis (RFC 6455, sections 1.2 and 5.4).

Here each becomes a span of time, which knows what it is made of; drawing them is the conversation's.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import Any, NamedTuple

from wslearn.frames import Close, Frame
from wslearn.trace import ARROWS, Chunk, Sender, Trace, TracedFrame, TransitChunk

SENDERS: tuple[Sender, Sender] = ("client", "server")
LETTERS = {"text": "T", "binary": "B", "ping": "P", "pong": "p", "close": "C", "other": "?"}
# Columns of the text form.
WIDTH = 64
# Frames that are laid: more would be bars of less than a pixel.
MOST = 1000


class Span(NamedTuple):
    """A chunk, a frame or a message in time, in seconds.

    It lasts from the time when its first byte was sent until its last one had arrived; without a simulated
    wire a chunk is one moment. `parts` are the first and the last part in the lane below that it lies in,
    `at` is the place of a frame among the frames of the session. What never arrived whole is `lost`.
    """

    begin: float
    end: float
    group: str
    size: int
    at: int = -1
    parts: tuple[int, int] = (0, -1)
    lost: bool = False


class Lanes(NamedTuple):
    """The three lanes of one direction."""

    sender: Sender
    chunks: list[Span]
    frames: list[Span]
    messages: list[Span]


def lay(trace: Trace, session: int) -> list[Lanes]:
    """Return the lanes of the newest 1,000 frames of a session, those of the client first."""
    every = [*enumerate(frame for frame in trace.frames if frame.session == session)][-MOST:]
    chunks = [chunk for chunk in trace.chunks if chunk.session == session]
    rest = {chunk.sender: len(chunk.data) for chunk in trace.unfinished if chunk.session == session}
    return [
        _lanes(
            sender,
            [chunk for chunk in chunks if chunk.sender == sender],
            [(at, frame) for at, frame in every if frame.sender == sender],
            rest.get(sender, 0),
        )
        for sender in SENDERS
    ]


def _lanes(
    sender: Sender,
    chunks: Sequence[Chunk | TransitChunk],
    frames: Sequence[tuple[int, TracedFrame]],
    rest: int,
) -> Lanes:
    """Lay the frames over the bytes of the chunks from the end, as a trace loses its beginning first."""
    ends = [*accumulate(len(chunk.data) for chunk in chunks)]
    end = (ends[-1] if ends else 0) - rest
    first = end - sum(len(frame.wire) for _, frame in frames)
    # what stands before the first frame is the handshake
    skipped = bisect_right(ends, max(0, first))
    passed = [_of_chunk(chunk) for chunk in chunks[skipped:]]
    laid = []
    for at, frame in frames:
        parts = (
            bisect_right(ends, first) - skipped,
            bisect_right(ends, first + len(frame.wire) - 1) - skipped,
        )
        first += len(frame.wire)
        laid.append(_of_frame(frame, at, parts, passed))
    return Lanes(sender, passed, laid, [*_messages(laid, [frame for _, frame in frames])])


def _of_chunk(chunk: Chunk | TransitChunk) -> Span:
    received = getattr(chunk, "received", None)
    lost = isinstance(chunk, TransitChunk) and received is None
    return Span(chunk.time, chunk.time if received is None else received, "chunk", len(chunk.data), lost=lost)


def _of_frame(frame: TracedFrame, at: int, parts: tuple[int, int], chunks: Sequence[Span]) -> Span:
    group = "other" if frame.frame is None else type(frame.frame).__name__.lower()
    span = Span(frame.time, frame.time, group, len(frame.wire), at, parts)
    return _around(span, chunks[max(0, parts[0]) : parts[1] + 1])


def _around(span: Span, parts: Sequence[Span]) -> Span:
    """Return a span that lasts as long as its parts."""
    if not parts:
        return span
    end = max(part.end for part in parts)
    return span._replace(begin=parts[0].begin, end=end, lost=any(part.lost for part in parts))


def _messages(spans: Sequence[Span], frames: Sequence[TracedFrame]) -> Iterator[Span]:
    """Yield the data messages; a control frame, which may stand between fragments, belongs to none."""
    fragments: list[tuple[int, Span, Frame]] = []
    for at, (span, traced) in enumerate(zip(spans, frames, strict=True)):
        if traced.frame is None or traced.opcode >= Close.kind:
            continue
        fragments.append((at, span, traced.frame))
        if traced.frame.fin:
            size = sum(len(frame.data) for _, _, frame in fragments)
            whole = span._replace(size=size, parts=(fragments[0][0], at))
            yield _around(whole, [fragment for _, fragment, _ in fragments])
            fragments = []


def as_data(directions: Sequence[Lanes], rows: Sequence[int]) -> dict[str, Any]:
    """Return the spans of each lane as plain JSON; `rows` are the numbers of all frames of the session."""
    spans = [span for each in directions for lane in each[1:] for span in lane]
    return {
        "note": note(len(rows)),
        "from": min((span.begin for span in spans), default=0),
        "to": max((span.end for span in spans), default=0),
        "directions": [
            {
                "sender": each.sender,
                "messages": [_span(span, rows) for span in each.messages],
                "frames": [_span(span, rows) for span in each.frames],
                "chunks": [_span(span, rows) for span in each.chunks],
            }
            for each in directions
        ],
    }


def note(frames: int) -> str:
    """Return how many of the frames are laid, where some are not."""
    return f"the newest {MOST:,} of {frames:,} frames" if frames > MOST else ""


def _span(span: Span, rows: Sequence[int]) -> list[Any]:
    number = rows[span.at] if 0 <= span.at < len(rows) else 0
    return [round(span.begin, 6), round(span.end, 6), span.group, span.size, number, *span.parts, span.lost]


def as_text(directions: Sequence[Lanes], has_times: bool) -> str:
    """Return the lanes as lines of text, 64 columns for all the time that there is."""
    every = [span for each in directions for span in each.chunks]
    if not every:
        return "no frame has passed yet"
    begin = min(span.begin for span in every)
    end = max(span.end for span in every)
    lines = []
    for direction in directions:
        lines.append(ARROWS[direction.sender])
        for name in ("messages", "frames", "chunks"):
            spans = getattr(direction, name)
            lines.append(f"  {name:<9} {_line(spans, begin, end)}  {len(spans)}".rstrip())
    ruler = f"{begin:.3f} s".ljust(WIDTH - 9) + f"{end:.3f} s".rjust(9)
    return "\n".join([*lines, *([f"{'':<12}{ruler}"] if has_times else [])])


def _line(spans: Sequence[Span], begin: float, end: float) -> str:
    """Return one lane: a bar for each span, and its letter; a block where chunks meet."""
    line = [" "] * WIDTH
    for span in spans:
        first, last = (
            round((WIDTH - 1) * (at - begin) / (end - begin or 1)) for at in (span.begin, span.end)
        )
        bar = "│" if first == last else "├" + "─" * (last - first - 1) + ("✕" if span.lost else "┤")
        if letter := LETTERS.get(span.group, ""):
            bar = bar[: len(bar) // 2] + letter + bar[len(bar) // 2 + 1 :]
        for at, mark in enumerate(bar, first):
            line[at] = _over(line[at], mark, span.group)
    return "".join(line)


def _over(below: str, mark: str, group: str) -> str:
    """Return what is seen where two bars meet: the letter of one."""
    if mark.isalpha() or below in " ─":
        return mark
    if below.isalpha():
        return below
    return "█" if group == "chunk" else "┼"
