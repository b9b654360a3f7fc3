"""Frames and handshakes bit by bit, as RFC 6455, sections 4 and 5.2 draw them, for people to read.

`dissect` and `dissect_handshake` take bytes apart as far as they go and say which rules they break; they
judge nothing else, remember nothing and never fail on bytes. What a session does about them is its own.
"""

from __future__ import annotations

import base64
import codecs
import re
import zlib
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from html import escape
from http import HTTPStatus
from reprlib import repr as short
from typing import Literal, NamedTuple, Protocol

from wslearn.codec import CONTINUATION, FIN, LENGTH, MASK, MAX_LENGTH, OPCODE, RSV, RSV1, mask, wrong_byte
from wslearn.frames import KINDS, MAX_CONTROL_PAYLOAD, Binary, Close, CloseCode, Opcode, Text, may_be_sent
from wslearn.handshake import END, HEADER, MAX_HEAD, TOKEN, accept_key, is_target

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
    """One field of a frame or a handshake; `start` and `length` are in bits from its beginning.

    `value` is the number that the bits hold, the key's bytes, the unmasked payload or the reason's text,
    and None for a number that is not there to its last bit. In a handshake it is a text, of a header the
    text behind its name, while the bits are those of the whole line.
    """

    name: str
    start: int
    length: int
    value: int | bytes | str | None
    meaning: str
    section: str


class Violation(NamedTuple):
    """A rule that a frame or a handshake breaks, and the bits that break it."""

    message: str
    section: str
    start: int
    length: int


class ClaimsBits(Protocol):
    """What a dissection wants to know of an extension: the numbers of the RSV bits that it uses."""

    @property
    def rsv(self) -> Collection[int]: ...


class Printed:
    """Something that prints as a table of fields under one line, with notes below it."""

    fields: tuple[Field, ...]
    _unit = "bit"

    def told(self, violation: Violation) -> str:
        """Return a rule with its section and the place where it is broken, in one line."""
        return f"{violation.message} (RFC 6455, section {violation.section}), {self._place(violation)}"

    def _summary(self) -> str:
        raise NotImplementedError

    def _place(self, violation: Violation) -> str:
        raise NotImplementedError

    def _notes(self) -> Iterator[tuple[str, str]]:
        raise NotImplementedError

    def __repr__(self) -> str:
        return _as_text(self._summary(), self._rows(), self._notes())

    def _repr_html_(self) -> str:
        return _as_html(self._summary(), self._rows(), self._notes())

    def _rows(self) -> list[_Row]:
        """Return the headings, and a row for each field."""
        rows = [(f.name, _span(self._unit, f), _value(f), f.meaning, f.section) for f in self.fields]
        return [("field", f"{self._unit}s", "value", "meaning", "RFC 6455"), *rows]


@dataclass(frozen=True, repr=False)
class Dissection(Printed):
    """The first frame of some bytes, taken apart.

    `wire` is the frame as it was sent, as far as it goes, and `rest` what follows it. `masked` is the
    payload as on the wire, `unmasked` without its mask (equal where there is none), and `inflated` without
    its compression: None where there is none, and where the messages before it are needed. `missing` says
    what has not arrived, and is empty for a frame that is complete. Sizes are in bytes; `header_size` is
    None while it cannot be known.
    """

    kind: str
    sender: Sender | None
    wire: bytes
    fields: tuple[Field, ...]
    violations: tuple[Violation, ...]
    masked: bytes
    unmasked: bytes
    inflated: bytes | None
    rest: bytes
    header_size: int | None
    payload_length: int | None
    missing: str

    @property
    def complete(self) -> bool:
        """Whether every byte of the frame is there."""
        return not self.missing

    def _summary(self) -> str:
        whose = f" from a {self.sender}" if self.sender else ""
        if not self.fields:
            return f"no frame{whose}: 0 bytes"
        if self.header_size is None or self.payload_length is None:
            return f"{self.kind}{whose}, incomplete"
        size = f"header {_bytes(self.header_size)}, payload {_bytes(self.payload_length)}"
        return f"{self.kind}{whose}: {size}{', incomplete' if self.missing else ''}"

    def _place(self, violation: Violation) -> str:
        if violation.start % 8 or violation.length % 8:
            return _span("bit", violation)
        return f"{_span('byte', violation)} of the frame"

    def _notes(self) -> Iterator[tuple[str, str]]:
        if self.masked != self.unmasked:
            yield "masked", _hex(self.masked)
            yield "unmasked", _hex(self.unmasked)
        if self.inflated is not None:
            yield "inflated", _inflated_says(self.inflated, self.kind == "Text frame")
        if self.missing and self.fields:
            yield "missing", self.missing
        for violation in self.violations:
            yield "violation", self.told(violation)
        if self.rest:
            yield "rest", f"{_bytes(len(self.rest))} of what follows"


