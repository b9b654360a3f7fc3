"""A frame bit by bit, as RFC 6455, section 5.2 draws it, for people to read.

`dissect` takes bytes apart as far as they go and says which rules they break; it judges nothing
else, remembers nothing and never fails on bytes. What a session does about them is the session's.
"""

from __future__ import annotations

import codecs
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from html import escape
from typing import Literal, NamedTuple, Protocol

from wslearn.codec import CONTINUATION, FIN, LENGTH, MASK, MAX_LENGTH, OPCODE, RSV, RSV1, mask, wrong_byte
from wslearn.frames import KINDS, MAX_CONTROL_PAYLOAD, Binary, Close, CloseCode, Opcode, Text, may_be_sent

Sender = Literal["client", "server"]

OPCODES: dict[int, str] = {
    Opcode.CONTINUATION: "continuation: the payload goes on where the last fragment of the message ended",
    Opcode.TEXT: "text: the payload is text in UTF-8",
    Opcode.BINARY: "binary: the payload is bytes that only the application understands",
    Opcode.CLOSE: "close: this is the last frame that its sender sends",
    Opcode.PING: "ping: the receiver answers with a pong that carries the same payload",
    Opcode.PONG: "pong: the answer to a ping",
}
PAYLOADS: dict[int, str] = {
    Opcode.CONTINUATION: "the next part of the message",
    Opcode.TEXT: "text, changed by an extension",
    Opcode.BINARY: "bytes for the application",
    Opcode.CLOSE: "why the connection is closed",
    Opcode.PING: "the pong has to bring these bytes back",
    Opcode.PONG: "equal to the payload of the ping that it answers",
}
PAYLOAD_SECTIONS: dict[int, str] = {
    Opcode.CONTINUATION: "5.4",
    Opcode.TEXT: "5.6",
    Opcode.BINARY: "5.6",
    Opcode.CLOSE: "5.5.1",
    Opcode.PING: "5.5.2",
    Opcode.PONG: "5.5.3",
}


class Field(NamedTuple):
    """One field of a frame; `start` and `length` are in bits from the beginning of the frame.

    `value` is the number that the bits hold, the key's bytes, the unmasked payload or the reason's text,
    and None for a number that is not there to its last bit.
    """

    name: str
    start: int
    length: int
    value: int | bytes | str | None
    meaning: str
    section: str


class Violation(NamedTuple):
    """A rule that the frame breaks, and the bits that break it."""

    message: str
    section: str
    start: int
    length: int


class ClaimsBits(Protocol):
    """What a dissection wants to know of an extension: the numbers of the RSV bits that it uses."""

    @property
    def rsv(self) -> Collection[int]: ...


