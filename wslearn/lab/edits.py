"""A frame changed by hand: a bit, a byte, a field, each as bytes to bytes (RFC 6455, section 5.2).

What is asked for is done even where it breaks a rule; only what no bits can say is refused.
"""

from __future__ import annotations

from typing import Any

from wslearn.dissection import Dissection, Field
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
