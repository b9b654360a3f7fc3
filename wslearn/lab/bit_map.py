"""A frame's bits, coloured and lettered by what came back when each was flipped (RFC 6455, section 5.2).

Here answers become verdicts, and each bit a story; sending the flipped frames is the lesson's.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from html import escape
from typing import Any

import traitlets

from wslearn.dissection import Dissection, Field, dissect
from wslearn.frames import CloseCode
from wslearn.lab.view import STATIC, View, style

NAMES = {
    "text": "a text came back",
    "binary": "bytes came back",
    "pong": "a pong came back",
    "silence": "nothing came back",
}
# Okabe and Ito's palette: black letters stand on each with a contrast of 5 or more.
FILLS = {
    "text": "#56b4e9",
    "binary": "#f0e442",
    "pong": "#009e73",
    "silence": "#b8b8b8",
    "1002": "#d55e00",
    "1007": "#e69f00",
}
OTHER = "#cc79a7"
SHOWN = 16
LEFT = 'style="text-align:left"'


def flip(wire: bytes, bit: int) -> bytes:
    """Return the bytes with one bit turned over; bit 0 is the first on the wire."""
    changed = bytearray(wire)
    changed[bit // 8] ^= 0x80 >> bit % 8
    return bytes(changed)


def frames_in(answer: bytes) -> Iterator[tuple[bytes, Dissection]]:
    """Yield the frames of a server that stand in these bytes, each with its own bytes."""
    while answer:
        frame = dissect(answer, "server")
        yield answer[: len(answer) - len(frame.rest)], frame
        answer = frame.rest


def verdict(answer: bytes) -> str:
    """Return the last thing that came back in one word: a close code, a kind of frame, or silence."""
    frames = [frame for _, frame in frames_in(answer)]
    if not frames:
        return "silence"
    return str(_values(frames[-1]).get("status_code") or _kind(frames[-1]).lower())


def told(answer: bytes) -> str:
    """Return what came back in words."""
    return ", then ".join(_said(frame) for _, frame in frames_in(answer)) or "silence"


class BitMap(View):
    """Shows for each bit of a frame what came back when it was flipped.

    Args:
        wire: a frame of a client.
        answers: the bytes that came back, one item for each bit.

    Raises:
        TypeError: `wire` or an answer is not bytes.
        ValueError: the answers are more or fewer than the bits, or there are none.
    """

    _esm = STATIC / "bit_map.js"
    _css = style("bit_map")
    title = traitlets.Unicode().tag(sync=True)
    legend: traitlets.List[dict[str, Any]] = traitlets.List().tag(sync=True)
    rows: traitlets.List[dict[str, Any]] = traitlets.List().tag(sync=True)

    def __init__(self, wire: bytes, answers: Sequence[bytes]) -> None:
        self._frame = dissect(wire, "client")
        if not wire or len(answers) != 8 * len(wire):
            raise ValueError(f"{len(answers)} answers for {8 * len(wire)} bits: one for each bit is needed")
        self.verdicts = [verdict(answer) for answer in answers]
        self.stories = [_story(self._frame, wire, bit, answer) for bit, answer in enumerate(answers)]
        super().__init__()
        self.title = f"{8 * len(wire)} bits, each flipped once and sent on a connection of its own"
        self.legend = [_entry(name, count) for name, count in Counter(self.verdicts).most_common()]
        self.rows = [self._row(at, wire[at]) for at in range(len(wire))]

    def _row(self, at: int, byte: int) -> dict[str, Any]:
        bits = range(8 * at, 8 * at + 8)
        fields = dict.fromkeys(_field(self._frame, bit) for bit in bits)
        return {
            "hex": f"{byte:02x}",
            "fields": " · ".join(_part(self._frame, field, at) for field in fields),
            "cells": [self._cell(bit) for bit in bits],
        }

    def _cell(self, bit: int) -> dict[str, Any]:
        field = _field(self._frame, bit)
        name = self.verdicts[bit]
        return {
            "verdict": name,
            "letter": _letter(name),
            "begins": bit == field.start,
            "spoken": f"bit {bit}, {_words(field)}: {_name(name)}",
            "story": self.stories[bit],
        }

    def plain(self) -> str:
        """Return the map as rows of letters, and the legend with its counts."""
        rows = [
            f"{at:>4}  {row['hex']:>3}  {''.join(cell['letter'] for cell in row['cells'])}  {row['fields']}"
            for at, row in enumerate(self.rows)
        ]
        legend = [f"{each['letter']}  {each['count']:>3}  {each['name']}" for each in self.legend]
        return "\n".join([self.title, "byte  hex  01234567  fields", *rows, "", *legend])

    def html(self) -> str:
        """Return the map as a table, the legend, and the stories of bits that brought no text back."""
        numbers = "".join(f'<th scope="col">{bit}</th>' for bit in range(8))
        body = "".join(_html_row(at, row) for at, row in enumerate(self.rows))
        legend = "".join(f"<li>{_chip(each)} {each['count']}: {each['name']}</li>" for each in self.legend)
        told = [
            _line(story) for story, name in zip(self.stories, self.verdicts, strict=True) if name != "text"
        ]
        return (
            f"<table><caption {LEFT}>{self.title}</caption><thead><tr>"
            f'<th scope="col">byte</th><th scope="col">hex</th>{numbers}<th scope="col" {LEFT}>fields</th>'
            f"</tr></thead><tbody>{body}</tbody></table><ul>{legend}</ul>"
            f"<details><summary>The {len(told)} bits that brought no text back</summary>"
            f"<ul>{''.join(f'<li>{escape(line)}</li>' for line in told)}</ul></details>"
        )


def _story(frame: Dissection, wire: bytes, bit: int, answer: bytes) -> dict[str, Any]:
    """Return which field was changed, what was sent, what came back, and what it was read as."""
    sent = flip(wire, bit)
    reading = dissect(sent, "client")
    field = _field(frame, bit)
    return {
        "place": f"bit {bit}, {_words(field)}",
        "change": _change(field, frame, reading),
        "sent": sent.hex(" ").split(),
        "byte": bit // 8,
        "came": [{"said": _said(each), "hex": _hex(data)} for data, each in frames_in(answer)],
        "why": _why(reading),
    }


def _line(story: dict[str, Any]) -> str:
    """Return a story in one line."""
    came = ", then ".join(frame["said"] for frame in story["came"]) or "silence"
    why = f"; {story['why']}" if story["why"] else ""
    return f"{story['place']} {story['change']}: {came}{why}"


def _field(frame: Dissection, bit: int) -> Field:
    """Return the innermost field of a bit: the code of a Close stands inside its payload."""
    return [field for field in frame.fields if field.start <= bit < field.start + field.length][-1]


def _part(frame: Dissection, field: Field, at: int) -> str:
    """Return the name of a field and, where it has several bytes, which of them this is."""
    inside = at - field.start // 8
    name = _words(field) if field.length <= 8 else f"{_words(field)} {inside}"
    if field.name not in ("payload", "reason"):
        return name
    byte = frame.unmasked[at - (frame.header_size or 0)]
    return f"{name}, {chr(byte)!r}" if 0x20 < byte < 0x7F else name


def _change(field: Field, before: Dissection, after: Dissection) -> str:
    """Return how a field reads before and after."""
    if field.start >= 8 * (before.header_size or 0):
        return f"{_text(before.unmasked)} → {_text(after.unmasked)}"
    return f"{_number(_values(before)[field.name])} → {_number(_values(after)[field.name])}"


def _why(reading: Dissection) -> str:
    """Say what keeps a frame, or its message, from being complete, and what stands behind it."""
    if reading.missing:
        return f"missing: {reading.missing}"
    if reading.rest and not reading.violations:
        return f"read as the next frame: {_hex(reading.rest)}"
    if not _values(reading)["FIN"]:
        return "missing: the rest of the message"
    return ""


def _said(frame: Dissection) -> str:
    values = _values(frame)
    if "status_code" not in values:
        return f"{_kind(frame)} {_text(frame.unmasked)}"
    return f"Close {values['status_code']}" + (f": {values['reason']}" if values.get("reason") else "")


def _number(value: Any) -> str:
    return _hex(value) if isinstance(value, bytes) else str(value)


def _text(payload: bytes) -> str:
    """Return a payload as text where it is UTF-8, and as hex where not."""
    try:
        return repr(payload.decode())
    except UnicodeDecodeError:
        return _hex(payload)


def _values(frame: Dissection) -> dict[str, Any]:
    return {field.name: field.value for field in frame.fields}


def _kind(frame: Dissection) -> str:
    return frame.kind.removesuffix(" frame")


def _words(field: Field) -> str:
    return field.name.replace("_", " ")


def _hex(data: bytes) -> str:
    return data.hex(" ") if len(data) <= SHOWN else f"{data[:SHOWN].hex(' ')} …"


def _entry(name: str, count: int) -> dict[str, Any]:
    fill = FILLS.get(name, OTHER)
    return {"verdict": name, "letter": _letter(name), "count": count, "name": _name(name), "fill": fill}


def _letter(name: str) -> str:
    """Return a verdict as one sign: its first letter, or the last digit of a close code."""
    return name[-1] if name.isdecimal() else name[0].upper()


def _name(name: str) -> str:
    if not name.isdecimal():
        return NAMES.get(name, f"{name} came back")
    known = CloseCode._value2member_map_.get(int(name))
    return f"Close {name}" + (f", {known.name.replace('_', ' ').lower()}" if known else "")


def _html_row(at: int, row: dict[str, Any]) -> str:
    cells = "".join(f"<td {_filled(cell)}>{cell['letter']}</td>" for cell in row["cells"])
    return (
        f'<tr><th scope="row">{at}</th><td><code>{row["hex"]}</code></td>{cells}'
        f"<td {LEFT}>{escape(row['fields'])}</td></tr>"
    )


def _chip(entry: dict[str, Any]) -> str:
    return f"<strong {_filled(entry)}>&nbsp;{entry['letter']}&nbsp;</strong>"


def _filled(shown: dict[str, Any]) -> str:
    return f'style="background:{FILLS.get(shown["verdict"], OTHER)};color:#000"'