@dataclass(frozen=True, repr=False)
class Dissection:
    """The first frame of some bytes, taken apart.

    `wire` is the frame as it was sent, as far as it goes, and `rest` what follows it. `masked` is the
    payload as on the wire, `unmasked` as the application has it (equal where there is no mask). `missing`
    says what has not arrived, and is empty for a frame that is complete. Sizes are in bytes;
    `header_size` is None while it cannot be known.
    """

    kind: str
    sender: Sender | None
    wire: bytes
    fields: tuple[Field, ...]
    violations: tuple[Violation, ...]
    masked: bytes
    unmasked: bytes
    rest: bytes
    header_size: int | None
    payload_length: int | None
    missing: str

    @property
    def complete(self) -> bool:
        """Whether every byte of the frame is there."""
        return not self.missing

    def __repr__(self) -> str:
        rows = [HEADINGS, *(_cells(field) for field in self.fields)] if self.fields else []
        widths = [max(len(row[column]) for row in rows) for column in range(4)] if rows else []
        lines = ["  ".join([*map(str.ljust, row, widths), row[-1]]) for row in rows]
        return "\n".join([self._summary(), *lines, *(f"{name}: {text}" for name, text in self._notes())])

    def _repr_html_(self) -> str:
        head = "".join(f'<th scope="col" {LEFT}>{name}</th>' for name in HEADINGS)
        body = "".join(_html_row(_cells(field)) for field in self.fields)
        notes = "".join(
            f"<li><strong>{name}</strong>: <code>{escape(text)}</code></li>"
            if name in ("masked", "unmasked")
            else f"<li><strong>{name}</strong>: {escape(text)}</li>"
            for name, text in self._notes()
        )
        return (
            f"<table><caption {LEFT}>{escape(self._summary())}</caption>"
            f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
            + (f"<ul>{notes}</ul>" if notes else "")
        )

    def _summary(self) -> str:
        whose = f" from a {self.sender}" if self.sender else ""
        if not self.fields:
            return f"no frame{whose}: 0 bytes"
        if self.header_size is None or self.payload_length is None:
            return f"{self.kind}{whose}, incomplete"
        size = f"header {_bytes(self.header_size)}, payload {_bytes(self.payload_length)}"
        return f"{self.kind}{whose}: {size}{', incomplete' if self.missing else ''}"

    def _notes(self) -> Iterator[tuple[str, str]]:
        if self.masked != self.unmasked:
            yield "masked", _hex(self.masked)
            yield "unmasked", _hex(self.unmasked)
        if self.missing and self.fields:
            yield "missing", self.missing
        for message, section, start, length in self.violations:
            yield "violation", f"{message} (RFC 6455, section {section}), {_bits(start, length)}"
        if self.rest:
            yield "rest", f"{_bytes(len(self.rest))} of what follows"


HEADINGS = ("field", "bits", "value", "meaning", "RFC 6455")
LEFT = 'style="text-align:left"'


def dissect(data: bytes, sender: Sender | None = None, extensions: Iterable[ClaimsBits] = ()) -> Dissection:
    """Take the first frame of `data` apart, field by field, as far as the bytes go.

    Args:
        sender: who sent the frame; with None no state of the mask is a violation.
        extensions: what was negotiated; the RSV bits that they claim are no violation.

    Raises:
        TypeError: `data` is not bytes.
        ValueError: `sender` is neither "client" nor "server" nor None.
    """
    if not isinstance(data, bytes | bytearray | memoryview):
        raise TypeError(f"data is {data!r}: bytes are needed")
    if sender not in ("client", "server", None):
        raise ValueError(f"sender is {sender!r}: 'client', 'server' or None is needed")
    parts = _Parts(bytes(data))
    claims = {bit for extension in extensions for bit in extension.rsv}
    return Dissection(
        kind=parts.kind,
        sender=sender,
        wire=parts.data[: parts.end],
        fields=(*_header_fields(parts, claims), *_payload_fields(parts)),
        violations=tuple(_violations(parts, sender, claims)),
        masked=parts.masked,
        unmasked=parts.unmasked,
        rest=parts.data[parts.end :],
        header_size=parts.header_size,
        payload_length=parts.length,
        missing=_missing(parts),
    )


