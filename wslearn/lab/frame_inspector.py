"""One frame byte by byte and bit by bit, or the frames of a trace to choose from (RFC 6455, section 5.2).

Here a dissection becomes plain JSON, a text and an HTML form; taking bytes apart is `dissect`'s.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from html import escape
from itertools import groupby
from typing import Any

import traitlets

from wslearn.dissection import ClaimsBits, Dissection, Field, Sender, dissect
from wslearn.extensions import Deflate
from wslearn.frames import KINDS, Close, Frame, Ping, Pong, Text
from wslearn.lab.view import PRE, View, module, style
from wslearn.trace import ARROWS, Trace, TracedFrame

LABELS = {
    "FIN": "FIN",
    "RSV1": "RSV",
    "RSV2": "RSV",
    "RSV3": "RSV",
    "opcode": "OP",
    "MASK": "M",
    "payload_length": "LEN",
    "extended_payload_length": "LEN",
    "masking_key": "KEY",
    "payload": "DATA",
    "status_code": "CODE",
    "reason": "REASON",
}
SENT = 512
# Bytes that are looked at for a few words: 41 characters have no more.
READ = 164
ROWS = 200
DIAGRAM_BYTES = 24


def dissection_data(dissection: Dissection) -> dict[str, Any]:
    """Return a dissection as plain JSON for the view; at most 512 bytes of the frame go along."""
    wire = dissection.wire
    key = next((field.value for field in dissection.fields if field.name == "masking_key"), b"")
    whole_key = key if isinstance(key, bytes) and len(key) == 4 else b""
    return {
        "title": _summary(dissection),
        "size": len(wire),
        "hex": wire[:SENT].hex(),
        "groups": [
            _group(dissection, label, list(fields)) for label, fields in groupby(_parts(dissection), _label)
        ],
        "violations": [violation._asdict() for violation in dissection.violations],
        "missing": dissection.missing,
        "rest": len(dissection.rest),
        "payload": {
            "start": dissection.header_size or len(wire),
            "key": whole_key.hex(),
            "masked": dissection.masked[:SENT].hex(),
            "unmasked": dissection.unmasked[:SENT].hex(),
            "inflated": (dissection.inflated or b"")[:SENT].hex(),
            "inflated_size": len(dissection.inflated or b""),
        },
    }


def dissect_traced(wire: bytes, sender: Sender | None, inflated: bytes | None) -> Dissection:
    """Dissect a frame with what its trace knows: earlier messages may be needed to inflate it."""
    claims = [] if inflated is None else [Deflate()]
    return replace(dissect(wire, sender, claims), inflated=inflated)


def _parts(dissection: Dissection) -> list[Field]:
    """Return the fields that do not overlap: code and reason of a Close stand for its payload."""
    inner = any(field.name == "status_code" for field in dissection.fields)
    return [field for field in dissection.fields if not (inner and field.name == "payload")]


def _label(field: Field) -> str:
    return LABELS[field.name]


def _group(dissection: Dissection, label: str, fields: list[Field]) -> dict[str, Any]:
    return {
        "label": label,
        "typed": _typed(dissection, label, fields),
        "value": _group_value(dissection, label, fields),
        "start": fields[0].start,
        "length": sum(field.length for field in fields),
        "parts": [{**field._asdict(), "value": _value(field), "spoken": _spoken(field)} for field in fields],
    }


def _group_value(dissection: Dissection, label: str, fields: list[Field]) -> str:
    last = fields[-1]
    if label == "RSV":
        return "".join(_value(field) for field in fields)
    if label == "OP":
        return f"{_value(last)} {_opcode_name(last)}"
    if label == "DATA":
        meant = dissection.unmasked if dissection.inflated is None else dissection.inflated
        return in_words(meant, dissection.kind == "Text frame")
    return _value(last) or "…"


def _typed(dissection: Dissection, label: str, fields: list[Field]) -> str:
    """Return a value as somebody would type it to get these bits."""
    match fields[-1].value:
        case bytes(data) if label == "DATA" and dissection.kind == "Text frame":
            return data[:SENT].decode(errors="replace")
        case bytes(data):
            return data[:SENT].hex(" ")
        case _ if label == "RSV":
            return str(sum(int(str(field.value)) << 3 - field.start for field in fields))
        case value:
            return "" if value is None else str(value)


def _opcode_name(field: Field) -> str:
    return field.meaning.partition(":")[0] if field.value in (*KINDS, 0) else "reserved"


def _value(field: Field) -> str:
    match field.value:
        case None:
            return ""
        case bytes(data):
            return data.hex(" ") if len(data) <= 8 else f"{data[:8].hex(' ')} …"
        case str(text):
            return repr(text)
        case number:
            return str(number)


def _spoken(field: Field) -> str:
    """Return a field as a screen reader says it inside the name of a byte; nothing for a clear RSV bit."""
    is_set = bool(field.value)
    match field.name:
        case "FIN":
            return "FIN set" if is_set else "FIN clear"
        case "RSV1" | "RSV2" | "RSV3":
            return f"{field.name} set" if is_set else ""
        case "opcode":
            return f"{_opcode_name(field)} frame"
        case "MASK":
            return "masked" if is_set else "not masked"
        case "payload_length" | "extended_payload_length":
            return f"length {_value(field)}"
        case name:
            return name.replace("_", " ")


def _summary(dissection: Dissection) -> str:
    return repr(dissection).partition("\n")[0]


def diagram(dissection: Dissection) -> str:
    """Return RFC 6455's own picture of a frame, 32 bits a row, filled in with the first bytes of this one."""
    wire = dissection.wire
    bits = [bit for byte in wire[:DIAGRAM_BYTES] for bit in f"{byte:08b}"]
    labels = [_label_at(dissection, at) for at in range(len(bits))]
    lines = [
        " " + "".join(f"{tens:<20}" for tens in range(4)).rstrip(),
        " " + " ".join(str(bit % 10) for bit in range(32)),
    ]
    for start in range(0, len(bits), 32):
        row = range(start, min(start + 32, len(bits)))
        runs = [(label, len(list(run))) for label, run in groupby(row, lambda at: labels[at])]
        rule = "+" + "+".join("-" * (2 * size - 1) for _, size in runs) + "+"
        cells = iter(bits[start : start + 32])
        lines.append(rule)
        lines.append("|" + "|".join(" ".join(next(cells) for _ in range(size)) for _, size in runs) + "|")
        lines.append("|" + "|".join(label[: 2 * size - 1].center(2 * size - 1) for label, size in runs) + "|")
    lines.append(rule if bits else "")
    if len(wire) > DIAGRAM_BYTES:
        lines.append(f" … {len(wire) - DIAGRAM_BYTES} more bytes")
    return "\n".join(lines)


