"""A frame changed by hand: a bit, a byte, a field, each as bytes to bytes (RFC 6455, section 5.2).

What is asked for is done even where it breaks a rule; only what no bits can say is refused.
"""

from __future__ import annotations

from reprlib import repr as short
from typing import Any

from wslearn.codec import MASK, RSV, wrap
from wslearn.dissection import Dissection, Field, dissect, read_hex
from wslearn.lab.answers import in_hex, in_text, values


def flip(wire: bytes, bit: int) -> bytes:
    """Return the bytes with one bit turned over; bit 0 is the first on the wire."""
    changed = bytearray(wire)
    changed[bit // 8] ^= 0x80 >> bit % 8
    return bytes(changed)


def field_at(frame: Dissection, bit: int) -> Field:
    """Return the innermost field of a bit: the code of a Close stands inside its payload."""
    return [field for field in frame.fields if field.start <= bit < field.start + field.length][-1]


def change(field: Field, before: Dissection, after: Dissection) -> str:
    """Return how a field reads before and after."""
    if field.start >= 8 * (before.header_size or 0):
        return f"{in_text(before.unmasked)} → {in_text(after.unmasked)}"
    return f"{_in_digits(values(before)[field.name])} → {_in_digits(values(after)[field.name])}"


def _in_digits(value: Any) -> str:
    return in_hex(value) if isinstance(value, bytes) else str(value)


def words(field: Field) -> str:
    """Return a field's name as people say it."""
    return field.name.replace("_", " ")


def with_bit(wire: bytes, bit: int, value: int) -> bytes:
    """Return the bytes with one bit as it is to be."""
    return wire if wire[bit // 8] >> 7 - bit % 8 & 1 == value else flip(wire, bit)


def with_digit(wire: bytes, byte: int, half: int, value: int) -> bytes:
    """Return the bytes with one hex digit of a byte as it is to be; half 0 is the first digit."""
    changed = bytearray(wire)
    changed[byte] = changed[byte] & 0x0F | value << 4 if half == 0 else changed[byte] & 0xF0 | value
    return bytes(changed)


def with_field(wire: bytes, name: str, text: str) -> bytes:
    """Return the bytes with one field as somebody typed it.

    A length takes the shortest form that holds it, and a new payload brings its own length and is masked
    with the key that is there. All other fields change their own bits alone.

    Raises:
        ValueError: no bits of this field can say it, or there is no such field.
    """
    frame = dissect(wire)
    names = [field.name for field in frame.fields]
    match name:
        case "FIN" | "RSV1" | "RSV2" | "RSV3" | "opcode" | "MASK" if name in names:
            [field] = [field for field in frame.fields if field.name == name]
            return _with_bits(wire, field, _number(field.name, text, 2**field.length - 1))
        case "RSV" if names:
            return bytes([wire[0] & ~RSV | _number("RSV", text, 7) << 4]) + wire[1:]
        case "payload_length" if name in names:
            return _with_length(wire, frame, _number("payload length", text, 2**64 - 1))
        case "masking_key" if name in names:
            return _with_key(wire, frame, read_hex(text))
        case "payload" if frame.complete:
            return _with_payload(wire, frame, read_payload(text, frame.kind == "Text frame"))
        case "status_code" if frame.complete and frame.kind == "Close frame":
            code = _number("status code", text, 65_535)
            return _with_payload(wire, frame, code.to_bytes(2) + frame.unmasked[2:])
        case "reason" if frame.complete and frame.kind == "Close frame":
            return _with_payload(wire, frame, frame.unmasked[:2].rjust(2, b"\0") + text.encode())
    raise ValueError(f"there is no {name.replace('_', ' ')} in this frame")


def read_payload(text: str, is_text: bool) -> bytes:
    """Return what somebody typed as a payload: in a text frame a text, else hex, or a text in quotes.

    Raises:
        ValueError: it is no hex.
    """
    if is_text:
        return text.encode()
    if len(text) > 1 and text[0] == text[-1] and text[0] in "\"'":
        return text[1:-1].encode()
    return read_hex(text) if text.strip() else b""


def _number(name: str, text: str, largest: int) -> int:
    try:
        number = int(text, 0)
    except ValueError:
        raise ValueError(f"{name} is {short(text)}: a number is needed") from None
    if not 0 <= number <= largest:
        raise ValueError(f"{name} is {number}: 0 to {largest} are allowed")
    return number


def _with_bits(wire: bytes, field: Field, number: int) -> bytes:
    for place in range(field.length):
        wire = with_bit(wire, field.start + place, number >> field.length - 1 - place & 1)
    return wire


def _with_length(wire: bytes, frame: Dissection, length: int) -> bytes:
    # wrap would need as many bytes of payload
    bit, behind = wire[1] & MASK, wire[2 + _width(frame) :]
    if length < 126:
        return bytes([wire[0], bit | length]) + behind
    if length < 65_536:
        return bytes([wire[0], bit | 126]) + length.to_bytes(2) + behind
    return bytes([wire[0], bit | 127]) + length.to_bytes(8) + behind


def _width(frame: Dissection) -> int:
    """Return how many bytes the extended length takes."""
    return sum(field.length for field in frame.fields if field.name == "extended_payload_length") // 8


def _with_key(wire: bytes, frame: Dissection, key: bytes) -> bytes:
    if len(key) != 4:
        raise ValueError(f"masking key has {len(key)} of the 4 bytes that it needs")
    at = 2 + _width(frame)
    return wire[:at] + key + wire[at + 4 :]


def _with_payload(wire: bytes, frame: Dissection, payload: bytes) -> bytes:
    key: bytes | None = values(frame).get("masking_key")
    return wrap(wire[0], payload, key) + frame.rest
