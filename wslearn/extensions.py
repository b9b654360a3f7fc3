"""Extensions: what two ends agree to do to each other's data frames (RFC 6455, section 9; RFC 7692).

Here are the agreement and what it does to payloads; which frames pass through, and what an error means
to the connection, is the session's. Control frames never come here.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable, Collection, Iterable, Mapping
from copy import copy
from types import MappingProxyType
from typing import Any, Literal, NamedTuple, Self

from websockets.datastructures import Headers
from websockets.exceptions import InvalidHeaderFormat
from websockets.headers import parse_extension

from wslearn.errors import FrameTooBig, HandshakeError, ProtocolViolation
from wslearn.frames import CloseCode, ControlFrame, Frame
from wslearn.handshake import TOKEN, Refused, Response

HEADER = "Sec-WebSocket-Extensions"

Parameters = Mapping[str, str | None]
"""The parameters of an extension in a head, in order; None for one without a value."""


class Codec:
    """What an extension does to the data of one session; this one leaves all as it is.

    An error in it ends the session: `ProtocolViolation` and `FrameTooBig` with their own close codes,
    any other with 1011.
    """

    def encode(self, frame: Frame) -> Frame:
        """Return a data frame as it is to be sent; `opcode` is 0 for a continuation."""
        return frame

    def decode(self, message: Frame, limit: int | None) -> Frame:
        """Return a message, joined from its fragments, as it is to be delivered.

        Args:
            message: with the reserved bits of its first frame.
            limit: bytes that it may have then, None for no limit: `max_frame_size` as it is now.
        """
        return message


class Extension:
    """Something that two ends agree on in the handshake; the same class serves the server and the client.

    Who changes the payload of a text sets one of its reserved bits, as a text without one is checked as
    UTF-8 while it arrives. In `session.extensions` stand copies with the `parameters` that were agreed
    and the session's own `codec`.

    A name and a codec are enough; who negotiates writes `offer` and `accept`, too.

    Args:
        name: its token in the handshake.
        rsv: numbers of the reserved bits that it uses, of 1, 2 and 3.
        codec: what each session gets a copy of, if `accept` does not make one.
    """

    name: str
    rsv: Collection[int] = ()
    parameters: Parameters = MappingProxyType({})
    codec: Codec = Codec()

    def offer(self) -> Parameters:
        """Return the parameters that a client offers."""
        return {}

    def accept(self, offered: Parameters) -> tuple[Parameters, Codec] | None:
        """Return a server's answer to an offer and the codec of its session; None declines the offer.

        By default a server takes what it would offer as a client, and nothing else.
        """
        return (offered, copy(self.codec)) if offered == self.offer() else None

    def agree(self, accepted: Parameters) -> tuple[Parameters, Codec] | None:
        """Return what a client makes of the server's answer and its codec; None fails the connection.

        By default a client takes what a server would take.
        """
        return self.accept(accepted)

    def _agreed(self, parameters: Parameters, codec: Codec) -> Self:
        mine = copy(self)
        mine.parameters, mine.codec = parameters, codec
        return mine

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {_element(self.name, self.parameters)}>"


class Extensions(list[Extension]):
    """Extensions in order: what is sent passes through them from the first to the last, what comes back.

    Raises:
        TypeError: one of them is no extension.
        ValueError: two have the same name or claim the same reserved bit, or a name or bit cannot be.
    """

    __slots__ = ()

    def __init__(self, extensions: Iterable[Extension] = ()) -> None:
        super().__init__(extensions)
        claimed: dict[str, Extension] = {}
        for extension in self:
            if not isinstance(extension, Extension):
                raise TypeError(f"{extension!r} in extensions: write objects such as Deflate()")
            for claim in _claims(extension):
                if claim in claimed:
                    raise ValueError(f"{claim} is claimed twice, by {claimed[claim]!r} and by {extension!r}")
                claimed[claim] = extension

    def offer(self) -> str:
        """Return what a client writes into its request."""
        return _header([(extension.name, extension.offer()) for extension in self])

    def accept(self, headers: Headers) -> Extensions:
        """Return what a server accepts of a request, as agreed; offers that are wrong are declined.

        Raises:
            Refused: 400, the header is against its grammar, whether we have extensions or not.
        """
        if HEADER not in headers:
            return Extensions()
        try:
            offers = _read(header_of(headers))
        except ValueError as error:
            # "the recipient of such malformed data MUST immediately _Fail the WebSocket
            # Connection_" (9.1)
            raise Refused(400, str(error)) from None
        return Extensions(filter(None, (_accepted(extension, offers) for extension in self)))

    def agree(self, response: Response) -> Extensions:
        """Return what a server's answer makes of our offers, in the order of the answer.

        Raises:
            HandshakeError: it accepts what was not offered (RFC 6455, section 4.1).
        """
        try:
            answers = _read(header_of(response.headers)) if HEADER in response.headers else []
            return Extensions(self._answered(*answer) for answer in answers)
        except ValueError as error:
            raise HandshakeError(response.status, response.headers, b"", str(error)) from None

    def _answered(self, name: str, parameters: Parameters | None) -> Extension:
        for extension in self:
            if extension.name == name:
                if parameters is not None and (agreed := extension.agree(parameters)):
                    return extension._agreed(*agreed)
                offered = _element(name, extension.offer())
                raise ValueError(f"extension {_element(name, parameters)!r} does not answer {offered!r}")
        offered = ", ".join(extension.name for extension in self) or "none"
        raise ValueError(f"extension {name!r} was not offered: {offered} was")

    @property
    def bits(self) -> int:
        """The reserved bits that they claim, as a bit mask of a frame's first byte."""
        return sum(0x80 >> bit for extension in self for bit in set(extension.rsv))

    @property
    def header(self) -> str:
        """What a server writes into its answer."""
        return _header([(extension.name, extension.parameters) for extension in self]) if self else ""


