"""The frames of RFC 6455, section 5, and the close codes of section 7.4, as values.

Here are the words of the protocol and their limits; reading and writing bytes is the codec's.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from typing import ClassVar, Literal, get_args

MAX_CONTROL_PAYLOAD = 125
MAX_REASON = MAX_CONTROL_PAYLOAD - 2

By = Literal["local", "peer", "network"]
SPEAKERS = (None, *get_args(By))


class Opcode(IntEnum):
    """What a frame is for (RFC 6455, section 5.2); 3 to 7 and 11 to 15 are reserved."""

    CONTINUATION = 0x0
    TEXT = 0x1
    BINARY = 0x2
    CLOSE = 0x8
    PING = 0x9
    PONG = 0xA


class CloseCode(IntEnum):
    """The close codes that IANA has registered (RFC 6455, section 7.4.1)."""

    NORMAL_CLOSURE = 1000
    GOING_AWAY = 1001
    PROTOCOL_ERROR = 1002
    UNSUPPORTED_DATA = 1003
    NO_STATUS_RCVD = 1005
    ABNORMAL_CLOSURE = 1006
    INVALID_DATA = 1007
    POLICY_VIOLATION = 1008
    MESSAGE_TOO_BIG = 1009
    MANDATORY_EXTENSION = 1010
    INTERNAL_ERROR = 1011
    SERVICE_RESTART = 1012
    TRY_AGAIN_LATER = 1013
    BAD_GATEWAY = 1014
    TLS_HANDSHAKE = 1015


NEVER_SENT = {1004, CloseCode.NO_STATUS_RCVD, CloseCode.ABNORMAL_CLOSURE, CloseCode.TLS_HANDSHAKE}


def may_be_sent(code: int) -> bool:
    """Tell whether a Close frame may carry this code.

    Source: RFC 6455, sections 7.4.1 and 7.4.2; 1012 to 1014 from IANA's registry.
    """
    return (1000 <= code <= 1014 and code not in NEVER_SENT) or 3000 <= code <= 4999


@dataclass(frozen=True, slots=True)
class CloseReason:
    """Why a conversation ended: a code, a message of at most 123 UTF-8 bytes, and who said it.

    Args:
        by: "local", "peer" or "network"; None while nobody has said it. Not part of equality.

    Raises:
        ValueError: the code is no 16-bit number, the message is too long (RFC 6455, section 5.5), or
            nobody is called `by`.
    """

    code: int
    message: str = ""
    by: By | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        if not isinstance(self.code, int) or isinstance(self.code, bool):
            raise TypeError(f"close code is {self.code!r}: a whole number is needed")
        if not isinstance(self.message, str):
            raise TypeError(f"close message is {self.message!r}: a str is needed")
        if not 0 <= self.code <= 0xFFFF:
            raise ValueError(f"close code {self.code}: 0 to 65535 fit the frame (RFC 6455, section 5.5.1)")
        size = len(self.message.encode())
        if size > MAX_REASON:
            raise ValueError(
                f"close message too long: {size} bytes, at most {MAX_REASON} (RFC 6455, section 5.5)"
            )
        if self.by not in SPEAKERS:
            raise ValueError(f"by is {self.by!r}: 'local', 'peer' or 'network' are allowed")
        if type(self.code) is not int:
            object.__setattr__(self, "code", int(self.code))

    @property
    def known(self) -> CloseCode | None:
        """The registered name of the code, or None."""
        return CloseCode(self.code) if self.code in CloseCode._value2member_map_ else None

    def said(self, by: By) -> CloseReason:
        """Return the same reason, said by somebody."""
        return CloseReason(self.code, self.message, by)

    def __repr__(self) -> str:
        message = f", {self.message!r}" if self.message else ""
        by = f", by={self.by!r}" if self.by else ""
        return f"CloseReason({self.code}{message}{by})"


def fitting(text: str) -> str:
    """Return as much of a text as the message of a Close holds, in whole characters."""
    return text.encode()[:MAX_REASON].decode(errors="ignore")


class Bit:
    """One bit of a frame's first byte, read and set as a flag."""

    def __init__(self, value: int) -> None:
        self._value = value

    def __get__(self, frame: Frame | None, owner: type[Frame]) -> bool:
        return frame is not None and frame.first & self._value != 0

    def __set__(self, frame: Frame, is_set: bool) -> None:
        frame.first = frame.first | self._value if is_set else frame.first & ~self._value


