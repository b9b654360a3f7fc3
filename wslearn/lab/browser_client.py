"""What a page is told, beside what passed on the wire: a real WebSocket in the reader's own page.

The view opens a server that says given bytes to whoever connects, and asks the page to come: directly where
both are on one machine, and through Jupyter's proxy (jupyter-server-proxy). Here three taps meet: the page's
events, the wire that ends at the server, and what the server keeps; frames are taken apart by `dissect`
(RFC 6455, sections 7.1.5 and 7.1.6).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from html import escape
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, urlsplit

import traitlets

from wslearn.dissection import Dissection, dissect, dissect_handshake
from wslearn.handshake import END, upgrade_response
from wslearn.lab.answers import frames_in, said
from wslearn.lab.exercises import is_number
from wslearn.lab.page_client import Meeting
from wslearn.lab.table import Table
from wslearn.lab.view import View, module, style

WAYS = ("directly", "through the proxy")
CLOSE = bytes.fromhex("88 02 03 e8")
LISTENS = 3.0
"""Seconds that the server waits for what a page says."""


TAPS = ("page", "wire", "server")
TAP_HEADINGS = ("ms", "page", "wire at the server", "server")


class Moment(NamedTuple):
    """What one of the `TAPS` saw, and when: in milliseconds since the server ended its handshake."""

    time: float
    tap: str
    said: str


Note = Callable[[str, str], None]


def moments(*lines: str) -> tuple[Moment, ...]:
    """Return what was seen from lines such as `100.4 wire ◀ Close 4001`."""
    split = (line.split(maxsplit=2) for line in lines)
    return tuple(Moment(float(time), tap, said) for time, tap, said in split)


def _in_order(moment: Moment) -> tuple[float, bool, int]:
    """Return what to sort by: in the same moment the server speaks first, and the page before it is heard."""
    return round(moment.time, 6), not moment.said.startswith("◀"), TAPS.index(moment.tap)


class Told(NamedTuple):
    """What a page was told of an end, what the server heard from it, and which extensions each leg has.

    `heard` has a line for each frame, with the milliseconds since the server spoke where they are known;
    `seen` has all that the three taps saw.
    """

    code: int
    clean: bool
    heard: tuple[str, ...]
    extensions: str = ""
    seen: tuple[Moment, ...] = ()

    @property
    def table(self) -> list[list[str]]:
        """What was seen in order of time, with a column for each tap."""
        return [
            [f"{time:.1f}", *(said if tap == each else "" for each in TAPS)]
            for time, tap, said in sorted(self.seen, key=_in_order)
        ]

    def __str__(self) -> str:
        return f"{self.code}, {'clean' if self.clean else 'not clean'}"


class BrowserClient(Meeting):
    """Lets the page connect to a server that says given bytes, and shows both ends of each connection.

    Its text and HTML forms show a recording, because without a browser there is no page.

    Args:
        acts: by name the bytes that the server says behind its handshake; an empty one cuts the connection.
        recorded: by way and name what a browser was told before.
    """

    _esm = module("address", "browser_client")
    _css = style("browser_client")
    names: traitlets.List[str] = traitlets.List(traitlets.Unicode()).tag(sync=True)
    headings: traitlets.List[str] = traitlets.List(traitlets.Unicode(), list(TAP_HEADINGS)).tag(sync=True)
    ways: traitlets.List[str] = traitlets.List(traitlets.Unicode(), list(WAYS)).tag(sync=True)
    rows: traitlets.List[dict[str, Any]] = traitlets.List().tag(sync=True)

    def __init__(
        self, acts: Mapping[str, bytes], recorded: Mapping[str, Mapping[str, Told]] | None = None
    ) -> None:
        self.acts, self.recorded = dict(acts), recorded or {}
        self.told: dict[str, dict[str, Told]] = {}
        self._heard: dict[str, list[str]] = {}
        self._seen: dict[str, list[Moment]] = {}
        self._said: dict[str, dict[str, Any]] = {}
        super().__init__(names=list(acts))
        self.on_msg(self._page_said)
        self._draw()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Shake hands, say the bytes that are asked for, and note what comes back."""
        with suppress(asyncio.IncompleteReadError, asyncio.LimitOverrunError, ConnectionError):
            request = dissect_handshake(await reader.readuntil(END))
            asked = dict(parse_qsl(urlsplit(request.value("target") or "").query))
            key, act = request.value("sec-websocket-key"), self.acts.get(asked.get("act", ""))
            if key is not None and act is not None:
                number = asked.get("try", "")
                heard, seen = self._heard.setdefault(number, []), self._seen.setdefault(number, [])
                note = _notes(seen)
                writer.write(upgrade_response(key).encode())
                note("wire", "◀ 101 Switching Protocols")
                await asyncio.sleep(0.1)
                if act:
                    note("wire", f"◀ {'; '.join(_named(frame) for _, frame in frames_in(act))}")
                writer.write(act)
                if act and await _listen(reader, heard, note) and not _is_close(dissect(act)):
                    writer.write(CLOSE)
                    note("wire", "◀ Close 1000")
                note("server", "cuts" if not act else f"keeps {_kept(seen)}")
                self._join(number)
        writer.close()

    def _page_said(self, view: View, told: dict[str, Any], buffers: list[bytes]) -> None:
        """Take what the page was told of one connection."""
        match told:
            case {"way": str(), "name": str(), "try": str(number), "code": int(), "clean": bool()}:
                self._said[number] = told
                self._join(number)

    def _join(self, number: str) -> None:
        """Put together what both ends say of one connection, whichever of them has ended last."""
        if told := self._said.get(number):
            served = self._seen.get(number, [])
            self.told.setdefault(told["way"], {})[told["name"]] = Told(
                told["code"],
                told["clean"],
                tuple(self._heard.get(number, ())),
                str(told.get("extensions", "")),
                (*served, *_of_page(told.get("log"), served)),
            )
            self._draw()

    def _draw(self) -> None:
        self.rows = [
            {"name": name, "sent": said_in(act), "told": {way: self._cell(way, name) for way in WAYS}}
            for name, act in self.acts.items()
        ]

    def _cell(self, way: str, name: str) -> dict[str, Any]:
        live = self.told.get(way, {}).get(name)
        found = live or self.recorded.get(way, {}).get(name)
        if found is None:
            return {}
        return {
            "page": str(found),
            "heard": list(found.heard),
            "extensions": found.extensions,
            "live": live is not None,
            "seen": found.table,
        }

    def table(self) -> list[list[str]]:
        """Return the recording, a row for each act, with a row of headings in front."""
        says = ("the page is told", "the server hears")
        rows = [["the server says", *(f"{what}, {way}" for way in WAYS for what in says)]]
        for name in self.acts:
            found = [self.recorded.get(way, {}).get(name) for way in WAYS]
            cells = [(str(each), "; ".join(each.heard) or "nothing") if each else ("", "") for each in found]
            rows.append([name, *(cell for pair in cells for cell in pair)])
        return rows

    def taps(self) -> dict[str, Table]:
        """Return what the three taps saw of the first act in the recording, by its heading."""
        first = next(iter(self.acts), "")
        told = {way: self.recorded.get(way, {}).get(first) for way in WAYS}
        return {
            f"{first}, {way}": Table([list(TAP_HEADINGS), *each.table])
            for way, each in told.items()
            if each and each.seen
        }

    def plain(self) -> str:
        """Return the recording as tables of text."""
        rows = self.table()
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = [
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
            for row in rows
        ]
        seen = [f"\n{heading}:\n{table!r}" for heading, table in self.taps().items()]
        return "\n".join(["recorded in Chromium, before:", *lines, *seen])

    def html(self) -> str:
        """Return the recording as tables."""
        head, *rows = self.table()
        left = 'style="text-align:left"'
        heads = "".join(f'<th scope="col" {left}>{escape(each)}</th>' for each in head)
        body = "".join(
            f"<tr>{''.join(f'<td {left}>{escape(cell)}</td>' for cell in row)}</tr>" for row in rows
        )
        caption = "<caption>recorded in Chromium, before</caption>"
        seen = "".join(
            f"<p>{escape(heading)}</p>{table._repr_html_()}" for heading, table in self.taps().items()
        )
        return f"<table>{caption}<thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table>{seen}"