INFLATED = 2**20
"""Bytes that a payload is inflated to at most: a few of them may stand for gigabytes."""


def dissect(data: bytes, sender: Sender | None = None, extensions: Iterable[ClaimsBits] = ()) -> Dissection:
    """Take the first frame of `data` apart, field by field, as far as the bytes go.

    Args:
        sender: who sent the frame; with None no state of the mask is a violation.
        extensions: what was negotiated; the RSV bits that they claim are no violation.

    Raises:
        TypeError: `data` is not bytes.
        ValueError: `sender` is neither "client" nor "server" nor None.
    """
    data = _checked(data)
    if sender not in ("client", "server", None):
        raise ValueError(f"sender is {sender!r}: 'client', 'server' or None is needed")
    parts = _Parts(data)
    claims = {bit: extension for extension in extensions for bit in extension.rsv}
    inflated = _inflate(parts) if _is_deflated(parts, claims) else None
    return Dissection(
        kind=parts.kind,
        sender=sender,
        wire=parts.data[: parts.end],
        fields=(*_header_fields(parts, claims), *_payload_fields(parts)),
        violations=tuple(_violations(parts, sender, claims, inflated)),
        masked=parts.masked,
        unmasked=parts.unmasked,
        inflated=inflated,
        rest=parts.data[parts.end :],
        header_size=parts.header_size,
        payload_length=parts.length,
        missing=_missing(parts),
    )


def _checked(data: object) -> bytes:
    if not isinstance(data, bytes | bytearray | memoryview):
        hint = ", and bytes.fromhex() makes some of hex digits" if isinstance(data, str) else ""
        raise TypeError(f"data is {short(data)}: bytes are needed{hint}")
    return bytes(data)


def read_hex(text: str) -> bytes:
    """Return the bytes of hex digits as people write and copy them: with blanks, commas, colons, 0x.

    Raises:
        ValueError: something is no pair of digits; it is named.
    """
    pairs = re.split(r"[\s,:]+", text.strip())
    for pair in pairs:
        if not re.fullmatch(r"(0x)?([0-9a-fA-F]{2})+", pair):
            raise ValueError(f"{short(pair)} is no hex: two digits of 0-9 and a-f a byte")
    return bytes.fromhex("".join(pair.removeprefix("0x") for pair in pairs))


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


def _is_deflated(parts: _Parts, claims: dict[int, ClaimsBits]) -> bool:
    """Tell whether the payload is a whole message that permessage-deflate has compressed (RFC 7692)."""
    is_message = parts.first & (FIN | RSV) == FIN | RSV1 and parts.opcode in (Text.kind, Binary.kind)
    if not is_message or 1 not in claims or len(parts.masked) != parts.length:
        return False
    return getattr(claims[1], "name", "permessage-deflate") == "permessage-deflate"


def _inflate(parts: _Parts) -> bytes | None:
    """Return the payload inflated to at most 1 MiB; None where it does not stand for itself."""
    try:
        # "Append 4 octets of 0x00 0x00 0xff 0xff to the tail end of the payload" (RFC 7692, 7.2.2)
        return zlib.decompressobj(wbits=-15).decompress(parts.unmasked + b"\0\0\xff\xff", INFLATED)
    except zlib.error:
        return None


