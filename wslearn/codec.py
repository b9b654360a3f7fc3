"""Bytes to frames and frames to bytes, by RFC 6455, section 5.2.

Pure functions of bytes and one incremental reader. No sockets, no time, no chance:
whoever masks brings the key, whoever reads brings the bytes.
"""

from __future__ import annotations

import codecs
from struct import Struct
from typing import NamedTuple, NoReturn

from wslearn.errors import FrameTooBig, ProtocolViolation
from wslearn.frames import KINDS, MAX_CONTROL_PAYLOAD, Binary, Close, CloseCode, Frame, Text, may_be_sent

try:
    from websockets.speedups import apply_mask
except ImportError:  # no compiled wheel here, in Pyodide for one
    from websockets.utils import apply_mask

FIN, RSV1, RSV2, RSV3, OPCODE = 0x80, 0x40, 0x20, 0x10, 0x0F
MASK, LENGTH = 0x80, 0x7F
RSV = RSV1 | RSV2 | RSV3
CONTINUATION = 0
MAX_LENGTH = 2**63 - 1
_EXTENDED = {126: 2, 127: 8}
_WHOLE: dict[int, type[Frame]] = {FIN | Text.kind: Text, FIN | Binary.kind: Binary}

MANY = 256
"""Pieces of one message that are kept apart."""

REMEMBERED = 64 * 1024
"""Bytes of the newest payload, at most, whose wire is kept for who sends it once more."""

_newest = (-1, b"", b"")
_short = Struct("!BB").pack
_long = Struct("!BBH").pack
_huge = Struct("!BBQ").pack


class Header(NamedTuple):
    """The fields in front of a payload; `length` is the payload's and `size` the header's, in bytes."""

    fin: bool
    rsv1: bool
    rsv2: bool
    rsv3: bool
    opcode: int
    masking_key: bytes | None
    length: int
    size: int


def read_header(data: bytes, at: int = 0) -> Header | None:
    """Read the header that begins at byte `at`, whatever its bits say; None while bytes are missing."""
    if len(data) < at + 2:
        return None
    first, second = data[at], data[at + 1]
    length = second & LENGTH
    extended = _EXTENDED.get(length, 0)
    key_at = at + 2 + extended
    size = 2 + extended + (4 if second & MASK else 0)
    if len(data) < at + size:
        return None
    if extended:
        length = int.from_bytes(data[at + 2 : key_at], "big")
    return Header(
        fin=bool(first & FIN),
        rsv1=bool(first & RSV1),
        rsv2=bool(first & RSV2),
        rsv3=bool(first & RSV3),
        opcode=first & OPCODE,
        masking_key=data[key_at : key_at + 4] if second & MASK else None,
        length=length,
        size=size,
    )


def mask(key: bytes, data: bytes) -> bytes:
    """Mask or unmask bytes with a key of four bytes (RFC 6455, section 5.3)."""
    return apply_mask(data, key)


def wrap(first: int, payload: bytes, masking_key: bytes | None = None) -> bytes:
    """Put the header in front of a payload, with the shortest length there is.

    Args:
        first: the first byte as it stands: FIN, reserved bits, opcode.
    """
    global _newest
    if masking_key is not None:
        return _lengths(first, MASK, len(payload)) + masking_key + apply_mask(payload, masking_key)
    # a payload that goes to many, one after the other, is wrapped once
    newest_first, newest, wire = _newest
    if payload is newest and first == newest_first:
        return wire
    length = len(payload)
    wire = (_short(first, length) if length < 126 else _lengths(first, 0, length)) + payload
    if length <= REMEMBERED:
        _newest = first, payload, wire
    return wire


def _lengths(first: int, bit: int, length: int) -> bytes:
    if length < 126:
        return _short(first, bit | length)
    if length < 65536:
        return _long(first, bit | 126, length)
    return _huge(first, bit | 127, length)


def encode(frame: Frame, masking_key: bytes | None = None, *, opcode: int | None = None) -> bytes:
    """Return the bytes of a frame on the wire.

    Args:
        masking_key: four bytes, or None for an unmasked frame.
        opcode: the opcode to write in place of the frame's own.
    """
    first = frame.first if opcode is None else frame.first & ~OPCODE | opcode
    return wrap(first, frame.data, masking_key)