def _claims(extension: Extension) -> list[str]:
    """Return what no two extensions may have together."""
    name, rsv = getattr(extension, "name", None), extension.rsv
    if not isinstance(name, str) or not TOKEN.fullmatch(name):
        raise ValueError(f"name of a {type(extension).__name__} is {name!r}: a token is needed")
    if not isinstance(rsv, Collection) or not set(rsv) <= {1, 2, 3}:
        raise ValueError(f"rsv of a {type(extension).__name__} is {rsv!r}: some of (1, 2, 3) are needed")
    return [f"extension {extension.name!r}", *(f"RSV{bit}" for bit in extension.rsv)]


def _accepted(extension: Extension, offers: list[_Named]) -> Extension | None:
    """Return an extension as agreed by the first offer that it takes."""
    for name, offered in offers:
        if name == extension.name and offered is not None and (answer := extension.accept(offered)):
            return extension._agreed(*answer)
    return None


# ── the header ───────────────────────────────────────────────────────────────────────────────────────

_Named = tuple[str, Parameters | None]
"""An extension in a head: its name, and None for parameters of which one stands twice."""


def header_of(headers: Headers) -> str:
    """Return `Sec-WebSocket-Extensions` as one line, empty where there is none."""
    # "this header field MAY be split or combined across multiple lines" (9.1)
    return ", ".join(headers.get_all(HEADER))


def _read(line: str) -> list[_Named]:
    """Return the extensions that a header names.

    Raises:
        ValueError: it is against the grammar (RFC 6455, section 9.1).
    """
    try:
        found = parse_extension(line)
    except InvalidHeaderFormat as error:
        raise ValueError(f"{error} (RFC 6455, section 9.1)") from None
    return [(name, dict(pairs) if len(dict(pairs)) == len(pairs) else None) for name, pairs in found]