def _inflated_says(inflated: bytes, is_text: bool) -> str:
    size = f"{_bytes(len(inflated))}{' or more' if len(inflated) == INFLATED else ''}"
    return f"{_text(inflated) if is_text else _hex(inflated)}, {size}"


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


def _violations(
    parts: _Parts, sender: Sender | None, claims: Collection[int], inflated: bytes | None
) -> Iterator[Violation]:
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
    yield from _payload_violations(parts, inflated)


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


def _payload_violations(parts: _Parts, inflated: bytes | None) -> Iterator[Violation]:
    if parts.header_size is None:
        return
    start = parts.header_size * 8
    payload, final = parts.unmasked, len(parts.masked) == parts.length
    if parts.opcode == Close.kind:
        yield from _close_violations(payload, start, final)
    elif parts.opcode == Text.kind and not parts.first & RSV:
        yield from _utf8_violations("text", payload, start, final and bool(parts.first & FIN))
    elif parts.opcode == Text.kind and inflated is not None:
        # compression leaves no bits of its own to a byte: the whole payload stands for it
        wrong = _utf8_violations("inflated text", inflated, 0, len(inflated) < INFLATED)
        yield from (violation._replace(start=start, length=len(payload) * 8) for violation in wrong)


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


# ── handshakes ───────────────────────────────────────────────────────────────────────────────────────

# What a header says, and the section on it: in a request, in a response.
REQUEST_HEADERS = {
    "host": ("whom the request is for, as one address may serve many names", "4.1"),
    "upgrade": ("asks to go on in this protocol", "4.1"),
    "connection": ("what is meant for this connection alone, and must not be passed on", "4.1"),
    "sec-websocket-key": ("16 bytes by chance in base64: only an answer to this request can match", "4.1"),
    "sec-websocket-version": ("the version of the protocol: 13 is RFC 6455", "4.1"),
    "sec-websocket-protocol": ("subprotocols that the client offers, the best first", "4.1"),
    "sec-websocket-extensions": ("extensions that the client offers", "9.1"),
    "origin": ("the page that asks, said by its browser", "10.2"),
    "cookie": ("what the browser keeps for this server", "4.1"),
    "authorization": ("who asks", "4.1"),
}
RESPONSE_HEADERS = {
    "upgrade": ("from here on this protocol is spoken", "4.2.2"),
    "connection": ("what is meant for this connection alone", "4.2.2"),
    "sec-websocket-accept": ("the proof that this answers that key, and no other", "4.2.2"),
    "sec-websocket-protocol": ("the subprotocol that the server chose", "4.2.2"),
    "sec-websocket-extensions": ("the extensions that the server accepts", "9.1"),
    "sec-websocket-version": ("the versions that the server knows", "4.4"),
}
UPGRADE = (("Upgrade", "websocket"), ("Connection", "Upgrade"))


@dataclass(frozen=True, repr=False)
class HandshakeDissection(Printed):
    """The head of a request or a response at the beginning of some bytes, taken apart line by line.

    `wire` is the head with its blank line, as far as it goes, and `rest` what follows it: frames, once the
    handshake is done. `missing` says what has not arrived, and is empty for a head that is complete.
    """

    kind: Literal["request", "response"]
    wire: bytes
    fields: tuple[Field, ...]
    violations: tuple[Violation, ...]
    rest: bytes
    missing: str
    _unit = "byte"

    @property
    def complete(self) -> bool:
        """Whether the blank line is there."""
        return not self.missing

    def value(self, name: str) -> str | None:
        """Return the value of a field, in any case of its letters; None where there is none."""
        values = (field.value for field in self.fields if field.name.lower() == name.lower())
        return next((value for value in values if isinstance(value, str)), None)

    def _summary(self) -> str:
        if not self.wire:
            return "no handshake: 0 bytes"
        return f"{self.kind}: {_bytes(len(self.wire))}{'' if self.complete else ', incomplete'}"

    def _place(self, violation: Violation) -> str:
        at = violation.start // 8
        if self.complete and at == len(self.wire) - 2:
            return "before the blank line"
        line = 1 + self.wire.count(b"\r\n", 0, at)
        return f"line {line}, {_span('byte', violation)}"

    def _notes(self) -> Iterator[tuple[str, str]]:
        if self.missing and self.wire:
            yield "missing", self.missing
        for violation in self.violations:
            yield "violation", self.told(violation)
        if self.rest:
            yield "rest", f"{_bytes(len(self.rest))} of what follows"


