"""A frame's bits, coloured and lettered by what came back when each was flipped (RFC 6455, section 5.2).

Here answers become verdicts, and each bit a story; sending the flipped frames is the lesson's.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from html import escape
from typing import Any

import traitlets

from wslearn.dissection import Dissection, Field, dissect
from wslearn.lab.answers import came, entry, in_hex, values, verdict
from wslearn.lab.edits import change, field_at, flip, words
from wslearn.lab.view import View, module, style

LEFT = 'style="text-align:left"'


class BitMap(View):
    """Shows for each bit of a frame what came back when it was flipped.

    Args:
        wire: a frame of a client.
        answers: the bytes that came back, one item for each bit.

    Raises:
        TypeError: `wire` or an answer is not bytes.
        ValueError: the answers are more or fewer than the bits, or there are none.
    """

    _esm = module("bit_map")
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
        self.legend = [entry(name) | {"count": count} for name, count in Counter(self.verdicts).most_common()]
        self.rows = [self._row(at, wire[at]) for at in range(len(wire))]

    def _row(self, at: int, byte: int) -> dict[str, Any]:
        bits = range(8 * at, 8 * at + 8)
        fields = dict.fromkeys(field_at(self._frame, bit) for bit in bits)
        return {
            "hex": f"{byte:02x}",
            "fields": " · ".join(_part(self._frame, field, at) for field in fields),
            "cells": [self._cell(bit) for bit in bits],
        }

    def _cell(self, bit: int) -> dict[str, Any]:
        field = field_at(self._frame, bit)
        shown = entry(self.verdicts[bit])
        return {
            "verdict": shown["verdict"],
            "letter": shown["letter"],
            "begins": bit == field.start,
            "spoken": f"bit {bit}, {words(field)}: {shown['name']}",
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
    field = field_at(frame, bit)
    return {
        "place": f"bit {bit}, {words(field)}",
        "change": change(field, frame, reading),
        "sent": sent.hex(" ").split(),
        "byte": bit // 8,
        "came": came(answer),
        "why": _why(reading),
    }


def _line(story: dict[str, Any]) -> str:
    """Return a story in one line."""
    back = ", then ".join(frame["said"] for frame in story["came"]) or "silence"
    why = f"; {story['why']}" if story["why"] else ""
    return f"{story['place']} {story['change']}: {back}{why}"


def _part(frame: Dissection, field: Field, at: int) -> str:
    """Return the name of a field and, where it has several bytes, which of them this is."""
    inside = at - field.start // 8
    name = words(field) if field.length <= 8 else f"{words(field)} {inside}"
    if field.name not in ("payload", "reason"):
        return name
    byte = frame.unmasked[at - (frame.header_size or 0)]
    return f"{name}, {chr(byte)!r}" if 0x20 < byte < 0x7F else name


def _why(reading: Dissection) -> str:
    """Say what keeps a frame, or its message, from being complete, and what stands behind it."""
    if reading.missing:
        return f"missing: {reading.missing}"
    if reading.rest and not reading.violations:
        return f"read as the next frame: {in_hex(reading.rest)}"
    if not values(reading)["FIN"]:
        return "missing: the rest of the message"
    return ""


def _html_row(at: int, row: dict[str, Any]) -> str:
    cells = "".join(f"<td {_filled(cell)}>{cell['letter']}</td>" for cell in row["cells"])
    return (
        f'<tr><th scope="row">{at}</th><td><code>{row["hex"]}</code></td>{cells}'
        f"<td {LEFT}>{escape(row['fields'])}</td></tr>"
    )


def _chip(shown: dict[str, Any]) -> str:
    return f"<strong {_filled(shown)}>&nbsp;{shown['letter']}&nbsp;</strong>"


def _filled(shown: dict[str, Any]) -> str:
    return f'style="background:{entry(shown["verdict"])["fill"]};color:#000"'