def _header(extensions: Iterable[tuple[str, Parameters]]) -> str:
    return ", ".join(_element(name, parameters) for name, parameters in extensions)


def _element(name: str, parameters: Parameters | None) -> str:
    """Return an extension as it stands in a head.

    Raises:
        ValueError: a parameter cannot stand there.
    """
    if parameters is None:
        return f"{name} with a parameter twice"
    parts = [name if value is None else f"{name}={value}" for name, value in parameters.items()]
    for part in parts:
        if not re.fullmatch(rf"{TOKEN.pattern}(={TOKEN.pattern})?", part):
            # "the value after quoted-string unescaping MUST conform to the 'token' ABNF" (9.1)
            raise ValueError(f"parameter {part!r} of extension {name!r}: tokens are needed")
    return "; ".join([name, *parts])


# ── permessage-deflate ───────────────────────────────────────────────────────────────────────────────

RFC = "RFC 7692"
TAIL = b"\x00\x00\xff\xff"
"""How an empty block without compression ends; it is left out behind each message (section 7.2.1)."""
LARGEST = 15
MAX_LENGTH = 2**63 - 1
SLICE, PIECE = 2**14, 2**18
"""Bytes that are inflated at once, and that come out at once."""
MOST_ENDS = 100
"""Blocks with BFINAL in a message: each costs a new stream, and who flushes so has one in a fragment."""
# "a decimal integer value without leading zeroes between 8 to 15" (7.1.2)
BITS = {str(bits): bits for bits in range(8, LARGEST + 1)}

Side = Literal["client", "server"]


class Terms(NamedTuple):
    """The four parameters of permessage-deflate (RFC 7692, section 7.1); None for no limit."""

    server_no_context_takeover: bool = False
    client_no_context_takeover: bool = False
    server_max_window_bits: int | None = None
    client_max_window_bits: int | None = None

    @classmethod
    def read(cls, parameters: Parameters) -> Self | None:
        """Return the terms of a head, None if one is wrong; `client_max_window_bits` may stand alone."""
        terms: dict[str, Any] = {}
        for name, value in parameters.items():
            if name in ("server_no_context_takeover", "client_no_context_takeover") and value is None:
                terms[name] = True
            elif name in ("server_max_window_bits", "client_max_window_bits") and value in BITS:
                terms[name] = BITS[value]
            elif (name, value) != ("client_max_window_bits", None):
                return None
        return cls(**terms)

    @property
    def parameters(self) -> dict[str, str | None]:
        """The parameters as they stand in a head."""
        pairs = self._asdict().items()
        return {name: None if value is True else str(value) for name, value in pairs if value}

    def of(self, side: Side) -> tuple[int, bool]:
        """Return a side's window bits, and whether it looks back over its earlier messages."""
        if side == "client":
            return self.client_max_window_bits or LARGEST, not self.client_no_context_takeover
        return self.server_max_window_bits or LARGEST, not self.server_no_context_takeover


