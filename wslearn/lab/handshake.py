"""The opening handshake: two heads side by side, and the way from key to answer (RFC 6455, section 4).

Here heads become lines, steps and a cut for a view; taking heads apart is `dissect_handshake`'s.
"""

from __future__ import annotations

import hashlib
from html import escape
from itertools import zip_longest
from typing import Any

import traitlets

from wslearn.dissection import Field, HandshakeDissection, dissect_handshake
from wslearn.handshake import GUID, accept_key
from wslearn.lab.answers import in_hex
from wslearn.lab.frame_inspector import said
from wslearn.lab.view import View, module, style
from wslearn.trace import Handshake as TracedHandshake
from wslearn.trace import Sender, Trace, TracedFrame

KEY, ACCEPT = "sec-websocket-key", "sec-websocket-accept"
# What the view lights on both sides at once.
PAIRS = {
    name: name.removeprefix("sec-websocket-")
    for name in ("upgrade", "connection", "sec-websocket-protocol", "sec-websocket-extensions")
} | {KEY: "key", ACCEPT: "key"}
# Characters of a line that are shown.
SHOWN = 400
TOP = 'style="text-align:left;vertical-align:top"'


class Handshake(View):
    """Shows request and response line by line, the computation of the accept key, and the first frames.

    Args:
        shown: a trace, which may still grow, a handshake of one, or the bytes of a request.
        response: the bytes that answer a request that was given as bytes.
        session: the number of the session in a trace; None for the last one that shook hands.

    Raises:
        TypeError: `shown` is none of these, or `response` is not bytes.
    """

    _esm = module("handshake")
    _css = style("handshake")
    sides: traitlets.List[dict[str, Any]] = traitlets.List().tag(sync=True)
    steps: traitlets.List[dict[str, Any]] = traitlets.List().tag(sync=True)

    def __init__(
        self,
        shown: Trace | TracedHandshake | bytes,
        response: bytes = b"",
        *,
        session: int | None = None,
    ) -> None:
        self._trace = shown if isinstance(shown, Trace) else None
        self._session = session
        match shown:
            case Trace():
                self._read(NOTHING, {})
            case TracedHandshake():
                self._read(shown, {})
            case _:
                lengths = (len(dissect_handshake(shown).wire), len(dissect_handshake(response).wire))
                self._read(TracedHandshake(0.0, 1, shown, response, *lengths), {})
        super().__init__()
        self._draw()
        self.refresh()
        if self._trace is not None:
            self.live()

    def refresh(self) -> None:
        """Show the handshake as far as it has come."""
        if self._trace is None:
            return
        found = [each for each in self._trace.handshakes if self._session in (None, each.session)]
        if not found or (found[-1] == self._shown and len(self._firsts) == 2):
            return
        firsts: dict[Sender, TracedFrame] = {}
        for frame in self._trace.frames:
            if frame.session == found[-1].session:
                firsts.setdefault(frame.sender, frame)
        if (found[-1], firsts) != (self._shown, self._firsts):
            self._read(found[-1], firsts)
            self._draw()

    def step(self) -> bool:
        """Show what is new; another client may always come."""
        self.refresh()
        return True

    def _read(self, handshake: TracedHandshake, firsts: dict[Sender, TracedFrame]) -> None:
        self._shown, self._firsts = handshake, firsts
        self._request = dissect_handshake(handshake.request)
        self._key = self._request.value(KEY)
        self._response = dissect_handshake(handshake.response, self._key)

    @property
    def _opens(self) -> bool:
        return self._response.value("status") == "101" and self._response.complete

    def _draw(self) -> None:
        self.sides = [self._side("client"), self._side("server")]
        self.steps = steps(self._key, self._response.value(ACCEPT))

    def _side(self, sender: Sender) -> dict[str, Any]:
        head = self._request if sender == "client" else self._response
        first = self._firsts.get(sender)
        return {
            "title": self._title(sender, head),
            "lines": [_line_data(head, *line) for line in _lines(head)],
            "violations": [violation._asdict() for violation in head.violations],
            "cut": self._cut(head),
            "first": [in_hex(first.wire), f"{first.kind} {said(first.frame)}".strip()] if first else [],
        }

    def _title(self, sender: Sender, head: HandshakeDissection) -> str:
        length = self._shown.request_length if sender == "client" else self._shown.response_length
        name = "request" if sender == "client" else "response"
        if head.wire:
            size = f"{len(head.wire)} byte{'' if len(head.wire) == 1 else 's'}"
            return f"{name}, {size}{'' if head.complete else ', incomplete'}"
        return f"{name}, {length} bytes that are no whole head" if length else f"no {name} yet"

    def _cut(self, head: HandshakeDissection) -> str:
        if not head.complete:
            return f"missing: {head.missing}" if head.wire else ""
        if self._opens:
            return f"after {len(head.wire)} bytes HTTP ends, and frames follow"
        stays = ", and HTTP stays" if self._response.complete else ""
        return f"after {len(head.wire)} bytes the head ends{stays}"

    def plain(self) -> str:
        """Return both heads side by side with the cut, then the steps, then what is wrong."""
        columns = [_column(side) for side in self.sides]
        width = max((len(line) for line in columns[0]), default=0)
        pairs = zip_longest(*columns, fillvalue="")
        lines = [f"{left:<{width}}   {right}".rstrip() for left, right in pairs]
        if self.steps:
            names = max(len(step["name"]) for step in self.steps)
            lines += ["", *(f"{step['name']:<{names}}  {step['value']}" for step in self.steps)]
        return "\n".join([*lines, *(f"violation: {violation}" for violation in self._violations())])

    def html(self) -> str:
        """Return both heads side by side in a table, the steps, what is wrong, and what each line means."""
        titles = "".join(f'<th scope="col" {TOP}>{escape(side["title"])}</th>' for side in self.sides)
        cells = "".join(
            f"<td {TOP}>{'<br>'.join(map(_html_line, _column(side)[1:]))}</td>" for side in self.sides
        )
        named = [(step["name"].partition(" ")[2], step["value"]) for step in self.steps]
        items = "".join(f"<li>{escape(name)}: <code>{escape(value)}</code></li>" for name, value in named)
        wrong = "".join(f"<li>{escape(violation)}</li>" for violation in self._violations())
        tables = "".join(head._repr_html_() for head in (self._request, self._response) if head.wire)
        return (
            f"<table><thead><tr>{titles}</tr></thead><tbody><tr>{cells}</tr></tbody></table>"
            + (f"<ol>{items}</ol>" if items else "")
            + (f"<p><strong>violations</strong></p><ul>{wrong}</ul>" if wrong else "")
            + (f"<details><summary>What each line means</summary>{tables}</details>" if tables else "")
        )

    def _violations(self) -> list[str]:
        return [head.told(each) for head in (self._request, self._response) for each in head.violations]