def dissect_handshake(data: bytes, key: str | None = None) -> HandshakeDissection:
    """Take the head of a request or a response apart, line by line, as far as the bytes go.

    Args:
        key: the Sec-WebSocket-Key of the request that a response answers; with None its
            Sec-WebSocket-Accept is judged by its form alone.

    Raises:
        TypeError: `data` is not bytes.
    """
    head = _Head(_checked(data))
    rules = _response_violations(head, key) if head.is_response else _request_violations(head)
    return HandshakeDissection(
        kind="response" if head.is_response else "request",
        wire=head.wire,
        fields=(*head.first.values(), *head.headers),
        violations=tuple(sorted([*head.wrong, *rules], key=lambda violation: violation.start)),
        rest=head.rest,
        missing=""
        if head.is_whole
        else "everything"
        if not head.wire
        else "the blank line that ends the head",
    )


class _Head:
    """The lines of a head as fields, and the lines that are none."""

    def __init__(self, data: bytes) -> None:
        end = data.find(END, 0, MAX_HEAD)
        size = MAX_HEAD if end < 0 else end + len(END)
        self.wire, self.rest = data[:size], data[size:]
        self.is_whole = end >= 0
        self.is_response = bool(data) and b"HTTP/".startswith(data[:5])
        self.first: dict[str, Field] = {}
        self.headers: list[Field] = []
        self.wrong: list[Violation] = []
        self.blank = (8 * (len(self.wire) - 2), 16)
        at = 0
        first, *lines = self.wire.removesuffix(END).decode("latin-1").split("\r\n")
        if data:
            self._read_first(first, is_whole=self.is_whole or bool(lines))
        for number, line in enumerate(lines, 1):
            at += len(first) + 2
            first = line
            if line:
                self._read_header(at, line, is_whole=self.is_whole or number < len(lines))

    def _read_first(self, line: str, is_whole: bool) -> None:
        """Read a request line or a status line; the texts between its first two blanks."""
        parts = line.split(" ", 2)
        names = ("version", "status", "reason") if self.is_response else ("method", "target", "version")
        at = 0
        for name, part in zip(names, parts, strict=False):
            if part:
                says, section = _first_line_says(self.is_response, name, part)
                self.first[name] = Field(name, 8 * at, 8 * len(part), part, says, section)
            at += len(part) + 1
        if not is_whole:
            return
        if self.is_response and not re.fullmatch(r"HTTP/1\.[01] \d{3}( .*)?", line):
            self._is_wrong(f"no HTTP/1.1 status line: {short(line)}", "4.2.2", 0, len(line) or 2)
        if not self.is_response and not (
            len(parts) == 3 and TOKEN.fullmatch(parts[0]) and is_target(parts[1])
        ):
            self._is_wrong(f"no request line: {short(line)}", "4.1", 0, len(line) or 2)

    def _read_header(self, at: int, line: str, is_whole: bool) -> None:
        found = HEADER.fullmatch(line)
        if found is None:
            says = "no header" if is_whole else "a header that is still arriving"
            self.headers.append(Field("line", 8 * at, 8 * len(line), line, says, self.section))
            if is_whole:
                # "The handshake MUST be a valid HTTP request" (4.1)
                self._is_wrong(f"no header line: {short(line)}", self.section, at, len(line))
            return
        known = RESPONSE_HEADERS if self.is_response else REQUEST_HEADERS
        says, section = known.get(found[1].lower(), ("means nothing to WebSocket", self.section))
        self.headers.append(Field(found[1], 8 * at, 8 * len(line), found[2].rstrip(" \t"), says, section))

    def _is_wrong(self, message: str, section: str, at: int, size: int) -> None:
        self.wrong.append(Violation(message, section, 8 * at, 8 * size))

    @property
    def section(self) -> str:
        return "4.2.2" if self.is_response else "4.1"

    def named(self, name: str) -> list[Field]:
        """Return the lines of a header; one that is still arriving is none yet."""
        whole = self.headers if self.is_whole else self.headers[:-1]
        return [field for field in whole if field.name.lower() == name.lower()]

    def tokens(self, name: str) -> list[str]:
        """Return the comma-separated values of a header over all its lines."""
        return [token.strip() for line in self.named(name) for token in str(line.value).split(",")]