def _notes(seen: list[Moment]) -> Note:
    """Return a function that notes what a tap of the server's sees, in milliseconds from now."""
    clock = asyncio.get_running_loop().time
    started = clock()
    return lambda tap, said: seen.append(Moment(1000 * (clock() - started), tap, said))


def _of_page(log: Any, served: list[Moment]) -> list[Moment]:
    """Return what the page says that it saw, by the server's clock."""
    seen = [
        Moment(float(entry[0]), "page", str(entry[1]))
        for entry in (log if isinstance(log, list) else ())
        if isinstance(entry, list) and len(entry) == 2 and is_number(entry[0])
    ]
    later = _later(seen, served)
    return [moment._replace(time=moment.time + later) for moment in seen]


def _later(seen: list[Moment], served: list[Moment]) -> float:
    """Return how much later the page's clock began than the server's: so much that both can be true.

    Nothing is heard before it was said: not what the server says first, and not what the page says.
    """
    if len(seen) < 2 or len(served) < 2:
        return 0.0
    later = max(0.0, served[1].time - seen[1].time)
    sent = [moment.time for moment in seen if moment.said.startswith(("message", "says"))]
    came = [moment.time for moment in served if moment.said.startswith(("▶ Text", "▶ Close"))]
    return min([later, *(there - here for here, there in zip(sent, came, strict=False))])


def _kept(seen: list[Moment]) -> int:
    """Return the code that the server keeps of the end: that of the first Close that came (7.1.5)."""
    for moment in seen:
        if moment.said.startswith("▶ Close"):
            code = moment.said.removeprefix("▶ Close ").partition(":")[0]
            return int(code) if code.isdecimal() else 1005
    return 1006


def _named(frame: Dissection) -> str:
    """Return a frame in a few words."""
    return said(frame) if frame.unmasked or not _is_close(frame) else "Close without a code"


async def _listen(reader: asyncio.StreamReader, heard: list[str], note: Note) -> bool:
    """Note the frames of a page until it closes, and tell whether it did."""
    loop = asyncio.get_running_loop()
    started, data = loop.time(), b""
    with suppress(TimeoutError, ConnectionResetError):
        async with asyncio.timeout(LISTENS):
            while chunk := await reader.read(4096):
                data += chunk
                while (frame := dissect(data, "client")).complete:
                    note("wire", f"▶ {_named(frame)}")
                    heard.append(f"{_named(frame)} after {1000 * (loop.time() - started):.1f} ms")
                    data = frame.rest
                    if _is_close(frame):
                        return True
    return False


def said_in(act: bytes) -> str:
    """Return the bytes of an act in hex; none is a cut."""
    return act.hex(" ") or "no bytes: the connection is cut"


def _is_close(frame: Dissection) -> bool:
    return frame.kind.startswith("Close")