NOTHING = TracedHandshake(0.0, 0, b"", b"", 0, 0)


def steps(key: str | None, accept: str | None) -> list[dict[str, Any]]:
    """Return the way from a key to its answer in four steps (RFC 6455, section 4.2.2, step 5.4)."""
    if key is None:
        return []
    digest = hashlib.sha1(key.encode("latin-1") + GUID).digest()
    answer = accept_key(key)
    fits = {None: "", answer: "equals the header"}.get(accept, f"the header says {_shown(repr(accept))}")
    sent = _shown(key)
    return [
        {"name": "1 the key as it is sent", "value": sent, "pair": "key"},
        {
            "name": "2 the GUID behind it",
            "value": sent + GUID.decode(),
            "pair": "key",
            "tail": GUID.decode(),
        },
        {"name": "3 SHA-1 of these, 20 bytes", "value": digest.hex(" "), "pair": ""},
        {
            "name": "4 in base64, the answer",
            "value": f"{answer}{f'  {fits}' if fits else ''}",
            "pair": "key",
            "fits": accept in (None, answer),
        },
    ]


def _lines(head: HandshakeDissection) -> list[tuple[int, str]]:
    """Return the lines of a head, each with the byte that it begins at; the blank one is not among them."""
    lines, at = [], 0
    for line in head.wire.decode("latin-1").split("\r\n"):
        if line:
            lines.append((at, line))
        at += len(line) + 2
    return lines


def _line_data(head: HandshakeDissection, at: int, text: str) -> dict[str, Any]:
    fields = [field for field in head.fields if at <= field.start // 8 < at + len(text)]
    return {
        "text": _shown(text),
        "start": 8 * at,
        "length": 8 * len(text),
        "pair": PAIRS.get(fields[0].name.lower(), "") if at and fields else "",
        "parts": [_part(field) for field in fields],
    }


def _part(field: Field) -> dict[str, Any]:
    value = _shown(str(field.value))
    return {"name": field.name, "value": value, "meaning": field.meaning, "section": field.section}


def _shown(text: str) -> str:
    """Return a text that stays on one line and is not longer than anybody reads."""
    plain = text[:SHOWN] if text[:SHOWN].isprintable() else repr(text[:SHOWN])[:SHOWN]
    return plain if len(text) <= SHOWN else f"{plain} … {len(text) - SHOWN:,} more characters"


def _column(side: dict[str, Any]) -> list[str]:
    """Return one side as lines of text: title, head, cut, first frame."""
    lines = [side["title"], *(line["text"] for line in side["lines"])]
    if side["cut"]:
        lines += [f"── {side['cut']} ──"]
    if side["first"]:
        lines += [f"{side['first'][0]}  {side['first'][1]}"]
    return lines


def _html_line(line: str) -> str:
    return f"<em>{escape(line)}</em>" if line.startswith("── ") else f"<code>{escape(line)}</code>"