def _first_line_says(is_response: bool, name: str, part: str) -> tuple[str, str]:
    match name:
        case "method":
            return "a handshake is a GET" if "GET".startswith(
                part
            ) else "no handshake: a GET is needed", "4.1"
        case "target":
            return "which of the server's resources is meant", "4.1"
        case "status":
            return _status_says(part), "4.2.2"
        case "reason":
            return "the status in words, for people", "4.2.2"
    return "the version of HTTP", "4.2.2" if is_response else "4.1"


def _status_says(status: str) -> str:
    if status == "101":
        return "switching protocols: frames follow the blank line"
    known = {str(each.value): each.phrase.lower() for each in HTTPStatus}
    return f"{known.get(status, 'no status that HTTP knows')}: the connection stays HTTP"


def _request_violations(head: _Head) -> Iterator[Violation]:
    """Yield the rules of section 4.1 that a request breaks."""
    method, version = head.first.get("method"), head.first.get("version")
    # "The method of the request MUST be GET, and the HTTP version MUST be at least 1.1." (4.1)
    if version and method and method.value != "GET":
        yield _at(method, f"method is {short(method.value)}: GET is needed", "4.1")
    if version and (head.is_whole or head.headers) and version.value != "HTTP/1.1":
        yield _at(version, f"version is {short(version.value)}: HTTP/1.1 is needed", "4.1")
    yield from _one(head, "Host")
    for name, token in UPGRADE:
        yield from _listed(head, name, token)
    yield from _one(head, "Sec-WebSocket-Key")
    for field in head.named("Sec-WebSocket-Key")[:1]:
        # "a nonce consisting of a randomly selected 16-byte value that has been base64-encoded" (4.1)
        yield from _holds(field, 16, "4.1")
    yield from _one(head, "Sec-WebSocket-Version")
    for field in head.named("Sec-WebSocket-Version")[:1]:
        if field.value != "13":
            yield _at(field, f"Sec-WebSocket-Version is {short(field.value)}: 13 is needed", "4.1")
    for field in head.named("Sec-WebSocket-Protocol")[:1]:
        # "elements that comprise this value MUST be non-empty strings ... and MUST all be unique strings"
        offered = head.tokens("Sec-WebSocket-Protocol")
        if len(set(offered)) < len(offered) or not all(map(TOKEN.fullmatch, offered)):
            yield _at(field, f"subprotocols are {short(offered)}: tokens, each once, are needed", "4.1")


def _response_violations(head: _Head, key: str | None) -> Iterator[Violation]:
    """Yield the rules of section 4.2.2 that a 101 breaks; every other answer is HTTP's alone."""
    status = head.first.get("status")
    if status is None or status.value != "101":
        return
    for name, token in UPGRADE:
        yield from _listed(head, name, token)
    yield from _one(head, "Sec-WebSocket-Accept")
    for field in head.named("Sec-WebSocket-Accept")[:1]:
        if key is not None and field.value != accept_key(key):
            yield _at(
                field, f"{field.name} is {short(field.value)}: {accept_key(key)!r} answers the key", "4.2.2"
            )
        elif key is None:
            yield from _holds(field, 20, "4.2.2")
    for field in head.named("Sec-WebSocket-Protocol")[1:]:
        yield _at(field, "a second subprotocol: at most one is chosen", "4.2.2")