class Deflate(Extension):
    """Compression of each message: permessage-deflate of RFC 7692.

    Args:
        level: zlib's, from 0 for none to 9 for the most; -1 for zlib's own choice, which is 6.
        client_no_context_takeover: the client compresses each message without those before it.
        server_no_context_takeover: the server does.
        client_max_window_bits: the client looks back 2 to the power of this many bytes at most, 8 to 15;
            None for no limit of ours.
        server_max_window_bits: the same for the server.
        compress_if: tells of a message, by its first frame, whether it is compressed; None for all.
        compress_if_bigger_than: bytes; a message whose first frame has no more is left as it is.

    Raises:
        TypeError, ValueError: a value is not allowed.
    """

    name = "permessage-deflate"
    rsv = (1,)

    def __init__(
        self,
        level: int = -1,
        client_no_context_takeover: bool = False,
        server_no_context_takeover: bool = False,
        client_max_window_bits: int | None = None,
        server_max_window_bits: int | None = None,
        compress_if: Callable[[Frame], object] | None = None,
        compress_if_bigger_than: int | None = None,
    ) -> None:
        _check_flag("client_no_context_takeover", client_no_context_takeover)
        _check_flag("server_no_context_takeover", server_no_context_takeover)
        if compress_if is not None and not callable(compress_if):
            raise TypeError(f"compress_if is {compress_if!r}: a function of a frame, or None, is allowed")
        self.level = _whole("level", level, -1, 9)
        self.client_no_context_takeover = client_no_context_takeover
        self.server_no_context_takeover = server_no_context_takeover
        self.client_max_window_bits = _whole(
            "client_max_window_bits", client_max_window_bits, 8, LARGEST, True
        )
        self.server_max_window_bits = _whole(
            "server_max_window_bits", server_max_window_bits, 8, LARGEST, True
        )
        self.compress_if = compress_if
        self.compress_if_bigger_than = _whole(
            "compress_if_bigger_than", compress_if_bigger_than, 0, MAX_LENGTH, True
        )

    @property
    def terms(self) -> Terms:
        """The four parameters as we ask for them."""
        return Terms(
            self.server_no_context_takeover,
            self.client_no_context_takeover,
            self.server_max_window_bits,
            self.client_max_window_bits,
        )

    def offer(self) -> Parameters:
        """Return what we ask of the server, and that we would follow its `client_max_window_bits`."""
        return {"client_max_window_bits": None} | self.terms.parameters

    def accept(self, offered: Parameters) -> tuple[Parameters, Codec] | None:
        """Return what both ask for; None if one of the parameters is wrong (RFC 7692, section 7.1)."""
        ours, asked = self.terms, Terms.read(offered)
        if asked is None:
            return None
        agreed = Terms(
            asked.server_no_context_takeover or ours.server_no_context_takeover,
            asked.client_no_context_takeover or ours.client_no_context_takeover,
            _smaller(asked.server_max_window_bits, ours.server_max_window_bits),
            # only "if the corresponding extension negotiation offer includes" it (7.1.2.2)
            _smaller(asked.client_max_window_bits, ours.client_max_window_bits)
            if "client_max_window_bits" in offered
            else None,
        )
        return agreed.parameters, Deflating(self, agreed, "server")

    def agree(self, accepted: Parameters) -> tuple[Parameters, Codec] | None:
        """Return the answer if it is not less than we asked for (RFC 7692, section 7.1)."""
        ours, given = self.terms, Terms.read(accepted)
        if (
            given is None
            # alone it is a hint, which only an offer may have (7.1.2.2)
            or accepted.get("client_max_window_bits", "") is None
            or (ours.server_no_context_takeover and not given.server_no_context_takeover)
            or (given.server_max_window_bits or LARGEST) > (ours.server_max_window_bits or LARGEST)
            or (given.client_max_window_bits or 0) > (ours.client_max_window_bits or LARGEST)
        ):
            return None
        agreed = given._replace(
            client_no_context_takeover=given.client_no_context_takeover or ours.client_no_context_takeover,
            client_max_window_bits=_smaller(given.client_max_window_bits, ours.client_max_window_bits),
        )
        return accepted, Deflating(self, agreed, "client")

    def compresses(self, frame: Frame) -> bool:
        """Tell whether a message is to be compressed, by its first frame."""
        least, wanted = self.compress_if_bigger_than, self.compress_if
        return (least is None or len(frame.data) > least) and (wanted is None or bool(wanted(frame)))

    def __repr__(self) -> str:
        if self.codec is not Extension.codec:
            return super().__repr__()
        values = vars(self) | {"level": None if self.level == -1 else self.level}
        given = [(name, value) for name, value in values.items() if value is not None and value is not False]
        shown = [f"{name}={value!r}" for name, value in given]
        return f"Deflate({', '.join(shown)})"