def decode(first: int, payload: bytes, kind: type[Frame]) -> Frame:
    """Return the frame of a first byte, an unmasked payload and the class of its message, unchecked."""
    frame = object.__new__(kind)
    frame.data = payload
    frame.first = first
    return frame


class Pieces:
    """Bytes that arrive in pieces; many tiny ones are joined now and then, as each weighs 40 bytes more."""

    __slots__ = ("_blocks", "_pieces")

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._blocks = 0

    def add(self, piece: bytes) -> None:
        if not piece:
            return
        pieces = self._pieces
        pieces.append(piece)
        if len(pieces) - self._blocks == MANY:
            pieces[self._blocks :] = [b"".join(pieces[self._blocks :])]
            self._blocks += 1

    def join(self) -> bytes:
        """Return all of them as one."""
        return b"".join(self._pieces)


def wrong_byte(error: UnicodeDecodeError) -> int:
    """Return the position of the first byte that cannot continue UTF-8, in bytes."""
    return error.start if error.reason == "invalid start byte" else error.end


class Utf8:
    """Checks text that arrives in pieces, and fails at its first wrong byte."""

    __slots__ = ("_checked", "_decoder", "_waits", "_what")

    def __init__(self, what: str = "text") -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        self._checked = 0
        self._waits = b""  # the beginning of a character
        self._what = what

    def feed(self, piece: bytes, final: bool) -> None:
        """Check the next piece.

        Raises:
            ProtocolViolation: 1007 (RFC 6455, section 8.1).
        """
        try:
            self._decoder.decode(piece, final)
        except UnicodeDecodeError as error:
            at = self._checked - len(self._waits) + wrong_byte(error)
            self._fail_at(at, self._checked + len(piece))
        self._checked += len(piece)
        self._waits = self._decoder.getstate()[0]
        # the second byte of a surrogate is wrong already; the decoder waits for its third
        if self._waits[:1] == b"\xed" and self._waits[1:] >= b"\xa0":
            self._fail_at(self._checked - 1, self._checked)

    def _fail_at(self, at: int, end: int) -> NoReturn:
        why = f"byte {at} cannot stand there" if at < end else f"it ends inside a character, after {at} bytes"
        _fail(CloseCode.INVALID_DATA, "8.1", f"invalid UTF-8 in {self._what}: {why}")


def check_close(payload: bytes, final: bool = True) -> None:
    """Check the payload of a Close frame, or with `final=False` what has arrived of it.

    Raises:
        ProtocolViolation: 1002 for a code, 1007 for a reason (RFC 6455, sections 5.5.1, 7.4 and 8.1).
    """
    if len(payload) < 2:
        if payload and final:
            # "If there is a body, the first two bytes of the body MUST be a 2-byte unsigned
            # integer" (5.5.1)
            _fail(CloseCode.PROTOCOL_ERROR, "5.5.1", "close payload of 1 byte: a code has 2")
        return
    code = int.from_bytes(payload[:2], "big")
    if not may_be_sent(code):
        _fail(
            CloseCode.PROTOCOL_ERROR,
            "7.4",
            f"close code {code}: 1000 to 1003, 1007 to 1014 and 3000 to 4999 are allowed",
        )
    if len(payload) > 2:
        Utf8("close reason").feed(payload[2:], final)