def _at(field: Field, message: str, section: str) -> Violation:
    return Violation(message, section, field.start, field.length)


def _one(head: _Head, name: str) -> Iterator[Violation]:
    """Yield that a header is not there, where the blank line stands, or that it is there again."""
    lines = head.named(name)
    if not lines and head.is_whole:
        yield Violation(f"no {name} header: exactly one is needed", head.section, *head.blank)
    if len(lines) > 1:
        yield _at(lines[1], f"{len(lines)} {name} headers: exactly one is needed", head.section)


def _listed(head: _Head, name: str, token: str) -> Iterator[Violation]:
    lines = head.named(name)
    if token.lower() in map(str.lower, head.tokens(name)):
        return
    if lines:
        yield _at(lines[0], f"{name} is {short(lines[0].value)}: {token} is needed", head.section)
    elif head.is_whole:
        yield Violation(f"no {name} header: {token} is needed", head.section, *head.blank)


def _holds(field: Field, size: int, section: str) -> Iterator[Violation]:
    """Yield that a value is no base64 or not that of so many bytes."""
    try:
        found = len(base64.b64decode(str(field.value), validate=True))
    except ValueError:
        yield _at(field, f"{field.name} is {short(field.value)}: base64 is needed", section)
        return
    if found != size:
        yield _at(field, f"{field.name} is {_bytes(found)}: {size} are needed", section)


# ── printing ─────────────────────────────────────────────────────────────────────────────────────────


LEFT = 'style="text-align:left"'
_Row = tuple[str, str, str, str, str]


def _as_text(summary: str, rows: list[_Row], notes: Iterable[tuple[str, str]]) -> str:
    """Return a table under a line, and the notes below it."""
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    lines = ["  ".join([*map(str.ljust, row, widths), row[-1]]) for row in rows] if rows[1:] else []
    return "\n".join([summary, *lines, *(f"{name}: {text}" for name, text in notes)])


def _as_html(summary: str, rows: list[_Row], notes: Iterable[tuple[str, str]]) -> str:
    head = "".join(f'<th scope="col" {LEFT}>{name}</th>' for name in rows[0])
    items = "".join(f"<li><strong>{name}</strong>: {_note(name, text)}</li>" for name, text in notes)
    return (
        f"<table><caption {LEFT}>{escape(summary)}</caption>"
        f"<thead><tr>{head}</tr></thead><tbody>{''.join(map(_html_row, rows[1:]))}</tbody></table>"
        + (f"<ul>{items}</ul>" if items else "")
    )


def _note(name: str, text: str) -> str:
    return f"<code>{escape(text)}</code>" if name in ("masked", "unmasked", "inflated") else escape(text)


def _html_row(cells: _Row) -> str:
    name, *others = map(escape, cells)
    return (
        f'<tr><th scope="row" {LEFT}>{name}</th>' + "".join(f"<td {LEFT}>{c}</td>" for c in others) + "</tr>"
    )


def _span(unit: str, place: Field | Violation) -> str:
    """Say where bits stand, in bits or in bytes."""
    size = 8 if unit == "byte" else 1
    first, count = place.start // size, place.length // size
    return f"{unit} {first}" if count == 1 else f"{unit}s {first}–{first + count - 1}"


def _value(field: Field) -> str:
    match field.value:
        case bytes(data):
            return _hex(data, 8)
        case str(text):
            return _quoted(text, 125)
        case None:
            return ""
        case number:
            return str(number)


def _text(payload: bytes) -> str:
    return _quoted(payload.decode(errors="replace"), 60)


def _quoted(text: str, limit: int) -> str:
    return repr(text) if len(text) <= limit else f"{text[:limit]!r} … {len(text)} characters"


def _hex(data: bytes, limit: int = 20) -> str:
    shown = data[:limit].hex(" ")
    return shown if len(data) <= limit else f"{shown} … {_bytes(len(data))}"


def _bytes(count: int) -> str:
    return f"{count} byte" if count == 1 else f"{count} bytes"
