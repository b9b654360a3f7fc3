"""Bytes as they are before anybody knows what they mean: in hex, in bits, and one to build by hand.

What the bytes of a frame mean is the inspector's.
"""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from reprlib import repr as short
from typing import Any

import traitlets

from wslearn.lab.view import View, module, style
from wslearn.trace import ARROWS, Trace


def bits(byte: int) -> str:
    """Return the eight bits of a byte in two groups of four, the highest first."""
    return f"{byte >> 4:04b} {byte & 15:04b}"


class ByteStrip(View):
    """Shows rows of bytes in hex; each byte opens to its eight bits.

    Args:
        rows: bytes by the label of their row, or a trace: then each frame is a row.

    Raises:
        TypeError: a row is no bytes.
    """

    _esm = module("byte_strip")
    _css = style("byte_strip")
    rows: traitlets.List[list[str]] = traitlets.List().tag(sync=True)

    def __init__(self, rows: Mapping[str, bytes] | Trace) -> None:
        if isinstance(rows, Trace):
            self._rows = [(ARROWS[frame.sender], frame.wire) for frame in rows.frames]
        else:
            self._rows = [(label, bytes(_checked(data))) for label, data in rows.items()]
        super().__init__(rows=[[label, data.hex()] for label, data in self._rows])

    def plain(self) -> str:
        """Return three lines for each row: hex, and the two halves of each byte in bits."""
        width = max((len(label) for label, _ in self._rows), default=0)
        lines = []
        for label, data in self._rows:
            high, low = zip(*(bits(byte).split() for byte in data), strict=True) if data else ((), ())
            lines.append(f"{label:<{width}}  " + "   ".join(f"{byte:02x}" for byte in data))
            lines.append(f"{_size(data):<{width}} " + " ".join(high))
            lines.append(" " * width + " " + " ".join(low))
        return "\n".join(line.rstrip() for line in lines)


def _checked(data: object) -> bytes | bytearray | memoryview:
    if not isinstance(data, bytes | bytearray | memoryview):
        raise TypeError(f"row is {short(data)}: bytes are needed")
    return data


def _size(data: bytes) -> str:
    return "1 byte" if len(data) == 1 else f"{len(data)} bytes"


class Bits(View):
    """Eight bits to click; hex, decimal and character follow. `value` is the byte, 0 to 255.

    Raises:
        ValueError: `value` is no byte.
    """

    _esm = module("bits")
    _css = style("bits")
    value = traitlets.Int(0).tag(sync=True)

    def __init__(self, value: int = 0) -> None:
        super().__init__(value=value)

    @traitlets.validate("value")
    def _check(self, proposal: dict[str, Any]) -> int:
        value: int = proposal["value"]
        if not 0 <= value <= 255:
            raise ValueError(f"value is {value}: a byte is 0 to 255")
        return value

    def plain(self) -> str:
        """Return the byte in bits, hex and decimal, and as a character where it is a printable one."""
        character = f" = {chr(self.value)!r}" if 32 < self.value < 127 else ""
        return f"{bits(self.value)} = hex {self.value:02x} = {self.value}{character}"

    def html(self) -> str:
        """Return the same as one line."""
        return f"<p><code>{escape(self.plain())}</code></p>"
