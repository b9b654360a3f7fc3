"""A throw-away certificate for one address, out of nothing but the standard library (RFC 5280 and RFC 5480).

For lessons on this machine only: the arithmetic takes its time by the bits of its secret, and nobody vouches
for the owner.
"""

from __future__ import annotations

import os
import ssl
from base64 import encodebytes
from collections.abc import Callable
from hashlib import sha256
from ipaddress import ip_address
from pathlib import Path
from tempfile import TemporaryDirectory

# The curve P-256: y² = x³ - 3x + b modulo PRIME, with a point of this ORDER (RFC 5480, section 2.1.1.1).
PRIME = 2**256 - 2**224 + 2**192 + 2**96 - 1
ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
POINT = (
    0x6B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296,
    0x4FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5,
)

INTEGER, BITS, OCTETS, OBJECT, UTF8, TIME, SEQUENCE, SET = 0x02, 0x03, 0x04, 0x06, 0x0C, 0x17, 0x30, 0x31
EC_KEY, P_256 = bytes.fromhex("2a8648ce3d0201"), bytes.fromhex("2a8648ce3d030107")
ECDSA_SHA256 = bytes.fromhex("2a8648ce3d040302")
COMMON_NAME, ALTERNATIVE_NAME, CONSTRAINTS = b"\x55\x04\x03", b"\x55\x1d\x11", b"\x55\x1d\x13"


Chance = Callable[[int], bytes]


def make_certificate(
    address: str = "127.0.0.1", chance: Chance = os.urandom
) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """Return the context of a server with a new certificate, and that of a client which trusts it.

    Args:
        chance: takes a number and returns as many bytes that nobody can predict.
    """
    key = _secret(chance)
    certificate = _pem("CERTIFICATE", _certificate(key, address, chance))
    private = _pem("EC PRIVATE KEY", _private_key(key))
    serving, trusting = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    with TemporaryDirectory() as folder:
        file = Path(folder, "certificate.pem")
        file.write_text(private + certificate)
        serving.load_cert_chain(file)
    trusting.load_verify_locations(cadata=certificate)
    return serving, trusting


def _secret(chance: Chance) -> int:
    """Return a number from 1 to ORDER - 1; of 320 bits the rest is as good as even (FIPS 186-5, A.2.1)."""
    return int.from_bytes(chance(40), "big") % (ORDER - 1) + 1


def _certificate(key: int, address: str, chance: Chance) -> bytes:
    """Return the certificate, signed with the key that it is about (RFC 5280, section 4.1)."""
    algorithm = _der(SEQUENCE, _der(OBJECT, ECDSA_SHA256))
    name = _der(SEQUENCE, _der(SET, _der(SEQUENCE, _der(OBJECT, COMMON_NAME), _der(UTF8, b"a lesson"))))
    always = _der(SEQUENCE, _der(TIME, b"200101000000Z"), _der(TIME, b"491231235959Z"))
    x, y = _times(key, POINT)
    point = b"\0\4" + x.to_bytes(32, "big") + y.to_bytes(32, "big")
    kind = _der(SEQUENCE, _der(OBJECT, EC_KEY), _der(OBJECT, P_256))
    told = _der(
        SEQUENCE,
        _der(0xA0, _integer(2)),
        _integer(int.from_bytes(chance(8), "big")),
        algorithm,
        name,
        always,
        name,
        _der(SEQUENCE, kind, _der(BITS, point)),
        _der(0xA3, _der(SEQUENCE, *_extensions(address))),
    )
    return _der(SEQUENCE, told, algorithm, _der(BITS, b"\0" + _sign(key, told, chance)))


def _extensions(address: str) -> list[bytes]:
    names = _der(SEQUENCE, _der(0x87, ip_address(address).packed))
    own_authority = _der(SEQUENCE, b"\x01\x01\xff")
    return [
        _der(SEQUENCE, _der(OBJECT, ALTERNATIVE_NAME), _der(OCTETS, names)),
        _der(SEQUENCE, _der(OBJECT, CONSTRAINTS), b"\x01\x01\xff", _der(OCTETS, own_authority)),
    ]


def _private_key(key: int) -> bytes:
    """Return the key as RFC 5915, section 3, writes it."""
    curve = _der(0xA0, _der(OBJECT, P_256))
    return _der(SEQUENCE, _integer(1), _der(OCTETS, key.to_bytes(32, "big")), curve)


def _sign(key: int, data: bytes, chance: Chance) -> bytes:
    """Return the ECDSA signature of data (FIPS 186-5, section 6.4)."""
    digest = int.from_bytes(sha256(data).digest(), "big")
    once = _secret(chance)
    r = _times(once, POINT)[0] % ORDER
    s = pow(once, -1, ORDER) * (digest + r * key) % ORDER
    return _der(SEQUENCE, _integer(r), _integer(s))


def _times(factor: int, point: tuple[int, int]) -> tuple[int, int]:
    """Add a point to itself, by doubling."""
    total: tuple[int, int] | None = None
    while factor:
        if factor & 1:
            total = point if total is None else _add(total, point)
        point, factor = _add(point, point), factor >> 1
    assert total is not None
    return total


def _add(one: tuple[int, int], other: tuple[int, int]) -> tuple[int, int]:
    rise, run = (3 * one[0] ** 2 - 3, 2 * one[1]) if one == other else (other[1] - one[1], other[0] - one[0])
    slope = rise * pow(run, -1, PRIME) % PRIME
    x = (slope**2 - one[0] - other[0]) % PRIME
    return x, (slope * (one[0] - x) - one[1]) % PRIME


def _der(tag: int, *parts: bytes) -> bytes:
    """Write tag, length and value (X.690, section 8.1)."""
    value = b"".join(parts)
    size = len(value)
    length = bytes([size]) if size < 128 else bytes([0x82]) + size.to_bytes(2, "big")
    if 128 <= size < 256:
        length = bytes([0x81, size])
    return bytes([tag]) + length + value


def _integer(value: int) -> bytes:
    return _der(INTEGER, value.to_bytes(value.bit_length() // 8 + 1, "big"))


def _pem(name: str, der: bytes) -> str:
    return f"-----BEGIN {name}-----\n{encodebytes(der).decode()}-----END {name}-----\n"