class FrameReader:
    """Reads the frames of one direction from whatever pieces TCP delivers.

    `feed` takes bytes by reference, `next` returns one frame at a time, so that the caller may stop
    between two, and `empty` tells that all bytes are used. A frame that is still arriving is unmasked and
    checked piece by piece.

    Args:
        masked: whether the peer has to mask: True on the server, False on the client.
        max_frame_size: bytes that a data frame may declare, None for no limit; may change at any time.
        whole_messages: whether the limit also holds for the sum of a message's fragments.
        rsv: the reserved bits that an extension claims, as a bit mask of the first byte.
    """

    __slots__ = (
        "_at",
        "_buffer",
        "_first",
        "_key",
        "_left",
        "_mask",
        "_open",
        "_pieces",
        "_text",
        "_total",
        "_whole",
        "empty",
        "max_frame_size",
        "rsv",
    )

    def __init__(
        self,
        masked: bool,
        max_frame_size: int | None = None,
        *,
        whole_messages: bool = False,
        rsv: int = 0,
    ) -> None:
        self.max_frame_size = max_frame_size
        self.rsv = rsv
        self._mask = MASK if masked else 0
        self._whole = whole_messages
        self._buffer = b""
        self._at = 0
        self.empty = True
        self._open: type[Frame] | None = None
        self._total = 0
        self._text: Utf8 | None = None
        self._pieces: Pieces | None = None
        self._first = 0
        self._left = 0
        self._key = b""

    def feed(self, data: bytes) -> None:
        """Add the bytes that arrived next."""
        if self._at < len(self._buffer):
            data = self._buffer[self._at :] + data
        self._buffer = data
        self._at = 0
        self.empty = False

    def next(self) -> Frame | None:
        """Return the next frame, unmasked, or None while bytes are missing.

        A continuation has the class of its message and the opcode 0.

        Raises:
            ProtocolViolation: 1002 or 1007, as soon as the bytes that show it are there.
            FrameTooBig: at the header, before the payload is read (RFC 6455, section 10.4).
        """
        if self._pieces is not None:
            return self._arrive()
        buffer, at = self._buffer, self._at
        if len(buffer) < at + 2:
            self._forget_what_is_read()
            return None
        first, second = buffer[at], buffer[at + 1]
        kind = _WHOLE.get(first) if self._open is None else None
        if kind is None or second & MASK != self._mask:
            self._check_start(first, second)
        length = second & LENGTH
        start = at + 6 if self._mask else at + 2
        if length == 126 and len(buffer) > at + 3 and buffer[at + 2]:
            # 256 or more, which is the shortest form
            start += 2
            length = buffer[at + 2] << 8 | buffer[at + 3]
        elif length > 125:
            start += _EXTENDED[length]
            if (length := self._read_length(second)) < 0:
                return None
        if self.max_frame_size is not None and length + self._total > self.max_frame_size:
            self._check_size(first, length)
        if len(buffer) < start:
            return None
        if len(buffer) < start + length:
            return self._begin(first, length, start)
        self._at = end = start + length
        payload = buffer[start:end]
        if self._mask:
            payload = apply_mask(payload, buffer[start - 4 : start])
        if end == len(buffer):
            self._buffer, self._at, self.empty = b"", 0, True
        if kind is Binary or (kind is Text and payload.isascii()):
            # `decode` in place: nearly every message comes this way
            frame = object.__new__(kind)
            frame.data, frame.first = payload, first
            return frame
        return self._whole_frame(first, payload)

    def _forget_what_is_read(self) -> None:
        if self._at == len(self._buffer):
            self._buffer, self._at, self.empty = b"", 0, True

    def _check_start(self, first: int, second: int) -> None:
        """Judge the first two bytes."""
        opcode = first & OPCODE
        reserved = first & RSV & ~(self.rsv if opcode in (Text.kind, Binary.kind) else 0)
        if reserved:
            # "MUST be 0 unless an extension is negotiated that defines meanings for non-zero
            # values" (5.2)
            names = ", ".join(f"RSV{n}" for n in (1, 2, 3) if reserved & (RSV1 >> (n - 1)))
            _violate("5.2", f"reserved bit set: {names}, and no extension claims it here")
        if opcode not in KINDS and opcode != CONTINUATION:
            _violate("5.2", f"unknown opcode: {opcode}, known are 0, 1, 2, 8, 9 and 10")
        if second & MASK != self._mask:
            # "a server MUST close a connection upon receiving a frame that is not masked", "a
            # client MUST close a connection if it detects a masked frame" (5.1)
            _violate("5.1", "unmasked frame from a client" if self._mask else "masked frame from a server")
        if opcode >= Close.kind:
            self._check_control(first, second)
        elif opcode == CONTINUATION and self._open is None:
            _violate("5.4", "continuation frame, and no message is open")
        elif opcode != CONTINUATION and self._open is not None:
            _violate("5.4", f"{KINDS[opcode].__name__.lower()} frame inside an unfinished message")

    def _check_control(self, first: int, second: int) -> None:
        # "All control frames MUST have a payload length of 125 bytes or less and MUST NOT be
        # fragmented." (5.5)
        if not first & FIN:
            _violate("5.5", f"control frame in fragments: opcode {first & OPCODE} with FIN 0")
        if second & LENGTH > MAX_CONTROL_PAYLOAD:
            length = self._read_length(second)
            size = "126 bytes or more" if length < 0 else f"{length} bytes"
            _violate("5.5", f"control frame too long: {size}, at most {MAX_CONTROL_PAYLOAD}")

    def _read_length(self, second: int) -> int:
        """Return the declared length, or -1 while its bytes are missing."""
        width, at = _EXTENDED[second & LENGTH], self._at + 2
        if len(self._buffer) < at + width:
            return -1
        length = int.from_bytes(self._buffer[at : at + width], "big")
        if length > MAX_LENGTH:
            # "the most significant bit MUST be 0" (5.2)
            _violate("5.2", f"payload length {length}: at most 2**63 - 1")
        if length < (126 if width == 2 else 65536):
            # "the minimal number of bytes MUST be used to encode the length" (5.2)
            _violate("5.2", f"payload length {length} in {width} bytes: the shortest form is due")
        return length

    def _check_size(self, first: int, length: int) -> None:
        """Hold the declared length of a data frame against the limit; control frames are exempt."""
        opcode, limit = first & OPCODE, self.max_frame_size
        size = length + self._total if self._whole and opcode == CONTINUATION else length
        if limit is not None and size > limit and opcode < Close.kind:
            raise FrameTooBig(size, limit)

    def _whole_frame(self, first: int, payload: bytes) -> Frame:
        """Check and return a frame that stood complete in the buffer."""
        opcode = first & OPCODE
        if opcode >= Close.kind:
            if opcode == Close.kind:
                check_close(payload)
            return decode(first, payload, KINDS[opcode])
        if first & FIN and self._open is None:
            if opcode == Text.kind and not first & RSV and not payload.isascii():
                Utf8().feed(payload, True)
            return decode(first, payload, KINDS[opcode])
        self._open_message(first)
        if self._text:
            self._text.feed(payload, first & FIN != 0)
        return self._end_fragment(first, payload)

    def _open_message(self, first: int) -> None:
        if first & OPCODE == CONTINUATION:
            return
        self._open = KINDS[first & OPCODE]
        self._total = 0
        self._text = Utf8() if self._open is Text and not first & RSV else None

    def _end_fragment(self, first: int, payload: bytes) -> Frame:
        kind = self._open
        assert kind is not None
        self._total += len(payload)
        if first & FIN:
            self._open, self._text, self._total = None, None, 0
        return decode(first, payload, kind)

    def _begin(self, first: int, length: int, start: int) -> Frame | None:
        """Start on a frame whose payload is still arriving."""
        self._first, self._left, self._at = first, length, start
        self._key = self._buffer[start - 4 : start] if self._mask else b""
        self._pieces = Pieces()
        if first & OPCODE < Close.kind:
            self._open_message(first)
        return self._arrive()

    def _arrive(self) -> Frame | None:
        """Take what has arrived of the payload; return the frame when it is complete."""
        pieces, opcode, buffer, at = self._pieces, self._first & OPCODE, self._buffer, self._at
        assert pieces is not None
        end = min(at + self._left, len(buffer))
        piece = buffer if end - at == len(buffer) else memoryview(buffer)[at:end]
        if self._key:
            # from a view, so that what is copied is unmasked at once
            piece = apply_mask(piece, self._key)
            if len(piece) % 4:
                self._key = _turned(self._key, len(piece))
        else:
            piece = bytes(piece)
        self._at = end
        self._forget_what_is_read()
        self._left -= len(piece)
        pieces.add(piece)
        done = not self._left
        if opcode == Close.kind:
            check_close(pieces.join(), done)
        elif opcode < Close.kind and self._text:
            self._text.feed(piece, done and self._first & FIN != 0)
        if not done:
            return None
        self._pieces = None
        if opcode >= Close.kind:
            return decode(self._first, pieces.join(), KINDS[opcode])
        return self._end_fragment(self._first, pieces.join())


def _turned(key: bytes, by: int) -> bytes:
    """Return the key as it stands `by` bytes further on."""
    by %= 4
    return key[by:] + key[:by]


def _violate(section: str, message: str) -> NoReturn:
    _fail(CloseCode.PROTOCOL_ERROR, section, message)


def _fail(code: int, section: str, message: str) -> NoReturn:
    raise ProtocolViolation(code, section, message)