def _check_flag(name: str, value: object) -> None:
    if not isinstance(value, bool):
        raise TypeError(f"{name} is {value!r}: True or False are allowed")


def _whole(name: str, value: Any, least: int, most: int, or_none: bool = False) -> Any:
    """Return a whole number within limits, or None where that is allowed."""
    if value is None and or_none:
        return None
    allowed = f"whole numbers from {least} to {most}{', or None,' if or_none else ''} are allowed"
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"{name} is {value!r}: {allowed}")
    if not least <= value <= most:
        raise ValueError(f"{name} is {value!r}: {allowed}")
    return value


def _smaller(bits: int | None, other: int | None) -> int | None:
    """Return the smaller of two limits, of which None is none."""
    return min(filter(None, (bits, other)), default=None)


class Deflating(Codec):
    """The compression of one session: what each side looks back to when it compresses the next message."""

    def __init__(self, deflate: Deflate, terms: Terms, side: Side) -> None:
        peer: Side = "client" if side == "server" else "server"
        self._deflate = deflate
        self._deflater = Deflater(*terms.of(side), deflate.level)
        self._inflater = Inflater(*terms.of(peer))
        self._compressed = False

    def encode(self, frame: Frame) -> Frame:
        """Compress a frame of a message that is compressed; its first one says so with RSV1."""
        # "MUST NOT set the "Per-Message Compressed" bit of ... a non-first fragment" (RFC 7692, 6.1)
        is_first = frame.opcode != 0
        if is_first:
            self._compressed = self._deflate.compresses(frame)
        if not self._compressed:
            return frame
        data = self._deflater.deflate(frame.data, frame.fin)
        return type(frame)(data, frame.fin, is_first, frame.rsv2, frame.rsv3)

    def decode(self, message: Frame, limit: int | None) -> Frame:
        """Inflate a message whose first frame had RSV1."""
        if not message.rsv1:
            return message
        data = self._inflater.inflate(message.data, limit)
        return type(message)(data, rsv2=message.rsv2, rsv3=message.rsv3)


class Deflater:
    """Compresses the messages of one direction (RFC 7692, section 7.2.1).

    Args:
        window_bits: it looks back 2 to the power of this many bytes.
        takeover: whether over the messages before, too.
    """

    def __init__(self, window_bits: int, takeover: bool, level: int) -> None:
        # zlib has no window of 8 bits; in one of 9 it looks back 250 bytes at most
        self._window_bits = max(9, window_bits)
        self._takeover = takeover
        self._level = level
        self._stream: Any = None

    def deflate(self, payload: bytes, final: bool) -> bytes:
        """Return the payload of the next fragment, of the last one without the tail."""
        if self._stream is None:
            self._stream = zlib.compressobj(self._level, wbits=-self._window_bits)
        data: bytes = self._stream.compress(payload) + self._stream.flush(zlib.Z_SYNC_FLUSH)
        if not final:
            return data
        if not self._takeover:
            self._stream = None
        return data[: -len(TAIL)]


