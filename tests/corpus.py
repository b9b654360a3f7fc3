"""Frames of every kind, good and broken, as bytes: each first byte, each form of length, each Close."""

from __future__ import annotations

from collections.abc import Iterator

from wslearn.codec import FIN, MASK, mask, wrap

KEY = bytes.fromhex("37fa213d")
PAYLOAD = b"Hello"
TEXT, BINARY, CLOSE, PING = 1, 2, 8, 9
LENGTHS = (0, 1, 2, 125, 126, 127, 65_535, 65_536)
CLOSES = [
    b"",
    b"\x03",
    b"\x00\x00",
    *(code.to_bytes(2) for code in (999, 1000, 1005, 1006, 1015, 2999, 3000, 4999, 5000, 65_535)),
    b"\x03\xe8bye",
    "\u03f3é∂".encode(),
    b"\x03\xe8" + b"r" * 123,
    b"\x03\xe8" + b"r" * 124,
    b"\x03\xe8\xff\xfe",
]
TEXTS = [b"\xff", b"ab\xffcd", b"\xce\xba\xe1\xbd", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", "κόσμε 🏟".encode()]


def frames() -> Iterator[bytes]:
    """Yield each frame as a client masks it and as a server does not."""
    for key in (KEY, None):
        for first in range(256):
            yield wrap(first, PAYLOAD, key)
            yield wrap(first, b"", key)
        for length in LENGTHS:
            for opcode in (TEXT, BINARY, PING):
                yield wrap(FIN | opcode, b"a" * length, key)
        for payload in CLOSES:
            yield wrap(FIN | CLOSE, payload, key)
        for payload in TEXTS:
            yield wrap(FIN | TEXT, payload, key)
            yield wrap(TEXT, payload, key)
        for length in (0, 5, 125):
            yield from too_long_forms(b"b" * length, key)


def too_long_forms(payload: bytes, key: bytes | None) -> Iterator[bytes]:
    """Yield a frame whose length takes two bytes, and one whose length takes eight, without need."""
    bit = 0 if key is None else MASK
    sent = payload if key is None else key + mask(key, payload)
    yield bytes([FIN | BINARY, bit | 126]) + len(payload).to_bytes(2) + sent
    yield bytes([FIN | BINARY, bit | 127]) + len(payload).to_bytes(8) + sent