def _label_at(dissection: Dissection, bit: int) -> str:
    for field in _parts(dissection):
        if field.start <= bit < field.start + field.length:
            return _label(field)
    return ""


def in_words(payload: bytes, is_text: bool = False) -> str:
    """Return a payload in a few words: as text where it is some, else its first bytes in hex."""
    payload = payload[:READ]
    if not is_text and not (payload.isascii() and payload.decode().isprintable()):
        return payload.hex(" ") if len(payload) <= 8 else f"{payload[:8].hex(' ')} …"
    text = payload.decode(errors="replace")
    return repr(text if len(text) <= 40 else text[:39] + "…")


def said(frame: Frame | None, inflated: bytes | None = None) -> str:
    """Return what a frame says in a few words, inflated if it was compressed; nothing without a payload."""
    match frame:
        case None | Frame(data=b""):
            return ""
        case Close() if reason := frame.read_reason():
            return f"{reason.code} {reason.message!r}" if reason.message else str(reason.code)
        case Frame(data=data):
            return in_words(data if inflated is None else inflated, isinstance(frame, Text))


class FrameInspector(View):
    """Shows a frame as fields, bytes, bits and payload, all linked.

    Args:
        shown: the bytes of a frame, a dissection, a traced frame, or a trace to choose from, which may
            still grow.
        sender: who sent the bytes; with None no state of the mask is a violation.
        extensions: what was negotiated for the bytes; a trace knows it.

    Raises:
        TypeError: `shown` is none of these.
    """

    _esm = module("inspect", "frame_inspector")
    _css = style("frame_inspector")
    frame = traitlets.Dict().tag(sync=True)
    rows: traitlets.List[list[Any]] = traitlets.List().tag(sync=True)
    selected = traitlets.Int(0).tag(sync=True)

    def __init__(
        self,
        shown: bytes | Dissection | TracedFrame | Trace,
        sender: Sender | None = None,
        extensions: Iterable[ClaimsBits] = (),
    ) -> None:
        self._trace = shown if isinstance(shown, Trace) else None
        self._frames: list[TracedFrame] = []
        self._dissection = dissect(b"")
        super().__init__()
        match shown:
            case Trace():
                self.refresh()
                self.live()
            case TracedFrame():
                self._show(dissect_traced(shown.wire, shown.sender, shown.inflated))
            case Dissection():
                self._show(shown)
            case _:
                self._show(dissect(shown, sender, extensions))

    def refresh(self) -> None:
        """Show the frames that have passed since."""
        if self._trace is None:
            return
        frames = self._trace.frames
        if (len(frames), frames[-1:]) == (len(self._frames), self._frames[-1:]):
            return
        self._frames = frames
        first = max(0, len(frames) - ROWS)
        self.rows = [_row(number, frame) for number, frame in enumerate(frames[first:], first + 1)]
        if not self.selected:
            self.selected = 1

    def step(self) -> bool:
        """Show what is new; a trace may always grow."""
        self.refresh()
        return True

    @traitlets.observe("selected")
    def _choose(self, change: dict[str, Any]) -> None:
        if 1 <= self.selected <= len(self._frames):
            frame = self._frames[self.selected - 1]
            self._show(dissect_traced(frame.wire, frame.sender, frame.inflated))

    def _show(self, dissection: Dissection) -> None:
        self._dissection = dissection
        self.frame = dissection_data(dissection)

    def plain(self) -> str:
        """Return the table of the frame, or of the frames to choose from, without their times."""
        if self._trace is None:
            return repr(self._dissection)
        rows = [_line(frame) for frame in self._frames]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        return "\n".join("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows) or "no frames yet"

    def html(self) -> str:
        """Return the list, RFC 6455's picture of a frame filled in, and the table of its fields."""
        chosen = f"{PRE}{escape(self.plain())}</pre>" if self._trace is not None else ""
        if not self._dissection.wire:
            return chosen
        picture = escape(diagram(self._dissection))
        return f"{chosen}{PRE}{picture}</pre>{self._dissection._repr_html_()}"


def _line(frame: TracedFrame) -> tuple[str, str, str, str]:
    """Return a frame in words that are the same in every run: a ping's payload comes from chance."""
    what = "" if isinstance(frame.frame, Ping | Pong) else said(frame.frame, frame.inflated)
    return (ARROWS[frame.sender], frame.kind, what, f"{len(frame.wire)} bytes")


def _row(number: int, frame: TracedFrame) -> list[Any]:
    return [
        number,
        f"{frame.time:.3f}",
        frame.sender,
        frame.kind,
        said(frame.frame, frame.inflated),
        len(frame.wire),
    ]
