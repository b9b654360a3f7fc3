"""A WebSocket server in about 100 lines: the functions of lessons 02 to 08 on bare streams (RFC 6455).

Bytes become frames, frames messages, and messages are all that `echo` sees. Nothing of wslearn is in it.
"""

import asyncio
import base64
import hashlib
from asyncio import StreamReader, StreamWriter
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import closing, suppress

LIMIT = 2**20  # bytes of a message
PATIENCE = 10  # seconds for a handshake, and for the other end to leave
GONE = (ConnectionError, EOFError, TimeoutError, asyncio.LimitOverrunError)  # what a bad peer may do
MORE = (True, 10, b"")  # goes through `assemble` like a pong: no whole frame is there yet


def accept_key(nonce: str) -> str:
    guid = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
    return base64.b64encode(hashlib.sha1((nonce + guid).encode()).digest()).decode()


async def shake_hands(reader: StreamReader, writer: StreamWriter) -> bool:
    """Answer a client's request, and tell whether frames may follow (4.2)."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    lines = [line.partition(":") for line in head.split("\r\n")[1:]]
    headers = {name.lower(): value.strip() for name, _, value in lines}
    nonce, upgrade = headers.get("sec-websocket-key", ""), headers.get("upgrade", "").lower()
    is_asked = "websocket" in upgrade and "upgrade" in headers.get("connection", "").lower()
    both = "Upgrade: websocket\r\nConnection: Upgrade\r\n"  # in a 426 too (RFC 9110, section 15.5.22)
    answer = f"101 Switching Protocols\r\n{both}Sec-WebSocket-Accept: {accept_key(nonce)}"
    if headers.get("sec-websocket-version") != "13":
        answer = f"426 Upgrade Required\r\n{both}Sec-WebSocket-Version: 13"
    if not head.startswith("GET ") or not is_asked or not headers.get("host") or len(nonce) != 24:
        answer = "400 Bad Request"
    writer.write(f"HTTP/1.1 {answer}\r\n\r\n".encode())
    return answer.startswith("101")


def read_header(data: bytes) -> tuple[bool, int, int, bytes | None, int, int] | None:
    """Return FIN, RSV, opcode, key, length and size of a header; None while bytes of it are missing (5.2)."""
    first, second = data[:2] if len(data) > 1 else (0, 0)
    width = {126: 2, 127: 8}.get(second & 127, 0)
    size = 2 + width + (4 if second & 128 else 0)
    if len(data) < size:
        return None
    length = int.from_bytes(data[2 : 2 + width], "big") if width else second & 127
    if width and length < (126 if width == 2 else 65_536):
        raise ValueError(f"length {length} in {width} bytes")
    key = data[size - 4 : size] if second & 128 else None
    return bool(first & 128), first >> 4 & 7, first & 15, key, length, size


def unmask(key: bytes, data: bytes) -> bytes:
    return bytes(byte ^ key[i % 4] for i, byte in enumerate(data))


def frames(buffer: bytearray) -> Iterator[tuple[bool, int, bytes]]:
    """Take frames off the front of a buffer that grows, and yield MORE where none is whole (5.1 to 5.5)."""
    total = 0
    while True:
        while (header := read_header(bytes(buffer[:14]))) is None:
            yield MORE
        fin, rsv, opcode, key, length, size = header
        is_long = opcode >= 8 and length > 125
        if rsv or key is None or opcode not in (0, 1, 2, 8, 9, 10) or is_long:
            raise ValueError("a frame that no client may send")
        if opcode < 8:
            total = length + (total if opcode == 0 else 0)
        if total > LIMIT:
            raise OverflowError("more bytes than a message may have")
        while len(buffer) < size + length:
            yield MORE
        payload = unmask(key, bytes(buffer[size : size + length]))
        del buffer[: size + length]
        if opcode != 10 or not fin:  # "A response to an unsolicited Pong frame is not expected" (5.5.3)
            yield fin, opcode, payload


def assemble(frames: Iterable[tuple[bool, int, bytes]]) -> Iterator[tuple[int, bytes] | int]:
    """Yield control frames as they come, messages when they are whole, or a close code (5.4, 8.1)."""
    kind, data = 0, b""
    for fin, opcode, payload in frames:
        if opcode >= 8 and fin:
            yield opcode, payload
            continue
        if opcode >= 8 or (opcode == 0) != (kind != 0):
            yield 1002
            return
        kind, data = kind or opcode, data + payload
        if fin:
            try:
                data.decode() if kind == 1 else data
            except UnicodeDecodeError:
                yield 1007
                return
            yield kind, data
            kind, data = 0, b""


def frame(opcode: int, payload: bytes) -> bytes:
    """Return a frame of a server: FIN, no mask, the length in as few bytes as it needs (5.2)."""
    size = len(payload)
    width, sign = (0, size) if size < 126 else (2, 126) if size < 65_536 else (8, 127)
    return bytes([0x80 | opcode, sign]) + (size.to_bytes(width, "big") if width else b"") + payload


def pong(payload: bytes) -> bytes:
    return frame(10, payload)


def close_reply(payload: bytes) -> bytes:
    """Return the same Close, or 1002 where its code or its reason may not be sent (5.5.1, 7.4)."""
    code = int.from_bytes(payload[:2], "big")
    allowed = 1000 <= code <= 1003 or 1007 <= code <= 1014 or 3000 <= code <= 4999
    is_utf8 = payload[2:].decode(errors="ignore").encode() == payload[2:]
    return frame(8, payload if (allowed and is_utf8) or not payload else (1002).to_bytes(2, "big"))


def items(buffer: bytearray) -> Iterator[tuple[int, bytes] | int]:
    """Yield what `assemble` makes of the frames, and a close code where a rule is broken."""
    try:
        yield from assemble(frames(buffer))
    except ValueError:
        yield 1002
    except OverflowError:
        yield 1009


async def leave(reader: StreamReader, writer: StreamWriter, last: bytes) -> None:
    """Say Close, then read on until the other end leaves: a reset would swallow the Close (7.1.1)."""
    writer.write(last)
    writer.write_eof()
    async with asyncio.timeout(PATIENCE):
        while await reader.read(65_536):
            pass


async def messages(reader: StreamReader, writer: StreamWriter) -> AsyncIterator[tuple[int, bytes]]:
    """Yield the messages of a client; its handshake, pings, Close and faults are answered here."""
    buffer = bytearray()
    with suppress(*GONE), closing(writer):
        good = await asyncio.wait_for(shake_hands(reader, writer), PATIENCE)
        for item in items(buffer) if good else ():
            match item:
                case 10, _ if reader.at_eof():
                    return
                case 10, _:
                    buffer += await reader.read(65_536)
                case 9, payload:
                    writer.write(pong(payload))
                case 8, payload:
                    await leave(reader, writer, close_reply(payload))
                    return
                case int(code):
                    await leave(reader, writer, frame(8, code.to_bytes(2, "big")))
                case message:
                    yield message
                    await writer.drain()


async def echo(reader: StreamReader, writer: StreamWriter) -> None:
    async for opcode, payload in messages(reader, writer):
        writer.write(frame(opcode, payload))