class Inflater:
    """Inflates the messages of one direction (RFC 7692, section 7.2.2).

    Args:
        window_bits: the sender looks back 2 to the power of this many bytes at most.
        takeover: whether over the messages before, too.
    """

    def __init__(self, window_bits: int = LARGEST, takeover: bool = True) -> None:
        self._window_bits = window_bits
        self.takeover = takeover
        self._stream: Any = None

    def inflate(self, payload: bytes, limit: int | None = None, final: bool = True) -> bytes:
        """Return what a message was, or as much as a fragment tells of it.

        Args:
            limit: bytes that it may have.

        Raises:
            FrameTooBig: it is larger; how much is not looked at.
            ProtocolViolation: 1007, it is no DEFLATE.
        """
        if self._stream is None:
            self._stream = zlib.decompressobj(-self._window_bits)
        first, *others = _slices(payload, TAIL if final else b"")
        room = _room(limit)
        try:
            inflated: bytes = self._stream.decompress(first, room)
            if others or len(inflated) == room or self._stream.eof:
                inflated = self._take(inflated, room, others, limit)
        except zlib.error as error:
            raise _not_deflate(error) from None
        if final and not self.takeover:
            self._stream = None
        return inflated

    def forget(self) -> None:
        """Begin anew, as with the first message."""
        self._stream = None

    def _take(self, piece: bytes, room: int, others: list[bytes], limit: int | None) -> bytes:
        """Return the first piece and all that come after it."""
        pieces: list[bytes] = []
        size, ends, slices = 0, 0, iter(others)
        while True:
            pieces.append(piece)
            size += len(piece)
            if limit is not None and size > limit:
                raise FrameTooBig(size, limit)
            data: bytes | None = self._stream.unconsumed_tail
            if self._stream.eof:
                ends += 1
                data = self._go_on(pieces, ends)
            elif not data and len(piece) < room and (data := next(slices, None)) is None:
                return b"".join(pieces)
            room = _room(limit, size)
            piece = self._stream.decompress(data, room)

    def _go_on(self, pieces: list[bytes], ends: int) -> bytes:
        """Return what follows a block with BFINAL, which ends what zlib takes for its stream (7.2.3.4)."""
        if ends > MOST_ENDS:
            raise _not_deflate(f"more than {MOST_ENDS} blocks with BFINAL")
        rest: bytes = self._stream.unused_data
        window = b"".join(pieces)[-(2**self._window_bits) :]
        self._stream = zlib.decompressobj(-self._window_bits, window)
        return rest


def _room(limit: int | None, size: int = 0) -> int:
    """Return how many bytes may come out next: one more than allowed shows what is too big."""
    return PIECE if limit is None else min(PIECE, limit + 1 - size)


def _slices(payload: bytes, tail: bytes) -> list[bytes]:
    """Return a payload in slices, so that what zlib has not taken yet is copied in small pieces alone."""
    if len(payload) <= SLICE:
        return [payload + tail]
    return [*(payload[at : at + SLICE] for at in range(0, len(payload), SLICE)), tail]


def _not_deflate(why: object) -> ProtocolViolation:
    # "data within a message that was not consistent with the type of the message" (RFC 6455, 7.4.1)
    return ProtocolViolation(CloseCode.INVALID_DATA, "7.2.2", f"compressed payload: {why}", RFC)


class FrameInflater:
    """Inflates the frames of one direction one by one, for who looks on; what it cannot inflate is None.

    Args:
        answer: the server's `Sec-WebSocket-Extensions`.
        lost: whether compressed messages were missed that others may look back to.
    """

    def __init__(self, answer: str, sender: Side, lost: bool = False) -> None:
        terms = _terms_of(answer)
        self._inflater = Inflater(*terms.of(sender)) if terms else None
        self._lost = lost
        self._compressed = False

    def inflate(self, frame: Frame | None, limit: int | None = None) -> bytes | None:
        """Return what the payload of the next frame was before it was compressed, if it was.

        Args:
            limit: bytes; of a frame that has more, and of all that look back to it, nothing is known.
        """
        if frame is None or isinstance(frame, ControlFrame):
            return None
        if frame.opcode:
            self._compressed = frame.rsv1
        inflater = self._inflater
        if not self._compressed or inflater is None or (self._lost and inflater.takeover):
            return None
        try:
            return inflater.inflate(frame.data, limit, frame.fin)
        except (ProtocolViolation, FrameTooBig):
            inflater.forget()
            self._lost, self._compressed = True, False
            return None


def _terms_of(answer: str) -> Terms | None:
    """Return what a server's answer says about compression, None if there is none."""
    try:
        parameters = dict(_read(answer)).get(Deflate.name)
    except ValueError:
        return None
    return None if parameters is None else Terms.read(parameters)