class Frame:
    """One frame: its payload, FIN and the three reserved bits. Use its subclasses.

    `opcode` is the one on the wire, so 0 for a continuation, whose class is that of its message.
    Frames are compared by class, payload and bits.
    """

    # A frame is kept as it travels, bits and opcode in one byte: it is made from it and becomes it for
    # each message, while few ask for a bit.
    __slots__ = ("data", "first")

    kind: ClassVar[Opcode]
    fin = Bit(0x80)
    rsv1 = Bit(0x40)
    rsv2 = Bit(0x20)
    rsv3 = Bit(0x10)

    def __init__(
        self,
        data: bytes | bytearray | memoryview = b"",
        fin: bool = True,
        rsv1: bool = False,
        rsv2: bool = False,
        rsv3: bool = False,
    ) -> None:
        if type(self) is Frame:
            raise TypeError("a frame is a Text, Binary, Ping, Pong or Close")
        if not isinstance(data, bytes):
            data = _as_bytes(type(self).__name__, data)
        self.data = data
        self.first: int = (
            int(self.kind)
            | (0x80 if fin else 0)
            | (0x40 if rsv1 else 0)
            | (0x20 if rsv2 else 0)
            | (0x10 if rsv3 else 0)
        )

    @property
    def opcode(self) -> int:
        return self.first & 0x0F

    @opcode.setter
    def opcode(self, opcode: int) -> None:
        self.first = self.first & 0xF0 | opcode

    def read_bytes(self) -> bytes:
        """Return the payload of this frame."""
        return self.data

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and self._value() == other._value()

    def __hash__(self) -> int:
        return hash((type(self), self._value()))

    def __repr__(self) -> str:
        bits = "".join(f", {bit}=True" for bit in ("rsv1", "rsv2", "rsv3") if getattr(self, bit))
        return f"{type(self).__name__}({self._shown()}{'' if self.fin else ', fin=False'}{bits})"

    def _value(self) -> tuple[bytes, int]:
        return (self.data, self.first & 0xF0)

    def _shown(self) -> str:
        return _short(self.data)


class Text(Frame):
    """A text message, or a part of one: UTF-8 (RFC 6455, section 5.6)."""

    __slots__ = ()
    kind = Opcode.TEXT

    def __init__(
        self,
        data: str | bytes | bytearray | memoryview = "",
        fin: bool = True,
        rsv1: bool = False,
        rsv2: bool = False,
        rsv3: bool = False,
    ) -> None:
        super().__init__(data.encode() if isinstance(data, str) else data, fin, rsv1, rsv2, rsv3)

    def read_text(self) -> str:
        """Return the payload as text.

        Raises:
            UnicodeDecodeError: the payload is not UTF-8, or a fragment cuts a character in two.
        """
        return self.data.decode()

    def _shown(self) -> str:
        try:
            return _short(self.data.decode())
        except UnicodeDecodeError:
            return _short(self.data)


class Binary(Frame):
    """A binary message, or a part of one (RFC 6455, section 5.6)."""

    __slots__ = ()
    kind = Opcode.BINARY


class ControlFrame(Frame):
    """A frame about the connection itself; it may come between the fragments of a message.

    Raises:
        ValueError: the payload has more than 125 bytes (RFC 6455, section 5.5).
    """

    __slots__ = ()

    def __init__(
        self,
        data: bytes | bytearray | memoryview = b"",
        fin: bool = True,
        rsv1: bool = False,
        rsv2: bool = False,
        rsv3: bool = False,
    ) -> None:
        if type(self) is ControlFrame:
            raise TypeError("a control frame is a Ping, Pong or Close")
        super().__init__(data, fin, rsv1, rsv2, rsv3)
        if len(self.data) > MAX_CONTROL_PAYLOAD:
            raise ValueError(
                f"control frame too long: {len(self.data)} bytes, "
                f"at most {MAX_CONTROL_PAYLOAD} (RFC 6455, section 5.5)"
            )


class Ping(ControlFrame):
    """A question that a Pong with the same payload answers (RFC 6455, section 5.5.2)."""

    __slots__ = ()
    kind = Opcode.PING


class Pong(ControlFrame):
    """The answer to a Ping, or a heartbeat that nobody asked for (RFC 6455, section 5.5.3)."""

    __slots__ = ()
    kind = Opcode.PONG


class Close(ControlFrame):
    """The last frame of one direction, with or without a reason (RFC 6455, section 5.5.1)."""

    __slots__ = ()
    kind = Opcode.CLOSE

    def __init__(
        self,
        reason: CloseReason | bytes | bytearray | memoryview | None = None,
        fin: bool = True,
        rsv1: bool = False,
        rsv2: bool = False,
        rsv3: bool = False,
    ) -> None:
        if reason is None:
            reason = b""
        elif isinstance(reason, CloseReason):
            reason = reason.code.to_bytes(2, "big") + reason.message.encode()
        super().__init__(reason, fin, rsv1, rsv2, rsv3)

    def read_reason(self, by: By | None = None) -> CloseReason | None:
        """Return the reason, said by somebody, or None where the payload is too short for a code.

        Of a message that is longer than one may be, or grows too long as what is no UTF-8 in it is
        replaced, the beginning.
        """
        if len(self.data) < 2:
            return None
        code, message = int.from_bytes(self.data[:2], "big"), self.data[2:].decode(errors="replace")
        return CloseReason(code, fitting(message), by)

    def _shown(self) -> str:
        reason = self.read_reason()
        return repr(reason) if reason else _short(self.data) if self.data else ""


KINDS: dict[int, type[Frame]] = {cls.kind: cls for cls in (Text, Binary, Close, Ping, Pong)}


def _as_bytes(kind: str, data: object) -> bytes:
    if isinstance(data, bytearray | memoryview):
        return bytes(data)
    raise TypeError(f"payload of {kind} is {data!r}: bytes are needed")


def _short(payload: str | bytes, limit: int = 60) -> str:
    if len(payload) <= limit:
        return repr(payload)
    unit = "characters" if isinstance(payload, str) else "bytes"
    return f"{payload[:limit]!r}… {len(payload)} {unit}"