class _Parts:
    """Where the parts of the first frame begin and end, in bytes; None for what is not there."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.first = data[0] if data else 0
        self.opcode = self.first & OPCODE
        self.second = data[1] if len(data) > 1 else 0
        self.short = self.second & LENGTH
        self.width = {126: 2, 127: 8}.get(self.short, 0)
        self.extended = data[2 : 2 + self.width]
        self.key_at = 2 + self.width
        self.key = data[self.key_at : self.key_at + 4] if self.second & MASK else b""
        self.header_size = self.key_at + (4 if self.second & MASK else 0) if len(data) > 1 else None
        self.length = self._length()
        self.end = self._end()
        self.masked = b"" if self.header_size is None else data[self.header_size : self.end]
        self.unmasked = mask(self.key, self.masked) if len(self.key) == 4 else self.masked

    @property
    def kind(self) -> str:
        if self.opcode == CONTINUATION:
            return "Continuation frame"
        if self.opcode in KINDS:
            return f"{KINDS[self.opcode].__name__} frame"
        return f"Frame with opcode {self.opcode}"

    @property
    def is_control(self) -> bool:
        return self.opcode >= Close.kind

    def _length(self) -> int | None:
        if len(self.data) < 2 or len(self.extended) < self.width:
            return None
        return int.from_bytes(self.extended, "big") if self.width else self.short

    def _end(self) -> int:
        if self.header_size is None or self.length is None:
            return len(self.data)
        return min(len(self.data), self.header_size + self.length)


def _missing(parts: _Parts) -> str:
    """Say what has not arrived, in bytes."""
    if not parts.data:
        return "everything"
    if parts.header_size is None:
        return "the second byte and what follows it"
    if parts.length is None:
        return f"{_some(parts.extended, parts.width)} of extended_payload_length, and what follows it"
    if len(parts.data) < parts.header_size:
        return f"{_some(parts.key, 4)} of masking_key" + (", and the payload" if parts.length else "")
    if len(parts.masked) < parts.length:
        return f"{_some(parts.masked, parts.length)} of payload"
    return ""


def _some(here: bytes, size: int) -> str:
    return f"{size - len(here)} of {_bytes(size)}"


def _header_fields(parts: _Parts, claims: Collection[int]) -> Iterator[Field]:
    """Yield the fields in front of the payload that are there, at least in part."""
    if not parts.data:
        return
    fin = 1 if parts.first & FIN else 0
    yield Field("FIN", 0, 1, fin, _fin_says(parts), "5.2")
    for number in (1, 2, 3):
        bit = 1 if parts.first & _rsv(number) else 0
        yield Field(f"RSV{number}", number, 1, bit, _rsv_says(parts, number, claims), "5.2")
    yield Field("opcode", 4, 4, parts.opcode, _opcode_says(parts.opcode), "5.2")
    if len(parts.data) < 2:
        return
    masks = "masking_key follows, and the payload is masked with it"
    bit = 1 if parts.second & MASK else 0
    yield Field("MASK", 8, 1, bit, masks if bit else "no masking_key, the payload is sent as it is", "5.2")
    yield Field("payload_length", 9, 7, parts.short, _short_says(parts.short), "5.2")
    if parts.extended:
        bits = len(parts.extended) * 8
        yield Field("extended_payload_length", 16, bits, parts.length, _length_says(parts), "5.2")
    if parts.key:
        says = "payload byte i is XORed with key byte i modulo 4"
        if len(parts.key) < 4:
            says = f"{len(parts.key)} of its 4 bytes are here"
        yield Field("masking_key", parts.key_at * 8, len(parts.key) * 8, parts.key, says, "5.3")


def _fin_says(parts: _Parts) -> str:
    if parts.is_control:
        whole = "the frame is whole, as every control frame has to be"
        return whole if parts.first & FIN else "more fragments follow, though no control frame may be split"
    if not parts.first & FIN:
        return "more fragments of this message follow"
    if parts.opcode == CONTINUATION:
        return "this is the last fragment of its message"
    return "the frame is a whole message"


def _rsv(number: int) -> int:
    """Return the bit RSV1, RSV2 or RSV3 in the first byte."""
    return RSV1 >> (number - 1)


def _is_claimed(parts: _Parts, number: int, claims: Collection[int]) -> bool:
    """Tell whether an extension may set this bit: on the first frame of a message only."""
    return number in claims and parts.opcode in (Text.kind, Binary.kind)


def _rsv_says(parts: _Parts, number: int, claims: Collection[int]) -> str:
    if not parts.first & _rsv(number):
        return "reserved for extensions, not used here"
    if _is_claimed(parts, number, claims):
        return "an extension has changed this message"
    return "reserved for extensions, and set though none claims it here"


def _opcode_says(opcode: int) -> str:
    kind = "control" if opcode >= Close.kind else "data"
    return OPCODES.get(opcode, f"reserved for {kind} frames that nobody has defined yet")


def _short_says(short: int) -> str:
    if short > 125:
        return f"{short} says: the next {16 if short == 126 else 64} bits hold the length"
    return f"the payload has {_bytes(short)}" if short else "there is no payload"


def _length_says(parts: _Parts) -> str:
    if parts.length is None:
        return f"{len(parts.extended)} of its {parts.width} bytes are here"
    return f"the payload has {_bytes(parts.length)}"


def _payload_fields(parts: _Parts) -> Iterator[Field]:
    """Yield the payload, and for a Close what is inside it, where any of it is there."""
    payload = parts.unmasked
    if not payload or parts.header_size is None:
        return
    start = parts.header_size * 8
    yield Field(
        "payload",
        start,
        len(payload) * 8,
        payload,
        _payload_says(parts),
        PAYLOAD_SECTIONS.get(parts.opcode, "5.2"),
    )
    if parts.opcode != Close.kind or len(payload) < 2:
        return
    code = int.from_bytes(payload[:2], "big")
    yield Field("status_code", start, 16, code, _code_says(code), "7.4")
    if reason := payload[2:]:
        text = reason.decode(errors="replace")
        says = "why, in UTF-8, for people and logs"
        yield Field("reason", start + 16, len(reason) * 8, text, says, "7.1.6")


def _payload_says(parts: _Parts) -> str:
    """Say what the payload is for, whether it is masked, and how much of it is here."""
    what = PAYLOADS.get(parts.opcode, "what these bytes mean is not defined")
    if parts.opcode == Text.kind and not parts.first & RSV:
        what = f"the text {_text(parts.unmasked)}"
    masked = ", on the wire masked" if parts.key else ""
    if parts.length is not None and len(parts.masked) < parts.length:
        return f"{what}{masked}; {len(parts.masked)} of its {_bytes(parts.length)} are here"
    return what + masked


def _code_says(code: int) -> str:
    if code in CloseCode._value2member_map_:
        name = CloseCode(code).name.lower().replace("_", " ")
        return name if may_be_sent(code) else f"{name}: it stands for something that no frame may say"
    if 3000 <= code <= 3999:
        return "a code that libraries and frameworks register with IANA"
    if 4000 <= code <= 4999:
        return "a code of the application's own"
    return "no code that a frame may carry"


def _violations(parts: _Parts, sender: Sender | None, claims: Collection[int]) -> Iterator[Violation]:
    """Yield the rules that the bytes break, in wire order."""
    if not parts.data:
        return
    # "All control frames MUST have a payload length of 125 bytes or less and MUST NOT be
    # fragmented." (5.5)
    if parts.is_control and not parts.first & FIN:
        yield Violation(f"control frame in fragments: opcode {parts.opcode} with FIN 0", "5.5", 0, 1)
    for number in (1, 2, 3):
        # "MUST be 0 unless an extension is negotiated that defines meanings for non-zero values" (5.2)
        if parts.first & _rsv(number) and not _is_claimed(parts, number, claims):
            says = f"reserved bit set: RSV{number}, and no extension claims it here"
            yield Violation(says, "5.2", number, 1)
    if parts.opcode not in OPCODES:
        yield Violation(f"unknown opcode: {parts.opcode}, known are 0, 1, 2, 8, 9 and 10", "5.2", 4, 4)
    if len(parts.data) > 1:
        yield from _mask_violations(parts, sender)
        yield from _length_violations(parts)
    yield from _payload_violations(parts)


def _mask_violations(parts: _Parts, sender: Sender | None) -> Iterator[Violation]:
    # "a server MUST close a connection upon receiving a frame that is not masked", "a client MUST
    # close a connection if it detects a masked frame" (5.1)
    if sender == "client" and not parts.second & MASK:
        yield Violation("unmasked frame from a client", "5.1", 8, 1)
    if sender == "server" and parts.second & MASK:
        yield Violation("masked frame from a server", "5.1", 8, 1)


def _length_violations(parts: _Parts) -> Iterator[Violation]:
    length = parts.length
    if parts.is_control and (parts.short if length is None else length) > MAX_CONTROL_PAYLOAD:
        size = "126 or more" if length is None else length
        says = f"control frame too long: {size} bytes, at most {MAX_CONTROL_PAYLOAD}"
        yield Violation(says, "5.5", 9, 7 + len(parts.extended) * 8)
    if length is None or not parts.width:
        return
    if length > MAX_LENGTH:
        # "the most significant bit MUST be 0" (5.2)
        yield Violation(f"payload length {length}: at most 2**63 - 1", "5.2", 16, 1)
    if length < (126 if parts.width == 2 else 65536):
        # "the minimal number of bytes MUST be used to encode the length" (5.2)
        says = f"payload length {length} in {parts.width} bytes: the shortest form is due"
        yield Violation(says, "5.2", 16, parts.width * 8)


def _payload_violations(parts: _Parts) -> Iterator[Violation]:
    if parts.header_size is None:
        return
    start = parts.header_size * 8
    payload, final = parts.unmasked, len(parts.masked) == parts.length
    if parts.opcode == Close.kind:
        yield from _close_violations(payload, start, final)
    # with an RSV bit set the payload is what an extension made of the text
    elif parts.first == FIN | Text.kind:
        yield from _utf8_violations("text", payload, start, final)


def _close_violations(payload: bytes, start: int, final: bool) -> Iterator[Violation]:
    if len(payload) < 2:
        if payload and final:
            # "If there is a body, the first two bytes of the body MUST be a 2-byte unsigned
            # integer" (5.5.1)
            yield Violation("close payload of 1 byte: a code has 2", "5.5.1", start, 8)
        return
    code = int.from_bytes(payload[:2], "big")
    if not may_be_sent(code):
        says = f"close code {code}: 1000 to 1003, 1007 to 1014 and 3000 to 4999 are allowed"
        yield Violation(says, "7.4", start, 16)
    yield from _utf8_violations("close reason", payload[2:], start + 16, final)


def _utf8_violations(what: str, text: bytes, start: int, final: bool) -> Iterator[Violation]:
    """Yield where the text stops being UTF-8, found at its first wrong byte."""
    try:
        codecs.getincrementaldecoder("utf-8")().decode(text, final)
    except UnicodeDecodeError as error:
        at = wrong_byte(error)
        if at < len(text):
            says = f"invalid UTF-8 in {what}: byte {at} cannot stand there"
            yield Violation(says, "8.1", start + at * 8, 8)
        else:
            says = f"invalid UTF-8 in {what}: it ends inside a character, after {at} bytes"
            yield Violation(says, "8.1", start + error.start * 8, (at - error.start) * 8)


def _cells(field: Field) -> tuple[str, str, str, str, str]:
    return (field.name, _bits(field.start, field.length), _value(field), field.meaning, field.section)


def _html_row(cells: tuple[str, str, str, str, str]) -> str:
    name, *others = map(escape, cells)
    return (
        f'<tr><th scope="row" {LEFT}>{name}</th>' + "".join(f"<td {LEFT}>{c}</td>" for c in others) + "</tr>"
    )


def _bits(start: int, length: int) -> str:
    return f"bit {start}" if length == 1 else f"bits {start}–{start + length - 1}"


def _value(field: Field) -> str:
    match field.value:
        case bytes(data):
            return _hex(data, 8)
        case str(text):
            return repr(text)
        case None:
            return ""
        case number:
            return str(number)


def _text(payload: bytes, limit: int = 60) -> str:
    text = payload.decode(errors="replace")
    return repr(text) if len(text) <= limit else f"{text[:limit]!r} … {len(text)} characters"


def _hex(data: bytes, limit: int = 20) -> str:
    shown = data[:limit].hex(" ")
    return shown if len(data) <= limit else f"{shown} … {_bytes(len(data))}"


def _bytes(count: int) -> str:
    return f"{count} byte" if count == 1 else f"{count} bytes"
