"""A trace as a table in which every frame has a number, for those who have to point at one.

Here items of a trace become numbered rows; taking a frame apart is the inspector's.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from wslearn.dissection import dissect
from wslearn.lab.table import Table
from wslearn.lab.timeline import Item, Timeline
from wslearn.trace import Chunk, Trace, TransitChunk

BYTES = 8
"""How many of a payload are shown."""
SAID = 60
HEADINGS = (
    "frame",
    "sent/s",
    "received/s",
    "connection",
    "to",
    "what",
    "header",
    "says",
    "bytes",
    "payload",
)
CODE = ("header", "payload")
WIDE = ("says",)
MORE = "more of it"


class Evidence(Table):
    """What passed, by time; frames are numbered from 0, those too that never became whole.

    A header is shown without its key, and a payload as it was before masking.

    Args:
        trace: of a simulated network.
        names: of its connections, by their numbers; what belongs to none of them is left out.
    """

    def __init__(self, trace: Trace, names: Mapping[int, str] | None = None) -> None:
        self.trace = trace
        timeline = Timeline(trace)
        pieces = [piece for half in timeline.half for piece in _pieces(trace, half)]
        items = sorted([*timeline.items, *pieces], key=lambda item: item.time)
        shown = [each for each in items if not names or each.session in names]
        self.frames = [each for each in shown if each.is_frame]
        rows = [HEADINGS, *(self._row(each, names or {}) for each in shown)]
        used = [column for column in range(len(HEADINGS)) if any(row[column] for row in rows[1:])]
        super().__init__([[row[column] for column in used] for row in rows], CODE, WIDE)

    def __getitem__(self, number: int) -> bytes:
        """Return the bytes of a frame."""
        return self.frames[number].wire

    def said(self, number: int) -> str:
        """Return a frame in a few words."""
        item = self.frames[number]
        return f"{item.sender}'s {item.kind} {item.said}".rstrip()

    def _row(self, item: Item, names: Mapping[int, str]) -> tuple[str, ...]:
        said = "" if item.group in ("ping", "pong") else item.said
        header, payload = _in_hex(item)
        return (
            str(self.frames.index(item)) if item.is_frame else "",
            f"{item.time:.3f}",
            "never" if item.lost else "" if item.received is None else f"{item.received:.3f}",
            names.get(item.session or 0, ""),
            {"client": "server", "server": "client", None: ""}[item.sender],
            item.kind,
            header,
            said if len(said) <= SAID else f"{said[: SAID - 1]}…",
            str(item.size) if item.sender else "",
            payload,
        )


def _in_hex(item: Item) -> tuple[str, str]:
    """Return the header but for the key, and the beginning of the payload as it was before masking."""
    if item.kind == MORE:
        return "", _first(item.wire)
    if not item.is_frame:
        return "", ""
    payload = dissect(item.wire, item.sender).unmasked
    key = 4 if item.wire[1:2] >= b"\x80" else 0
    return item.wire[: len(item.wire) - len(payload) - key].hex(" "), _first(payload)


def _first(payload: bytes) -> str:
    return f"{payload[:BYTES].hex(' ')}{' …' if len(payload) > BYTES else ''}"


def _pieces(trace: Trace, half: Item) -> Iterator[Item]:
    """Yield the beginning of a frame that never became whole, then what came of it later, unmasked."""
    chunks: list[Chunk | TransitChunk] = []
    for chunk in reversed(trace.chunks):
        if sum(len(each.data) for each in chunks) < len(half.wire) and chunk[1:3] == half[1:3]:
            chunks.insert(0, chunk)
    payload = dissect(half.wire, half.sender).unmasked
    to_come = len(half.wire)
    for chunk in chunks:
        size, received = len(chunk.data), getattr(chunk, "received", None)
        piece = half._replace(time=chunk.time, received=received, lost=received is None, said="", size=size)
        if to_come < len(half.wire):
            piece = piece._replace(group="event", kind=MORE, wire=payload[-to_come:][:size])
        yield piece
        to_come -= size
